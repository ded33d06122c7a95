"""The rerun engine: steps, receipts, memo, journal. It knows nothing of recommenders."""
