"""A reproducible recommendation pipeline: MovieLens CSV to silver tables, an ALS model and top-N lists."""
