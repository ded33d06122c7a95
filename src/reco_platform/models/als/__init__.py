"""Alternating least squares: training, and the model as it is stored."""
