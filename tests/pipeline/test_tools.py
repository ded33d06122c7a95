"""The command-line tools on a lakehouse that was really built."""

from __future__ import annotations

import fcntl
import json
import os
import pty
import re
import shlex
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from reco_platform.cli.verbs import VERBS
from reco_platform.config.load import load_config
from reco_platform.config.model import ENVIRONMENT
from reco_platform.config.secrets import redact_value
from support.project import QUICK, RECO, Project, Run, foreseen

pytestmark = pytest.mark.pipeline


def test_validate_passes_on_an_undamaged_lakehouse(built: Project) -> None:
    run = built.reco("validate", "--deep")
    assert run.code == 0, run.output
    for line in (
        "[INFO] Lakehouse path: results/small",
        "[INFO] Checking Bronze layer...",
        "  [OK] ratings exists at results/small/silver/ratings",
        "  [OK] Reports directory exists (4 reports)",
        "  [OK] recommendations_als exists at results/small/gold/recommendations_als",
        "  [OK] rejected rows of movies exist at results/small/silver/_quarantine/movies",
        "  [OK] Plain models directory exists (1 versions)",
        "  [OK] no sweeps",
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
        ("gold/metrics/_gate", "gold/metrics/_gate/gate: receipt"),
        ("silver/_quarantine/ratings", "silver/_quarantine/ratings is missing"),
    ],
)
def test_validate_names_what_is_missing(built: Project, damaged: str, named: str) -> None:
    path = built.lakehouse() / damaged
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    run = built.reco("validate")
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
    assert built.reco("validate").code == 0, "same size and time: only a deep look can tell"
    deep = built.reco("validate", "--deep")
    assert deep.code == 1
    assert victim.name in deep.output


def test_validate_one_layer_as_json(built: Project) -> None:
    shutil.rmtree(built.lakehouse() / "silver" / "movies")
    silver = built.reco("validate", "--layer", "silver", "--json")
    assert silver.code == 1
    assert any("silver/movies" in error for error in json.loads(silver.output)["errors"])
    gold = built.reco("validate", "--layer", "gold", "--json")
    assert (gold.code, json.loads(gold.output)["passed"]) == (0, True)


def test_spark_with_deltas_own_jars_reads_the_tables_and_their_history(built: Project) -> None:
    run = built.reco(
        "sql",
        "--engine",
        "spark",
        "DESCRIBE HISTORY {ratings}",
        "SELECT count(*) AS n, 'rows' AS what FROM recommendations_als",
    )
    assert run.code == 0, run.output
    assert "delta-rs" in run.output
    users = built.receipt("gold/recommendations_als")["rows"]
    assert any(line.split("|")[1:3] == [str(users), "rows"] for line in run.output.splitlines()), run.output


def test_etl_and_train_print_the_command_and_run_it_only_when_told(built: Project) -> None:
    printed = built.reco("train", top_n=7)
    assert printed.code == 0
    assert "snakemake --cores all gold --config" in printed.output and "top_n=7" in printed.output
    assert len(built.journals()) == 1
    ran = built.reco("etl", "--cores", "2", env={"RUN_LOCAL": "1"})
    assert ran.code == 0
    assert "Nothing to be done" in ran.output
    assert "Nothing to be done" in built.reco("train", "--run", "--cores", "2").output
    sweep = built.reco("sweep", rank="2,4", mlflow_tracking_uri="http://me:secret@host")
    assert sweep.code == 0
    assert "sweep --config" in sweep.output and "rank=2,4" in sweep.output and "secret" not in sweep.output


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({"rnk": 5}, ["unknown key 'rnk'", "did you mean rank?"]),
        ({"rank": 0}, ["rank='0' (from --config", "at least 1"]),
        ({"rank": "[5,6]"}, ["rank=", "is a list"]),
        ({"storage_format": "dleta"}, ["storage_format='dleta'", "delta", "did you mean delta?"]),
        ({"dataset": "ml-25n", "dataset_path": ""}, ["ml-25n", "ml-25m"]),
        ({"dataset_path": "nowhere"}, ["nowhere/ratings.csv", "is missing"]),
        ({"lakehouse": "s3a://bucket/x"}, ["must be a folder, or an address hdfs:"]),
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
    run = built.reco("explain", "run_metrics", "--json", rank=9)
    made = json.loads(run.stdout)
    assert made["differs_now"] == ["rank 4 -> 9"]
    by_name = {one["name"]: one for one in walk(made)}
    assert set(by_name) >= {"run_metrics", "model", "interactions", "ratings", "ratings.csv", "evaluation"}
    assert by_name["ratings.csv"]["fingerprint"] == built.receipt("bronze/movielens/small/ratings")["fingerprint"]
    assert by_name["ratings"]["version"] == 0
    assert by_name["interactions"]["differs_now"] == []
    text = built.reco("explain").output
    assert "CHANGED NOW" not in text
    assert "silver/movies, delta version 0" in text
    assert "gate: gold/metrics/_gate/gate_" in text
    unknown = built.reco("explain", "modle")
    assert unknown.code == 2 and "did you mean model?" in unknown.output and unknown.stdout == ""


def walk(made: dict) -> list[dict]:  # type: ignore[type-arg]
    return [made, *(below for one in made["inputs"] for below in walk(one))]


def test_an_earlier_run_is_reproduced_from_the_versions_it_was_made_from(built: Project) -> None:
    then = built.receipt("gold/models/als")["facts"]["model_version"]
    lines = built.path("data/ratings.csv").read_text("utf-8").splitlines(keepends=True)
    built.path("data/ratings.csv").write_text("".join(lines[:-30]), "utf-8")
    built.gold(rank=5)
    assert built.receipt("silver/ratings")["version"] == 1
    run = built.reco("reproduce", then)
    assert run.code == 0, run.output
    assert run.output.count("  equal ") == 6
    assert f"[SUCCESS] {then} was reproduced" in run.output

    built.edit("src/reco_platform/models/als/native.py", "(seed, side)", "(seed, side + 2)")
    changed = built.reco("reproduce", then)
    assert changed.code == 1
    assert "DIFFERENT  model" in changed.output and "code has changed" in changed.output
    assert "equal      interactions" in changed.output

    unknown = built.reco("reproduce", "nosuch")
    assert unknown.code != 0 and then in unknown.output


@pytest.mark.parametrize(
    ("name", "content", "expected"),
    [
        ("ratings", b"", "is empty"),
        ("ratings", b"userId,movieId,rating,timestamp\n", "has a header but no rows"),
        (
            "ratings",
            b"user,movieId,rating,timestamp\n1,1,1,1\n",
            "column 'userId' is missing (perhaps it is named 'user'",
        ),
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
    assert built.reco("validate").code == 1


# --- the command line


def plain(*words: str, env: dict[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    """The tool without a project of its own."""
    command = [*RECO, *words]
    environment = {**os.environ, "PYTHONPATH": "src", **(env or {})}
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)


def test_every_command_has_help_with_examples_and_exit_codes() -> None:
    for name in [*VERBS, ""]:
        run = plain(*([name] if name else []), "--help")
        assert run.returncode == 0
        assert "exit codes:" in run.stdout and (not name or f"reco {name}" in run.stdout), name


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ((), "Missing command"),
        (("trian",), "there is no command 'trian'; did you mean train?"),
        (("validate", "--layer", "platinum"), "'platinum' is not one of 'bronze', 'silver', 'gold', 'sweeps'"),
        (("validate", "--layr", "silver"), "No such option '--layr'. Did you mean '--layer'?"),
        (("validate", "silver"), "unexpected extra argument"),
        (("status", "--dir", "nowhere"), "nowhere: there is no such folder"),
        (("status", "--config", "rank"), "expected KEY=VALUE"),
        (("etl", "--config", "rank=many"), "rank='many'"),
        (("sweep", "--config", "rank=10,many"), "rank='many'"),
        (("train", "--configfile", "nowhere.yaml"), "nowhere.yaml cannot be read"),
        (("clean", "--yes", "--config", "lakehouse=docs"), "is not a lakehouse of this pipeline"),
        (("prune", "--config", "retain_versions=0"), "at least 1"),
    ],
)
def test_a_wrong_command_ends_with_2_and_says_why_on_stderr(words: tuple[str, ...], said: str) -> None:
    run = plain(*words)
    assert (run.returncode, run.stdout) == (2, "")
    assert said in run.stderr and "Traceback" not in run.stderr


@pytest.fixture
def on_path(tmp_path: Path) -> dict[str, str]:
    """An environment in which `reco` is on the PATH."""
    program = tmp_path / "bin" / "reco"
    program.parent.mkdir()
    program.write_text(f'#!/bin/sh\nexec {shlex.join(RECO)} "$@"\n', "utf-8")
    program.chmod(0o755)
    return {**os.environ, "PATH": f"{program.parent}{os.pathsep}{os.environ['PATH']}", "PYTHONPATH": "src"}


def test_bash_completes_commands_options_choices_and_keys(on_path: dict[str, str]) -> None:
    script = plain("completion", "bash").stdout
    lines = {
        "reco va": {"validate"},
        "reco validate --la": {"--layer"},
        "reco validate --layer si": {"silver"},
        "reco train --config reg_p": {"reg_param="},
        "reco gold --config rank=4 top_": {"top_n="},
        "reco explain rat": {"ratings"},
        "reco completion z": {"zsh"},
    }
    for line, expected in lines.items():
        assert completed(script, line, on_path) == expected, line


def completed(script: str, line: str, env: dict[str, str]) -> set[str]:
    """What bash offers at the end of a line, asked as the TAB key does."""
    words = line.split()
    ask = f"""
    compopt() {{ :; }}  # there is no TAB key here
    source /dev/stdin <<'SCRIPT'
{script}
SCRIPT
    completer=$(complete -p reco | sed 's/.*-F \\([^ ]*\\) .*/\\1/')
    COMP_WORDS=({" ".join(words)}); COMP_CWORD={len(words) - 1}
    COMP_LINE={line!r}; COMP_POINT={len(line)}
    $completer {words[0]} {words[-1]} {words[-2]}
    printf '%s\\n' "${{COMPREPLY[@]}}"
    """
    run = subprocess.run(["bash", "-c", ask], capture_output=True, text=True, check=False, env=env)
    assert (run.returncode, run.stderr) == (0, "")
    return set(run.stdout.split())


@pytest.mark.skipif(shutil.which("zsh") is None, reason="there is no zsh here")
def test_zsh_takes_the_completion() -> None:
    script = plain("completion", "zsh").stdout
    lines = f"autoload -U compinit; compinit -u -D; eval {shlex.quote(script)}; print $_comps[reco]"
    run = subprocess.run(["zsh", "-fc", lines], capture_output=True, text=True, check=False)
    assert (run.returncode, run.stderr) == (0, "") and "reco" in run.stdout


# --- clean


def on_terminal(project: Project, answer: str, *words: str) -> tuple[int, str]:
    """Runs the tool at a terminal where a person answers."""
    ours, theirs = pty.openpty()
    pairs = [f"{key}={value}" for key, value in QUICK.items()]
    process = subprocess.Popen(
        [*RECO, *words, "--config", *pairs],
        cwd=project.root, env=project.environment({"PYTHONPATH": "src"}), stdin=theirs,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    os.write(ours, answer.encode())
    said, _ = process.communicate(timeout=120)
    os.close(theirs)
    os.close(ours)
    return process.returncode, said


def test_clean_lists_asks_and_removes_only_what_the_pipeline_made(built: Project) -> None:
    lakehouse, before = built.lakehouse(), built.receipts()
    code, said = on_terminal(built, "n\n", "clean")
    assert code == 1 and "Remove all this? [y/N]" in said and "nothing was removed" in said
    assert re.search(r"\d kB  silver/ratings", said) and re.search(r"\d [kM]B  total", said)
    refused = built.reco("clean")
    assert refused.code == 2 and "there is no terminal" in refused.output
    with (lakehouse / ".lock").open("a+") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        held = built.reco("clean", "--yes")
        assert held.code == 1 and "another run holds results/small" in held.output
        checked = built.reco("validate")
        assert checked.code == 1 and "a run is in progress in results/small" in checked.output
        assert "[ERROR]" in checked.output and checked.output.count("[ERROR]") == 1
        assert not json.loads(built.reco("validate", "--json").stdout)["passed"]
        assert "a run is in progress" in built.reco("status").output
    wrong = built.reco("clean", "--yes", dataset="other", lakehouse="results/small")
    assert wrong.code == 2 and "holds the data set small, and dataset is other" in wrong.output
    assert built.receipts() == before

    code, said = on_terminal(built, "y\n", "clean", "--layer", "gold")
    assert code == 0, said
    assert {name.split("/")[0] for name in before.keys() - built.receipts().keys()} == {"gold", "reports"}
    assert not (lakehouse / "gold").exists()
    again = built.gold()
    assert built.receipts() == before, "the same comes out"
    assert "silver_ratings" not in again.worked
    (lakehouse / "notes.txt").write_text("mine")
    run = built.reco("clean", "--yes")
    assert run.code == 0 and "left, as not made by it: notes.txt" in run.output
    assert [path.name for path in lakehouse.iterdir() if path.name != ".lock"] == ["notes.txt"]
    assert built.reco("clean", "--yes", lakehouse="results/none").code == 0


# --- retention


def test_prune_keeps_the_newest_versions_and_all_that_receipts_name(built: Project) -> None:
    data = built.path("data/ratings.csv").read_text("utf-8").splitlines(keepends=True)
    built.gold(rank=5)
    built.path("data/ratings.csv").write_text("".join(data[:-30]), "utf-8")
    built.gold(rank=6)
    built.path("data/ratings.csv").write_text("".join(data), "utf-8")
    built.gold()  # back to the first: the current version is the oldest, and Delta's newest a restored one
    before = built.receipts()
    three = built.reco("prune", retain_versions=3)
    assert "Model versions that go:   none" in three.output
    assert "everything is kept" in built.reco("prune").output
    listed = built.reco("prune", retain_versions=1)
    assert listed.code == 0 and "nothing was removed; --yes removes it" in listed.output
    assert len(list(built.lakehouse().glob("gold/models/als/[!._]*"))) == 3
    run = built.reco("prune", "--yes", retain_versions=1)
    assert run.code == 0, run.output
    lakehouse = built.lakehouse()
    for pattern in ("gold/models/als/[!._]*", "gold/baselines/als_plain/[!._]*", "gold/metrics/run_metrics_*.json",
                    "gold/metrics/run_metrics_*.csv", "gold/metrics/_evaluation/evaluation_*.json",
                    "gold/metrics/_gate/gate_*.json", "reports/*.html"):  # fmt: skip
        assert len(list(lakehouse.glob(pattern))) == 1, pattern
    for table in ("silver/ratings", "gold/interactions", "gold/recommendations_als"):
        left = {path for path in (lakehouse / table).rglob("*.parquet") if "_delta_log" not in path.parts}
        assert len(DeltaTable(str(lakehouse / table)).file_uris()) == len(left), table
    assert built.receipts() == before
    assert built.reco("validate", "--deep").code == 0
    assert "Nothing to be done" in built.gold().output
    status = built.status(rank=5)
    assert "works" in {one["state"] for one in status["steps"] if one["step"] == "train_als"}, "its memo went"
    again = built.gold(rank=5)
    assert foreseen(status, again) and {"train_als", "train_plain"} <= again.worked


# --- the environment, by the tool and by Snakemake

GOOD = {
    "STORAGE_FORMAT": "parquet", "MLFLOW_TRACKING_URI": "http://127.0.0.1:9", "ALS_RANK": "33", "ALS_MAX_ITER": "7",
    "ALS_REG_PARAM": "0.25", "ALS_COLD_START_STRATEGY": "nan", "TOP_N": "3", "RECO_SPARK_CONF": "spark.a=1",
}  # fmt: skip
BAD = {
    "STORAGE_FORMAT": "orc", "MLFLOW_TRACKING_URI": "ftp://store", "ALS_RANK": "0", "ALS_MAX_ITER": "many",
    "ALS_REG_PARAM": "-1", "ALS_COLD_START_STRATEGY": "keep", "TOP_N": "1001", "RECO_SPARK_CONF": "nonsense",
}  # fmt: skip
BY_VARIABLE_ALONE = {"rank": None, "max_iter": None, "tracking": None}


def test_every_variable_has_a_good_and_a_bad_value_here() -> None:
    assert GOOD.keys() == BAD.keys() == ENVIRONMENT.keys() - {"LAKEHOUSE_PATH"}


def test_variables_reach_the_tool(built: Project, tmp_path: Path) -> None:
    env = {key: value for key, value in GOOD.items() if key != "STORAGE_FORMAT"}
    found = built.status(env=env, **BY_VARIABLE_ALONE)
    why = {one["step"]: " ".join(one["why"]) for one in found["steps"]}
    for text in ("rank 4 -> 33", "max_iter 3 -> 7", "reg_param 0.1 -> 0.25"):
        assert text in why["train_als"]
    assert "top_n 10 -> 3" in why["recommend"]
    assert "cold_start_strategy drop -> nan" in why["evaluate"]
    assert "mlflow_tracking_uri None -> sha256:" in why["gate"]
    places = ({}, {"STORAGE_FORMAT": "parquet"}, {"LAKEHOUSE_PATH": str(tmp_path / "lake")})
    houses = [built.status(env=one)["lakehouse"] for one in places]
    assert houses == ["results/small", "results/small-parquet", str(tmp_path / "lake")]
    assert not built.lakehouse("small-parquet").exists() and not (tmp_path / "lake").exists(), "status makes nothing"
    first = built.status(env={"ALS_RANK": "33"}, rank=4)
    assert not first["stale"], "--config comes before a variable"
    built.path("config/config.yaml").write_text("rank: 9\nmax_iter: 3\n", "utf-8")
    for env, said in (({}, "rank 4 -> 9"), ({"ALS_RANK": "8"}, "rank 4 -> 8"), ({"ALS_RANK": ""}, "rank 4 -> 9")):
        found = built.status(env=env, rank=None, max_iter=None)
        assert said in [reason for one in found["steps"] if one["step"] == "train_als" for reason in one["why"]]


def test_variables_reach_snakemake(built: Project, tmp_path: Path) -> None:
    env = {**GOOD, "LAKEHOUSE_PATH": str(tmp_path / "lake")}
    run = built.snakemake("-n", "-p", env=env, **BY_VARIABLE_ALONE)
    assert run.code == 0, run.output
    keys = ("rank", "max_iter", "reg_param", "cold_start_strategy", "top_n", "storage_format")
    values = load_config({}, GOOD).shaping()
    for key in (*keys, "mlflow_tracking_uri"):
        assert f"{json.dumps(key)}:{json.dumps(values[key])}" in run.output, key
    assert str(tmp_path / "lake/gold/interactions.receipt.json") in run.output
    given = built.snakemake("-n", "-p", env=env, rank=11, max_iter=None, top_n=4, lakehouse="results/other")
    assert '"rank":11' in given.output and '"max_iter":7' in given.output and '"top_n":4' in given.output
    assert "results/other/gold" in given.output and str(tmp_path / "lake") not in given.output


@pytest.mark.parametrize("way", ["tool", "snakemake"])
def test_a_bad_variable_is_named_and_nothing_runs(built: Project, way: str) -> None:
    before = built.journals()

    def run(env: dict[str, str]) -> Run:
        if way == "tool":
            return built.reco("train", "--run", "--cores", "2", env=env, **BY_VARIABLE_ALONE)
        return built.snakemake(env=env, **BY_VARIABLE_ALONE)

    several = run(BAD)
    lists = run({"ALS_RANK": "10,50"})
    place = run({"LAKEHOUSE_PATH": "config/config.yaml"})
    assert [one.code for one in (several, lists, place)] == [2, 2, 2]
    for variable, value in BAD.items():
        key = ENVIRONMENT[variable]
        line = f"{key}={redact_value(key, value)!r} (from environment variable {variable}) is not allowed: "
        assert line in several.output
    assert "rank=10,50 (from environment variable ALS_RANK) is a list" in lists.output
    assert "lakehouse=config/config.yaml (from environment variable LAKEHOUSE_PATH): " in place.output
    assert "Traceback" not in several.output + lists.output + place.output
    assert built.journals() == before


# --- a lakehouse elsewhere


def test_the_designs_layout_is_all_there_under_lakehouse_path_and_status_knew(built: Project, tmp_path: Path) -> None:
    lake = tmp_path / "data"
    env = {"LAKEHOUSE_PATH": str(lake)}
    status = built.status(env=env)
    assert {one["state"] for one in status["steps"]} == {"works"}
    shutil.rmtree(built.lakehouse())
    run = built.gold(env=env)
    (journal,) = [path for path in (lake / "_runs").glob("*.jsonl") if "." not in path.stem]
    events = [json.loads(line) for line in journal.read_text("utf-8").splitlines()]
    assert foreseen(status, replace(run, events=events))
    assert not built.lakehouse().exists()
    version = json.loads((lake / "gold/models/als.receipt.json").read_text("utf-8"))["facts"]["model_version"]
    for name in ("ratings", "movies", "tags"):
        assert (lake / f"bronze/movielens/small/{name}.csv").is_file()
        assert DeltaTable(str(lake / f"silver/{name}")).to_pyarrow_table().num_rows
        assert DeltaTable(str(lake / f"silver/_quarantine/{name}")).version() == 0
        assert (lake / f"silver/_reports/quality_{name}_small.json").is_file()
    assert (lake / "silver/_reports/etl_bronze_to_silver_report_small.json").is_file()
    for name in ("silver/ratings", "silver/tags"):
        assert list(lake.glob(f"{name}/year=*/month=*/*.parquet"))
    for name in ("gold/interactions", "gold/recommendations_als"):
        assert DeltaTable(str(lake / name)).to_pyarrow_table().num_rows
    assert {path.name for path in (lake / "gold/models/als" / version).iterdir()} >= {"userFactors", "itemFactors"}
    assert (
        json.loads((lake / f"gold/metrics/run_metrics_{version}.json").read_text("utf-8"))["model_version"] == version
    )
    assert (lake / f"reports/{version}.html").is_file()
    assert not built.status(env=env)["stale"]
    assert built.reco("validate", "--deep", env=env).code == 0
