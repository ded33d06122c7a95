"""Damped biases of users and movies: a baseline prediction, and what ALS takes off the ratings before training."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reco_platform.core.arrays import Float32Array, Float64Array, Int32Array


@dataclass(frozen=True)
class Biases:
    """Damped biases, in stars.

    Attributes:
        mean: mean of all ratings.
        users: bias of each user by dense index, shape (users,); 0 without ratings.
        movies: bias of each movie by dense index, shape (movies,); 0 without ratings.
    """

    mean: float
    users: Float64Array
    movies: Float64Array

    def predict(self, user_index: Int32Array, movie_index: Int32Array) -> Float64Array:
        """mean + b_u + b_i, with the shape of the indexes. Indexes that fitting did not see, and -1, have bias 0."""
        return self.mean + bias_of(self.movies, movie_index) + bias_of(self.users, user_index)

    def residuals(self, user_index: Int32Array, movie_index: Int32Array, values: Float32Array) -> Float32Array:
        """The ratings minus their predictions, with the shape of the ratings."""
        return (values - self.predict(user_index, movie_index)).astype(np.float32)


def fit(user_index: Int32Array, movie_index: Int32Array, values: Float32Array, damping: float) -> Biases:
    """Fits movie biases, then user biases on the residuals (Koren 2010, Factor in the Neighbors, section 2.1):

        b_i = sum_u (r_ui - mean) / (n_i + damping)
        b_u = sum_i (r_ui - mean - b_i) / (n_u + damping)

    Sums are in float64, in the order of the rows.

    Args:
        user_index: dense index of each rating's user, shape (ratings,), at least one.
        movie_index: dense index of each rating's movie, shape (ratings,).
        values: the ratings, shape (ratings,).
        damping: number of ratings equal to the mean that are added to each user and movie; at least 0.
    """
    mean = float(np.mean(values, dtype=np.float64))
    residuals = values - np.float64(mean)
    movies = damped_means(movie_index, residuals, damping)
    residuals -= movies[movie_index]
    return Biases(mean, damped_means(user_index, residuals, damping), movies)


def damped_means(index: Int32Array, values: Float64Array, damping: float) -> Float64Array:
    """sum / (n + damping) of the values of each index, shape (largest index + 1,); 0 for indexes without values."""
    counts = np.bincount(index)
    sums = np.bincount(index, values)
    return np.divide(sums, counts + damping, out=np.zeros(len(counts)), where=counts > 0)


def bias_of(biases: Float64Array, index: Int32Array) -> Float64Array:
    """The bias of each index, with the shape of `index`; 0 for -1 and for indexes beyond the last."""
    return np.append(biases, 0.0)[np.minimum(index, len(biases))]
