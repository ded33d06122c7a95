"""The summary of a run for the terminal, and texts that the pages of runs use too."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from reco_platform.config import commands
from reco_platform.core import project
from reco_platform.core.words import counted
from reco_platform.lakehouse.source_ids import NUMBERS, AllSourceIds


@dataclass(frozen=True)
class UserRecommendations:
    """A user's best recommendations: titles and scores."""

    user_id: int | str
    movies: list[tuple[str, float]]


def sample_recommendations(
    recommendations: pa.Table, movies: pa.Table, users: int, count: int, ids: AllSourceIds = NUMBERS
) -> list[UserRecommendations]:
    """The first `count` recommendations of `users` users, evenly spread over the table.

    Args:
        recommendations: as its contract says.
        movies: movie_id and title.
        ids: the source ids, as which users, and movies without a title, are shown.
    """
    titles = dict(zip(movies["movie_id"].to_pylist(), movies["title"].to_pylist(), strict=True))
    step = max(1, len(recommendations) // max(users, 1))
    samples = []
    for row in recommendations.take(list(range(0, len(recommendations), step))[:users]).to_pylist():
        best = row["recommendations"][:count]
        movies_and_scores = [
            (titles.get(item["movie_id"], f"movie {ids.movies.shown(item['movie_id'])}"), item["score"])
            for item in best
        ]
        samples.append(UserRecommendations(ids.users.shown(row["user_id"]), movies_and_scores))
    return samples


def table_counts(etl: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each silver table the rows in and out, rejected by reason, and duplicates."""
    lines = []
    for name, facts in etl["tables"].items():
        if facts.get("absent"):
            lines.append({"table": name, "absent": True})
            continue
        lines.append({"table": name, "absent": False, **facts, "duplicate_rows": sum(facts["duplicates"].values())})
    return lines


def summary(
    metrics: Mapping[str, Any],
    etl: Mapping[str, Any],
    best: list[UserRecommendations],
    *,
    gate: Mapping[str, Any],
    paths: Mapping[str, str],
    given: Mapping[str, Any],
) -> str:
    """The summary of a run.

    Args:
        metrics: the run's metrics file.
        etl: the report on the silver tables.
        best: recommendations of some users.
        gate: the decision of the gate.
        paths: of the output, by name.
        given: config values that later commands on this lakehouse need.
    """
    lines = ["Silver tables"]
    for line in table_counts(etl):
        if line["absent"]:
            lines.append(f"  {line['table']:<8} not in this data set")
            continue
        why = ", ".join(f"{reason} {count:,}" for reason, count in line["rejected_by_reason"].items())
        rejected = f"{line['rejected']:,} rejected" + (f" ({why})" if why else "")
        rows = f"{line['rows_out']:>11,} rows of {line['rows_in']:,}"
        lines.append(f"  {line['table']:<8} {rows}; {rejected}; {line['duplicate_rows']:,} duplicates")
    lines += ["Model", f"  version  {metrics['model_version']}", *evaluation_lines(metrics, given)]
    if choice := model_choice(metrics):
        lines.append(f"  lists    by {choice}")
    if metrics["refit"]:
        lines.append(f"  served   {metrics['served_version']}, trained on all ratings after that evaluation")
    lines += [
        f"  gate     {GATE_TEXTS[gate['state']]}: {gate['reason']}",
        f"Recommendations: {users_text(metrics['recommendations'])}",
    ]
    lines += [f"  user {item.user_id}: {', '.join(title for title, _ in item.movies)}, ..." for item in best]
    lines.append("Output")
    lines += [f"  {name:<16} {path}" for name, path in paths.items()]
    return "\n".join([*lines, *next_lines(given)])


def next_lines(given: Mapping[str, Any]) -> list[str]:
    """Commands that go on from this run, with the configuration that they need."""
    own = project.inspect_command("/any/folder")
    return [
        "Next",
        f"  another model:   {commands.snakemake('gold', {**given, 'rank': 20})}{activation()}",
        f"  check results:   {project.command('validate', commands.options(given))}",
        f"  your own data:   {own}",
    ]


def users_text(counts: Mapping[str, int]) -> str:
    """How many users have which kind of list, such as: 605 users with a list of their own, 5 with popular movies."""
    parts = [f"{counted(counts['users'], 'user')} with a list of their own"]
    if counts["popular_users"]:
        parts.append(f"{counts['popular_users']:,} with the most popular movies")
    if counts["other_users"]:
        parts.append(f"{counts['other_users']:,} without one (fallback_lists=true gives them popular movies)")
    return ", ".join(parts)


def activation() -> str:
    """The hint to activate the environment of a checkout, if commands are given for one."""
    return "     (in .venv: . .venv/bin/activate)" if project.is_typed_as_snakemake() else ""


GATE_TEXTS = {
    "first": "became champion",
    "champion": "became champion",
    "challenger": "stays challenger",
    "untracked": "not evaluated",
}
"""The decision of the gate in words; another model may have become champion since."""

ENOUGH_USERS = 100
"""With fewer evaluated users, the 95% interval of NDCG@10 is wider than most differences between systems."""

MODEL_NAMES = {
    "als": "ALS on ratings",
    "implicit": "implicit ALS",
    "ease": "EASE",
    "item_knn": "item neighbours",
    "popular": "most popular",
}
BASELINE_NAMES = {
    "als_plain": "ALS without biases",
    "biases": "user and movie biases",
    "global_mean": "mean rating",
    "popular": "most popular",
    "popular_recent": "most popular lately",
}


def ranking_name(evaluation: Mapping[str, Any]) -> str | None:
    """The name of the ranking model; None if the rating model orders the lists."""
    system = evaluation["ranking_system"]
    return None if system == "als" else MODEL_NAMES[system]


def system_names(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """The name of each system in texts, our models first."""
    ranking = evaluation["ranking_system"]
    if ranking == "als":
        ours = {"als": "this model"}
    else:
        ours = {ranking: f"ranking model ({MODEL_NAMES[ranking]})", "als": "rating model (ALS)"}
    others = {**BASELINE_NAMES, "ease": MODEL_NAMES["ease"], "item_knn": MODEL_NAMES["item_knn"]}
    return {**ours, **{name: title for name, title in others.items() if name not in ours}}


def model_choice(metrics: Mapping[str, Any]) -> str | None:
    """The model that orders the lists and why it was chosen; None if it is the rating model."""
    if not metrics.get("ranking"):
        return None
    return f"{ranking_name(metrics['evaluation'])}: {metrics['ranking']['chosen_because']}"


def headline_titles(evaluation: Mapping[str, Any]) -> dict[str, str]:
    """A title for each headline metric, with its numbers of ratings or users."""
    folds, k = evaluation["folds"], evaluation["headline_k"]
    return {
        "rmse_warm": f"RMSE on the {folds['warm_rows']:,} of {folds['rows']:,} test ratings whose user and movie"
        f" the model knows (coverage {evaluation['coverage']:.1%})",
        "rmse_all": "RMSE on all test ratings; biases predict those whose user or movie the model does not know",
        f"ndcg@{k}": f"NDCG@{k} for {folds['ranked_users']:,} of {folds['users']:,} test users (more is better)",
    }


def evaluation_lines(metrics: Mapping[str, Any], given: Mapping[str, Any]) -> list[str]:
    """For each headline metric our models and the best baseline, a warning about baselines they do not beat, and what
    the lists show; then the commands that may help.
    """
    evaluation = metrics["evaluation"]
    lines, names = [], system_names(evaluation)
    width = max(map(len, names.values()))
    for metric, title in headline_titles(evaluation).items():
        lines.append(f"  {title}")
        for system, note in shown_systems(evaluation, metric).items():
            lines.append(f"    {names[system]:<{width}} {interval(evaluation['systems'][system][metric])}{note}")
        lines += [f"    [WARNING] {text}" for text in unbeaten_by_metric(evaluation, metric)]
    lines += list_property_lines(evaluation, width)
    for one in advice(metrics):
        lines.append(f"  [WARNING] {one.text}: {commands.snakemake(one.target, {**given, **one.options})}")
    return lines


def list_property_lines(evaluation: Mapping[str, Any], width: int) -> list[str]:
    """Coverage, Gini and novelty of the lists of our models, of the best baseline and of the most popular movies."""
    k, names = evaluation["headline_k"], system_names(evaluation)
    shown = [*shown_systems(evaluation, f"ndcg@{k}"), "popular"]
    lines = [f"  First {k} of each list: share of the catalogue shown, Gini (0 is even), novelty (bits)"]
    for system, values in list_properties(evaluation).items():
        if system in shown:
            numbers = "  ".join("-" if value is None else f"{value:.4f}" for value in values.values())
            lines.append(f"    {names[system]:<{width}} {numbers}")
    return lines


def list_properties(evaluation: Mapping[str, Any]) -> dict[str, dict[str, float | None]]:
    """Coverage, Gini and novelty by system; None where there is no value."""
    found = {}
    for system in system_names(evaluation):
        if system in evaluation["catalogue"]:
            values = {**evaluation["systems"][system], **evaluation["catalogue"][system]}
            found[system] = {name: values.get(key, {}).get("value") for name, key in property_keys(evaluation).items()}
    return found


def property_keys(evaluation: Mapping[str, Any]) -> dict[str, str]:
    return {name: f"{name}@{evaluation['headline_k']}" for name in ("catalogue_coverage", "gini", "novelty")}


@dataclass(frozen=True)
class Advice:
    """A warning, and what to run because of it: a target with config values."""

    text: str
    target: str
    options: Mapping[str, str]


def advice(metrics: Mapping[str, Any]) -> list[Advice]:
    """What to run next where a baseline wins, or where few users can be judged."""
    evaluation, found = metrics["evaluation"], []
    ranking, split = evaluation["ranking_system"], metrics["dataset_info"]["split_info"]["split"]
    lost = {one["metric"].partition("@")[0] for one in evaluation["verdicts"] if one["verdict"] == "worse"}
    if "ndcg" in lost and ranking == "als":
        found.append(Advice("a ranking model may give better lists", "gold", {"ranking_model": "auto"}))
    elif "ndcg" in lost:
        options = {"ranking_model": "ease,implicit,item_knn", "positives": "graded,liked,all"}
        found.append(Advice("a sweep of the ranking model may find better lists", "sweep", options))
    if lost & {"rmse_all", "rmse_warm"}:
        options = {"rank": "8,16,32,64", "reg_param": "0.05,0.1,0.2"}
        found.append(Advice("a sweep of the rating model may find a better one", "sweep", options))
    count = evaluation["folds"]["ranked_users"]
    if count < ENOUGH_USERS:
        text = f"the lists of only {count:,} users can be judged, so intervals are wide; "
        if split == "global_time":
            options = {"split": "user_time", "lakehouse": "results/by-user"}
            found.append(Advice(text + "every user with enough ratings can be with", "gold", options))
        else:
            found.append(Advice(text + "a larger test fold has more", "gold", {"test_fraction": "0.3"}))
    return found


def shown_systems(evaluation: Mapping[str, Any], metric: str) -> dict[str, str]:
    """The systems to show for a metric, each with a note: our models, and the best of the others."""
    results = {name: found[metric] for name, found in evaluation["systems"].items() if metric in found}
    ours = [name for name in dict.fromkeys((evaluation["ranking_system"], "als")) if name in results]
    others = {name: one["value"] for name, one in results.items() if name not in ours and one["value"] is not None}
    best = sorted(others, key=lambda name: others[name], reverse="@" in metric)[:1]
    return {**dict.fromkeys(ours, ""), **dict.fromkeys(best, f"  best of {len(others)} baselines")}


def unbeaten_by_metric(evaluation: Mapping[str, Any], metric: str) -> list[str]:
    """A sentence about the baselines that are better, and one about those that are tied, by a headline metric."""
    names, texts = system_names(evaluation), []
    ours = names[evaluation["ranking_system"] if "@" in metric else "als"]
    for verdict, words in VERDICT_WORDS.items():
        found = [one for one in evaluation["verdicts"] if (one["metric"], one["verdict"]) == (metric, verdict)]
        if found:
            listed = ", ".join(f"'{names[one['baseline']]}'{difference(one, len(found))}" for one in found)
            texts.append(f"{ours} {words} the baseline{'s' * (len(found) > 1)} {listed} by {metric}")
    return texts


VERDICT_WORDS = {"worse": "is worse than", "undecided": "is statistically tied with"}


def difference(verdict: Mapping[str, Any], listed: int) -> str:
    """The difference with its interval, where one baseline is listed; the report has those of all."""
    if verdict["low"] is None or listed > 1:
        return ""
    return f" (difference {verdict['value']:+.4f}, 95% [{verdict['low']:+.4f}, {verdict['high']:+.4f}])"


def interval(metric: Mapping[str, Any]) -> str:
    """A metric with its 95% interval, or the reason why it has no value."""
    if metric["value"] is None:
        return str(metric["missing_because"])
    bounds = "" if metric.get("low") is None else f"  [{metric['low']:.4f}, {metric['high']:.4f}]"
    return f"{metric['value']:.4f}{bounds}"
