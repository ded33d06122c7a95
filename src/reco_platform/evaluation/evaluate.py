"""How good a model is on a fold that it was not trained on, beside baselines, with intervals. docs/metrics.md has every
definition.

All systems are judged on the same rows, users and resamples by the same code: the model itself (`als`), ALS without
biases (`als_plain`), the damped biases, the global mean, the most popular movies, and those most popular of late.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import pyarrow as pa

from reco_platform.core.arrays import BoolArray, Float32Array, Float64Array, Int32Array
from reco_platform.core.errors import DataError
from reco_platform.evaluation import beyond_accuracy, bootstrap, ranking_metrics
from reco_platform.evaluation.dataset import (
    EvaluationDataset,
    Rows,
    Settings,
    evaluation_dataset,
    lists_of,
    predicted,
    relevant_rows,
)
from reco_platform.evaluation.rating_metrics import rating_sums
from reco_platform.evaluation.strata import strata_of
from reco_platform.evaluation.user_sums import UserSums, joined, named, plain
from reco_platform.models import biases
from reco_platform.models.als.model import Model

RATING_BASELINES = ("als_plain", "biases", "global_mean")
RANKING_BASELINES = ("als_plain", "biases", "popular", "popular_recent")


def rating_metrics(truth: Float32Array, predicted: Float64Array, cold_start_strategy: str) -> dict[str, Any]:
    """RMSE over the predicted test rows, with the share of rows that it covers.

    RMSE is the square root of the mean squared difference (Herlocker et al. 2004, section 4.1.1).

    Args:
        truth: ratings, shape (rows,).
        predicted: shape (rows,); NaN for cold rows, whose user or movie has no training rows.
        cold_start_strategy: drop leaves cold rows out; nan keeps them, so that there is no RMSE if there are any.
    """
    warm = ~np.isnan(predicted)
    cold = int((~warm).sum())
    counted = len(truth) if cold_start_strategy == "nan" else int(warm.sum())
    reason = None
    if counted == 0:
        reason = "no test row has both its user and its movie in the training data"
    elif cold_start_strategy == "nan" and cold:
        reason = f"cold_start_strategy=nan keeps {cold:,} cold rows, whose prediction is not a number"
    rmse = None if reason else float(np.sqrt(np.mean((truth[warm].astype(np.float64) - predicted[warm]) ** 2)))
    return {
        "rmse": rmse,
        **({"rmse_missing_because": reason} if reason else {}),
        "test_count": len(truth),
        "predictions_count": counted,
        "coverage": counted / max(len(truth), 1),
        "cold_count": cold,
        "cold_share": cold / max(len(truth), 1),
    }


def evaluate(
    model: Model, plain: Model | None, train: Rows, test: Rows, *, genres: pa.Table, settings: Settings
) -> dict[str, Any]:
    """Every metric of every system, as plain values.

    Args:
        model: judged.
        plain: ALS without biases, trained alike; None where the model itself is that.
        train: the rows that both were trained on.
        test: the rows that judge.
        genres: movie_id and genres (list of text) of the movies.
        settings: see there.

    Raises:
        DataError: if the catalogue is smaller than every evaluation_k.
    """
    settings, left_out = fitting(settings, len(model.movies.ids))
    scene = evaluation_dataset(model, train, test, genres)
    models = {"als": model, **({"als_plain": plain} if plain else {})}
    known = scene.train
    fitted = biases.fit(known.user_index, known.movie_index, known.ratings, settings.bias_damping)
    relevant = relevant_rows(scene, settings.relevance, settings.relevant_rating)
    predictions = predicted(models, fitted, scene)
    rating = {name: rating_of(predictions[name], predictions["biases"], scene) for name in predictions}
    lists = lists_of(models, fitted, scene, settings)
    wanted = wanted_of(scene, relevant)
    ranked = {name: ranked_of(found, wanted, scene, settings.evaluation_k) for name, found in lists.items()}
    whole = {name: [part[name] for part in (rating, ranked) if name in part] for name in {**rating, **ranked}}
    judged = resampled(rating, ranked, settings)
    differences = {name: differences_of(judged["als"], judged[name]) for name in judged if name != "als"}
    return {
        **rating_metrics(test.ratings, predictions["als"], settings.cold_start_strategy),
        "folds": fold_counts(scene, relevant, wanted),
        "systems": {name: with_nulls(intervals_of(found), settings, left_out) for name, found in judged.items()},
        "catalogue": {
            name: with_nulls(catalogue_of(found, scene, settings), settings, left_out) for name, found in lists.items()
        },
        "strata": strata_of(predictions, lists, wanted, whole, scene=scene, k=settings.headline_k),
        "differences": differences,
        "verdicts": verdicts(differences, settings),
        "headline_k": settings.headline_k,
    }


def settings_from(params: Mapping[str, Any], threads: int) -> Settings:
    """From a step's parameters, of which it has every key of the settings but the threads."""
    keys = [field.name for field in fields(Settings) if field.name != "threads"]
    return Settings(
        **{**{key: params[key] for key in keys}, "evaluation_k": tuple(params["evaluation_k"])}, threads=threads
    )


def fitting(settings: Settings, catalogue: int) -> tuple[Settings, dict[int, str]]:
    """The settings with those lengths of lists that the catalogue can fill, and why the others are left out.

    Raises:
        DataError: if none is left.
    """
    kept = tuple(k for k in settings.evaluation_k if k <= catalogue)
    if not kept:
        raise DataError(
            f"the model knows only {catalogue:,} movies, and the shortest list to be judged has "
            f"{settings.evaluation_k[0]:,}",
            f"set a shorter one: --config evaluation_k={catalogue}",
        )
    reason = f"the catalogue has only {catalogue:,} movies"
    return replace(settings, evaluation_k=kept), {k: reason for k in settings.evaluation_k if k > catalogue}


def with_nulls(found: dict[str, Any], settings: Settings, left_out: Mapping[int, str]) -> dict[str, Any]:
    """With the metrics at the lengths that were left out, each null with its reason."""
    longest = f"@{settings.evaluation_k[-1]}"
    names = [name.removesuffix(longest) for name in found if name.endswith(longest)]
    nulls = dict.fromkeys(next(iter(found.values()))) if found else {}
    return found | {f"{name}@{k}": {**nulls, "missing_because": why} for k, why in left_out.items() for name in names}


# --- metrics


def rating_of(values: Float64Array, fallback: Float64Array, scene: EvaluationDataset) -> UserSums:
    """RMSE, MAE and per-user RMSE on warm rows and on all, the latter with the biases where a system has nothing.

    `_clipped` brings predictions into the range of the training ratings first.
    """
    scale = float(scene.train.ratings.min()), float(scene.train.ratings.max())
    found = {"warm": np.where(scene.known_rows, values, np.nan), "all": np.where(np.isnan(values), fallback, values)}
    truth, users = scene.test.ratings, scene.user_of_row
    return joined(
        [
            part
            for form, predicted in found.items()
            for part in (
                named(rating_sums(truth, predicted, users, len(scene.users)), form),
                named(rating_sums(truth, predicted, users, len(scene.users), scale), f"{form}_clipped"),
            )
        ]
    )


def wanted_of(scene: EvaluationDataset, relevant: BoolArray) -> ranking_metrics.Relevant:
    """The movies of the relevant test rows, by user."""
    return ranking_metrics.relevant_from(
        scene.user_of_row[relevant].astype(np.int32), scene.movie_of_row[relevant].astype(np.int32),
        len(scene.users), len(scene.movies),
    )  # fmt: skip


def ranked_of(
    lists: Int32Array, wanted: ranking_metrics.Relevant, scene: EvaluationDataset, ks: tuple[int, ...]
) -> UserSums:
    """Ranking metrics, and what the lists are like apart from being right."""
    return joined(
        [
            ranking_metrics.ranking_sums(lists, wanted, ks),
            beyond_accuracy.list_sums(lists, ks, scene.counts, len(scene.activity), scene.genres),
        ]
    )


@dataclass(frozen=True)
class Judged:
    """A system's metrics on all resamples; None where it does not rate, or does not rank."""

    rating: bootstrap.Resamples | None
    ranked: bootstrap.Resamples | None

    @property
    def parts(self) -> list[bootstrap.Resamples]:
        return [part for part in (self.rating, self.ranked) if part]


def resampled(rating: Mapping[str, UserSums], ranked: Mapping[str, UserSums], settings: Settings) -> dict[str, Judged]:
    """Every system on the same resamples of the test users, the model first."""
    systems = {
        **{f"rating {name}": sums for name, sums in rating.items()},
        **{f"ranked {n}": s for n, s in ranked.items()},
    }
    found = bootstrap.resample(systems, settings.bootstrap_samples, settings.bootstrap_seed)
    names = list(dict.fromkeys([*rating, *ranked]))
    return {name: Judged(found.get(f"rating {name}"), found.get(f"ranked {name}")) for name in names}


def intervals_of(judged: Judged) -> dict[str, Any]:
    return {name: plain(interval) for part in judged.parts for name, interval in bootstrap.intervals(part).items()}


def differences_of(ours: Judged, theirs: Judged) -> dict[str, Any]:
    pairs = ((ours.rating, theirs.rating), (ours.ranked, theirs.ranked))
    return {
        name: plain(difference)
        for one, other in pairs
        if one and other
        for name, difference in bootstrap.differences(one, other).items()
    }


def catalogue_of(lists: Int32Array, scene: EvaluationDataset, settings: Settings) -> dict[str, Any]:
    """What is a matter of all lists together."""
    ks = settings.evaluation_k
    found = beyond_accuracy.catalogue_figures(lists, ks, len(scene.movies), len(scene.users))
    shares = beyond_accuracy.stratum_shares(lists, settings.headline_k, scene.item_strata)
    return {name: plain(figure) for name, figure in found.items()} | {
        f"share_of_{name}@{settings.headline_k}": plain(figure) for name, figure in shares.items()
    }


def fold_counts(scene: EvaluationDataset, relevant: BoolArray, wanted: ranking_metrics.Relevant) -> dict[str, Any]:
    """How much of the test fold each kind of metric is about."""
    rows, users = len(scene.test.ratings), len(scene.users)
    warm_rows, warm_users = int(scene.known_rows.sum()), int(scene.known_users.sum())
    judged = int((wanted.counts > 0).sum())
    return {
        "rows": rows,
        "warm_rows": warm_rows,
        "cold_row_share": 1 - warm_rows / rows if rows else None,
        "users": users,
        "warm_users": warm_users,
        "cold_user_share": 1 - warm_users / users if users else None,
        "relevant_rows": int(relevant.sum()),
        "ranked_users": judged,
        "warm_users_without_relevant": warm_users - judged,
        "catalogue": len(scene.movies),
    }


# --- judgement


def headline(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The metrics that systems are compared by, and the baselines of each."""
    return {
        "rmse_warm": RATING_BASELINES,
        "rmse_all": RATING_BASELINES,
        f"ndcg@{settings.headline_k}": RANKING_BASELINES,
    }


def verdicts(differences: Mapping[str, Mapping[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    """For each headline metric and baseline whether the model is better, worse, or not to be told apart."""
    found = []
    for metric, names in headline(settings).items():
        for name in names:
            difference = differences.get(name, {}).get(metric)
            if difference:
                found.append({"metric": metric, "baseline": name, "verdict": verdict(metric, difference), **difference})
    return found


def verdict(metric: str, difference: Mapping[str, Any]) -> str:
    """better or worse where the interval of the difference leaves out 0, else undecided."""
    low, high = difference["low"], difference["high"]
    if low is None or low <= 0 <= high:
        return "undecided"
    return "better" if (high < 0) == metric.startswith("rmse") else "worse"
