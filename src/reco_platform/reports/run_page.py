"""The HTML page of a run: quality of the model, data, training, evaluation, example users and provenance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from reco_platform.config import commands
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.reports import charts, text_summary
from reco_platform.reports.charts import Chart, NamedValue
from reco_platform.reports.html import Table, format_count, render
from reco_platform.reports.rating_counts import RatingCounts
from reco_platform.reports.text_summary import system_names
from reco_platform.reports.user_examples import UserExample

RATING_METRICS = {
    "rmse_warm": "RMSE, known",
    "mae_warm": "MAE, known",
    "user_rmse_warm": "RMSE by user, known",
    "rmse_all": "RMSE, all",
    "mae_all": "MAE, all",
    "user_rmse_all": "RMSE by user, all",
}
RANKING_METRICS = {
    "precision": "Precision",
    "recall": "Recall",
    "ndcg": "NDCG",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "Hit rate",
}
METRIC_NAMES = RATING_METRICS | RANKING_METRICS
LIST_METRICS = {
    "catalogue_coverage": "Catalogue shown, share",
    "gini": "Gini, 0 is even",
    "novelty": "Novelty, bits",
    "popularity_percentile": "Popularity, percentile",
    "genre_diversity": "Genre diversity, 0 to 1",
}
STRATUM_NAMES = {
    "movies": {"head": "head: most rated", "middle": "middle", "tail": "tail: least rated"},
    "users": {
        "least_active": "least active",
        "less_active": "less active",
        "more_active": "more active",
        "most_active": "most active",
    },
}
STRATA_SYSTEMS = ("als", "als_plain", "biases", "popular")
"""Systems whose metrics are shown by stratum, besides the ranking model."""

TOP_SHARE = 0.2
MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip


@dataclass(frozen=True)
class RunFacts:
    """The data of a run's page.

    Attributes:
        metrics: the run's metrics file.
        etl: the report on the silver tables.
        counts: of the silver ratings.
        user_examples: some users.
        inputs: receipts of the step's inputs by name.
        packages: versions of the packages that compute the page.
        gate: the decision of the gate: state and reason.
    """

    metrics: Mapping[str, Any]
    etl: Mapping[str, Any]
    counts: RatingCounts
    user_examples: Sequence[UserExample]
    inputs: Mapping[str, Receipt]
    packages: Mapping[str, str]
    gate: Mapping[str, Any]


def run_page(facts: RunFacts) -> str:
    """Renders the page of a run. The same facts give the same bytes."""
    evaluation = facts.metrics["evaluation"]
    return render(
        "report.html.j2",
        facts=facts,
        metrics=facts.metrics,
        evaluation=evaluation,
        headline_titles=text_summary.headline_titles(evaluation),
        headline_charts=headline_charts(evaluation),
        comparisons=comparisons(evaluation),
        verdict=verdict_text(evaluation),
        ranking_name=text_summary.ranking_name(evaluation),
        model_choice=text_summary.model_choice(facts.metrics),
        users_text=text_summary.users_text(facts.metrics["recommendations"]),
        day=day_text(facts.metrics),
        lists_first=lists_first(evaluation),
        advice=[(one.text, one.target, commands.options(one.options)) for one in text_summary.advice(facts.metrics)],
        scale=star_scale(facts.counts),
        table_counts=text_summary.table_counts(facts.etl),
        data_charts=data_charts(facts),
        objective=objective_chart(facts.metrics["training"].get("objective", [])),
        evaluation_charts=evaluation_charts(evaluation),
        strata_charts=strata_charts(evaluation),
        tables={
            "rating": rating_table(evaluation),
            "ranking": ranking_table(evaluation),
            "lists": list_metrics_table(evaluation),
            **{f"strata_{side}": strata_table(evaluation, side) for side in STRATUM_NAMES},
        },
    )


def day_text(metrics: Mapping[str, Any]) -> str:
    """The day of the run, such as 28 November 2026."""
    day = datetime.fromisoformat(metrics["execution_ts"])
    return f"{day.day} {MONTHS[day.month - 1]} {day.year}"


def star_scale(counts: RatingCounts) -> tuple[float, float]:
    """The lowest and the highest rating of the data."""
    return min(counts.stars), max(counts.stars)


def lists_first(evaluation: Mapping[str, Any]) -> Table:
    """Coverage, Gini and novelty of each system's lists, for the first screen."""
    names, k = system_names(evaluation), evaluation["headline_k"]
    rows = [
        [names[system], *("-" if value is None else f"{value:.3f}" for value in values.values())]
        for system, values in text_summary.list_properties(evaluation).items()
    ]
    head = ["System", *(LIST_METRICS[name] for name in text_summary.property_keys(evaluation))]
    return Table(
        f"What the first {k} of each list show: a model can win by showing everybody the same movies", head, rows
    )


# --- comparisons


def verdict_text(evaluation: Mapping[str, Any]) -> str:
    """The results of all comparisons with baselines in a sentence or two."""
    verdicts = [comparison["verdict"] for comparison in evaluation["verdicts"]]
    if not verdicts:
        return "There is no baseline to compare the model with."
    worse = [
        f"'{comparison['baseline']}' by {comparison['metric']}"
        for comparison in comparisons(evaluation)
        if comparison["verdict"] == "worse"
    ]
    return (
        f"In {len(verdicts)} comparisons with baselines, the model is significantly better in "
        f"{verdicts.count('better')}, significantly worse in {len(worse)}, and statistically tied in "
        f"{verdicts.count('undecided')}." + (f" It is worse than {', '.join(worse)}." if worse else "")
    )


def comparisons(evaluation: Mapping[str, Any]) -> list[dict[str, str]]:
    """The difference, interval and verdict of each headline metric and baseline, those that the model loses first."""
    order = ("worse", "undecided", "better")
    return [
        {
            "metric": METRIC_NAMES[name] + (f"@{k}" if k else ""),
            "baseline": system_names(evaluation)[found["baseline"]],
            "difference": "no value" if found["value"] is None else f"{found['value']:+.4f}",
            "interval": "none" if found["low"] is None else f"{found['low']:+.4f} to {found['high']:+.4f}",
            "verdict": found["verdict"],
        }
        for found in sorted(evaluation["verdicts"], key=lambda found: order.index(found["verdict"]))
        for name, _, k in [found["metric"].partition("@")]
    ]


# --- tables


def rating_table(evaluation: Mapping[str, Any]) -> Table:
    names = system_names(evaluation)
    systems = {system: found for system, found in evaluation["systems"].items() if "rmse_warm" in found}
    rows = [
        [names[system], *(text_summary.interval(found[metric]) for metric in RATING_METRICS if metric in found)]
        for system, found in systems.items()
    ]
    return Table("Rating error of each system in stars (less is better)", ["System", *RATING_METRICS.values()], rows)


def list_lengths(evaluation: Mapping[str, Any]) -> list[int]:
    """The list lengths k of the ranking metrics."""
    return sorted(int(name.split("@")[1]) for name in evaluation["systems"]["als"] if name.startswith("ndcg@"))


def ranking_table(evaluation: Mapping[str, Any]) -> Table:
    ks = list_lengths(evaluation)
    rows = [
        [
            f"{title}@{k}",
            *(interval_text(evaluation["systems"][system], f"{metric}@{k}") for system in ranking_systems(evaluation)),
        ]
        for metric, title in RANKING_METRICS.items()
        for k in ks
    ]
    head = ["Metric", *(system_names(evaluation)[system] for system in ranking_systems(evaluation))]
    return Table("Ranking metrics at each list length (more is better)", head, rows)


def ranking_systems(evaluation: Mapping[str, Any]) -> list[str]:
    """The systems with ranking metrics, in their usual order."""
    return [system for system in system_names(evaluation) if system in evaluation["catalogue"]]


def interval_text(metrics: Mapping[str, Any], name: str) -> str:
    return text_summary.interval(metrics[name]) if name in metrics else "-"


def list_metrics_table(evaluation: Mapping[str, Any]) -> Table:
    k, names = evaluation["headline_k"], system_names(evaluation)
    rows = []
    for system in ranking_systems(evaluation):
        found = {**evaluation["systems"][system], **evaluation["catalogue"][system]}
        rows.append([names[system], *(interval_text(found, f"{metric}@{k}") for metric in LIST_METRICS)])
    return Table(
        f"Coverage, novelty and diversity of the first {k} items of the lists", ["System", *LIST_METRICS.values()], rows
    )


def strata_table(evaluation: Mapping[str, Any], side: str) -> Table:
    k, rows = evaluation["headline_k"], []
    names, systems = system_names(evaluation), strata_systems(evaluation)
    for name, title in STRATUM_NAMES[side].items():
        found = evaluation["strata"][side][name]
        rated = [system for system in systems if "rmse_warm" in evaluation["systems"][system]]
        errors = [interval_text(found.get(system, {}), "rmse_warm") for system in rated]
        ranks = [interval_text(found.get(system, {}), f"ndcg@{k}") for system in systems]
        rows.append([title, format_count(evaluation["strata"]["test_rows"][name]), *errors, *ranks])
    head = [
        side.capitalize(), "Known test ratings",
        *(f"RMSE: {names[system]}" for system in rated),
        *(f"NDCG@{k}: {names[system]}" for system in systems),
    ]  # fmt: skip
    return Table(f"Metrics by {'popularity of movies' if side == 'movies' else 'activity of users'}", head, rows)


def strata_systems(evaluation: Mapping[str, Any]) -> list[str]:
    """The systems whose metrics are shown by stratum, ours first."""
    wanted = dict.fromkeys([evaluation["ranking_system"], *STRATA_SYSTEMS])
    return [system for system in wanted if system in evaluation["systems"]]


def system_compared(evaluation: Mapping[str, Any], metric: str) -> str:
    """Our system by a metric: the rating model for errors, the ranking model for lists."""
    return str(evaluation["ranking_system"]) if "@" in metric else "als"


# --- charts; each is left out if there is nothing to draw


def headline_charts(evaluation: Mapping[str, Any]) -> list[Chart]:
    """The headline metrics of the model and its baselines, with intervals."""
    drawn, names = [], system_names(evaluation)
    for metric, title in text_summary.headline_titles(evaluation).items():
        values = [
            NamedValue(name, found["value"], found["low"], found["high"])
            for system, name in names.items()
            if (found := evaluation["systems"].get(system, {}).get(metric)) and found["value"] is not None
        ]
        if not values or values[0].name != names[system_compared(evaluation, metric)]:
            continue
        error = metric.startswith("rmse")
        words = "; ".join(f"{value.name} {value.value:.4f}" for value in values)
        unit = "stars, less is better" if error else "0 to 1, more is better"
        name = f"headline-{metric.replace('@', '-').replace('_', '-')}"
        drawn.append(charts.interval_chart(name, title, f"Values with 95% intervals: {words}.", values, unit))
    return drawn


def data_charts(facts: RunFacts) -> list[Chart]:
    counts = facts.counts
    total = int(counts.movies.sum())
    busiest = max(counts.months, key=lambda entry: entry[2])
    first, last = counts.months[0], counts.months[-1]
    commonest = max(counts.stars, key=lambda stars: counts.stars[stars])
    top = max(1, round(TOP_SHARE * len(counts.movies)))
    reasons = {
        f"{line['table']}: {reason.replace('_', ' ')}": number
        for line in text_summary.table_counts(facts.etl)
        if not line["absent"]
        for reason, number in line["rejected_by_reason"].items()
    }
    drawn = [
        charts.month_chart(
            "months", "Ratings over time",
            f"{total:,} ratings from {month_text(first)} to {month_text(last)}; "
            f"most in {month_text(busiest)}, with {busiest[2]:,}.",
            counts.months,
        ),
        charts.column_chart(
            "stars", "Ratings by stars",
            f"The most common rating is {commonest:g} stars, {counts.stars[commonest] / total:.1%} of all.",
            {f"{star:g}": number for star, number in counts.stars.items()}, ("stars", "ratings"),
        ),
        charts.long_tail_chart(
            "tail", "The long tail",
            f"Of {len(counts.movies):,} movies, the {top:,} most rated ({top / len(counts.movies):.0%}) hold "
            f"{counts.movies[:top].sum() / total:.1%} of the ratings; {np.sum(counts.movies == 1):,} have only one.",
            counts.movies,
        ),
    ]  # fmt: skip
    if reasons:
        words = f"{sum(reasons.values()):,} rows were rejected, for {len(reasons)} reasons."
        drawn.append(charts.bar_chart("rejected", "Why rows were rejected", words, reasons))
    return drawn


def month_text(entry: tuple[int, int, int]) -> str:
    return f"{entry[0]}-{entry[1]:02}"


def objective_chart(objective: Sequence[float]) -> Chart | None:
    """The training objective by iteration; None if the engine does not report it."""
    if not objective:
        return None
    words = f"From {objective[0]:.4f} after the first iteration to {objective[-1]:.4f} after {len(objective)}."
    lines = {"objective": dict(enumerate(objective, 1))}
    return charts.line_chart("objective", "Objective by iteration", words, lines, ("iteration", "objective per rating"))


def evaluation_charts(evaluation: Mapping[str, Any]) -> list[Chart]:
    folds = evaluation["folds"]
    known = {
        name: (1 - cold, cold)
        for name, cold in (
            ("test ratings", folds["cold_row_share"]), ("test users", folds["cold_user_share"]),
        )
        if cold is not None
    }  # fmt: skip
    drawn = []
    if known:
        words = (
            f"{folds['warm_rows']:,} of {folds['rows']:,} test ratings have a user and a movie that the model knows; "
            f"it knows {folds['warm_users']:,} of {folds['users']:,} test users."
        )
        drawn.append(charts.share_chart("known", "Known and unknown", words, known))
    return drawn + ranking_charts(evaluation)


def ranking_charts(evaluation: Mapping[str, Any]) -> list[Chart]:
    """NDCG and recall of every system at each list length."""
    drawn = []
    for metric in ("ndcg", "recall"):
        lines: dict[str, dict[int, float]] = {}
        for system in ranking_systems(evaluation):
            values = {
                k: evaluation["systems"][system].get(f"{metric}@{k}", {}).get("value") for k in list_lengths(evaluation)
            }
            points = {k: value for k, value in values.items() if value is not None}
            lines |= {system_names(evaluation)[system]: points} if points else {}
        if lines:
            best = {name: max(points.items()) for name, points in lines.items()}
            words = "; ".join(f"{name} {value:.4f} at {k}" for name, (k, value) in best.items())
            title = f"{RANKING_METRICS[metric]} by list length"
            drawn.append(charts.line_chart(metric, title, f"{words}.", lines, ("list length", RANKING_METRICS[metric])))
    return drawn


def strata_charts(evaluation: Mapping[str, Any]) -> list[Chart]:
    """RMSE and NDCG by popularity of movies and by activity of users."""
    k, drawn, titles = evaluation["headline_k"], [], system_names(evaluation)
    for side, names in STRATUM_NAMES.items():
        by = "popularity of movies" if side == "movies" else "activity of users"
        for metric, title, unit in (("rmse_warm", "RMSE", "stars"), (f"ndcg@{k}", f"NDCG@{k}", "0 to 1")):
            values = {
                name: {
                    titles[system]: found["value"]
                    for system in strata_systems(evaluation)
                    if (found := evaluation["strata"][side][stratum].get(system, {}).get(metric))
                }
                for stratum, name in names.items()
            }
            ours = {name: row.get(titles[system_compared(evaluation, metric)]) for name, row in values.items()}
            if all(value is None for value in ours.values()):
                continue
            words = "; ".join(
                f"{name} {'no value' if value is None else f'{value:.4f}'}" for name, value in ours.items()
            )
            better = "less is better" if metric == "rmse_warm" else "more is better"
            chart = f"{side}-{title.split('@')[0].lower()}"
            words = f"{titles[system_compared(evaluation, metric)].capitalize()}: {words}."
            drawn.append(charts.group_chart(chart, f"{title} by {by}", words, values, f"{unit}, {better}"))
    return drawn
