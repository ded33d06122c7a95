"""The command-line tools on a lakehouse that was really built."""

from __future__ import annotations

import json
import os
import shutil

import pytest

from project import Project, Run

pytestmark = pytest.mark.pipeline


def test_validate_passes_on_an_undamaged_lakehouse(built: Project) -> None:
    run = built.tool("run_pipeline", "validate", "--deep")
    assert run.code == 0, run.output
    for line in (
        "[INFO] Lakehouse path: results/small",
        "[INFO] Checking Bronze layer...",
        "  [OK] ratings exists at results/small/silver/ratings",
        "  [OK] Reports directory exists (4 reports)",
        "  [OK] recommendations_als exists at results/small/gold/recommendations_als",
        "  [OK] Models directory exists (1 versions)",
        "  [OK] Metrics directory exists (1 metric files)",
        "[SUCCESS] Validation passed!",
    ):
        assert line in run.output.splitlines(), line
    assert "  [OK] ratings.csv (" in run.output


@pytest.mark.parametrize(
    ("damaged", "named"),
    [
        ("bronze/movielens/small/movies.csv", "movies.csv is missing"),
        ("silver/tags", "silver/tags is missing"),
        ("silver/_reports/quality_movies_small.json", "quality_movies_small.json is missing"),
        ("gold/models/als", "gold/models/als"),
        ("gold/metrics/run_metrics.receipt.json", "gold/metrics/run_metrics: receipt"),
    ],
)
def test_validate_names_what_is_missing(built: Project, damaged: str, named: str) -> None:
    path = built.lakehouse() / damaged
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    run = built.tool("run_pipeline", "validate")
    assert run.code == 1
    assert any("[ERROR]" in line and named in line for line in run.output.splitlines()), run.output
    assert "[SUCCESS]" not in run.output


def test_validate_deep_finds_one_changed_byte(built: Project) -> None:
    victim = next((built.lakehouse() / "gold" / "interactions").glob("*.parquet"))
    stat = victim.stat()
    content = bytearray(victim.read_bytes())
    content[len(content) // 2] ^= 1
    victim.write_bytes(bytes(content))
    os.utime(victim, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert built.tool("run_pipeline", "validate").code == 0, "same size and time: only a deep look can tell"
    deep = built.tool("run_pipeline", "validate", "--deep")
    assert deep.code == 1
    assert victim.name in deep.output


def test_validate_one_layer_as_json(built: Project) -> None:
    shutil.rmtree(built.lakehouse() / "silver" / "movies")
    silver = built.tool("run_pipeline", "validate", "--layer", "silver", "--json")
    assert silver.code == 1
    assert any("silver/movies" in error for error in json.loads(silver.output)["errors"])
    gold = built.tool("run_pipeline", "validate", "--layer", "gold", "--json")
    assert (gold.code, json.loads(gold.output)["passed"]) == (0, True)


def test_spark_with_deltas_own_jars_reads_the_tables_and_their_history(built: Project) -> None:
    run = built.tool(
        "sql", "DESCRIBE HISTORY {ratings}", "SELECT count(*) AS n, 'rows' AS what FROM recommendations_als"
    )
    assert run.code == 0, run.output
    assert "delta-rs" in run.output
    users = built.receipt("gold/recommendations_als")["rows"]
    assert any(line.split("|")[1:3] == [str(users), "rows"] for line in run.output.splitlines()), run.output


def test_etl_and_train_print_the_command_and_run_it_only_when_told(built: Project) -> None:
    printed = built.tool("run_pipeline", "train", top_n=7)
    assert printed.code == 0
    assert "snakemake --cores all gold --config" in printed.output and "top_n=7" in printed.output
    assert len(built.journals()) == 1
    ran = built.tool("run_pipeline", "etl", "--cores", "2", env={"RUN_LOCAL": "1"})
    assert ran.code == 0
    assert "Nothing to be done" in ran.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"rnk": 5}, ["unknown key 'rnk'", "did you mean rank?"]),
        ({"rank": 0}, ["rank=0 (from --config", "at least 1"]),
        ({"rank": "[5,6]"}, ["rank=", "is a list"]),
        ({"storage_format": "dleta"}, ["storage_format='dleta'", "delta", "did you mean delta?"]),
        ({"dataset": "ml-25n", "dataset_path": ""}, ["ml-25n", "ml-25m"]),
        ({"dataset_path": "nowhere"}, ["nowhere/ratings.csv", "is missing"]),
        ({"lakehouse": "s3a://bucket/x"}, ["remote storage is not supported"]),
    ],
    ids=lambda value: str(value)[:40],
)
def test_a_wrong_configuration_stops_before_any_job_and_without_a_stack_trace(
    built: Project, words: dict[str, str], expected: list[str]
) -> None:
    run = built.snakemake(**words)  # type: ignore[arg-type]
    assert run.code == 2 or "is missing" in run.output
    for text in expected:
        assert text in run.output
    assert "Traceback" not in run.output
    assert "->" in run.output


def test_explain_goes_back_to_bronze_and_says_what_differs_now(built: Project) -> None:
    run = built.tool("explain", "run_metrics", "--json", rank=9)
    made = json.loads(run.output)
    assert made["differs_now"] == ["rank 4 -> 9"]
    by_name = {one["name"]: one for one in walk(made)}
    assert set(by_name) >= {"run_metrics", "model", "interactions", "ratings", "ratings.csv", "evaluation"}
    assert by_name["ratings.csv"]["fingerprint"] == built.receipt("bronze/movielens/small/ratings")["fingerprint"]
    assert by_name["ratings"]["version"] == 0
    assert by_name["interactions"]["differs_now"] == []
    text = built.tool("explain", "report").output
    assert "NOW DIFFERENT" not in text
    assert "silver/movies, delta version 0" in text


def walk(made: dict) -> list[dict]:  # type: ignore[type-arg]
    return [made, *(below for one in made["inputs"] for below in walk(one))]


def test_an_earlier_run_is_reproduced_from_the_versions_it_was_made_from(built: Project) -> None:
    then = built.receipt("gold/models/als")["facts"]["model_version"]
    lines = built.path("data/ratings.csv").read_text("utf-8").splitlines(keepends=True)
    built.path("data/ratings.csv").write_text("".join(lines[:-30]), "utf-8")
    built.gold(rank=5)
    assert built.receipt("silver/ratings")["version"] == 1
    run = built.tool("reproduce", then)
    assert run.code == 0, run.output
    assert run.output.count("  equal ") == 6
    assert f"[SUCCESS] {then} was reproduced" in run.output

    built.edit("src/reco_platform/als/native.py", "(seed, 0)", "(seed, 2)")
    changed = built.tool("reproduce", then)
    assert changed.code == 1
    assert "DIFFERENT  model" in changed.output and "code has changed" in changed.output
    assert "equal      interactions" in changed.output

    unknown = built.tool("reproduce", "nosuch")
    assert unknown.code != 0 and then in unknown.output


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("ratings", b"", "is empty"),
        ("ratings", b"userId,movieId,rating,timestamp\n", "has a header but no rows"),
        ("ratings", b"user,movieId,rating,timestamp\n1,1,1,1\n", "column 'userId' is missing ('user' may be it"),
        ("movies", b'movieId,title,genres\n1,"open,Comedy\n2,b,Drama\n', "never closed"),
    ],
)
def test_a_bad_csv_file_is_one_clear_error(built: Project, name: str, content: bytes, expected: str) -> None:
    built.path(f"data/{name}.csv").write_bytes(content)
    before = built.receipts()
    run: Run = built.snakemake()
    assert run.code != 0
    assert expected in run.output
    assert "Traceback" not in run.output
    after = built.receipts()
    assert {path: after[path] for path in after if path.startswith("gold")}.items() <= before.items()


def test_too_many_rejected_rows_stop_before_anything_is_published(built: Project) -> None:
    text = built.path("data/ratings.csv").read_text("utf-8")
    built.path("data/ratings.csv").write_text(text + "1,1,99,1500000000\n" * 400, "utf-8")
    run = built.snakemake()
    assert run.code != 0
    assert "more than max_reject_share=0.05" in run.output
    report = json.loads((built.lakehouse() / "silver/_reports/quality_ratings_small.json").read_text("utf-8"))
    assert report["passed"] is False and report["rejected_by_reason"]["rating_out_of_range"] == 404
    assert built.tool("run_pipeline", "validate").code == 1
