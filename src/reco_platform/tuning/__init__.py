"""Hyperparameter sweeps: the grid, the data of trials, their scores, and the leaderboard."""
