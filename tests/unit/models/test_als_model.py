"""Models in Spark's format: written, read back, and extended by bias terms; tests/spark loads them with Spark."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from reco_platform.models.als.model import model_fingerprint, read_model
from support.example_models import LARGEST_ID, dense, trained_example, written


def content(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_written_model_is_read_back(tmp_path: Path) -> None:
    model, _ = trained_example()
    again = read_model(written(model, tmp_path / "model"))
    for side, read in ((model.users, again.users), (model.movies, again.movies)):
        assert np.array_equal(side.ids, read.ids)
        assert np.array_equal(side.factors, read.factors)
    assert again.users.ids[-1] == LARGEST_ID


def test_terms_of_users_and_movies_become_two_columns() -> None:
    model, (user, movie, _) = trained_example()
    b_u, b_i = np.linspace(3, 4, len(model.users.ids)), np.linspace(-1, 1, len(model.movies.ids))
    with_columns = model.with_terms(b_u, b_i)
    assert with_columns.users.factors.shape[1] == with_columns.movies.factors.shape[1] == 5 + 2
    assert with_columns.users.factors.dtype == with_columns.movies.factors.dtype == np.float32
    expected = model.predict(user, movie) + b_u[dense(user)] + b_i[dense(movie)]
    np.testing.assert_allclose(with_columns.predict(user, movie), expected, atol=1e-6)


def test_a_model_has_the_same_bytes_every_time(tmp_path: Path) -> None:
    model, _ = trained_example()
    one, other = written(model, tmp_path / "one"), written(model, tmp_path / "other")
    assert len(content(one)) == 3
    assert content(one) == content(other)
    assert model_fingerprint(one) == model_fingerprint(other)
