"""Errors of a question: a movie, a user or a filter that the data do not have."""

from __future__ import annotations

from collections.abc import Sequence

from reco_platform.core.errors import RecoError


class QuestionError(RecoError):
    """A question that cannot be answered as it was asked; the message says what to ask instead."""

    exit_code = 2


class UnknownMovieError(QuestionError):
    """A title or id that no movie has, or a movie that the model does not know.

    Attributes:
        candidates: movie_ids of movies with a similar title, the most likely first.
    """

    def __init__(self, message: str, hint: str | None = None, candidates: Sequence[int | str] = ()) -> None:
        super().__init__(message, hint)
        self.candidates = tuple(candidates)


class AmbiguousTitleError(UnknownMovieError):
    """A title that several movies have; `candidates` has their movie_ids."""


class UnknownUserError(QuestionError):
    """A user without any rating in the data."""
