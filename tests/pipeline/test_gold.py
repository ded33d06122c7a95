"""What a whole run leaves and says, checked against plain Python and against other readers."""

from __future__ import annotations

import csv
import json
import math
import re
from pathlib import Path
from typing import Any

import jsonschema
import pyarrow as pa
import pytest
from deltalake import DeltaTable

from reco_platform.contracts.tables import CONTRACTS
from reco_platform.lakehouse import tables
from reco_platform.lakehouse.receipts import read
from reco_platform.models.als.model import read_model
from reco_platform.reports.text_summary import BASELINE_NAMES, MODEL_NAMES
from support import oracle
from support.project import QUICK, ROOT, Project, Run

pytestmark = pytest.mark.pipeline


@pytest.fixture(scope="module")
def first(built_run: tuple[Project, Run]) -> Project:
    return built_run[0]


def table(project: Project, artifact: str) -> pa.Table:
    receipt = read(project.lakehouse() / f"{artifact}.receipt.json")
    return tables.open_table(project.lakehouse(), receipt, "").read()


def metrics(project: Project) -> dict[str, Any]:
    (path,) = project.lakehouse().glob("gold/metrics/run_metrics_*.json")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


@pytest.mark.parametrize("name", ["ratings", "movies", "tags"])
def test_a_silver_table_holds_what_plain_python_finds_in_its_csv(first: Project, name: str) -> None:
    found = oracle.TABLES[name](first.path(f"data/{name}.csv"))
    receipt = first.receipt(f"silver/{name}")
    assert receipt["rows"] == len(found.good) == len(table(first, f"silver/{name}"))
    assert receipt["facts"]["rows_in"] == found.rows_in
    assert receipt["facts"]["rejected_by_reason"] == found.reasons
    assert sum(receipt["facts"]["duplicates"].values()) == sum(found.duplicates.values())
    quarantine = DeltaTable(str(first.lakehouse() / "silver" / "_quarantine" / name)).to_pyarrow_table()
    assert sorted(tuple(reasons) for reasons in quarantine["reasons"].to_pylist()) == sorted(found.rejected)


@pytest.mark.parametrize(
    "artifact", ["silver/ratings", "silver/movies", "silver/tags", "gold/interactions", "gold/recommendations_als"]
)
def test_every_table_is_delta_at_version_0_with_its_contracts_columns(first: Project, artifact: str) -> None:
    delta = DeltaTable(str(first.lakehouse() / artifact))
    assert delta.version() == 0
    assert len(delta.history()) == 1
    contract = CONTRACTS[Path(artifact).name]
    assert [field.name for field in delta.schema().fields] == contract.names
    assert delta.metadata().partition_columns == list(contract.partition_by)
    assert delta.to_pyarrow_table().num_rows == first.receipt(artifact)["rows"]


def test_interactions_hold_the_latest_rating_of_each_pair_in_folds_by_time(first: Project) -> None:
    rows = table(first, "gold/interactions").to_pylist()
    latest: dict[tuple[int, int], tuple[int, float]] = {}
    for user, movie, rating, moment, *_ in oracle.ratings(first.path("data/ratings.csv")).good:
        latest[user, movie] = max(latest.get((user, movie), (-1, 0.0)), (moment, rating))
    found = {(row["user_id"], row["movie_id"]): (int(row["rating_ts"].timestamp()), row["rating"]) for row in rows}
    assert found == latest
    last = {fold: max(row["rating_ts"] for row in rows if row["fold"] == fold) for fold in ("train", "validation")}
    assert all(row["rating_ts"] > last["validation"] for row in rows if row["fold"] == "test")
    assert all(row["rating_ts"] > last["train"] for row in rows if row["fold"] == "validation")
    share = sum(row["fold"] == "test" for row in rows) / len(rows)
    assert 0.17 < share <= 0.2
    for index, key in (("user_index", "user_id"), ("movie_index", "movie_id")):
        pairs = sorted({(row[index], row[key]) for row in rows})
        assert [pair[0] for pair in pairs] == list(range(len(pairs)))
        assert [pair[1] for pair in pairs] == sorted({row[key] for row in rows})


def test_the_metrics_are_those_of_the_model_on_the_test_fold(first: Project) -> None:
    found = metrics(first)
    rows = [row for row in table(first, "gold/interactions").to_pylist() if row["fold"] == "test"]
    model = read_model(first.lakehouse() / "gold" / "models" / "als" / found["model_version"])
    users = dict(zip(model.users.ids.tolist(), model.users.factors.tolist(), strict=True))
    movies = dict(zip(model.movies.ids.tolist(), model.movies.factors.tolist(), strict=True))
    errors = [
        row["rating"] - sum(a * b for a, b in zip(users[row["user_id"]], movies[row["movie_id"]], strict=True))
        for row in rows
        if row["user_id"] in users and row["movie_id"] in movies
    ]
    assert found["evaluation"]["predictions_count"] == len(errors) > 0
    assert found["evaluation"]["test_count"] == len(rows)
    assert found["evaluation"]["coverage"] == len(errors) / len(rows)
    assert found["evaluation"]["cold_share"] == pytest.approx(1 - len(errors) / len(rows))
    assert found["evaluation"]["rmse"] == pytest.approx(math.sqrt(sum(e * e for e in errors) / len(errors)))
    split = found["dataset_info"]["split_info"]
    assert split["total_count"] == split["train_count"] + split["test_count"] == len(table(first, "gold/interactions"))
    assert found["hyperparameters"]["rank"] == QUICK["rank"]
    assert found["recommendations"]["top_n"] == 10
    assert found["dataset_info"]["storage_format"] == "delta"


def test_recommendations_leave_out_what_was_rated_in_training(first: Project) -> None:
    seen: dict[int, set[int]] = {}
    for row in table(first, "gold/interactions").to_pylist():
        if row["fold"] != "test":
            seen.setdefault(row["user_id"], set()).add(row["movie_id"])
    lists = table(first, "gold/recommendations_als").to_pylist()
    assert {row["user_id"] for row in lists} == set(seen)
    for row in lists:
        items = row["recommendations"]
        assert [item["rank"] for item in items] == list(range(1, len(items) + 1)) and len(items) == 10
        assert not seen[row["user_id"]] & {item["movie_id"] for item in items}
        order = [(-item["score"], item["movie_id"]) for item in items]
        assert order == sorted(order)
        assert row["model_version"] == metrics(first)["model_version"]


def test_the_run_ends_with_a_summary_for_people(built_run: tuple[Project, Run]) -> None:
    said = built_run[1].output
    for text in ("rejected (", "null_user 3", "RMSE ", "coverage ", "Output", "run_metrics_", "Next"):
        assert text in said, text
    assert len(re.findall(r"^  user \d+: .+, \.\.\.$", said, re.M)) == 2
    page = next(built_run[0].lakehouse().glob("reports/*.html")).read_text("utf-8")
    assert metrics(built_run[0])["model_version"] in page


def test_snakemakes_own_report_holds_the_page_and_the_metrics_with_captions(built: Project) -> None:
    before = built.journals()
    run = built.snakemake("gold", "--report", "own.html")
    assert run.code == 0, run.output
    text = built.path("own.html").read_text("utf-8")
    for wanted in ("report of the run", "Every metric of the latest run", "metrics.csv"):
        assert wanted in text, wanted
    assert built.journals() == before, "asking for it is no run"
    page = next(built.lakehouse().glob("reports/*.html"))
    assert built.path("results/small/reports/_latest/report.html").read_bytes() == page.read_bytes()


def test_the_metrics_fit_the_schema_in_docs_and_their_table_repeats_them(first: Project) -> None:
    found = metrics(first)
    schema = json.loads(first.path("docs/run_metrics.schema.json").read_text("utf-8"))
    jsonschema.validate(found, schema)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.validate({**found, "more": 1}, schema)
    (path,) = first.lakehouse().glob("gold/metrics/run_metrics_*.csv")
    rows = list(csv.DictReader(path.open(encoding="utf-8")))
    ours = next(row for row in rows if (row["part"], row["system"], row["metric"]) == ("systems", "als", "rmse_warm"))
    assert float(ours["value"]) == pytest.approx(found["evaluation"]["rmse"], rel=1e-9)
    assert float(ours["low"]) < float(ours["value"]) < float(ours["high"])


def test_a_baseline_that_the_model_does_not_beat_is_named_on_the_terminal_and_on_the_page(
    built_run: tuple[Project, Run],
) -> None:
    project, run = built_run
    verdicts = metrics(project)["evaluation"]["verdicts"]
    beaten = [one for one in verdicts if one["verdict"] == "better"]
    others = [one for one in verdicts if one["verdict"] != "better"]
    assert beaten and others
    page = next(project.lakehouse().glob("reports/*.html")).read_text("utf-8")
    said = [line for line in run.output.splitlines() if "[WARNING] this model" in line]
    for one in others:
        name = BASELINE_NAMES.get(one["baseline"]) or MODEL_NAMES[one["baseline"]]
        assert any(f"'{name}'" in line and one["metric"] in line for line in said), one
    assert len(others) == page.count('class="warning"')


def test_a_refit_model_serves_and_the_other_is_judged_and_new_users_get_popular_movies(built: Project) -> None:
    before = metrics(built)
    run = built.gold(refit="true", fallback_lists="true")
    assert run.worked == {"refit", "fallback", "recommend", "run_metrics", "metrics_table", "gate", "report"}
    found = metrics(built)
    assert found["evaluation"] == before["evaluation"]
    assert found["model_version"] == before["model_version"] != found["served_version"]
    rows = table(built, "gold/interactions").to_pylist()
    lists = table(built, "gold/recommendations_als").to_pylist()
    assert {row["model_version"] for row in lists} == {found["served_version"]}
    assert {row["user_id"] for row in lists} == {row["user_id"] for row in rows}, "a refit model knows all users"
    assert table(built, "gold/recommendations_fallback")["user_id"].to_pylist() == [None]
    assert built.reco("validate", refit="true", fallback_lists="true").code == 0
    built.gold(fallback_lists="true")
    known = {row["user_id"] for row in rows if row["fold"] != "test"}
    fallback = table(built, "gold/recommendations_fallback").to_pylist()
    assert {row["user_id"] for row in fallback} == {row["user_id"] for row in rows} - known | {None} != {None}
    assert all(len(row["recommendations"]) == 10 for row in fallback)


def test_plain_als_and_other_splits_are_one_key_away(built: Project) -> None:
    plain = built.gold(biased="false")
    assert "train_plain" not in plain.worked
    version = built.receipt("gold/models/als")["facts"]["model_version"]
    found = json.loads((built.lakehouse() / f"gold/metrics/run_metrics_{version}.json").read_text("utf-8"))
    assert (
        found["evaluation"]["systems"]["als"]["rmse_warm"]
        == (metrics_of(built, before=version)["evaluation"]["systems"]["als_plain"]["rmse_warm"])
    ), "plain ALS is what the biased run called its baseline"
    built.gold(split="random", validation_fraction=0.2)
    facts = built.receipt("gold/interactions")["facts"]
    assert facts["split"] == "random"
    assert facts["folds"]["test"]["warm_rows"] > 0.9 * facts["folds"]["test"]["rows"]


def metrics_of(project: Project, before: str) -> dict[str, Any]:
    """The metrics file of the only other version."""
    (path,) = (one for one in project.lakehouse().glob("gold/metrics/run_metrics_*.json") if before not in one.name)
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return found


def test_set_up_has_compiled_every_kernel_that_gold_uses(first: Project) -> None:
    compiled, used = ({path.name for path in root.rglob("*.nbc")} for root in (ROOT / "src", first.path("src")))
    assert used and used <= compiled, "see reco_platform.maintenance.compile_kernels"


def test_no_receipt_holds_a_time_a_host_or_an_absolute_path(first: Project) -> None:
    host = Path("/etc/hostname").read_text().strip() if Path("/etc/hostname").exists() else "localhost"
    for path, text in first.receipts().items():
        assert str(first.root) not in text, path
        assert f'"{host}"' not in text, path
        assert "_ts" not in text and "seconds" not in text, path


@pytest.mark.nightly
def test_pyspark_ml_trains_the_same_pipeline(built: Project) -> None:
    native = metrics(built)["evaluation"]
    run = built.gold(engine="spark-ml")
    assert "train_als" in run.worked and "silver_ratings" not in run.worked
    version = built.receipt("gold/models/als")["facts"]["model_version"]
    found = json.loads((built.lakehouse() / "gold" / "metrics" / f"run_metrics_{version}.json").read_text("utf-8"))
    assert found["hyperparameters"]["engine"] == "spark-ml"
    assert found["evaluation"]["predictions_count"] == native["predictions_count"]
    assert len(list((built.lakehouse() / "gold" / "models" / "als").glob("[0-9a-f]*"))) == 2


def test_the_real_ml_latest_small_in_a_folder_with_spaces_and_accents(
    first: Project, latest_small: Path, tmp_path: Path
) -> None:
    project = Project.create(tmp_path / "project")
    folder = project.path("mes données (été)")
    folder.mkdir()
    for name in ("ratings", "movies", "tags"):
        (folder / f"{name}.csv").write_bytes((latest_small / f"{name}.csv").read_bytes())
    project.gold(dataset="mine", dataset_path=folder.name, folder="mine", rank=8)
    rows = {name: project.receipt(f"silver/{name}", "mine")["rows"] for name in ("ratings", "movies", "tags")}
    assert rows == {"ratings": 100_836, "movies": 9_742, "tags": 3_683}
