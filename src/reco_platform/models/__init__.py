"""Recommendation models, on arrays and tables alone: ALS, biases, popularity, and top-N lists."""
