"""The figures of docs/evaluation.md compared with a new computation, and ALS compared with the known truth."""

from __future__ import annotations

import re
from pathlib import Path

import evaluate_docs
import numpy as np
import pytest

from reco_platform.datasets import registry as datasets
from reco_platform.datasets import synthetic
from reco_platform.models import biases


@pytest.mark.slow
def test_the_docs_print_what_is_computed_on_the_real_ml_latest_small(root: Path, latest_small: Path) -> None:
    text = (root / evaluate_docs.PAGE).read_text(encoding="utf-8")
    data = evaluate_docs.load(latest_small, 2)
    for split, changed in evaluate_docs.SPLITS.items():
        found = evaluate_docs.judged(*evaluate_docs.folds(data, changed), data, 2)
        rating, ranking = re.findall(rf"^\| {re.escape(split)} \|(.*)\|$", text, re.M)[:2]
        printed = [float(cell.split()[0]) for cell in rating.split("|")[1:4]]
        computed = [found["systems"][name]["rmse_warm_clipped"]["value"] for name in evaluate_docs.RATED]
        assert printed == pytest.approx(computed, abs=2e-4), split
        for name, cell in zip(evaluate_docs.RANKED, ranking.split("|")[1:], strict=True):
            # Processors round the factors of many iterations differently, and one place in a list of 28 users shows.
            tolerance = 1e-2 if name == "implicit" else 2e-3
            computed = found["systems"][name]["ndcg@10"]["value"]
            assert float(cell.split()[0]) == pytest.approx(computed, abs=tolerance), (split, name)


@pytest.mark.slow
def test_both_models_come_close_to_the_truth_of_the_generated_data(
    demo_folder: Path, registry: dict[str, datasets.Dataset]
) -> None:
    """The error of a model is at least the noise; that of biases alone at least noise and tastes together.

    Random rows and the true rank, so that little but noise and the size of the data is in the way.
    """
    entry = registry["demo"]
    assert isinstance(entry, datasets.GenerateDataset)
    truth = synthetic.truth(entry.spec)
    users, movies = truth.user.astype(np.int32), truth.movie.astype(np.int32)
    noise = float(np.sqrt(np.mean((truth.rating - truth.expected) ** 2)))
    tastes = truth.expected - truth.expected.mean()
    for _ in range(20):  # least squares over both sides' biases, one side at a time
        for side in (movies, users):
            tastes = tastes - biases.damped_means(side, tastes, 0.0)[side]
    without_tastes = float(np.sqrt(np.mean((truth.rating - truth.expected + tastes) ** 2)))

    data = evaluate_docs.load(demo_folder, 2)
    train, test = evaluate_docs.folds(data, {"split": "random"})
    model = evaluate_docs.trained(train, biased=True, rank=synthetic.LATENT_DIMS, reg_param=0.03, threads=2)
    rows = evaluate_docs.rating_arrays(test)
    als = float(np.sqrt(np.nanmean((rows.ratings - model.predict(rows.users, rows.movies)) ** 2)))
    averages = biases.fit(*(train[name].to_numpy() for name in ("user_index", "movie_index", "rating")), 5.0)
    alone = float(np.sqrt(np.mean((rows.ratings - averages.predict(rows.user_index, rows.movie_index)) ** 2)))
    assert noise < als < 1.2 * noise
    assert alone == pytest.approx(without_tastes, rel=0.02)
