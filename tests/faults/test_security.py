"""Nobody is let in: hostile files run nothing, programs listen here alone, secrets stay secret, packages are pinned."""

from __future__ import annotations

import json
import re
import shutil
import stat
import subprocess
import sys
import threading
import tomllib
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from reco_platform.config.load import load_config
from reco_platform.config.secrets import SECRET, redact_word
from reco_platform.core.errors import DataError, EnvironmentProblemError, RecoError
from reco_platform.datasets import registry as datasets
from reco_platform.engine import journal
from reco_platform.lakehouse import receipts
from reco_platform.models.als import model
from reco_platform.pipeline import workflow
from reco_platform.spark import cluster, jars
from reco_platform.tuning import data as sweep_data
from support import hostile
from support.builders import umask
from support.listening import sockets
from support.project import BUILT_UMASK, ROOT, Project, kill_group

sys.path.insert(0, str(ROOT / "tools"))
import audit
import bootstrap

# --- secrets, addresses and permissions, in one run with everything

HUSH = "hush8f3a"
"""Stands in every secret."""

SECRET_SETTINGS = {
    "spark.hadoop.fs.s3a.secret.key": HUSH,
    "spark.hadoop.fs.azure.account.key.x": HUSH,
    "spark.my.keystore.password": HUSH,
    "spark.my.options": f"-Dpassword={HUSH}",
    "spark.my.address": f"https://me:{HUSH}/@host/x",
    "spark.my.signed": f"https://host/x?sig={HUSH}",
}
SEEN_SETTINGS = {"spark.ui.enabled": "true", "spark.ui.port": "0", "spark.eventLog.compress": "false"}
SECRET_VARIABLES = ("MLFLOW_TRACKING_TOKEN", "AWS_SECRET_ACCESS_KEY")


class Watch(threading.Thread):
    """Looks again and again at the command lines of this machine, and at what a process and its children listen at."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.pid, self.over = pid, threading.Event()
        self.commands: set[bytes] = set()
        self.heard: set[tuple[str, int]] = set()

    def run(self) -> None:
        looks = 0
        while not self.over.wait(0.1):
            for path in Path("/proc").glob("[0-9]*/cmdline"):
                with suppress(OSError):
                    self.commands.add(path.read_bytes())
            looks += 1
            if looks % 10 == 0:
                self.heard |= sockets(self.pid)


def modes(root: Path) -> dict[Path, int]:
    return {path: stat.S_IMODE(path.lstat().st_mode) for path in root.rglob("*") if not path.is_symlink()}


def times(root: Path) -> dict[Path, int]:
    return {path: path.lstat().st_mtime_ns for path in root.rglob("*") if ".snakemake" not in path.parts}


@pytest.mark.pipeline
@pytest.mark.xdist_group("mlflow")
def test_no_secret_is_seen_nothing_listens_elsewhere_and_files_are_the_users_own(
    built: Project, mlflow_server: str, mlflow_folder: Path
) -> None:
    for path in (built.lakehouse() / "silver/tags").rglob("*"):
        if path.is_file():
            path.unlink()
    built.edit(
        "src/reco_platform/tracking/client.py", "SERVER_SECONDS = 8.0", "SERVER_SECONDS = 300.0"
    )  # time is no matter here
    before = times(built.root)
    env = {
        "MLFLOW_HTTP_REQUEST_TIMEOUT": "100",
        "MLFLOW_TRACKING_URI": mlflow_server.replace("://", f"://me:{HUSH}@"),
        "RECO_SPARK_CONF": ",".join(f"{name}={value}" for name, value in {**SECRET_SETTINGS, **SEEN_SETTINGS}.items()),
        **dict.fromkeys(SECRET_VARIABLES, HUSH),
    }
    asked = {"etl_engine": "spark", "spark_event_logs": "true", "tracking": "true", "registered_model": "hushed"}
    command = built.command("gold", "--forcerun", "silver_tags", **asked)
    with umask(0o077):
        run = subprocess.Popen(
            command, cwd=built.root, env=built.environment(env), text=True, start_new_session=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
    watch = Watch(run.pid)
    watch.start()
    try:
        output, _ = run.communicate(timeout=600)
    finally:
        watch.over.set()
        watch.join()
        kill_group(run)
    assert run.returncode == 0 and "[WARNING] not logged to MLflow" not in output, output

    for name in (b"SparkSubmit", b"reco_platform.tracking.mlflow_worker"):
        assert any(name in line for line in watch.commands)
    assert not [line for line in watch.commands if HUSH.encode() in line]
    assert len(watch.heard) > 3 and {address for address, _ in watch.heard} == {"127.0.0.1"}

    assert HUSH not in output
    files = [path for root in (built.root, mlflow_folder) for path in root.rglob("*") if path.is_file()]
    (private,) = [path for path in files if HUSH.encode() in path.read_bytes()]
    assert private.parent == built.path(".cache/spark") and stat.S_IMODE(private.stat().st_mode) == 0o600
    events = built.lakehouse() / "_spark-events"
    (log,) = events.glob("*/events_*")
    text = log.read_text("utf-8")
    assert all(f'"{name}":"*********(redacted)"' in text for name in SECRET_SETTINGS)
    assert '"spark.authenticate":"true"' in text and '"spark.ui.enabled":"true"' in text

    made = [path for path, when in times(built.root).items() if before.get(path) != when and events not in path.parents]
    assert events in made and not before.keys() >= set((built.lakehouse() / "silver/tags").rglob("*.parquet"))
    assert not {
        path: mode for path in made if (mode := stat.S_IMODE(path.lstat().st_mode)) & 0o077 and path not in before
    }


@pytest.mark.pipeline
def test_files_have_the_permissions_that_the_umask_gives(built_run: tuple[Project, Any]) -> None:
    made = modes(built_run[0].lakehouse())
    assert {mode for path, mode in made.items() if path.is_dir()} == {0o777 & ~BUILT_UMASK}
    assert {mode for path, mode in made.items() if path.is_file()} == {0o666 & ~BUILT_UMASK}


# --- files that come from outside


def folder_of(file: Path) -> Path:
    """The folder of a model both of whose sides are this file."""
    for side in ("userFactors", "itemFactors"):
        (file.parent / "model" / side).mkdir(parents=True)
        shutil.copy(file, file.parent / "model" / side / "part-0.parquet")
    return file.parent / "model"


def sweep_data_of(file: Path) -> Path:
    """The folder of a sweep's data, each of whose arrays is this file."""
    for fold in sweep_data.FOLDS:
        for column in sweep_data.COLUMNS:
            shutil.copy(file, file.with_name(f"{fold}_{column}.npy"))
    return file.parent


READERS: dict[str, tuple[Callable[[Path], Any], Any]] = {
    "config": (lambda path: load_config({}, {}, path), "is not YAML|unknown key"),
    "configfile": (lambda path: workflow.prepare(workflow.overrides([], [str(path)])), "is not YAML|unknown key"),
    "datasets": (datasets.load_registry, "is not YAML|expected"),
    "receipt": (receipts.read, "is not a receipt"),
    "journal": (journal.read, []),
    "cluster": (lambda path: cluster.read_local_cluster(path.rename(path.with_name("cluster.json")).parent), None),
    "sweep data": (
        lambda path: sweep_data.read_folds(sweep_data_of(path)),
        r"is not an array of numbers \(ValueError\)",
    ),
    "model": (lambda path: model.factors_problem(folder_of(path), "0123"), r"cannot be read (ArrowInvalid)"),
}
"""How each kind of file is read, and what comes of a hostile one: the message of an error, or what is read."""


@pytest.mark.parametrize("kind", hostile.KINDS)
@pytest.mark.parametrize("reader", READERS)
def test_no_file_from_outside_runs_a_program(tmp_path: Path, reader: str, kind: str) -> None:
    mark, file = tmp_path / "ran", tmp_path / "folder" / "file"
    file.parent.mkdir()
    file.write_bytes(hostile.KINDS[kind](mark))
    read, expected = READERS[reader]
    try:
        assert read(file) == expected
    except RecoError as error:
        assert re.search(expected, error.message) and error.hint
    assert not mark.exists()


def test_the_hostile_files_are_hostile(tmp_path: Path) -> None:
    for number, harm in enumerate(hostile.HARM):
        mark = tmp_path / str(number)
        with suppress(Exception):
            harm(mark)
        assert mark.exists(), number


def fingerprints(project: Project) -> dict[str, str]:
    return {path: json.loads(text)["fingerprint"] for path, text in project.receipts().items()}


@pytest.mark.pipeline
def test_hostile_files_in_a_lakehouse_run_nothing_and_are_made_anew(built: Project, tmp_path: Path) -> None:
    mark, lakehouse, before = tmp_path / "ran", built.lakehouse(), fingerprints(built)
    victims = [
        lakehouse / "silver/movies.receipt.json",
        *(lakehouse / "silver/movies/_memo").glob("*.json"),
        *(lakehouse / "silver/tags/_manifests").glob("*.json"),
        lakehouse / "silver/ratings.provenance.json",
        *(lakehouse / "_runs").iterdir(),
        lakehouse / "config.resolved.json",
        lakehouse / "gold/metrics/_table/run_metrics.receipt.json",
    ]
    for path in victims:
        path.write_bytes(hostile.pickled(mark))
    (side,) = lakehouse.glob("gold/models/als/*/userFactors/*.parquet")
    side.write_bytes(hostile.npy(mark))
    for words in (("status",), ("explain",), ("validate", "--deep")):
        said = built.reco(*words)
        assert "Traceback" not in said.output, said.output
    assert said.code == 1 and side.name in said.output
    run = built.gold("gold", "--forcerun", "train_als", "silver_tags")
    assert "Traceback" not in run.output and not mark.exists()
    assert {"silver_movies", "silver_tags", "train_als"} <= run.worked
    assert fingerprints(built) == before
    assert built.reco("validate", "--deep").code == 0


# --- packages, jars and rules

LOCKS = sorted(Path(ROOT, "envs").glob("*.txt"))


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.name)
def test_every_package_of_a_lock_is_pinned_by_version_and_hash_and_has_no_address(lock: Path) -> None:
    entries = re.sub(r"\\\n", "", re.sub(r"^\s*#.*\n", "", lock.read_text("utf-8"), flags=re.MULTILINE)).splitlines()
    assert len(entries) > (0 if lock.stem == "setup" else 3)
    for entry in entries:
        assert re.fullmatch(r"[\w.\[\]-]+==[\w.+!]+( ; [^#@]+?)?( +--hash=sha256:[0-9a-f]{64})+ *", entry), entry


REFUSALS = {
    "pip": ("DO NOT MATCH THE HASHES", "Hashes are required"),
    "uv": ("Hash mismatch", "all requirements must have a hash"),
}


@pytest.mark.parametrize("installer", REFUSALS)
def test_set_up_installs_only_what_the_locks_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, installer: str
) -> None:
    lock = tmp_path / "lock.txt"
    with zipfile.ZipFile(tmp_path / "one-1.0-py3-none-any.whl", "w") as wheel:
        wheel.writestr("one.py", "")
        wheel.writestr("one-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: one\nVersion: 1.0\n")
        wheel.writestr("one-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr("one-1.0.dist-info/RECORD", "one.py,,\n")
    monkeypatch.setitem(bootstrap.LOCKS, ".venv", (str(lock),))
    if installer == "uv":
        uv = next(Path(ROOT, bootstrap.UV_FOLDER).glob("*/bin/uv"), None)
        if uv is None:
            pytest.skip("set-up could not install uv on this machine")
        command = bootstrap.uv_install(str(uv), ".venv")
    else:
        command = bootstrap.pip_install(".venv")
    offline = ["--no-index", "--find-links", str(tmp_path), "--target", str(tmp_path / "into")]
    for pinned, refused in zip((f" --hash=sha256:{'0' * 64}", ""), REFUSALS[installer], strict=True):
        lock.write_text(f"one==1.0{pinned}\n", "utf-8")
        ran = subprocess.run([*command, *offline], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ran.returncode != 0 and refused in ran.stderr, ran.stderr
    assert not list((tmp_path / "into").glob("one*"))


def test_uv_gets_the_indexes_of_pip_as_environment_variables() -> None:
    said = """\
global.extra-index-url='https://me:secret@one/simple\\nhttps://two/simple'
global.index-url='https://of-a-file/simple'
install.no-index='false'
list.format='columns'
:env:.find-links='/wheels /more'
:env:.index-url='https://of-the-environment/simple'
"""
    assert bootstrap.uv_variables(said) == {
        "UV_INDEX": "https://me:secret@one/simple https://two/simple",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_DEFAULT_INDEX": "https://of-the-environment/simple",
        "UV_NO_INDEX": "false",
        "UV_FIND_LINKS": "/wheels,/more",
    }
    assert bootstrap.uv_variables("") == {}


def test_a_jar_with_one_bit_flipped_is_refused_and_fetched_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "jars"
    folder.mkdir()
    for path in jars.verified_jars():
        shutil.copy(path, folder)
    victim = jars.verified_jars(folder)[1]
    good = victim.read_bytes()
    victim.write_bytes(bytes([good[0] ^ 1]) + good[1:])
    with pytest.raises(EnvironmentProblemError, match=f"{victim.name} does not have the sha256") as caught:
        jars.verified_jars(folder)
    assert caught.value.hint == ".venv/bin/python -m reco_platform.spark.jars"
    evil = Path(shutil.move(victim, tmp_path / "evil.jar"))
    for source in (evil, jars.JARS / victim.name):  # what Maven Central would send
        monkeypatch.setattr(jars, "download_jar", lambda one, into, it=source: Path(shutil.copy(it, into / one.name)))
        if source == evil:
            with pytest.raises(DataError, match=f"{victim.name} has sha256"):
                jars.download_jars(folder)
            assert not victim.exists()
    assert jars.download_jars(folder) == jars.verified_jars(folder)


def test_each_rule_of_security_that_is_not_followed_says_why() -> None:
    rules = tomllib.loads(Path(ROOT, "pyproject.toml").read_text("utf-8"))["tool"]["ruff"]["lint"]
    assert {"S", "RUF", "PGH004"} <= set(rules["select"]), "with RUF100 and PGH004 each noqa names a rule and is needed"
    assert not {"S", "RUF100", "PGH004"} & set(rules["ignore"])
    assert [rule for rule in rules["ignore"] if rule.startswith("S")] == ["S603"]
    for folder in ("src", "scripts", "tools", "airflow", "benchmarks", "tests"):
        for path in Path(ROOT, folder).rglob("*.py"):
            for line in path.read_text("utf-8").splitlines():
                found = re.search(r"# noqa: ((?:[A-Z]+\d+(?:, )?)+)(.*)", line)
                if found and re.search(r"\bS\d{3}\b", found[1]):
                    assert re.match(r" *(#|-) *\w[\w ]{3}", found[2]), f"{path}: {line}"


def test_an_audit_is_passed_only_if_every_package_was_looked_up() -> None:
    fine = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2", "vulns": [{"id": "CVE-1", "fix_versions": ["3"]}]}
    skipped = {"name": "c", "skip_reason": "not found on PyPI"}
    assert audit.verdict([fine, fine]) == "[audit] 2 packages, no known vulnerability"
    with pytest.raises(DataError, match="b 2: CVE-1, mended in 3"):
        audit.verdict([fine, bad, skipped])
    for packages in ([fine, skipped], []):
        with pytest.raises(EnvironmentProblemError, match="could not be looked up"):
            audit.verdict(packages)


def test_make_starts_mlflow_for_this_machine_alone() -> None:
    told = subprocess.run(["make", "-n", "mlflow"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    assert "mlflow server --host 127.0.0.1 " in told


# --- what is shown


def test_what_spark_hides_is_what_the_project_hides() -> None:
    defaults = cluster.read_properties(Path(ROOT, cluster.DEFAULT_PROPERTIES))
    assert defaults["spark.redaction.regex"] == f"(?i){SECRET.pattern}|://[^ ]*(@|[?][^ ]*=)"


@pytest.mark.parametrize(
    ("word", "shown"),
    [
        ("rank=4", "rank=4"),
        ("dataset_path=a?b=c", "dataset_path=a?b=c"),
        ("mlflow_tracking_uri=http://me:hush@h/?a=hush", "mlflow_tracking_uri=http://***@h/?***"),
        ("spark_conf=spark.a=1,spark.b.password=hush,x,y=hush", "spark_conf=spark.a=1,spark.b.password=***,y=***"),
        ('spark_conf={"spark.a": "http://me:hush@h"}', "spark_conf=spark.a=http://***@h"),
        ("--config=spark_conf=hush", "--config=spark_conf=***"),
        ("-Cspark_conf=spark.x.token=hush", "-Cspark_conf=spark.x.token=***"),
        ("https://me:hu/sh@host", "https://***@host"),
    ],
)
def test_no_word_of_a_command_line_shows_a_secret(word: str, shown: str) -> None:
    assert redact_word(word) == shown


def test_no_message_shows_the_secret_in_a_list() -> None:
    with pytest.raises(RecoError) as caught:
        load_config({"mlflow_tracking_uri": ["http://me:hush@h"], "spark_conf": ["spark.x.token=hush"]}, {})
    assert "hush" not in str(caught.value)
