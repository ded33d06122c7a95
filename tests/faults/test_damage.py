"""What `validate` says of each damage, and that the command which it prints repairs it."""

from __future__ import annotations

import pytest

from chaos.damages import DAMAGES, Damage, DamagedLakehouse, examined, patient, treated
from support.project import Project

pytestmark = pytest.mark.pipeline

REPAIRED = (
    "bit flipped: data file of silver/ratings",
    "bit flipped: rejected rows",
    "bit flipped: metrics and their copy in the memo",
    "truncated commit in _delta_log",
    "vacuumed version",
    "bronze CSV changed",
    "table of another data set at the path",
    "bit flipped: result of a trial",
)
"""Damages that are repaired here, one for each kind of command; `damages.table` repairs all of them."""


@pytest.fixture(scope="module")
def ill(built_run: tuple[Project, object], tmp_path_factory: pytest.TempPathFactory) -> DamagedLakehouse:
    return patient(built_run[0], tmp_path_factory.mktemp("damage") / "delta", "delta")


@pytest.fixture(scope="module")
def ill_parquet(built_run: tuple[Project, object], tmp_path_factory: pytest.TempPathFactory) -> DamagedLakehouse:
    return patient(built_run[0], tmp_path_factory.mktemp("damage") / "parquet", "parquet")


def check_found(ill: DamagedLakehouse, damage: Damage) -> None:
    shallow, errors, wanted = examined(ill, damage)
    assert [one for one in errors if wanted in one.text and one.hint], errors
    assert shallow == damage.shallow
    assert all(one.hint and str(one).endswith(f"\n  -> {one.hint}") for one in errors)


@pytest.mark.xdist_group("damage")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_validate_finds_a_damage_and_names_it_with_a_command(ill: DamagedLakehouse, damage: Damage) -> None:
    check_found(ill, damage)


@pytest.mark.xdist_group("damage")
@pytest.mark.parametrize("name", REPAIRED)
def test_the_command_that_validate_prints_repairs(ill: DamagedLakehouse, name: str) -> None:
    row = treated(ill, next(one for one in DAMAGES if one.name == name))
    assert row.repaired, row.left


@pytest.mark.xdist_group("damage parquet")
def test_the_same_of_parquet_tables(ill_parquet: DamagedLakehouse) -> None:
    of_parquet = [one for one in DAMAGES if "parquet" in one.formats]
    assert [one.hint for one in ill_parquet.errors(deep=True)] == []
    for damage in of_parquet:
        check_found(ill_parquet, damage)
    row = treated(ill_parquet, next(one for one in of_parquet if one.name == REPAIRED[1]))
    assert row.repaired, row.left
