"""Numba kernels of the split. Those that take a range [first, end) of users can run in threads, one range each."""

# ruff: noqa: PLR0917 - compiled functions take no keyword-only arguments
from __future__ import annotations

from typing import Any

import numpy as np
from numba import njit

LOW = np.int64(0xFFFFFFFF)
EARLIEST, LATEST = np.iinfo(np.int64).min, np.iinfo(np.int64).max


@njit(cache=True, nogil=True)
def count(users: Any, counts: Any) -> None:
    """Adds the rows of each user to counts, shape (users,)."""
    for user in users:
        counts[user] += 1


@njit(cache=True, nogil=True)
def scatter(
    users: Any,
    movies: Any,
    ratings: Any,
    timestamps: Any,
    next_row: Any,
    to_movies: Any,
    to_ratings: Any,
    to_timestamps: Any,
) -> None:
    """Copies each row to the next free row of its user; next_row, shape (users,), is advanced."""
    for row in range(len(users)):
        target = next_row[users[row]]
        next_row[users[row]] = target + 1
        to_movies[target] = movies[row]
        to_ratings[target] = ratings[row]
        to_timestamps[target] = timestamps[row]


@njit(cache=True, nogil=True)
def sort_by_movie(first: Any, end: Any, starts: Any, movies: Any, ratings: Any, timestamps: Any) -> None:
    """Sorts the rows of each user by movie, in place."""
    for user in range(first, end):
        start, stop = starts[user], starts[user + 1]
        keys = np.empty(stop - start, np.int64)
        for row in range(start, stop):
            keys[row - start] = np.int64(movies[row]) << 32 | (row - start)
        keys.sort()
        old_ratings, old_timestamps = ratings[start:stop].copy(), timestamps[start:stop].copy()
        for row in range(start, stop):
            key = keys[row - start]
            movies[row] = key >> 32
            ratings[row] = old_ratings[key & LOW]
            timestamps[row] = old_timestamps[key & LOW]


@njit(cache=True, nogil=True)
def mark_latest(first: Any, end: Any, starts: Any, movies: Any, timestamps: Any, keep: Any) -> None:
    """Marks the latest row of each user and movie; rows of one user and movie are next to each other."""
    for user in range(first, end):
        best = starts[user]
        for row in range(starts[user], starts[user + 1]):
            new = movies[row] != movies[best]
            keep[row] = new or row == best or timestamps[row] > timestamps[best]
            if keep[row]:
                keep[best] = new or row == best
                best = row


@njit(cache=True, nogil=True)
def count_bins(values: Any, low: Any, shift: Any, counts: Any) -> None:
    """Adds to counts the number of values in each bin; the first bin begins at low, and bins are 2^shift wide."""
    for value in values:
        counts[(value - low) >> shift] += 1


@njit(cache=True, nogil=True)
def copy_bin(values: Any, low: Any, shift: Any, chosen: Any, found: Any) -> None:
    """Copies the values of one bin."""
    at = 0
    for value in values:
        if (value - low) >> shift == chosen:
            found[at] = value
            at += 1


@njit(cache=True, nogil=True)
def folds_by_user(starts: Any, timestamps: Any, before_validation: Any, before_test: Any, fold: Any) -> None:
    """Sets the fold of each row from its position in the order of its user's rows by time.

    Fold 0 for positions below before_validation, shape (users,), 1 for those below before_test, 2 for the others.
    """
    for user in range(len(starts) - 1):
        start, stop = starts[user], starts[user + 1]
        order = np.argsort(
            timestamps[start:stop], kind="mergesort"
        )  # stable: rows with the same timestamp stay sorted by movie
        for position in range(stop - start):
            fold[start + order[position]] = (position >= before_validation[user]) + (position >= before_test[user])


@njit(cache=True, nogil=True)
def splitmix64(word: Any) -> Any:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@njit(cache=True, nogil=True)
def draw(seed: Any, starts: Any, user_ids: Any, movie_ids: Any, movies: Any, drawn: Any) -> None:
    """Sets a pseudorandom number from 0 to 2^63 - 1 for each row, from the seed and the row's ids only."""
    start = splitmix64((np.uint64(seed) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    for user in range(len(starts) - 1):
        for row in range(starts[user], starts[user + 1]):
            pair = np.uint64(user_ids[user]) << np.uint64(32) | np.uint64(movie_ids[movies[row]])
            drawn[row] = np.int64(splitmix64(splitmix64(pair + start) + start) >> np.uint64(1))


@njit(cache=True, nogil=True)
def find_duplicate(starts: Any, movies: Any) -> Any:
    """A row with the same user and movie as the row before it, or out of order; -1 if there is none."""
    for user in range(len(starts) - 1):
        for row in range(starts[user] + 1, starts[user + 1]):
            if movies[row] <= movies[row - 1]:
                return row
    return -1


@njit(cache=True, nogil=True)
def time_ranges(starts: Any, timestamps: Any, fold: Any) -> Any:
    """The first and last timestamps of each user in each fold, shapes (users, 3); LATEST and EARLIEST if none."""
    first = np.full((len(starts) - 1, 3), LATEST)
    last = np.full((len(starts) - 1, 3), EARLIEST)
    for user in range(len(starts) - 1):
        for row in range(starts[user], starts[user + 1]):
            number = fold[row]
            first[user, number] = min(first[user, number], timestamps[row])
            last[user, number] = max(last[user, number], timestamps[row])
    return first, last


@njit(cache=True, nogil=True)
def mark_present(starts: Any, movies: Any, fold: Any, users_in: Any, movies_in: Any) -> None:
    """Marks the users and movies that have rows in each fold, shapes (3, users) and (3, movies)."""
    for user in range(len(starts) - 1):
        for row in range(starts[user], starts[user + 1]):
            users_in[fold[row], user] = True
            movies_in[fold[row], movies[row]] = True


@njit(cache=True, nogil=True)
def warm_rows(starts: Any, movies: Any, fold: Any, number: Any, known_users: Any, known_movies: Any) -> Any:
    """The number of rows of a fold whose user and movie are both known."""
    found = 0
    for user in range(len(starts) - 1):
        if known_users[user]:
            for row in range(starts[user], starts[user + 1]):
                found += fold[row] == number and known_movies[movies[row]]
    return found
