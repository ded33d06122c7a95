"""How good a model is: metrics, intervals and baselines."""
