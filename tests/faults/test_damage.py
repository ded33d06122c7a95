"""What `validate` reports for each damage, and that the command it prints repairs it."""

from __future__ import annotations

import pytest

from chaos.damages import DAMAGES, Damage, DamagedLakehouse, damaged_lakehouse, inspect_damage, repair_damage
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
"""Damages that are repaired here, one for each kind of command; `damages.repair_all` repairs all of them."""


@pytest.fixture(scope="module")
def damaged(built_run: tuple[Project, object], tmp_path_factory: pytest.TempPathFactory) -> DamagedLakehouse:
    return damaged_lakehouse(built_run[0], tmp_path_factory.mktemp("damage") / "delta", "delta", in_forks=True)


@pytest.fixture(scope="module")
def damaged_parquet(built_run: tuple[Project, object], tmp_path_factory: pytest.TempPathFactory) -> DamagedLakehouse:
    return damaged_lakehouse(built_run[0], tmp_path_factory.mktemp("damage") / "parquet", "parquet", in_forks=True)


def check_found(damaged: DamagedLakehouse, damage: Damage) -> None:
    shallow, errors, expected = inspect_damage(damaged, damage)
    assert [finding for finding in errors if expected in finding.text and finding.hint], errors
    assert shallow == damage.shallow
    assert all(finding.hint and str(finding).endswith(f"\n  -> {finding.hint}") for finding in errors)


@pytest.mark.xdist_group("damage")
@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.name)
def test_validate_finds_a_damage_and_names_it_with_a_command(damaged: DamagedLakehouse, damage: Damage) -> None:
    check_found(damaged, damage)


@pytest.mark.xdist_group("damage")
@pytest.mark.parametrize("name", REPAIRED)
def test_the_command_that_validate_prints_repairs(damaged: DamagedLakehouse, name: str) -> None:
    row = repair_damage(damaged, next(damage for damage in DAMAGES if damage.name == name))
    assert row.repaired, row.remaining


@pytest.mark.xdist_group("damage parquet")
def test_damages_to_parquet_tables_are_found_and_repaired(damaged_parquet: DamagedLakehouse) -> None:
    damages = [damage for damage in DAMAGES if "parquet" in damage.formats]
    assert [finding.hint for finding in damaged_parquet.errors(deep=True)] == []
    for damage in damages:
        check_found(damaged_parquet, damage)
    row = repair_damage(damaged_parquet, next(damage for damage in damages if damage.name == REPAIRED[1]))
    assert row.repaired, row.remaining
