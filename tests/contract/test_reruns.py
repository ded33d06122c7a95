"""The rerun contract: for each change between two runs of `gold`, exactly the steps that work."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from deltalake import DeltaTable

from support.project import Project, Run, foreseen, wait_for

pytestmark = pytest.mark.pipeline

SILVER = {"silver_ratings", "silver_movies", "silver_tags", "etl_report"}
FROM_METRICS = {"run_metrics", "metrics_table", "report"}
FROM_LISTS = {"recommend", *FROM_METRICS}
FROM_MODEL = {"train_als", "evaluate", "gate", *FROM_LISTS}
FROM_TRAINING = {"train_plain", *FROM_MODEL}
FROM_RATINGS = {"silver_ratings", "etl_report", "interactions", *FROM_TRAINING}
EVERYTHING = SILVER | FROM_RATINGS

RATINGS = "data/ratings.csv"
BRONZE_RATINGS = "results/small/bronze/movielens/small/ratings.csv"


@dataclass(frozen=True)
class Change:
    """One row of the contract.

    Attributes:
        promise: the row in words.
        make: does it to the project.
        works: the steps that compute in the next run.
        options: of that next run.
        says: a text in what the run prints.
    """

    promise: str
    make: Callable[[Project], Any]
    works: set[str]
    options: dict[str, Any] = field(default_factory=dict)
    says: str = ""


def nothing(_: Project) -> None: ...


def touch(name: str) -> Callable[[Project], Any]:
    return lambda project: os.utime(project.path(name))


def change_rating(project: Project) -> None:
    """Another rating for the first row of the file."""
    lines = project.path(RATINGS).read_text("utf-8").splitlines(keepends=True)
    user, movie, rating, moment = lines[1].split(",")
    lines[1] = ",".join([user, movie, "5.0" if rating != "5.0" else "0.5", moment])
    project.path(RATINGS).write_text("".join(lines), "utf-8", newline="")


def change_title(project: Project) -> None:
    lines = project.path("data/movies.csv").read_text("utf-8").splitlines(keepends=True)
    number = next(index for index, line in enumerate(lines) if index and '"' not in line and line.count(",") == 2)
    movie, _, genres = lines[number].split(",")
    lines[number] = f"{movie},Another Title (1999),{genres}"
    project.path("data/movies.csv").write_text("".join(lines), "utf-8", newline="")


def append_rejected_row(project: Project) -> None:
    with project.path(RATINGS).open("a", encoding="utf-8", newline="") as file:
        file.write("1,1,77,1500000000\n")


def comments_everywhere(project: Project) -> None:
    """A comment, a docstring, blank lines and another layout, in modules, scripts and rules."""
    for path in [*project.path("src").rglob("*.py"), *project.path("scripts").glob("*.py")]:
        text = path.read_text("utf-8").replace("\n\n\n", "\n\n\n# a comment\n\n\n")
        path.write_text(text + "\n# the end\n", "utf-8")
    project.edit("src/reco_platform/splits/split.py", '"""Assign each rating', '"""Assigns each rating')
    project.edit(
        "src/reco_platform/models/als/native.py",
        "    return -(-rank // LANE) * LANE\n",
        "    return (\n        -(-rank // LANE) * LANE\n    )\n",
    )
    for path in project.path("rules").glob("*.smk"):
        path.write_text("# a comment\n\n" + path.read_text("utf-8") + "\n# the end\n", "utf-8")
    project.edit("rules/gold.smk", '"""Metrics of the model', '"""Another docstring: metrics of the model')


def code(name: str, old: str, new: str) -> Callable[[Project], Any]:
    return lambda project: project.edit(name, old, new)


def fake_version(package: str) -> Callable[[Project], Any]:
    """Another version of a package, as far as its metadata say."""

    def make(project: Project) -> None:
        info = project.path(f"src/{package}-99.0.dist-info")
        info.mkdir(parents=True)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: 99.0\n")

    return make


def remove(name: str) -> Callable[[Project], Any]:
    return lambda project: shutil.rmtree(path) if (path := project.path(name)).is_dir() else path.unlink()


def edit_receipt(project: Project) -> None:
    project.edit("results/small/gold/interactions.receipt.json", '"train_count": ', '"train_count": 1')


def move_results(project: Project) -> None:
    project.lakehouse().rename(project.path("elsewhere"))
    (project.path("results/small/_runs")).mkdir(parents=True)


CHANGES = [
    Change("nothing_changed", nothing, set(), says="Nothing to be done"),
    Change("touching_the_users_csv_reruns_nothing", touch(RATINGS), set()),
    Change("touching_bronze_reruns_nothing", touch(BRONZE_RATINGS), set()),
    Change("a_changed_rating_reruns_ratings_and_what_follows", change_rating, {"bronze", *FROM_RATINGS}),
    Change(
        "a_changed_title_reruns_movies_and_what_shows_titles",
        change_title,
        {"bronze", "silver_movies", "etl_report", "evaluate", "report"},
    ),
    Change(
        "a_rejected_row_reruns_ratings_and_reports_and_nothing_behind",
        append_rejected_row,
        {"bronze", "silver_ratings", "etl_report", "report"},
    ),
    Change("another_top_n_reruns_lists_and_what_shows_them", nothing, FROM_LISTS, {"top_n": 20}, "top_n 10 -> 20"),
    Change("comments_docstrings_and_layout_rerun_nothing", comments_everywhere, set()),
    Change(
        "a_changed_cleaning_rule_reruns_its_table_and_what_depends_on_its_content",
        code("src/reco_platform/cleaning/ratings.py", "stars.values >= least", "stars.values >= least + 0.5"),
        FROM_RATINGS,
        says="code changed: cleaning.ratings.apply_rules",
    ),
    Change(
        "changed_code_with_the_same_result_reruns_one_step",
        code(
            "src/reco_platform/cleaning/movies.py",
            '"null_title": is_blank(title)',
            '"null_title": is_blank(title) | False',
        ),
        {"silver_movies"},
    ),
    Change(
        "changed_als_code_reruns_training_and_what_follows",
        code("src/reco_platform/models/als/native.py", "(seed, side)", "(seed, side + 2)"),
        FROM_TRAINING,
        says="code changed: models.als.native.train",
    ),
    Change(
        "a_changed_report_template_reruns_the_report",
        code("src/reco_platform/reports/templates/report.html.j2", ">Training</h2>", ">The training</h2>"),
        {"report"},
        says="report.html.j2",
    ),
    Change(
        "cores_memory_and_log_level_rerun_nothing",
        nothing,
        set(),
        {"cores": 8, "driver_memory": "1g", "log_level": "error"},
    ),
    Change("a_lakehouse_moved_as_a_whole_reruns_nothing", move_results, set(), {"lakehouse": "elsewhere"}),
    Change(
        "another_pyspark_reruns_the_steps_that_use_it",
        fake_version("pyspark"),
        {"silver_ratings", "silver_movies", "silver_tags", "train_als", "recommend"},
        says="code changed: pyspark",
    ),
    Change(
        "another_matplotlib_reruns_the_report_alone",
        fake_version("matplotlib"),
        {"report"},
        says="code changed: matplotlib",
    ),
    Change(
        "a_deleted_silver_table_is_rebuilt_and_nothing_behind_it",
        remove("results/small/silver/ratings"),
        {"silver_ratings"},
        says="silver/ratings is missing",
    ),
    Change("a_deleted_model_is_rebuilt", remove("results/small/gold/models/als"), {"train_als"}, says="is missing"),
    Change("a_deleted_receipt_is_restored", remove("results/small/gold/interactions.receipt.json"), set()),
    Change("a_receipt_edited_by_hand_is_named_and_restored", edit_receipt, set(), says="was edited by hand"),
]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.promise)
def test_only_what_is_stale_works(built: Project, change: Change) -> None:
    before = built.receipts()
    change.make(built)
    status = built.status(**{key: value for key, value in change.options.items() if key != "cores"})
    run = built.gold(**change.options)
    assert run.worked == change.works, run.output
    assert foreseen(status, run)
    assert change.says in run.output
    assert not list(built.path("results").rglob(".unfinished")), "a mark of a run that ended well"
    if not change.works:
        assert "lakehouse" in change.options or built.receipts() == before
    else:
        assert built.gold(**change.options).worked == set(), "a second run found work"


IN_NEW_PROCESSES = (
    "nothing_changed",
    "another_top_n_reruns_lists_and_what_shows_them",
    "comments_docstrings_and_layout_rerun_nothing",
    "a_deleted_silver_table_is_rebuilt_and_nothing_behind_it",
)
"""Rows that also run as users run them; the others run in forks of one process, which takes a fourth of the time."""


@pytest.mark.parametrize("promise", IN_NEW_PROCESSES)
def test_runs_in_new_processes_do_the_same_as_those_in_forks(built: Project, tmp_path: Path, promise: str) -> None:
    (change,) = (one for one in CHANGES if one.promise == promise)
    change.make(built)
    twin = built.copy(tmp_path / "twin")
    forked, started = built.gold(**change.options), twin.gold(new_processes=True, **change.options)
    assert started.worked == change.works
    assert outcomes(started) == outcomes(forked)
    assert twin.receipts() == built.receipts()


def outcomes(run: Run) -> list[tuple[str, str, list[str]]]:
    """What each step did and why, in the order of names."""
    return sorted((one["step"], one["event"], one.get("why", [])) for one in run.events if one["event"] != "progress")


def test_the_first_run_does_everything(built_run: tuple[Project, Run]) -> None:
    assert built_run[1].worked == {"bronze", *EVERYTHING}


def test_a_rank_and_back_again_and_swapped_with_max_iter(built: Project) -> None:
    first = built.receipts()
    run = built.gold(rank=3, max_iter=4)
    assert run.worked == FROM_TRAINING
    assert "rank 4 -> 3" in run.why("train_als")
    assert "max_iter 3 -> 4" in run.why("train_als")
    back = built.gold()
    assert back.worked == set()
    assert built.receipts() == first


def test_tags_removed_rerun_tags_and_reports_and_come_back_for_nothing(built: Project) -> None:
    tags = built.path("data/tags.csv").read_bytes()
    built.path("data/tags.csv").unlink()
    run = built.gold()
    assert run.worked == {"bronze", "silver_tags", "etl_report", "report"}
    assert "tags     not in this data set" in run.output
    built.path("data/tags.csv").write_bytes(tags)
    assert built.gold().worked <= {"bronze"}


def test_parquet_goes_into_a_lakehouse_of_its_own_and_delta_comes_back_for_nothing(built: Project) -> None:
    delta = built.receipts()
    run = built.gold(storage_format="parquet", folder="small-parquet")
    assert run.worked == {"bronze", *EVERYTHING}
    for artifact in ("silver/ratings", "silver/movies", "silver/tags", "gold/interactions", "gold/models/als"):
        for key in ("fingerprint", "rows", "schema_hash"):
            assert built.receipt(artifact, "small-parquet")[key] == built.receipt(artifact)[key], artifact
    assert evaluation(built, "small-parquet") == evaluation(built, "small")
    assert built.gold().worked == set()
    assert built.receipts() == delta


def evaluation(project: Project, lakehouse: str) -> dict[str, Any]:
    (path,) = project.lakehouse(lakehouse).glob("gold/metrics/run_metrics_*.json")
    found: dict[str, Any] = json.loads(path.read_text("utf-8"))
    return {key: found[key] for key in ("model_version", "evaluation", "hyperparameters")}


def test_another_format_in_the_same_lakehouse_is_refused_with_the_way_out(built: Project) -> None:
    run = built.snakemake(storage_format="parquet", lakehouse="results/small")
    assert run.code != 0
    assert "contains a delta table, but storage_format is parquet" in run.output
    assert "lakehouse=" in run.output


def test_another_data_set_and_back_reruns_nothing_of_the_first(built: Project) -> None:
    other = built.copy(built.root.parent / "second").path("data")
    change_rating(Project(other.parent))
    shutil.copytree(other, built.path("other"))
    first = built.receipts()
    run = built.gold(dataset="other", dataset_path="other", folder="other")
    assert run.worked == {"bronze", *EVERYTHING}
    assert built.gold().worked == set()
    assert built.receipts() == first


@pytest.mark.parametrize("damage", ["deleted", "truncated", "replaced"])
def test_a_damaged_data_file_stops_the_next_consumer_and_the_command_it_names_rebuilds_the_table(
    built: Project, damage: str
) -> None:
    first = built.receipts()
    victim = sorted((built.lakehouse() / "silver" / "ratings").rglob("*.parquet"))[0]
    hurt(victim, damage)
    run = built.snakemake(test_fraction=0.3)
    assert run.code != 0
    assert victim.name in run.output
    assert "silver/ratings" in run.output
    command = next(line for line in run.output.splitlines() if "--forcerun silver_ratings" in line)
    assert run.worked == set()
    words = command.split("rebuild it with: ")[1].split()
    assert words[:5] == ["snakemake", "--cores", "2", "gold", "--forcerun"]
    rebuilt = built.gold("gold", "--forcerun", words[5])
    assert rebuilt.worked == {"silver_ratings"}
    same = {path for path, text in first.items() if built.receipts()[path] == text}
    assert set(first) - same == {"silver/ratings.receipt.json"}, "only the version of the rebuilt table is new"


def hurt(path: Path, damage: str) -> None:
    content = path.read_bytes()
    if damage == "deleted":
        path.unlink()
    elif damage == "truncated":
        path.write_bytes(content[:-100])
    else:
        path.write_bytes(bytes(len(content)))


def test_a_vacuumed_version_is_rebuilt_and_the_run_says_why(built: Project) -> None:
    data = built.path(RATINGS).read_bytes()
    change_rating(built)
    built.gold()
    table = DeltaTable(str(built.lakehouse() / "silver" / "ratings"))
    assert table.version() == 1
    table.vacuum(retention_hours=0, enforce_retention_duration=False, dry_run=False)
    built.path(RATINGS).write_bytes(data)
    run = built.gold()
    assert "silver_ratings" in run.worked
    assert "is missing" in run.why("silver_ratings")
    assert run.worked <= {"bronze", "silver_ratings", "interactions", "etl_report"}


@pytest.mark.parametrize(
    "moment", ["silver/_staging-ratings", "silver/_staging-movies", "gold/interactions.receipt.json"]
)
def test_a_run_killed_in_the_middle_of_a_step_ends_like_an_undisturbed_one(
    built: Project, tmp_path: Path, moment: str
) -> None:
    undisturbed = built.receipts()
    shutil.rmtree(built.lakehouse())
    with built.started() as process:
        wait_for(lambda: list(built.lakehouse().glob(moment)) or process.poll() is not None)
        os.killpg(process.pid, signal.SIGKILL)
    run = built.gold()
    assert run.worked
    assert built.receipts() == undisturbed
    assert not list(built.lakehouse().rglob("_staging-*"))


def test_a_second_run_at_the_same_time_names_the_first_and_leaves_it_alone(built: Project) -> None:
    with built.started(rank=5) as first:
        wait_for(lambda: len(built.journals()) > 1)
        second = built.snakemake(rank=5)
        assert second.code == 1
        assert f"process {first.pid}" in second.output
        assert first.wait(timeout=300) == 0
    assert built.gold(rank=5).worked == set()


def test_a_dry_run_tells_what_the_next_run_will_do(built: Project) -> None:
    shutil.rmtree(built.lakehouse() / "silver" / "movies")
    before = built.journals()
    dry = built.snakemake("-n", "gold")
    assert "silver/movies is missing" in dry.output
    assert "silver_movies" in dry.output
    assert built.journals() == before
    assert "Nothing to be done" not in dry.output


def test_what_another_checkout_made_in_the_lakehouse_is_not_taken_for_ones_own(built: Project, tmp_path: Path) -> None:
    """Snakemake's own records are of one checkout, and know nothing of what the other did."""
    lakehouse = str(built.lakehouse())
    other = Project.create(tmp_path / "other")
    shutil.rmtree(built.path(".snakemake"))
    mine = built.receipts()
    assert built.gold(rank=5).worked == FROM_TRAINING
    theirs = built.receipts()
    assert other.gold(lakehouse=lakehouse, dataset_path=str(built.path("data"))).code == 0
    assert built.receipts() == mine
    back = built.gold(rank=5)
    assert "train_als" in back.restored
    assert not back.worked - {"metrics_table"}, back.output
    assert built.receipts() == theirs


def test_a_clock_set_back_between_two_steps_hides_nothing(built: Project) -> None:
    change_rating(built)
    built.gold("silver")
    past = 1_600_000_000
    for path in built.lakehouse().rglob("*.receipt.json"):
        if "silver" in path.parts:
            os.utime(path, (past, past))
    assert built.gold().worked == {"interactions", *FROM_TRAINING}


def test_a_dry_run_of_something_else_leaves_nothing_to_be_done(built: Project) -> None:
    times = {path: path.stat().st_mtime_ns for path in built.lakehouse().rglob("*.receipt.json")}
    assert "train_als" in built.gold("gold", "-n", rank=9).output
    assert not {*(run := built.gold()).worked, *run.restored}
    assert {path: path.stat().st_mtime_ns for path in times} == times
