"""The page of a run: is the model good, its data, training and evaluation, some users, and where it all came from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from reco_platform.lakehouse.receipts import Receipt
from reco_platform.reports import charts, text_summary
from reco_platform.reports.charts import Chart, Line
from reco_platform.reports.html import Table, count, rendered
from reco_platform.reports.rating_counts import Counts
from reco_platform.reports.text_summary import SYSTEMS
from reco_platform.reports.user_examples import UserExample

RATING = {
    "rmse_warm": "RMSE, known",
    "mae_warm": "MAE, known",
    "user_rmse_warm": "RMSE by user, known",
    "rmse_all": "RMSE, all",
    "mae_all": "MAE, all",
    "user_rmse_all": "RMSE by user, all",
}
RANKING = {
    "precision": "Precision",
    "recall": "Recall",
    "ndcg": "NDCG",
    "map": "MAP",
    "mrr": "MRR",
    "hit_rate": "Hit rate",
}
METRICS = RATING | RANKING
BEYOND = {
    "catalogue_coverage": "Catalogue shown, share",
    "gini": "Gini, 0 is even",
    "novelty": "Novelty, bits",
    "popularity_percentile": "Popularity, percentile",
    "genre_diversity": "Genre diversity, 0 to 1",
}
STRATA = {
    "movies": {"head": "head: most rated", "middle": "middle", "tail": "tail: least rated"},
    "users": {
        "least_active": "least active",
        "less_active": "less active",
        "more_active": "more active",
        "most_active": "most active",
    },
}
SHOWN_IN_STRATA = ("als", "als_plain", "biases", "popular")
TOP_SHARE = 0.2


@dataclass(frozen=True)
class RunFacts:
    """What a run's page is made from.

    Attributes:
        metrics: the run's metrics file.
        etl: the report on the silver tables.
        counts: of the silver ratings.
        shelves: some users.
        inputs: the receipts behind the page by name.
        packages: versions of what the page was computed with.
        gate: what became of the model: state and reason.
    """

    metrics: Mapping[str, Any]
    etl: Mapping[str, Any]
    counts: Counts
    user_examples: Sequence[UserExample]
    inputs: Mapping[str, Receipt]
    packages: Mapping[str, str]
    gate: Mapping[str, Any]


def run_page(facts: RunFacts) -> str:
    """The report of a run. The same facts give the same bytes."""
    evaluation = facts.metrics["evaluation"]
    return rendered(
        "report.html.j2",
        facts=facts,
        metrics=facts.metrics,
        evaluation=evaluation,
        headlines=text_summary.headlines(evaluation),
        headline_charts=headline_charts(evaluation),
        comparisons=comparisons(evaluation),
        verdict=verdict(evaluation),
        funnel=text_summary.funnel(facts.etl),
        data_charts=data_charts(facts),
        objective=objective_chart(facts.metrics["training"].get("objective", [])),
        evaluation_charts=evaluation_charts(evaluation),
        strata_charts=strata_charts(evaluation),
        tables={
            "rating": rating_table(evaluation),
            "ranking": ranking_table(evaluation),
            "beyond": beyond_table(evaluation),
            **{f"strata_{side}": strata_table(evaluation, side) for side in STRATA},
        },
    )


# --- in words


def verdict(evaluation: Mapping[str, Any]) -> str:
    """How the model does against all baselines, in words."""
    found = [one["verdict"] for one in evaluation["verdicts"]]
    if not found:
        return "There is no baseline to compare it with."
    lost = [f"'{one['baseline']}' by {one['metric']}" for one in comparisons(evaluation) if one["verdict"] == "worse"]
    return (
        f"Of {len(found)} comparisons with baselines it surely wins {found.count('better')}, "
        f"surely loses {len(lost)}, and {found.count('undecided')} are undecided."
        + (f" It loses to {'; to '.join(lost)}." if lost else "")
    )


def comparisons(evaluation: Mapping[str, Any]) -> list[dict[str, str]]:
    """Every headline metric and baseline: the difference, its interval, and what follows, the losses first."""
    order = ("worse", "undecided", "better")
    return [
        {
            "metric": METRICS[name] + (f"@{k}" if k else ""),
            "baseline": SYSTEMS[one["baseline"]],
            "difference": "no value" if one["value"] is None else f"{one['value']:+.4f}",
            "interval": "none" if one["low"] is None else f"{one['low']:+.4f} to {one['high']:+.4f}",
            "verdict": one["verdict"],
        }
        for one in sorted(evaluation["verdicts"], key=lambda one: order.index(one["verdict"]))
        for name, _, k in [one["metric"].partition("@")]
    ]


# --- tables


def rating_table(evaluation: Mapping[str, Any]) -> Table:
    systems = {system: found for system, found in evaluation["systems"].items() if "rmse_warm" in found}
    rows = [
        [SYSTEMS[system], *(text_summary.interval(found[metric]) for metric in RATING if metric in found)]
        for system, found in systems.items()
    ]
    return Table("Rating error of each system, in stars: less is better", ["System", *RATING.values()], rows)


def lengths(evaluation: Mapping[str, Any]) -> list[int]:
    """The lengths of lists at which ranking was judged."""
    return sorted(int(name.split("@")[1]) for name in evaluation["systems"]["als"] if name.startswith("ndcg@"))


def ranking_table(evaluation: Mapping[str, Any]) -> Table:
    ks = lengths(evaluation)
    rows = [
        [f"{title}@{k}", *(text(evaluation["systems"][system], f"{metric}@{k}") for system in ranked(evaluation))]
        for metric, title in RANKING.items()
        for k in ks
    ]
    head = ["Metric", *(SYSTEMS[system] for system in ranked(evaluation))]
    return Table("Ranking metrics at each length of list: more is better", head, rows)


def ranked(evaluation: Mapping[str, Any]) -> list[str]:
    """The systems that rank, in their usual order."""
    return [system for system in SYSTEMS if system in evaluation["catalogue"]]


def text(found: Mapping[str, Any], metric: str) -> str:
    return text_summary.interval(found[metric]) if metric in found else "-"


def beyond_table(evaluation: Mapping[str, Any]) -> Table:
    k = evaluation["headline_k"]
    rows = []
    for system in ranked(evaluation):
        found = {**evaluation["systems"][system], **evaluation["catalogue"][system]}
        rows.append([SYSTEMS[system], *(text(found, f"{metric}@{k}") for metric in BEYOND)])
    return Table(
        f"What the first {k} of the lists are like, apart from being right", ["System", *BEYOND.values()], rows
    )


def strata_table(evaluation: Mapping[str, Any], side: str) -> Table:
    k, rows = evaluation["headline_k"], []
    systems = [system for system in SHOWN_IN_STRATA if system in evaluation["systems"]]
    for name, title in STRATA[side].items():
        found = evaluation["strata"][side][name]
        errors = [text(found.get(system, {}), "rmse_warm") for system in systems if system != "popular"]
        ranks = [text(found.get(system, {}), f"ndcg@{k}") for system in systems]
        rows.append([title, count(evaluation["strata"]["test_rows"][name]), *errors, *ranks])
    head = [
        side.capitalize(), "Known test ratings",
        *(f"RMSE: {SYSTEMS[system]}" for system in systems if system != "popular"),
        *(f"NDCG@{k}: {SYSTEMS[system]}" for system in systems),
    ]  # fmt: skip
    return Table(f"Metrics by {'popularity of movies' if side == 'movies' else 'activity of users'}", head, rows)


# --- charts of a run; each is left out where there is nothing to draw


def headline_charts(evaluation: Mapping[str, Any]) -> list[Chart]:
    """The headline metrics beside their baselines, with intervals."""
    found = []
    for metric, title in text_summary.headlines(evaluation).items():
        lines = [
            Line(name, one["value"], one["low"], one["high"])
            for system, name in SYSTEMS.items()
            if (one := evaluation["systems"].get(system, {}).get(metric)) and one["value"] is not None
        ]
        if not lines or lines[0].name != SYSTEMS["als"]:
            continue
        error = metric.startswith("rmse")
        words = "; ".join(f"{line.name} {line.value:.4f}" for line in lines)
        unit = "stars, less is better" if error else "0 to 1, more is better"
        name = f"headline-{metric.replace('@', '-').replace('_', '-')}"
        found.append(charts.intervals(name, title, f"Values with 95% intervals: {words}.", lines, unit))
    return found


def data_charts(facts: RunFacts) -> list[Chart]:
    counts = facts.counts
    total = int(counts.movies.sum())
    busiest = max(counts.months, key=lambda one: one[2])
    first, last = counts.months[0], counts.months[-1]
    commonest = max(counts.stars, key=lambda one: counts.stars[one])
    top = max(1, round(TOP_SHARE * len(counts.movies)))
    reasons = {
        f"{line['table']}: {reason.replace('_', ' ')}": number
        for line in text_summary.funnel(facts.etl)
        if not line["absent"]
        for reason, number in line["rejected_by_reason"].items()
    }
    found = [
        charts.months(
            "months", "Ratings over time",
            f"{total:,} ratings from {month(first)} to {month(last)}; most in {month(busiest)}, with {busiest[2]:,}.",
            counts.months,
        ),
        charts.columns(
            "stars", "How ratings are spread",
            f"The commonest rating is {commonest:g} stars, with {counts.stars[commonest] / total:.1%} of all.",
            {f"{star:g}": number for star, number in counts.stars.items()}, ("stars", "ratings"),
        ),
        charts.long_tail(
            "tail", "The long tail",
            f"Of {len(counts.movies):,} movies, the {top:,} most rated ({top / len(counts.movies):.0%}) hold "
            f"{counts.movies[:top].sum() / total:.1%} of the ratings; {np.sum(counts.movies == 1):,} have just one.",
            counts.movies,
        ),
    ]  # fmt: skip
    if reasons:
        words = f"{sum(reasons.values()):,} rows were rejected, for {len(reasons)} reasons."
        found.append(charts.bars("rejected", "Why rows were rejected", words, reasons))
    return found


def month(one: tuple[int, int, int]) -> str:
    return f"{one[0]}-{one[1]:02}"


def objective_chart(objective: Sequence[float]) -> Chart | None:
    """The training objective by iteration; None where the engine does not tell it."""
    if not objective:
        return None
    words = f"From {objective[0]:.4f} after the first iteration to {objective[-1]:.4f} after {len(objective)}."
    lines = {"objective": dict(enumerate(objective, 1))}
    return charts.curves("objective", "Objective by iteration", words, lines, ("iteration", "objective a rating"))


def evaluation_charts(evaluation: Mapping[str, Any]) -> list[Chart]:
    folds = evaluation["folds"]
    known = {
        name: (1 - cold, cold)
        for name, cold in (
            ("test ratings", folds["cold_row_share"]), ("test users", folds["cold_user_share"]),
        )
        if cold is not None
    }  # fmt: skip
    found = []
    if known:
        words = (
            f"{folds['warm_rows']:,} of {folds['rows']:,} test ratings are of a user and a movie that the model knows; "
            f"it knows {folds['warm_users']:,} of {folds['users']:,} test users."
        )
        found.append(charts.shares("known", "Known and not known", words, known))
    return found + ranking_charts(evaluation)


def ranking_charts(evaluation: Mapping[str, Any]) -> list[Chart]:
    """NDCG and recall of every system at each length of list."""
    found = []
    for metric in ("ndcg", "recall"):
        lines: dict[str, dict[int, float]] = {}
        for system in ranked(evaluation):
            values = {
                k: evaluation["systems"][system].get(f"{metric}@{k}", {}).get("value") for k in lengths(evaluation)
            }
            points = {k: value for k, value in values.items() if value is not None}
            lines |= {SYSTEMS[system]: points} if points else {}
        if lines:
            best = {name: max(points.items()) for name, points in lines.items()}
            words = "; ".join(f"{name} {value:.4f} at {k}" for name, (k, value) in best.items())
            title = f"{RANKING[metric]} by length of list"
            found.append(charts.curves(metric, title, f"{words}.", lines, ("length of list", RANKING[metric])))
    return found


def strata_charts(evaluation: Mapping[str, Any]) -> list[Chart]:
    """RMSE and NDCG by popularity of movies and by activity of users."""
    k, found = evaluation["headline_k"], []
    for side, names in STRATA.items():
        by = "popularity of movies" if side == "movies" else "activity of users"
        for metric, title, unit in (("rmse_warm", "RMSE", "stars"), (f"ndcg@{k}", f"NDCG@{k}", "0 to 1")):
            values = {
                name: {
                    SYSTEMS[system]: one["value"]
                    for system in SHOWN_IN_STRATA
                    if (one := evaluation["strata"][side][stratum].get(system, {}).get(metric))
                }
                for stratum, name in names.items()
            }
            ours = {name: row.get(SYSTEMS["als"]) for name, row in values.items()}
            if all(value is None for value in ours.values()):
                continue
            words = "; ".join(
                f"{name} {'no value' if value is None else f'{value:.4f}'}" for name, value in ours.items()
            )
            better = "less is better" if metric == "rmse_warm" else "more is better"
            chart = f"{side}-{title.split('@')[0].lower()}"
            words = f"This model: {words}."
            found.append(charts.groups(chart, f"{title} by {by}", words, values, f"{unit}, {better}"))
    return found
