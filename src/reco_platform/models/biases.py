"""The mean rating and how far users and movies lie from it: what is known of a rating without any taste."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from reco_platform.core.arrays import Float32Array, Float64Array, Int32Array


@dataclass(frozen=True)
class Biases:
    """Damped biases, in stars.

    Attributes:
        mean: of all ratings.
        users: by dense index, shape (users,); 0 for those without ratings.
        movies: by dense index, shape (movies,); 0 for those without ratings.
    """

    mean: float
    users: Float64Array
    movies: Float64Array

    def predict(self, user_index: Int32Array, movie_index: Int32Array) -> Float64Array:
        """mean + b_u + b_i, shape as given. An index that fitting did not see, or -1, counts as bias 0."""
        return self.mean + bias_of(self.movies, movie_index) + bias_of(self.users, user_index)

    def residuals(self, user_index: Int32Array, movie_index: Int32Array, values: Float32Array) -> Float32Array:
        """What the biases leave of each rating, shape as given."""
        return (values - self.predict(user_index, movie_index)).astype(np.float32)


def fit(user_index: Int32Array, movie_index: Int32Array, values: Float32Array, damping: float) -> Biases:
    """The biases of movies, then those of users from what is left (Koren 2010, Factor in the Neighbors, section 2.1):

        b_i = sum_u (r_ui - mean) / (n_i + damping)
        b_u = sum_i (r_ui - mean - b_i) / (n_u + damping)

    Sums are taken in float64 in the order of the rows.

    Args:
        user_index: dense numbers of the users, shape (ratings,), at least one.
        movie_index: dense numbers of the movies, shape (ratings,).
        values: the ratings, shape (ratings,).
        damping: ratings of exactly the mean that are added to each user and movie; at least 0.
    """
    mean = float(np.mean(values, dtype=np.float64))
    left = values - np.float64(mean)
    movies = damped_means(movie_index, left, damping)
    left -= movies[movie_index]
    return Biases(mean, damped_means(user_index, left, damping), movies)


def damped_means(index: Int32Array, values: Float64Array, damping: float) -> Float64Array:
    """sum / (n + damping) of the values of each index, shape (largest index + 1,); 0 where there are none."""
    counts = np.bincount(index)
    sums = np.bincount(index, values)
    return np.divide(sums, counts + damping, out=np.zeros(len(counts)), where=counts > 0)


def bias_of(biases: Float64Array, index: Int32Array) -> Float64Array:
    """The bias of each index, shape as `index`; 0 for -1 and for those beyond the last."""
    return np.append(biases, 0.0)[np.minimum(index, len(biases))]
