"""Compares runs: what differs in parameters, data and code, in the metrics on one test fold, and in the lists."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from reco_platform.core.errors import RecoError
from reco_platform.evaluation import bootstrap, dataset, model_difference, ranking_metrics
from reco_platform.evaluation.settings import limit_list_lengths, settings_from_params
from reco_platform.evaluation.systems import ranking_model_lists
from reco_platform.evaluation.user_sums import UserSums, to_json
from reco_platform.evaluation.verdict import verdict
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.maintenance.past_run import PastRun, changed_code, changed_params
from reco_platform.models.als.model import read_model
from reco_platform.models.ranking.models import read_ranking_model
from reco_platform.reports.html import Table, render
from reco_platform.reports.text_summary import interval
from reco_platform.splits import interactions

SHOWN_USERS = 10
VERDICTS = {"better": "better", "worse": "worse", "undecided": "no difference that the data can show"}
REBUILD = "reco gold"
MISSING = "-"


@dataclass(frozen=True)
class UserChange:
    """How the list of a user changed: titles that came and went; `kept` movies are in both lists."""

    user_id: int
    kept: int
    length: int
    came: list[str]
    went: list[str]


@dataclass(frozen=True)
class ListChanges:
    """How many of the users of two runs have another list, and the changes of some of them."""

    users: int
    changed: int
    examples: list[UserChange]


@dataclass(frozen=True)
class Comparison:
    """A run compared with the first one.

    Attributes:
        first, second: the runs.
        metrics: of each headline metric the second minus the first with its interval, and the verdict on the second.
        no_metrics: why there are none; empty otherwise.
        lists: how the lists changed.
        no_lists: why that is not known; empty otherwise.
    """

    first: PastRun
    second: PastRun
    metrics: dict[str, dict[str, Any]]
    no_metrics: str
    lists: ListChanges | None
    no_lists: str

    def as_json(self) -> dict[str, Any]:
        params = changed_params(self.first, self.second)
        return {
            "first": self.first.version, "second": self.second.version,
            "params": {key: list(pair) for key, pair in params.items()},
            "same_data": self.first.data == self.second.data,
            "code": changed_code(self.first, self.second),
            "differences": self.metrics, "no_differences_because": self.no_metrics or None,
            "lists": asdict(self.lists) if self.lists else None, "no_lists_because": self.no_lists or None,
        }  # fmt: skip


def compare(lakehouse: Lakehouse, first: PastRun, second: PastRun) -> Comparison:
    """Compares a run with another one; see `Comparison`."""
    metrics, no_metrics = attempt(lambda: paired_differences(lakehouse, first, second))
    lists, no_lists = attempt(lambda: changed_lists(lakehouse, first, second))
    return Comparison(first, second, metrics or {}, no_metrics, lists, no_lists)


def attempt(work: Any) -> tuple[Any, str]:
    """The result of some work and no reason, or none and the reason why it is not possible."""
    try:
        return work(), ""
    except RecoError as error:
        return None, error.message


# --- metrics


def paired_differences(lakehouse: Lakehouse, first: PastRun, second: PastRun) -> dict[str, dict[str, Any]]:
    """The second run's headline metrics minus the first's, on the same test ratings, users and resamples.

    Raises:
        RecoError: if the runs have other test folds, or if a model is no longer in the lakehouse.
    """
    if first.data != second.data:
        raise RecoError("the runs have different test folds, so that a difference could come from the data alone")
    for run in (first, second):
        if "evaluation" not in run.receipts:
            raise RecoError(f"the results of {run.version} were removed")
        if "popular_half_life" not in run.metrics["evaluation"]:
            raise RecoError(f"{run.version} was evaluated by an earlier version of the project")
    train, test = folds_of(lakehouse, second)
    params = {**second.receipts["evaluation"].made_from["params"]}
    theirs, ours = (read_model(path_of(lakehouse, run, "model")) for run in (first, second))
    found = {
        metric: model_difference.rmse_difference(ours, theirs, train, test, {**params, "gate_metric": metric})
        for metric in ("rmse_warm", "rmse_all")
    }
    k = second.metrics["evaluation"]["headline_k"]
    if k == first.metrics["evaluation"]["headline_k"]:
        sums = {run.version: ndcg_sums(lakehouse, run, train, test) for run in (second, first)}
        resamples = bootstrap.resample(sums, params["bootstrap_samples"], params["bootstrap_seed"])
        ndcg = bootstrap.differences(resamples[second.version], resamples[first.version])[f"ndcg@{k}"]
        found[f"ndcg@{k}"] = to_json(ndcg)
    return {metric: {**one, "verdict": verdict(metric, one)} for metric, one in found.items()}


def folds_of(lakehouse: Lakehouse, run: PastRun) -> tuple[dataset.RatingArrays, dataset.RatingArrays]:
    table = tables.open_table(lakehouse.path, run.receipts["interactions"], REBUILD)
    folds = (interactions.TRAINING, (interactions.TEST,))
    train, test = interactions.read_parts(table, dataset.COLUMNS, folds, os.cpu_count() or 1)
    return dataset.rating_arrays(train), dataset.rating_arrays(test)


def path_of(lakehouse: Lakehouse, run: PastRun, name: str) -> Any:
    """The folder of a run's model.

    Raises:
        RecoError: if it was removed, or has changed.
    """
    receipt = run.receipts[name]
    problem = tables.content_problem(lakehouse.path, receipt)
    if problem:
        raise RecoError(problem)
    return tables.local_path(lakehouse.path, receipt)


def ndcg_sums(lakehouse: Lakehouse, run: PastRun, train: dataset.RatingArrays, test: dataset.RatingArrays) -> UserSums:
    """The sums behind NDCG of a run's lists for the test users, as in its evaluation."""
    model = read_model(path_of(lakehouse, run, "model"))
    ranking = "ranking_model" if "ranking_model" in run.receipts else "model"
    kind = run.metrics["evaluation"]["ranking_system"]
    params = run.receipts["evaluation"].made_from["params"]
    settings = settings_from_params(
        {**params, "ranking_model": "explicit" if kind == "als" else kind},
        os.cpu_count() or 1,
        run.metrics["evaluation"]["popular_half_life"],
    )
    settings, _ = limit_list_lengths(settings, len(model.movies.ids))
    data = dataset.evaluation_dataset(model, train, test, dataset.NO_GENRES)
    rows = dataset.relevant_rows(data, settings.relevance, settings.relevant_rating)
    lists = ranking_model_lists(read_ranking_model(path_of(lakehouse, run, ranking)), data, settings)
    return ranking_metrics.ranking_sums(lists, dataset.relevant_by_user(data, rows), (settings.headline_k,))


# --- lists


def changed_lists(lakehouse: Lakehouse, first: PastRun, second: PastRun) -> ListChanges:
    """How the lists of the users of both runs changed, with SHOWN_USERS examples, evenly spread over those that did.

    Raises:
        RecoError: if lists are no longer in the lakehouse.
    """
    for run in (first, second):
        if "recommendations" not in run.receipts:
            raise RecoError(f"the lists of {run.version} were removed")
    before, after = (lists_by_user(lakehouse, run) for run in (first, second))
    users = sorted(before.keys() & after.keys())
    changed = [user for user in users if before[user] != after[user]]
    chosen = [changed[at] for at in np.linspace(0, len(changed) - 1, min(SHOWN_USERS, len(changed))).astype(int)]
    titles = titles_of(lakehouse, second) if chosen else {}
    return ListChanges(
        len(users), len(changed), [change_of(user, before[user], after[user], titles) for user in chosen]
    )


def change_of(user: int, before: Sequence[int], after: Sequence[int], titles: Mapping[int, str]) -> UserChange:
    came = [movie for movie in after if movie not in before]
    went = [movie for movie in before if movie not in after]
    names = ([titles.get(movie, f"movie {movie}") for movie in movies] for movies in (came, went))
    return UserChange(user, len(after) - len(came), len(after), *names)


def lists_by_user(lakehouse: Lakehouse, run: PastRun) -> dict[int, list[int]]:
    table = tables.open_table(lakehouse.path, run.receipts["recommendations"], REBUILD)
    rows = table.read(["user_id", "recommendations"]).to_pylist()
    return {row["user_id"]: [item["movie_id"] for item in row["recommendations"]] for row in rows}


def titles_of(lakehouse: Lakehouse, run: PastRun) -> Mapping[int, str]:
    """Titles by movie id; empty if the movies of the run are gone."""
    if "movies" not in run.receipts:
        return {}
    table = tables.open_table(lakehouse.path, run.receipts["movies"], REBUILD).read(["movie_id", "title"])
    return dict(zip(table["movie_id"].to_pylist(), table["title"].to_pylist(), strict=True))


# --- text and page


def difference_text(found: Mapping[str, Any]) -> str:
    if found["value"] is None or found["low"] is None:
        return str(found["missing_because"])
    return f"{found['value']:+.4f}  95% [{found['low']:+.4f}, {found['high']:+.4f}]"


def metric_rows(compared: Comparison) -> Iterator[list[str]]:
    """For each metric both values, the difference, and the verdict on the second run."""
    for metric in dict.fromkeys([*compared.first.headline, *compared.second.headline]):
        values = [interval(run.headline[metric]) if metric in run.headline else MISSING
                  for run in (compared.first, compared.second)]  # fmt: skip
        found = compared.metrics.get(metric)
        yield [metric, *values, *([difference_text(found), VERDICTS[found["verdict"]]] if found else ["", ""])]


def change_rows(compared: Comparison) -> list[list[str]]:
    """What differs in parameters, data and code."""
    first, second = compared.first, compared.second
    rows = [[key, str(old), str(new)] for key, (old, new) in changed_params(first, second).items()]
    rows.append(["data", first.data, second.data if first.data != second.data else "the same"])
    steps = changed_code(first, second)
    return [*rows, ["code", "", f"differs in {', '.join(steps)}" if steps else "the same"]]


def list_rows(compared: Comparison) -> list[list[str]]:
    return [
        [f"user {one.user_id}", f"{one.kept} of {one.length}", ", ".join(one.came) or MISSING,
         ", ".join(one.went) or MISSING]
        for one in (compared.lists.examples if compared.lists else ())
    ]  # fmt: skip


def lists_text(found: ListChanges) -> str:
    return f"{found.changed:,} of {found.users:,} users have another list"


def lines(compared: Comparison) -> Iterator[str]:
    """A comparison as text."""
    yield f"{compared.second.version} compared with {compared.first.version}"
    for name, old, new in change_rows(compared):
        yield f"  {name:<18} {new if new == 'the same' or not old else f'{old} -> {new}'}"
    for metric, first, second, difference, words in metric_rows(compared):
        yield f"  {metric:<12} {first}  ->  {second}"
        if words:
            yield f"  {'':<12} difference {difference}: {words}"
    if compared.no_metrics:
        yield f"  no paired differences: {compared.no_metrics}"
    if compared.lists:
        yield f"  {lists_text(compared.lists)}"
    for one in compared.lists.examples if compared.lists else ():
        changes = "".join(
            f"; {word}: {', '.join(found)}" for word, found in (("new", one.came), ("gone", one.went)) if found
        )
        yield f"  user {one.user_id}: {one.kept} of {one.length} movies stay{changes}"
    if compared.no_lists:
        yield f"  no lists: {compared.no_lists}"


def page(comparisons: Sequence[Comparison]) -> str:
    """Comparisons with one first run as an HTML page."""
    first = comparisons[0].first
    sections = [
        {
            "title": f"{one.second.version} compared with {first.version}",
            "tables": [
                Table("What differs", ["", first.version, one.second.version], change_rows(one)),
                Table(
                    "Headline metrics, with 95% intervals",
                    ["metric", first.version, one.second.version, "paired difference", "verdict on the second"],
                    list(metric_rows(one)),
                ),
                Table("Lists of some users", ["user", "movies that stay", "new", "gone"], list_rows(one)),
            ],
            "notes": [note for note in (one.no_metrics, one.no_lists) if note],
            "lists": lists_text(one.lists) if one.lists else "",
        }
        for one in comparisons
    ]
    return render("compare.html.j2", sections=sections, dataset=first.metrics["dataset_info"]["dataset"])
