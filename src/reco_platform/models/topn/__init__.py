"""Exact top-N lists: the movies with the highest scores of each user."""
