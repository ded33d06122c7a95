"""One built project for all tests of the rerun contract; each gets a copy to change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.project import Project, Run


@pytest.fixture(scope="session")
def built_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[Project, Run]:
    project = Project.create(tmp_path_factory.mktemp("built") / "project")
    return project, project.gold()


@pytest.fixture
def built(built_run: tuple[Project, Run], tmp_path: Path) -> Project:
    """The project after a first `gold`."""
    return built_run[0].copy(tmp_path / "project")
