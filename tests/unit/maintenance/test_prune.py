"""What `prune` keeps: the newest runs, their inputs, and everything that a kept receipt names."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from deltalake import DeltaTable

from reco_platform.engine.task import LAST, memo_folder
from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.lakehouse import layout, manifests, publish, receipts, tables
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.maintenance import clean
from reco_platform.maintenance import prune as retention
from reco_platform.pipeline.steps_table import STEP_OF, artifact_of
from reco_platform.store import atomic_write
from support.builders import publish_ratings, ratings_table, sorted_rows


def content_of(name: str, version: str) -> str:
    return STEP_OF[name].content_path(STEP_OF[name].artifact, "small", version)


@pytest.fixture
def lakehouse(tmp_path: Path) -> Lakehouse:
    return Lakehouse(str(tmp_path / "lake"), "small")


def remember(lakehouse: Lakehouse, name: str, receipt: Receipt, digest: str) -> Receipt:
    """Files a receipt in the memo; for a file also its content."""
    folder = memo_folder(STEP_OF[name], lakehouse.folder, artifact_of(name, lakehouse.dataset))
    atomic_write.write_text(folder / f"{digest}.json", receipt.text())
    if receipt.kind == "file":
        atomic_write.write_bytes(folder / f"{digest}.payload", (lakehouse.folder / receipt.path).read_bytes())
    atomic_write.write_text(folder / f"{LAST}.json", receipt.text())
    atomic_write.write_text(lakehouse.receipt(receipt.artifact), receipt.text())
    return receipt


def ratings(lakehouse: Lakehouse, first_user: int) -> Receipt:
    """A version of the ratings, current and in the memo."""
    table = replace(publish_ratings(lakehouse.folder, ratings_table(first_user)), made_from={"step": "silver_ratings"})
    return remember(lakehouse, "ratings", table, f"r{first_user}")


def run(lakehouse: Lakehouse, version: str, moment: str, table: Receipt) -> Receipt:
    """A run of a model version: interactions, a model folder and metrics, current and in the memo."""
    made = {"step": "interactions", "inputs": {"ratings": table.content_identity}}
    rows = publish_ratings(
        lakehouse.folder, ratings_table(10 * int(table.version or 0) + 500), path=STEP_OF["interactions"].artifact
    )
    rows = remember(lakehouse, "interactions", replace(rows, made_from=made), f"i{version}")
    path = content_of("model", version)
    staging = publish.create_staging_folder(lakehouse.folder / path)
    (staging / "factors.parquet").write_text(version, encoding="utf-8")
    publish.publish_folder(staging, lakehouse.folder / path, fingerprint=version, rows=1)
    made = {"step": "train_als", "inputs": {"interactions": rows.content_identity}}
    facts = {"model_version": version}
    model = Receipt(STEP_OF["model"].artifact, "model", path, fingerprint=version, facts=facts, made_from=made)
    model = remember(lakehouse, "model", model, f"m{version}")
    text = json.dumps({"model_version": version, "served_version": version, "execution_ts": moment})
    atomic_write.write_text(lakehouse.folder / content_of("run_metrics", version), text)
    made = {"step": "run_metrics", "inputs": {"model": model.full_identity, "interactions": rows.full_identity}}
    found = file_fingerprint(lakehouse.folder / content_of("run_metrics", version))
    metrics = Receipt(
        STEP_OF["run_metrics"].artifact,
        "file",
        content_of("run_metrics", version),
        "json",
        fingerprint=found,
        facts=facts,
        made_from=made,
    )
    return remember(lakehouse, "run_metrics", metrics, f"x{version}")


def there(lakehouse: Lakehouse, pattern: str) -> list[str]:
    return sorted(path.stem for path in lakehouse.folder.glob(pattern))


def prune(lakehouse: Lakehouse, keep: int) -> retention.Plan:
    plan = retention.plan(lakehouse, keep)
    clean.remove(lakehouse, plan.removals)
    return plan


def test_the_newest_runs_are_kept_with_their_inputs(lakehouse: Lakehouse) -> None:
    for number, day in ((1, "2020-01-01"), (2, "2020-01-03"), (3, "2020-01-02"), (4, "2020-01-04")):
        run(lakehouse, f"v{number}", day, ratings(lakehouse, number))
    before = {path: path.read_bytes() for path in lakehouse.folder.rglob("*") if path.is_file()}
    plan = retention.plan(lakehouse, 2)
    assert (plan.kept, plan.dropped) == (("v4", "v2"), ("v3", "v1"))
    assert before == {path: path.read_bytes() for path in lakehouse.folder.rglob("*") if path.is_file()}, "only a plan"
    prune(lakehouse, 2)
    assert there(lakehouse, "gold/models/als/[!._]*") == ["v2", "v4"]
    assert there(lakehouse, "gold/metrics/run_metrics_*.json") == ["run_metrics_v2", "run_metrics_v4"]
    assert there(lakehouse, "silver/ratings/_memo/*.json") == ["last", "r2", "r3", "r4"], (
        "r2 by its run, the newest two"
    )
    assert there(lakehouse, "gold/models/als/_memo/*.json") == ["last", "mv2", "mv4"]
    assert there(lakehouse, "gold/metrics/_memo/run_metrics/*") == ["last", "xv2", "xv2", "xv4", "xv4"]
    for path in lakehouse.folder.rglob("_memo/**/*.json"):
        receipt = receipts.read(path)
        assert tables.content_problem(lakehouse.folder, receipt, thorough=True) is None, path
    assert retention.plan(lakehouse, 2).removals == ()


def test_lists_of_popular_movies_stay_with_the_run_that_served_them(lakehouse: Lakehouse) -> None:
    for number in (1, 2, 3):
        run(lakehouse, f"v{number}", f"2020-01-0{number}", ratings(lakehouse, number))
        table = publish_ratings(Path(lakehouse.root), ratings_table(100 * number), path=STEP_OF["fallback"].artifact)
        facts = {"model_version": f"popular-90d-v{number}"}
        remember(lakehouse, "fallback", replace(table, facts=facts, made_from={"step": "fallback"}), f"f{number}")
    prune(lakehouse, 2)
    assert there(lakehouse, "gold/recommendations_fallback/_memo/*.json") == ["f2", "f3", "last"]
    assert there(lakehouse, "gold/recommendations_fallback/_manifests/*.json") == ["1", "2"]


def test_the_current_version_is_kept_however_old_it_is(lakehouse: Lakehouse) -> None:
    table = ratings(lakehouse, 1)
    old = run(lakehouse, "v1", "2020-01-01", table)
    model = receipts.read(lakehouse.receipt(STEP_OF["model"].artifact))
    run(lakehouse, "v2", "2020-01-02", table)
    for receipt in (old, model):  # gone back to the first
        atomic_write.write_text(lakehouse.receipt(receipt.artifact), receipt.text())
    for path in (
        lakehouse.folder / "gold/models/als/_memo/last.json",
        lakehouse.folder / "gold/metrics/_memo/run_metrics/last.json",
    ):
        atomic_write.write_text(path, (model if "models" in str(path) else old).text())
    plan = prune(lakehouse, 1)
    assert (plan.kept, plan.dropped) == (("v1",), ("v2",))
    assert there(lakehouse, "gold/models/als/[!._]*") == ["v1"]


def test_files_of_kept_versions_are_kept_even_after_a_return_to_earlier_settings(lakehouse: Lakehouse) -> None:
    root = lakehouse.folder
    first, second, third = ratings(lakehouse, 1), ratings(lakehouse, 2), ratings(lakehouse, 3)
    publish.restore_head(root, first)  # version 3, with the files of version 0
    atomic_write.write_text(lakehouse.receipt("silver/ratings"), first.text())
    memo = lakehouse.folder / "silver/ratings/_memo"
    atomic_write.write_text(memo / "last.json", first.text())
    atomic_write.write_text(
        memo / "again.json", replace(first, made_from={"step": "silver_ratings", "code": "x"}).text()
    )
    prune(lakehouse, 1)
    assert there(lakehouse, "silver/ratings/_manifests/*.json") == ["0", "3"]
    assert there(lakehouse, "silver/ratings/_memo/*.json") == ["again", "last", "r1"], "one content, two ways to it"
    assert tables.content_problem(root, first, thorough=True) is None
    delta = DeltaTable(str(lakehouse.folder / "silver/ratings"))
    assert sorted_rows(delta.to_pyarrow_table()) == sorted_rows(ratings_table(1))
    for gone in (second, third):
        assert "no longer contains" in str(tables.content_problem(root, gone))
    fourth = publish_ratings(root, ratings_table(4))
    assert fourth.version == 4
    publish.restore_head(root, first)
    assert tables.content_problem(root, first) is None


def test_the_newest_version_is_kept_even_if_no_receipt_names_it(lakehouse: Lakehouse) -> None:
    first = ratings(lakehouse, 1)
    publish_ratings(lakehouse.folder, ratings_table(2))
    publish_ratings(lakehouse.folder, ratings_table(3))
    prune(lakehouse, 1)
    assert there(lakehouse, "silver/ratings/_manifests/*.json") == ["0", "2"]
    assert sorted_rows(DeltaTable(str(lakehouse.folder / "silver/ratings")).to_pyarrow_table()) == sorted_rows(
        ratings_table(3)
    )
    assert tables.content_problem(lakehouse.folder, first) is None


def test_rejected_rows_are_kept_with_the_tables_that_name_them(lakehouse: Lakehouse) -> None:
    root = lakehouse.folder
    rejected = [
        publish_ratings(root, ratings_table(number), path=layout.quarantine("ratings")) for number in (11, 12, 13)
    ]
    table = ratings(lakehouse, 1)
    remember(lakehouse, "ratings", replace(table, facts={"quarantine_fingerprint": rejected[0].fingerprint}), "r1")
    prune(lakehouse, 1)
    assert there(lakehouse, "silver/_quarantine/ratings/_manifests/*.json") == ["0", "2"], (
        "that of the receipt, the newest"
    )


def test_an_entry_with_lost_content_is_removed_so_that_it_is_rebuilt(lakehouse: Lakehouse) -> None:
    ratings(lakehouse, 1)
    second = ratings(lakehouse, 2)
    victim = next((lakehouse.folder / "silver/ratings").rglob("part-00000*.parquet"))
    victim.unlink()
    prune(lakehouse, 2)
    assert there(lakehouse, "silver/ratings/_memo/*.json") == ["last", "r2"]
    assert tables.content_problem(lakehouse.folder, second) is None


def test_a_table_whose_log_or_manifests_are_damaged_is_left_alone(lakehouse: Lakehouse) -> None:
    ratings(lakehouse, 1)
    ratings(lakehouse, 2)
    manifests.manifest_path(lakehouse.folder / "silver/ratings", 1).write_text("{", encoding="utf-8")
    assert not any(
        one.description.startswith("silver/ratings: version") for one in retention.plan(lakehouse, 1).removals
    )


def test_a_table_behind_a_symlink_is_left_alone(lakehouse: Lakehouse, tmp_path: Path) -> None:
    ratings(lakehouse, 1)
    ratings(lakehouse, 2)
    moved = tmp_path / "elsewhere"
    (lakehouse.folder / "silver").rename(moved)
    (lakehouse.folder / "silver").symlink_to(moved)
    assert retention.plan(lakehouse, 1).removals == ()


def test_an_empty_lakehouse_has_nothing_to_remove(lakehouse: Lakehouse) -> None:
    assert retention.plan(lakehouse, 1) == retention.Plan((), (), ())
