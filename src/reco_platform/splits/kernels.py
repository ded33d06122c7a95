"""Compiled parts of splitting.py, which is the module to import. A range of users is [first, end), so that threads can
share the work; no function's result depends on how the users are shared."""

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
    users: Any, movies: Any, ratings: Any, moments: Any, place: Any, to_movies: Any, to_ratings: Any, to_moments: Any
) -> None:
    """Puts each row at the next place of its user, and moves that place on."""
    for row in range(len(users)):
        at = place[users[row]]
        place[users[row]] = at + 1
        to_movies[at] = movies[row]
        to_ratings[at] = ratings[row]
        to_moments[at] = moments[row]


@njit(cache=True, nogil=True)
def sort_by_movie(first: Any, end: Any, starts: Any, movies: Any, ratings: Any, moments: Any) -> None:
    """Sorts the rows of each user by movie, in place."""
    for user in range(first, end):
        start, stop = starts[user], starts[user + 1]
        keys = np.empty(stop - start, np.int64)
        for row in range(start, stop):
            keys[row - start] = np.int64(movies[row]) << 32 | (row - start)
        keys.sort()
        old_ratings, old_moments = ratings[start:stop].copy(), moments[start:stop].copy()
        for row in range(start, stop):
            key = keys[row - start]
            movies[row] = key >> 32
            ratings[row] = old_ratings[key & LOW]
            moments[row] = old_moments[key & LOW]


@njit(cache=True, nogil=True)
def mark_latest(first: Any, end: Any, starts: Any, movies: Any, moments: Any, keep: Any) -> None:
    """Marks of the rows of each user and movie, which stand together, the latest alone."""
    for user in range(first, end):
        best = starts[user]
        for row in range(starts[user], starts[user + 1]):
            new = movies[row] != movies[best]
            keep[row] = new or row == best or moments[row] > moments[best]
            if keep[row]:
                keep[best] = new or row == best
                best = row


@njit(cache=True, nogil=True)
def count_bins(values: Any, low: Any, shift: Any, counts: Any) -> None:
    """Adds to counts the values from low on in each bin, which is 2^shift wide."""
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
def last_of_each(starts: Any, moments: Any, trained: Any, kept: Any, fold: Any) -> None:
    """Fold 1 for the rows of each user from place `trained` on in order of time, 2 from `kept` on, 0 before."""
    for user in range(len(starts) - 1):
        start, stop = starts[user], starts[user + 1]
        order = np.argsort(moments[start:stop], kind="mergesort")  # stable: rows of one moment stay by movie
        for place in range(stop - start):
            fold[start + order[place]] = (place >= trained[user]) + (place >= kept[user])


@njit(cache=True, nogil=True)
def mix(word: Any) -> Any:
    """The finaliser of SplitMix64 (Steele, Lea and Flood 2014, "Fast splittable pseudorandom number generators")."""
    word = (word ^ (word >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    word = (word ^ (word >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return word ^ (word >> np.uint64(31))


@njit(cache=True, nogil=True)
def draw(seed: Any, starts: Any, user_ids: Any, movie_ids: Any, movies: Any, drawn: Any) -> None:
    """A pseudorandom number from 0 to 2^63 - 1 for each row, by its seed and ids alone."""
    start = mix((np.uint64(seed) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15))
    for user in range(len(starts) - 1):
        for row in range(starts[user], starts[user + 1]):
            pair = np.uint64(user_ids[user]) << np.uint64(32) | np.uint64(movie_ids[movies[row]])
            drawn[row] = np.int64(mix(mix(pair + start) + start) >> np.uint64(1))


@njit(cache=True, nogil=True)
def repeated(starts: Any, movies: Any) -> Any:
    """A row whose user and movie are not later in order than those of the row before it; -1 if there is none."""
    for user in range(len(starts) - 1):
        for row in range(starts[user] + 1, starts[user + 1]):
            if movies[row] <= movies[row - 1]:
                return row
    return -1


@njit(cache=True, nogil=True)
def spans(starts: Any, moments: Any, fold: Any) -> Any:
    """The first and last moment of each user in each fold, each of shape (users, 3); LATEST and EARLIEST in none."""
    first = np.full((len(starts) - 1, 3), LATEST)
    last = np.full((len(starts) - 1, 3), EARLIEST)
    for user in range(len(starts) - 1):
        for row in range(starts[user], starts[user + 1]):
            number = fold[row]
            first[user, number] = min(first[user, number], moments[row])
            last[user, number] = max(last[user, number], moments[row])
    return first, last


@njit(cache=True, nogil=True)
def mark_present(starts: Any, movies: Any, fold: Any, users_in: Any, movies_in: Any) -> None:
    """Marks which users and movies have rows in which fold, shapes (3, users) and (3, movies)."""
    for user in range(len(starts) - 1):
        for row in range(starts[user], starts[user + 1]):
            users_in[fold[row], user] = True
            movies_in[fold[row], movies[row]] = True


@njit(cache=True, nogil=True)
def warm_rows(starts: Any, movies: Any, fold: Any, number: Any, known_users: Any, known_movies: Any) -> Any:
    """How many rows of a fold have a known user and a known movie."""
    found = 0
    for user in range(len(starts) - 1):
        if known_users[user]:
            for row in range(starts[user], starts[user + 1]):
                found += fold[row] == number and known_movies[movies[row]]
    return found
