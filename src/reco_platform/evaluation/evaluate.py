"""The evaluation of a model and its baselines on the test fold, with confidence intervals and comparisons.

docs/metrics.md defines every metric. All systems are evaluated by the same code on the same ratings, users and
resamples: the rating model (`als`), the ranking model by its name, plain ALS, that is ALS without biases (`als_plain`),
the damped biases, the global mean, the most popular movies of all time and of late, and weights between movies
(`item_knn`, `ease`). Predictions are compared with those of the rating model, lists with those of the ranking model;
with ranking_model=explicit the two are one.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyarrow as pa

from reco_platform.core.arrays import BoolArray, Float32Array, Float64Array, Int32Array
from reco_platform.evaluation import beyond_accuracy, bootstrap, ranking_metrics
from reco_platform.evaluation.dataset import (
    EvaluationDataset,
    RatingArrays,
    evaluation_dataset,
    relevant_by_user,
    relevant_rows,
)
from reco_platform.evaluation.rating_metrics import rating_sums
from reco_platform.evaluation.settings import Settings, limit_list_lengths
from reco_platform.evaluation.strata import strata_metrics
from reco_platform.evaluation.systems import (
    item_baselines,
    predictions,
    ranking_model_lists,
    recommendation_lists,
)
from reco_platform.evaluation.user_sums import UserSums, concatenate, to_json, with_suffix
from reco_platform.evaluation.verdict import verdict
from reco_platform.models import biases
from reco_platform.models.als.model import Model
from reco_platform.models.ranking.models import RankingModel

RATING_BASELINES = ("als_plain", "biases", "global_mean")
RANKING_BASELINES = ("als", "als_plain", "biases", "popular", "popular_recent", "item_knn", "ease")


def evaluate(
    model: Model,
    plain_model: Model | None,
    ranking_model: RankingModel | None,
    train: RatingArrays,
    test: RatingArrays,
    *,
    genres: pa.Table,
    settings: Settings,
) -> dict[str, Any]:
    """Every metric of every system as JSON values; `metrics_file.Evaluation` is the schema.

    Args:
        model: the rating model.
        plain_model: plain ALS with the same parameters; None if `model` is plain ALS itself.
        ranking_model: the model that orders the lists; None if `model` does.
        train: the ratings that they were trained on.
        test: the ratings to evaluate on.
        genres: movie_id and genres (list of text) of the movies.
        settings: see Settings.

    Raises:
        DataError: if the catalogue is smaller than every evaluation_k.
    """
    settings, omitted = limit_list_lengths(settings, len(model.movies.ids))
    dataset = evaluation_dataset(model, train, test, genres)
    models = {"als": model, **({"als_plain": plain_model} if plain_model else {})}
    known = dataset.train
    fitted = biases.fit(known.user_index, known.movie_index, known.ratings, settings.bias_damping)
    relevant = relevant_rows(dataset, settings.relevance, settings.relevant_rating)
    relevant_items = relevant_by_user(dataset, relevant)
    predicted = predictions(models, fitted, dataset)
    lists = recommendation_lists(models, fitted, dataset, settings)
    item_models, absent = item_baselines(dataset, settings)
    if ranking_model:
        item_models = {settings.ranking_system: ranking_model, **item_models}
    for name, item_model in item_models.items():
        served = name == settings.ranking_system  # baselines are not re-ranked
        lists[name] = ranking_model_lists(item_model, dataset, settings if served else replace(settings, diversify=0.0))
    rating = {name: rating_metric_sums(values, predicted["biases"], dataset) for name, values in predicted.items()}
    ranking = {
        name: ranking_metric_sums(found, relevant_items, dataset, settings.evaluation_k)
        for name, found in lists.items()
    }
    sums = {name: [part[name] for part in (rating, ranking) if name in part] for name in {**rating, **ranking}}
    resamples = resample_systems(rating, ranking, settings)
    differences = differences_from_baselines(resamples, settings.ranking_system)
    return {
        **rmse_and_coverage(test.ratings, predicted["als"], settings.cold_start_strategy),
        "folds": fold_counts(dataset, relevant, relevant_items),
        "systems": {
            name: with_omitted_lengths(metric_intervals(system), settings, omitted)
            for name, system in resamples.items()
        },
        "catalogue": {
            name: with_omitted_lengths(catalogue_values(found, dataset, settings), settings, omitted)
            for name, found in lists.items()
        },
        "strata": strata_metrics(predicted, lists, relevant_items, sums, dataset=dataset, k=settings.headline_k),
        "differences": differences,
        "verdicts": verdicts(differences, settings),
        "headline_k": settings.headline_k,
        "ranking_system": settings.ranking_system,
        "popular_half_life": settings.popular_half_life,
        "absent": absent,
    }


# --- metrics


def rmse_and_coverage(truth: Float32Array, predicted: Float64Array, cold_start_strategy: str) -> dict[str, Any]:
    """RMSE over the predicted test ratings, and how many of all test ratings they are.

    RMSE is the square root of the mean squared difference (Herlocker et al. 2004, section 4.1.1).

    Args:
        truth: ratings, shape (rows,).
        predicted: shape (rows,); NaN for cold rows, whose user or movie has no training rows.
        cold_start_strategy: `drop` leaves cold rows out; `nan` keeps them, so that there is no RMSE if there are any.
    """
    warm = ~np.isnan(predicted)
    cold_count = int((~warm).sum())
    count = len(truth) if cold_start_strategy == "nan" else int(warm.sum())
    reason = None
    if count == 0:
        reason = "no test row has both its user and its movie in the training data"
    elif cold_start_strategy == "nan" and cold_count:
        reason = f"cold_start_strategy=nan keeps {cold_count:,} cold rows, whose prediction is not a number"
    rmse = None if reason else float(np.sqrt(np.mean((truth[warm].astype(np.float64) - predicted[warm]) ** 2)))
    return {
        "rmse": rmse,
        **({"rmse_missing_because": reason} if reason else {}),
        "test_count": len(truth),
        "predictions_count": count,
        "coverage": count / max(len(truth), 1),
        "cold_count": cold_count,
        "cold_share": cold_count / max(len(truth), 1),
    }


def rating_metric_sums(predicted: Float64Array, fallback: Float64Array, dataset: EvaluationDataset) -> UserSums:
    """RMSE, MAE and per-user RMSE of a system, on warm rows and on all rows.

    On all rows, `fallback` replaces missing predictions. For metrics that end in `_clipped`, predictions are first
    clipped to the range of the training ratings.
    """
    scale = float(dataset.train.ratings.min()), float(dataset.train.ratings.max())
    forms = {
        "warm": np.where(dataset.warm_rows, predicted, np.nan),
        "all": np.where(np.isnan(predicted), fallback, predicted),
    }
    truth, users = dataset.test.ratings, dataset.user_of_row
    return concatenate(
        [
            part
            for form, values in forms.items()
            for part in (
                with_suffix(rating_sums(truth, values, users, len(dataset.users)), form),
                with_suffix(rating_sums(truth, values, users, len(dataset.users), scale), f"{form}_clipped"),
            )
        ]
    )


def ranking_metric_sums(
    lists: Int32Array, relevant: ranking_metrics.RelevantItems, dataset: EvaluationDataset, ks: tuple[int, ...]
) -> UserSums:
    """Accuracy, novelty, popularity and diversity of a system's lists at each k."""
    return concatenate(
        [
            ranking_metrics.ranking_sums(lists, relevant, ks),
            beyond_accuracy.list_property_sums(
                lists, ks, dataset.movie_counts, len(dataset.user_counts), dataset.genres
            ),
        ]
    )


def catalogue_values(lists: Int32Array, dataset: EvaluationDataset, settings: Settings) -> dict[str, Any]:
    """Coverage, Gini index and shares of the strata of a system's lists."""
    ks = settings.evaluation_k
    values = beyond_accuracy.catalogue_metrics(lists, ks, len(dataset.movies), len(dataset.users))
    shares = beyond_accuracy.stratum_shares(lists, settings.headline_k, dataset.item_strata)
    return {name: to_json(value) for name, value in values.items()} | {
        f"share_of_{name}@{settings.headline_k}": to_json(value) for name, value in shares.items()
    }


def with_omitted_lengths(metrics: dict[str, Any], settings: Settings, omitted: Mapping[int, str]) -> dict[str, Any]:
    """Adds the metrics at the omitted list lengths, each null with its reason."""
    longest = f"@{settings.evaluation_k[-1]}"
    names = [name.removesuffix(longest) for name in metrics if name.endswith(longest)]
    nulls = dict.fromkeys(next(iter(metrics.values()))) if metrics else {}
    return metrics | {f"{name}@{k}": {**nulls, "missing_because": why} for k, why in omitted.items() for name in names}


def fold_counts(
    dataset: EvaluationDataset, relevant: BoolArray, relevant_items: ranking_metrics.RelevantItems
) -> dict[str, Any]:
    """How many test ratings and users each kind of metric covers."""
    rows, users = len(dataset.test.ratings), len(dataset.users)
    warm_rows, warm_users = int(dataset.warm_rows.sum()), int(dataset.warm_users.sum())
    ranked_users = int((relevant_items.counts > 0).sum())
    return {
        "rows": rows,
        "warm_rows": warm_rows,
        "cold_row_share": 1 - warm_rows / rows if rows else None,
        "users": users,
        "warm_users": warm_users,
        "cold_user_share": 1 - warm_users / users if users else None,
        "relevant_rows": int(relevant.sum()),
        "ranked_users": ranked_users,
        "warm_users_without_relevant": warm_users - ranked_users,
        "catalogue": len(dataset.movies),
    }


# --- intervals


@dataclass(frozen=True)
class SystemResamples:
    """A system's metrics on all resamples; None where it does not predict ratings, or does not rank movies."""

    rating: bootstrap.Resamples | None
    ranking: bootstrap.Resamples | None

    @property
    def parts(self) -> list[bootstrap.Resamples]:
        return [part for part in (self.rating, self.ranking) if part]


def resample_systems(
    rating: Mapping[str, UserSums], ranking: Mapping[str, UserSums], settings: Settings
) -> dict[str, SystemResamples]:
    """Every system on the same resamples of the test users, the model first."""
    systems = {
        **{f"rating {name}": sums for name, sums in rating.items()},
        **{f"ranking {name}": sums for name, sums in ranking.items()},
    }
    resamples = bootstrap.resample(systems, settings.bootstrap_samples, settings.bootstrap_seed)
    names = list(dict.fromkeys([*rating, *ranking]))
    return {name: SystemResamples(resamples.get(f"rating {name}"), resamples.get(f"ranking {name}")) for name in names}


def metric_intervals(system: SystemResamples) -> dict[str, Any]:
    return {name: to_json(interval) for part in system.parts for name, interval in bootstrap.intervals(part).items()}


def differences_from_baselines(resamples: Mapping[str, SystemResamples], ranking_system: str) -> dict[str, Any]:
    """For each other system, the rating model's rating metrics and the ranking model's ranking metrics minus its."""
    ours = SystemResamples(resamples["als"].rating, resamples[ranking_system].ranking)
    others = {
        name: SystemResamples(None if name == "als" else one.rating, None if name == ranking_system else one.ranking)
        for name, one in resamples.items()
    }
    return {name: metric_differences(ours, other) for name, other in others.items() if other.parts}


def metric_differences(ours: SystemResamples, theirs: SystemResamples) -> dict[str, Any]:
    pairs = ((ours.rating, theirs.rating), (ours.ranking, theirs.ranking))
    return {
        name: to_json(difference)
        for first, second in pairs
        if first and second
        for name, difference in bootstrap.differences(first, second).items()
    }


# --- comparisons


def headline_metrics(settings: Settings) -> dict[str, tuple[str, ...]]:
    """The metrics by which systems are compared, and the baselines of each."""
    return {
        "rmse_warm": RATING_BASELINES,
        "rmse_all": RATING_BASELINES,
        f"ndcg@{settings.headline_k}": RANKING_BASELINES,
    }


def verdicts(differences: Mapping[str, Mapping[str, Any]], settings: Settings) -> list[dict[str, Any]]:
    """For each headline metric and baseline: the difference, and whether our model is better, worse, or undecided."""
    return [
        {"metric": metric, "baseline": baseline, "verdict": verdict(metric, difference), **difference}
        for metric, baselines in headline_metrics(settings).items()
        for baseline in baselines
        if (difference := differences.get(baseline, {}).get(metric))
    ]
