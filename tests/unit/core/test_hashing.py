"""Digests: everything that shapes a result changes them, nothing else does."""

from __future__ import annotations

import ast
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from reco_platform.core import hashing
from reco_platform.core.hashing import canonical, code_digest, step_digest
from reco_platform.pipeline.steps_table import STEPS

SCALARS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=8)
)
PLAIN = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=8,
)
PARAMS = st.dictionaries(st.text(min_size=1, max_size=6), SCALARS, min_size=1, max_size=6)


# --- canonical text


@given(PARAMS)
def test_the_order_of_keys_does_not_matter(params: dict[str, Any]) -> None:
    backwards = dict(reversed(params.items()))
    assert canonical(params) == canonical(backwards)
    assert step_digest("s", params, "c", {}) == step_digest("s", backwards, "c", {})


@given(PLAIN, PLAIN)
def test_different_values_have_different_texts(first: Any, second: Any) -> None:
    same = json.dumps(first, sort_keys=True) == json.dumps(second, sort_keys=True)
    assert (canonical(first) == canonical(second)) == same


@given(PLAIN)
def test_the_text_is_read_back_as_the_value(value: Any) -> None:
    assert json.loads(canonical(value)) == value


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {"a": [float("-inf")]}])
def test_a_value_that_json_does_not_have_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        canonical(value)
    with pytest.raises(TypeError):
        canonical({1, 2})


# --- steps


@given(PARAMS, st.data())
def test_swapping_the_values_of_two_keys_changes_the_digest(params: dict[str, Any], data: st.DataObject) -> None:
    assume(len(params) > 1)
    first, second = data.draw(st.lists(st.sampled_from(sorted(params)), min_size=2, max_size=2, unique=True))
    assume(canonical(params[first]) != canonical(params[second]))
    swapped = {**params, first: params[second], second: params[first]}
    assert step_digest("s", params, "c", {}) != step_digest("s", swapped, "c", {})


@given(PARAMS, st.text(min_size=1, max_size=6), SCALARS)
def test_a_changed_or_added_parameter_changes_the_digest(params: dict[str, Any], key: str, value: Any) -> None:
    changed = {**params, key: value}
    assume(canonical(changed) != canonical(params))
    assert step_digest("s", params, "c", {}) != step_digest("s", changed, "c", {})


def test_each_part_counts_and_none_is_taken_for_another() -> None:
    texts = [
        step_digest("s", {"a": 1}, "c", {"i": "x"}),
        step_digest("t", {"a": 1}, "c", {"i": "x"}),
        step_digest("s", {"a": "1"}, "c", {"i": "x"}),
        step_digest("s", {"a": 1}, "d", {"i": "x"}),
        step_digest("s", {"a": 1}, "c", {"i": "y"}),
        step_digest("s", {"a": 1}, "c", {"j": "x"}),
        step_digest("s", {"i": "x"}, "c", {"a": 1}),  # type: ignore[dict-item]
        step_digest("s", {"a": 1, "i": "x"}, "c", {}),
    ]
    assert len(set(texts)) == len(texts)
    assert all(len(text) == 20 for text in texts)


# --- code, in a project of four modules

SCRIPT = """
\"\"\"A script.\"\"\"
import argparse
from reco_platform.first import work

print(work(argparse))
"""
FIRST = """
from reco_platform import errors
from reco_platform.inner.second import LIMIT

def work(x):
    \"\"\"Says what it does.\"\"\"
    return LIMIT * 2  # doubled
"""
SECOND = """
import numpy as np

LIMIT = 5


class Shape:
    \"\"\"A shape.\"\"\"

    sides = 3
"""


@pytest.fixture
def project(tmp_path: Path) -> Path:
    files = {
        "scripts/step.py": SCRIPT,
        "templates/page.html": "<p>hello</p>",
        "src/reco_platform/__init__.py": "",
        "src/reco_platform/first.py": FIRST,
        "src/reco_platform/core/errors.py": "LEVEL = 1\n",
        "src/reco_platform/unused.py": "LEVEL = 1\n",
        "src/reco_platform/inner/__init__.py": "",
        "src/reco_platform/inner/second.py": SECOND,
    }
    for name, text in files.items():
        path = tmp_path / "project" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return tmp_path / "project"


def digest(project: Path) -> str:
    hashing.read_module.cache_clear()  # each run of the product is a process of its own
    return code_digest("scripts/step.py", ["templates/page.html"], project)


def edited(name: str, old: str, new: str) -> Callable[[Path], None]:
    def edit(project: Path) -> None:
        path = project / name
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new), encoding="utf-8")

    return edit


FIRST_FILE, SECOND_FILE = "src/reco_platform/first.py", "src/reco_platform/inner/second.py"


@pytest.mark.parametrize(
    "edit",
    [
        edited(FIRST_FILE, "  # doubled", "  # twice\n    # as much"),
        edited(FIRST_FILE, "Says what it does.", "Says something else."),
        edited(FIRST_FILE, '    """Says what it does."""\n', ""),
        edited("scripts/step.py", '"""A script."""', '"""Another\n\nlong text."""'),
        edited(SECOND_FILE, '    """A shape."""\n', ""),
        edited(SECOND_FILE, "\n\n\n", "\n"),
        edited(SECOND_FILE, "LIMIT = 5", "LIMIT   =   (5)"),
        edited(FIRST_FILE, "\n", "\r\n"),
        edited("src/reco_platform/core/errors.py", "1", "2"),
        edited("src/reco_platform/unused.py", "1", "2"),
    ],
    ids=[
        "comment",
        "docstring",
        "no-docstring",
        "of-module",
        "of-class",
        "blank",
        "layout",
        "crlf",
        "machinery",
        "unused",
    ],
)
def test_an_edit_that_shapes_no_result_leaves_the_code_digest(project: Path, edit: Callable[[Path], None]) -> None:
    before = digest(project)
    edit(project)
    assert digest(project) == before


@pytest.mark.parametrize(
    "edit",
    [
        edited("scripts/step.py", "print(work(argparse))", "work(argparse)"),
        edited(FIRST_FILE, "* 2", "* 3"),
        edited(FIRST_FILE, "work(x)", "work(x=1)"),
        edited(SECOND_FILE, "LIMIT = 5", "LIMIT = 5.0"),
        edited(SECOND_FILE, "sides = 3", "sides = 4"),
        edited("src/reco_platform/inner/__init__.py", "", "import numpy as np\n"),
        edited("templates/page.html", "hello", "hello "),
    ],
    ids=["script", "imported", "signature", "constant", "class", "package", "other-file"],
)
def test_an_edit_that_may_shape_a_result_changes_the_code_digest(project: Path, edit: Callable[[Path], None]) -> None:
    before = digest(project)
    edit(project)
    assert digest(project) != before


def test_a_module_imported_within_a_function_counts(project: Path) -> None:
    edited(FIRST_FILE, "    return", "    from reco_platform.unused import LEVEL\n    return")(project)
    before = digest(project)
    edited("src/reco_platform/unused.py", "1", "2")(project)
    assert digest(project) != before


def test_a_module_imported_as_a_name_of_its_package_counts(project: Path) -> None:
    edited(FIRST_FILE, "import errors", "import errors, unused")(project)
    before = digest(project)
    edited("src/reco_platform/unused.py", "1", "2")(project)
    assert digest(project) != before


def test_the_place_of_the_project_does_not_count(project: Path) -> None:
    before = digest(project)
    assert digest(project.rename(project.with_name("elsewhere"))) == before


def installed(folder: Path, package: str, version: str) -> None:
    info = folder / f"{package}-{version}.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {package}\nVersion: {version}\n", encoding="utf-8")


@pytest.mark.parametrize(("package", "counts"), [("numpy", True), ("argparse", False), ("scipy", False)])
def test_the_version_of_a_package_counts_where_it_computes_and_is_imported(
    project: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, package: str, counts: bool
) -> None:
    before = digest(project)
    installed(tmp_path / "site", package, "0.0.1")
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    assert (digest(project) != before) == counts


# --- the project itself


def test_project_modules_are_imported_by_their_full_names(root: Path) -> None:
    """A relative import would not be followed, and its module not be part of any digest."""
    for path in [*root.glob("src/**/*.py"), *root.glob("scripts/*.py")]:
        for node in ast.walk(ast.parse(path.read_bytes())):
            assert not (isinstance(node, ast.ImportFrom) and node.level), f"{path}, line {node.lineno}"


def test_every_step_has_a_digest_of_its_own_that_stays() -> None:
    found = {name: code_digest(step.script, step.files) for name, step in STEPS.items()}
    assert len(set(found.values())) == len(STEPS)
    assert found == {name: code_digest(step.script, step.files) for name, step in STEPS.items()}
