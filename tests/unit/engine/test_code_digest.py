"""Code digests: an edit that may shape a result changes them, another one does not."""

from __future__ import annotations

import ast
import itertools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco_platform.engine.code.digest import changed_parts, code_digest, code_parts
from reco_platform.pipeline.steps_table import STEPS

Files = Mapping[str, str]
Edit = Callable[[Files], dict[str, str]]

# --- a small project

STEP = "scripts/step.py"
RULES, HELPERS = "src/reco_platform/rules.py", "src/reco_platform/inner/helpers.py"
OTHERS, SHAPES = "src/reco_platform/inner/others.py", "src/reco_platform/inner/shapes.py"
STORAGE, ERRORS = "src/reco_platform/lakehouse.py", "src/reco_platform/core.py"
INIT, UNUSED = "src/reco_platform/inner/__init__.py", "src/reco_platform/unused.py"
TEMPLATE = "templates/page.html"

PROJECT = {
    STEP: '''
"""A script."""

import sys

from reco_platform import rules, lakehouse
from reco_platform.inner.shapes import Shape, area
from reco_platform.engine import Task, run

USED = 3


def work(task: Task) -> int:
    task.log("starts to work")
    total: int = rules.total(task.open("numbers"), USED)
    return lakehouse.write(area(Shape(total)))


if __name__ == "__main__":
    sys.exit(run("step", __doc__, work))
''',
    RULES: '''
"""The rules."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING

import numpy as np

from reco_platform.core import BadError
from reco_platform.inner import helpers, others
from reco_platform.inner.helpers import scaled

if TYPE_CHECKING:
    from reco_platform.inner.shapes import Shape

LIMITS = {"low": 1, "high": 9}
FIRST, SECOND = 1, 2
double = lambda x: x * 2
np.seterr(all="raise")


def total(numbers: list[int], start: int = 0) -> int:
    """The total."""
    if not numbers:
        raise BadError("no numbers", "give some")
    assert start >= 0, "the start is negative"
    print("so many:", len(numbers))
    warnings.warn("this is slow", stacklevel=2)
    kept = [double(x) for x in numbers if x < LIMITS["high"]]
    both = helpers.added(kept) - others.added(kept)
    return start + both + scaled(FIRST) + is_even(SECOND) + int(np.linalg.norm(kept))


def is_even(n):
    return n == 0 or is_odd(n - 1)


def is_odd(n):
    return n != 0 and is_even(n - 1)
''',
    HELPERS: """
from functools import cache

SCALE = 3


def added(numbers):
    result = 0
    for x in numbers:
        result = result + x
    return result


@cache
def scaled(x):
    return x * factor()


def factor():
    return SCALE
""",
    OTHERS: """
def added(numbers):
    return sum(numbers) / 2
""",
    SHAPES: '''
from dataclasses import dataclass


@dataclass
class Shape:
    """A shape."""

    width: int
    height: int = 2
    sides = 4

    def size(self):
        return self.width * self.height


def area(shape):
    return shape.size()
''',
    STORAGE: """
def write(value):
    return value


def read(value):
    return value
""",
    ERRORS: """
class BadError(Exception):
    pass
""",
    "src/reco_platform/engine.py": "class Task: ...\n\n\ndef run(*values): ...\n",
    UNUSED: "LEVEL = 1\n",
    INIT: "",
    "src/reco_platform/__init__.py": "",
    TEMPLATE: "<p>hello</p>",
}


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Gives a new folder each time, since each module is read once in the life of a process."""
    base = tmp_path_factory.mktemp("projects")
    return (base / str(number) for number in itertools.count())


def write(files: Files, folder: Path) -> Path:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(text.encode("utf-8"))
    return folder


def digest(files: Files, folders: Iterator[Path], script: str = STEP, template: str = TEMPLATE) -> str:
    return code_digest(script, [template], write(files, next(folders)))


def edit(name: str, *changes: tuple[str, str]) -> Edit:
    """An edit of one file: each first text is replaced by the second."""
    return edits({name: changes})


def edits(changes: Mapping[str, tuple[tuple[str, str], ...]]) -> Edit:
    """An edit of several files."""

    def apply(files: Files) -> dict[str, str]:
        edited = dict(files)
        for name, replaced in changes.items():
            for old, new in replaced:
                assert old in edited[name], f"{old!r} is not in {name}"
                edited[name] = edited[name].replace(old, new)
        return edited

    return apply


def moved(old: str, new: str, *changes: tuple[str, str], also: Files | None = None) -> Edit:
    """A file or folder at another place, after which texts are replaced in all modules."""

    def apply(files: Files) -> dict[str, str]:
        assert any(name.startswith(old) for name in files)
        found = {name.replace(old, new) if name.startswith(old) else name: text for name, text in files.items()}
        for name, (before, after) in itertools.product(found, changes):
            found[name] = found[name].replace(before, after)
        return {**found, **(also or {})}

    return apply


def added(name: str, text: str) -> Edit:
    return lambda files: {**files, name: files.get(name, "") + text}


def reordered(name: str) -> Edit:
    """All functions and classes of a module in the reverse order."""

    def apply(files: Files) -> dict[str, str]:
        body = ast.parse(files[name]).body
        defined = [one for one in body if isinstance(one, ast.FunctionDef | ast.ClassDef)]
        assert len(defined) > 1
        order = [one for one in body if one not in defined] + defined[::-1]
        return {**files, name: "\n".join(map(ast.unparse, order))}

    return apply


TO_HELPERS = "from reco_platform.inner import helpers, others"
REEXPORT = "from reco_platform.inner.helpers import added, scaled as made_larger\n"

SHAPES_NOTHING: dict[str, Edit] = {
    "comment": edit(RULES, ("    kept =", "    # a comment\n    kept =")),
    "trailing_comment": edit(RULES, ("* 2", "* 2  # doubled")),
    "docstring": edit(RULES, ("The total.", "Another\n\n    text.")),
    "no_docstring": edit(RULES, ('    """The total."""\n', "")),
    "docstring_of_module": edit(RULES, ("The rules.", "Some rules.")),
    "docstring_of_class": edit(SHAPES, ('    """A shape."""\n', "")),
    "docstring_of_constant": edit(HELPERS, ("SCALE = 3\n", 'SCALE = 3\n"""By which it grows."""\n')),
    "blank_lines": edit(RULES, ("\n\n", "\n\n\n\n")),
    "line_breaks": edit(RULES, ("start + both", "(\n        start\n        + both\n    )")),
    "parentheses": edit(HELPERS, ("SCALE = 3", "SCALE   =   (3)")),
    "quotes": edit(RULES, ('"high"', "'high'")),
    "windows_line_ends": edit(RULES, ("\n", "\r\n")),
    "pass_in_an_empty_class": edit(SHAPES, ("    sides = 4", "    sides = 4\n    pass")),
    "annotation_of_an_argument": edit(RULES, ("numbers: list[int]", "numbers: Sequence[int]")),
    "annotation_of_an_argument_removed": edit(RULES, ("numbers: list[int]", "numbers")),
    "annotation_of_a_result": edit(RULES, (") -> int:", ") -> float:")),
    "annotation_of_a_result_removed": edit(RULES, (") -> int:", "):")),
    "annotation_of_a_local_variable": edit(RULES, ("kept = [", "kept: list[float] = [")),
    "annotation_of_a_local_variable_without_a_value": edit(RULES, ("    kept =", "    kept: list[int]\n    kept =")),
    "annotation_of_a_constant": edit(RULES, ("LIMITS =", "LIMITS: dict[str, int] =")),
    "annotation_by_a_project_type": edit(RULES, ("numbers: list[int]", "numbers: list[Shape]")),
    "message_of_an_error": edit(RULES, ("no numbers", "there are no numbers")),
    "message_of_an_error_computed": edit(RULES, ('"give some"', 'f"give {LIMITS}"')),
    "cause_of_an_error": edit(RULES, ('"give some")', '"give some") from None')),
    "message_of_a_log": edit(STEP, ("starts to work", "begins")),
    "log_removed": edit(STEP, ('    task.log("starts to work")\n', "")),
    "log_computed_by_a_new_function": edits(
        {STEP: (('"starts to work"', "told(USED)"), ("def work", "def told(x): return x\n\n\ndef work"))}
    ),
    "message_of_a_logger": edit(
        HELPERS,
        ("SCALE = 3", 'SCALE = 3\nlogger = __import__("logging").getLogger()'),
        ("    result = 0", '    logger.info("adds")\n    result = 0'),
    ),
    "message_printed": edit(RULES, ("so many:", "this many:")),
    "message_printed_instead_of_logged": edit(
        STEP, ('task.log("starts to work")', 'print("starts to work", file=sys.stderr)')
    ),
    "message_of_a_warning": edit(RULES, ("this is slow", "this takes long")),
    "message_of_an_assertion": edit(RULES, ("the start is negative", "a negative start")),
    "message_of_an_assertion_removed": edit(RULES, (', "the start is negative"', "")),
    "module_moved": moved(
        RULES,
        "src/reco_platform/deep/er/rules.py",
        ("import rules, lakehouse", "import lakehouse\nfrom reco_platform.deep.er import rules"),
    ),
    "module_renamed": moved(
        RULES,
        "src/reco_platform/laws.py",
        ("from reco_platform import rules", "from reco_platform import laws"),
        ("rules.total", "laws.total"),
    ),
    "package_renamed": moved(
        "src/reco_platform/inner/", "src/reco_platform/parts/", ("reco_platform.inner", "reco_platform.parts")
    ),
    "package_without_its_init_file": lambda files: {name: text for name, text in files.items() if name != INIT},
    "module_made_a_package": moved(RULES, "src/reco_platform/rules/__init__.py"),
    "definition_moved": edits(
        {
            HELPERS: (
                ("\n\ndef factor():\n    return SCALE\n", ""),
                ("SCALE = 3", "from reco_platform.unused import factor"),
            ),
            UNUSED: (("LEVEL = 1", "LEVEL = 1\nSCALE = 3\n\n\ndef factor():\n    return SCALE"),),
        }
    ),
    "definition_moved_out_of_the_script": edits(
        {
            STEP: (
                ("USED = 3", ""),
                ("import rules, lakehouse", "import rules, lakehouse\nfrom reco_platform.unused import USED"),
            ),
            UNUSED: (("LEVEL = 1", "USED = 3"),),
        }
    ),
    "function_renamed": edits({RULES: (("def total", "def summed"),), STEP: (("rules.total", "rules.summed"),)}),
    "function_of_the_script_renamed": edit(STEP, ("def work", "def labour"), ("__doc__, work", "__doc__, labour")),
    "recursive_functions_renamed": edit(RULES, ("is_even", "even"), ("is_odd", "odd")),
    "class_renamed": edits({SHAPES: (("class Shape", "class Form"),), STEP: (("Shape", "Form"),)}),
    "constant_renamed": edit(RULES, ("LIMITS", "BOUNDS")),
    "constants_bound_together_renamed": edit(RULES, ("FIRST", "ONE"), ("SECOND", "TWO")),
    "alias_of_an_import": edit(
        RULES, ("helpers import scaled", "helpers import scaled as larger"), (" scaled(", " larger(")
    ),
    "alias_of_a_module": edit(
        RULES, (TO_HELPERS, "from reco_platform.inner import helpers as h, others"), ("helpers.added", "h.added")
    ),
    "alias_of_a_package": edit(RULES, ("numpy as np", "numpy"), ("np.", "numpy.")),
    "import_of_a_name_for_that_of_a_module": edit(
        RULES,
        (TO_HELPERS, "from reco_platform.inner import others\nfrom reco_platform.inner.helpers import added as plus"),
        ("helpers.added", "plus"),
    ),
    "import_by_the_full_name": edit(
        RULES,
        (TO_HELPERS, "import reco_platform.inner.helpers\nfrom reco_platform.inner import others"),
        ("helpers.added", "reco_platform.inner.helpers.added"),
    ),
    "import_of_a_module_under_a_name": edit(
        RULES, (TO_HELPERS, "import reco_platform.inner.helpers as helpers\nfrom reco_platform.inner import others")
    ),
    "relative_import": edit(
        RULES,
        (TO_HELPERS, "from .inner import helpers, others"),
        ("from reco_platform.inner.helpers", "from .inner.helpers"),
    ),
    "star_import": edit(RULES, ("helpers import scaled", "helpers import *")),
    "import_within_the_function": edit(
        RULES,
        ("from reco_platform.inner.helpers import scaled\n", ""),
        ("    both =", "    from reco_platform.inner.helpers import scaled\n    both ="),
    ),
    "import_from_a_package_that_passes_it_on": edits(
        {
            INIT: (("", REEXPORT),),
            RULES: (
                ("inner.helpers import scaled", "inner import made_larger as scaled"),
                (TO_HELPERS, "import reco_platform.inner as helpers\nfrom reco_platform.inner import others"),
            ),
        }
    ),
    "package_that_passes_on_its_own_module": edits(
        {INIT: (("", "from reco_platform.inner import helpers, others\n"),)}
    ),
    "import_of_a_name_of_another_package": edit(
        RULES,
        ("import numpy as np", "from numpy import linalg, seterr\nfrom numpy.linalg import norm"),
        ("np.seterr", "seterr"),
        ("np.linalg.norm", "norm"),
    ),
    "imports_in_another_order": edit(STEP, ("import rules, lakehouse", "import lakehouse, rules")),
    "unused_import": edit(RULES, ("import warnings", "import json\nimport warnings")),
    "unused_import_of_a_project_module": edit(RULES, (TO_HELPERS, TO_HELPERS + "\nfrom reco_platform import unused")),
    "unused_function": edit(HELPERS, ("def factor", "def unused():\n    return 5\n\n\ndef factor")),
    "unused_function_that_calls_used_ones": added(RULES, "\n\ndef unused():\n    return total([1])\n"),
    "unused_function_of_the_script": edit(STEP, ("def work", "def unused():\n    return 5\n\n\ndef work")),
    "unused_constant": edit(RULES, ("FIRST, SECOND", "UNUSED = 7\nFIRST, SECOND")),
    "unused_constant_changed": edit(UNUSED, ("1", "2")),
    "definitions_in_another_order": reordered(RULES),
    "definitions_of_a_helper_in_another_order": reordered(HELPERS),
    "machinery_edited": edit(STORAGE, ("return value", "return [value]")),
    "machinery_moved": moved(
        STORAGE,
        "src/reco_platform/store/tables.py",
        ("import rules, lakehouse", "import rules\nfrom reco_platform.store import tables"),
        ("lakehouse.write", "tables.write"),
    ),
    "machinery_moved_into_a_package_that_passes_it_on": moved(
        STORAGE,
        "src/reco_platform/store/tables.py",
        ("import rules, lakehouse", "import rules\nfrom reco_platform.store import write"),
        ("lakehouse.write", "write"),
        also={"src/reco_platform/store/__init__.py": "from reco_platform.store.tables import write\n"},
    ),
    "machinery_imported_by_name": edit(
        STEP,
        ("import rules, lakehouse", "import rules\nfrom reco_platform.lakehouse import write as put"),
        ("lakehouse.write", "put"),
    ),
    "import_for_type_checking": edit(
        RULES, ("if TYPE_CHECKING:", "if TYPE_CHECKING:\n    from reco_platform.unused import LEVEL")
    ),
    "import_for_type_checking_in_a_function": edit(
        RULES, ("    kept =", "    if TYPE_CHECKING:\n        import scipy\n    kept =")
    ),
    "main_of_a_module": added(HELPERS, '\n\nif __name__ == "__main__":\n    print(added([1]))\n'),
    "side_effect_of_a_module_that_is_not_imported": added(UNUSED, "\nimport numpy\n\nnumpy.seterr(all='warn')\n"),
    "print_at_the_top_level": added(HELPERS, "\n\nprint('imported')\n"),
}

SWAPPED = "from reco_platform.inner import others as helpers, helpers as others"

SHAPES_RESULTS: dict[str, Edit] = {
    "constant": edit(HELPERS, ("SCALE = 3", "SCALE = 4")),
    "type_of_a_constant": edit(HELPERS, ("SCALE = 3", "SCALE = 3.0")),
    "constant_that_is_true": edit(HELPERS, ("result = 0", "result = False")),
    "data_of_a_constant": edit(RULES, ('"high": 9', '"high": 8')),
    "constant_of_the_script": edit(STEP, ("USED = 3", "USED = 4")),
    "one_of_two_constants": edit(RULES, ("FIRST, SECOND = 1, 2", "FIRST, SECOND = 1, 3")),
    "the_other_of_two_constants_used": edit(RULES, ("scaled(FIRST)", "scaled(SECOND)")),
    "constant_extended": edit(RULES, ("double =", 'LIMITS |= {"high": 5}\ndouble =')),
    "constant_changed_in_place": edit(RULES, ("double =", 'LIMITS["high"] = 5\ndouble =')),
    "constant_defined_twice": edit(HELPERS, ("SCALE = 3", "SCALE = 3\nSCALE = 4")),
    "operator": edit(HELPERS, ("result + x", "result - x")),
    "comparison": edit(RULES, ("x < LIMITS", "x <= LIMITS")),
    "default_argument": edit(RULES, ("start: int = 0", "start: int = 1")),
    "default_argument_added": edit(RULES, ("def is_even(n)", "def is_even(n=0)")),
    "order_of_arguments": edit(STEP, ('task.open("numbers"), USED', 'USED, task.open("numbers")')),
    "keyword_argument": edit(OTHERS, ("sum(numbers)", "sum(numbers, start=1)")),
    "decorator": edit(HELPERS, ("@cache\n", "")),
    "decorator_added": edit(HELPERS, ("def factor", "@cache\ndef factor")),
    "attribute_of_a_class": edit(SHAPES, ("sides = 4", "sides = 5")),
    "type_of_a_field": edit(SHAPES, ("width: int", "width: float")),
    "default_of_a_field": edit(SHAPES, ("height: int = 2", "height: int = 3")),
    "field_added": edit(SHAPES, ("    sides = 4", "    sides = 4\n    depth: int = 0")),
    "base_of_a_class": edit(SHAPES, ("class Shape:", "class Shape(dict):")),
    "body_of_a_method": edit(SHAPES, ("self.width * self.height", "self.width + self.height")),
    "body_of_a_helper": edit(HELPERS, ("return x * factor()", "return factor()")),
    "body_of_a_helper_of_a_helper": edit(HELPERS, ("return SCALE", "return SCALE + 1")),
    "condition_of_an_error": edit(RULES, ("if not numbers", "if numbers is None")),
    "error_removed": edit(RULES, ('        raise BadError("no numbers", "give some")', "        numbers = []")),
    "condition_of_an_assertion": edit(RULES, ("start >= 0", "start >= 1")),
    "import_swapped": edit(RULES, (TO_HELPERS, "from reco_platform.inner import others, others as helpers")),
    "imports_of_two_modules_swapped": edit(RULES, (TO_HELPERS, SWAPPED)),
    "import_swapped_within_a_function": edit(
        RULES, ("    both =", "    from reco_platform.inner import others as helpers\n    both =")
    ),
    "import_passed_on_by_a_package_swapped": edits(
        {
            INIT: (("", "from reco_platform.inner.others import added as scaled\n"),),
            RULES: (("inner.helpers import scaled", "inner import scaled"),),
        }
    ),
    "function_of_another_package": edit(RULES, ("np.linalg.norm", "np.linalg.det")),
    "comprehension": edit(RULES, ("double(x) for", "x for")),
    "condition_of_a_comprehension": edit(RULES, (' if x < LIMITS["high"]', "")),
    "lambda": edit(RULES, ("x * 2", "x * 3")),
    "side_effect_of_a_module": edit(RULES, ('all="raise"', 'all="warn"')),
    "side_effect_of_a_module_added": added(HELPERS, "\n\n__import__('random').seed(1)\n"),
    "side_effect_of_a_package": added(INIT, "\n__import__('random').seed(1)\n"),
    "side_effect_of_an_import_without_use": edits(
        {
            UNUSED: (("LEVEL = 1", "__import__('random').seed(1)"),),
            RULES: ((TO_HELPERS, TO_HELPERS + "\nimport reco_platform.unused"),),
        }
    ),
    "one_partner_of_a_mutual_recursion": edit(RULES, ("n != 0 and", "n != 1 and")),
    "partners_of_a_mutual_recursion_swapped": edit(RULES, ("is_even(SECOND)", "is_odd(SECOND)")),
    "call_of_the_partner_instead_of_itself": edit(RULES, ("or is_odd(", "or is_even(")),
    "another_function_of_machinery": edit(STEP, ("lakehouse.write", "lakehouse.read")),
    "another_name_from_machinery": edit(
        STEP,
        ("import rules, lakehouse", "import rules\nfrom reco_platform.lakehouse import read as write"),
        ("lakehouse.write", "write"),
    ),
    "call_of_machinery": edit(STEP, ('open("numbers")', 'open("others")')),
    "what_the_script_runs": edit(STEP, ('run("step"', 'run("other"')),
    "print_to_a_file": edit(RULES, ("so many:", "this many:"), ("len(numbers))", "len(numbers), file=start)")),
    "numpy_log_with_an_output": edit(RULES, ("    both =", "    np.log(kept, out=kept)\n    both =")),
    "function_called_log": edit(
        RULES, ("    both =", "    log(kept)\n    both ="), ("double =", "def log(x): x.sort()\ndouble =")
    ),
    "function_called_log_of_a_module": edits(
        {
            RULES: (("    both =", "    helpers.log(kept)\n    both ="),),
            HELPERS: (("SCALE = 3", "SCALE = 3\ndef log(x): x.sort()"),),
        }
    ),
    "message_that_is_returned": edit(RULES, ("return start", 'return "about", start')),
    "definition_in_another_branch": edit(
        HELPERS, ("SCALE = 3", "try:\n    import scipy\n    SCALE = 3\nexcept ImportError:\n    SCALE = 4")
    ),
    "constant_bound_in_a_condition": edit(HELPERS, ("SCALE = 3", "if (SCALE := 4): pass")),
    "template": edit(TEMPLATE, ("hello", "hello ")),
}  # fmt: skip


@pytest.mark.parametrize("change", SHAPES_NOTHING.values(), ids=SHAPES_NOTHING)
def test_an_edit_that_shapes_no_result_leaves_the_digest(change: Edit, folders: Iterator[Path]) -> None:
    edited = change(PROJECT)
    assert edited != PROJECT
    assert digest(edited, folders) == digest(PROJECT, folders)


@pytest.mark.parametrize("change", SHAPES_RESULTS.values(), ids=SHAPES_RESULTS)
def test_an_edit_that_may_shape_a_result_changes_the_digest(change: Edit, folders: Iterator[Path]) -> None:
    assert digest(change(PROJECT), folders) != digest(PROJECT, folders)


SHADOWED = """
from reco_platform import core, lakehouse
from reco_platform.inner import helpers, others


def first({arguments}):
    return {used}
"""


@pytest.mark.parametrize("names", [("core", "lakehouse"), ("helpers", "others"), ("sorted", "reversed")])
def test_local_variables_with_names_of_something_else_are_told_apart(
    names: tuple[str, str], folders: Iterator[Path]
) -> None:
    main = "\n\nfirst(1, 2)\n"
    arguments, used = ", ".join(names), " - ".join(f"{name}.added" for name in names)
    swapped = " - ".join(f"{name}.added" for name in reversed(names))
    one, other = (
        digest({**PROJECT, STEP: SHADOWED.format(arguments=arguments, used=text) + main}, folders)
        for text in (used, swapped)
    )
    assert one != other


def test_an_edit_of_the_order_of_equal_names_from_two_modules_is_seen(folders: Iterator[Path]) -> None:
    """A swap is seen also where both of them are reached, before and after."""
    text = """
from reco_platform.inner import {first} as first, {second} as second

print(first.added([1]), file=open("result")), second.added([2])
"""
    one = {**PROJECT, STEP: text.format(first="helpers", second="others")}
    other = {**PROJECT, STEP: text.format(first="others", second="helpers")}
    assert digest(one, folders) != digest(other, folders)
    assert parts(one, folders).keys() == parts(other, folders).keys()


# --- where things are


def test_the_places_of_the_project_the_script_and_the_files_do_not_count(folders: Iterator[Path]) -> None:
    edited = moved("templates/", "pages/")(moved("scripts/", "steps/")(PROJECT))
    assert digest(edited, folders, "steps/step.py", "pages/page.html") == digest(PROJECT, folders)


def test_a_script_may_be_given_by_its_absolute_path(folders: Iterator[Path]) -> None:
    folder = write(PROJECT, next(folders))
    assert code_digest(str(folder / STEP), [], folder) == code_digest(STEP, [], folder)


def test_the_order_of_the_files_counts(folders: Iterator[Path]) -> None:
    folder = write({**PROJECT, "templates/other.html": "<p>other</p>"}, next(folders))
    one, other = [TEMPLATE, "templates/other.html"], ["templates/other.html", TEMPLATE]
    assert code_digest(STEP, one, folder) != code_digest(STEP, other, folder)


def test_the_package_may_lie_outside_of_the_project(folders: Iterator[Path]) -> None:
    """As it does when a wheel is installed."""
    folder = write(PROJECT, next(folders))
    inside = code_digest(STEP, [TEMPLATE], folder)
    package = next(folders) / "site-packages" / "reco_platform"
    shutil.move(folder / "src" / "reco_platform", package)
    assert code_digest(STEP, [TEMPLATE], folder, package) == inside


def test_without_a_source_folder_the_installed_package_is_used(folders: Iterator[Path]) -> None:
    folder = next(folders)
    shutil.copytree("scripts", folder / "scripts")
    assert code_digest("scripts/train_als.py", [], folder) == code_digest("scripts/train_als.py")


def test_a_script_that_does_not_exist_is_refused(folders: Iterator[Path]) -> None:
    with pytest.raises(FileNotFoundError):
        code_digest("scripts/none.py", [], write(PROJECT, next(folders)))


# --- versions of packages


@pytest.mark.parametrize(
    ("package", "counts"), [("numpy", True), ("warnings", False), ("scipy", False), ("pyarrow", False)]
)
def test_the_version_of_a_package_counts_where_it_computes_and_is_imported(
    package: str, counts: bool, folders: Iterator[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = {**PROJECT, UNUSED: "import scipy\n", STORAGE: f"import pyarrow\n{PROJECT[STORAGE]}"}
    before = digest(files, folders)
    version = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "0.0.1" if name == package else version(name))
    assert (digest(files, folders) != before) == counts


def test_a_package_imported_for_type_checking_does_not_count(folders: Iterator[Path]) -> None:
    edited = edit(RULES, ("if TYPE_CHECKING:", "if TYPE_CHECKING:\n    import scipy"))(PROJECT)
    assert "scipy" not in parts(edited, folders)


def test_a_package_imported_within_a_function_counts(folders: Iterator[Path]) -> None:
    edited = edit(RULES, ("    kept =", "    import scipy\n    kept ="))(PROJECT)
    assert parts(edited, folders)["scipy"] == metadata.version("scipy")


# --- the parts


def parts(files: Files, folders: Iterator[Path]) -> dict[str, str]:
    return code_parts(STEP, [TEMPLATE], write(files, next(folders)))


def test_the_parts_have_names_that_people_can_read(folders: Iterator[Path]) -> None:
    assert set(parts(PROJECT, folders)) == {
        "step", "step.USED", "step.work",
        "rules", "rules.FIRST", "rules.LIMITS", "rules.double", "rules.is_even", "rules.is_odd", "rules.total",
        "inner.helpers.SCALE", "inner.helpers.added", "inner.helpers.factor", "inner.helpers.scaled",
        "inner.others.added", "inner.shapes.Shape", "inner.shapes.area",
        "numpy", TEMPLATE,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("body_of_a_helper_of_a_helper", ["inner.helpers.factor"]),
        ("body_of_a_method", ["inner.shapes.Shape"]),
        ("side_effect_of_a_module", ["rules"]),
        ("template", [TEMPLATE]),
        ("constant_extended", ["rules.LIMITS", "rules.total"]),
    ],
)
def test_the_parts_that_changed_are_named(change: str, named: list[str], folders: Iterator[Path]) -> None:
    assert changed_parts(parts(PROJECT, folders), parts(SHAPES_RESULTS[change](PROJECT), folders)) == named


def test_parts_that_only_moved_are_not_named_as_changed(folders: Iterator[Path]) -> None:
    edited = SHAPES_NOTHING["package_renamed"](SHAPES_RESULTS["constant"](PROJECT))
    assert changed_parts(parts(PROJECT, folders), parts(edited, folders)) == [
        "inner.helpers.SCALE",
        "parts.helpers.SCALE",
    ]


# --- any graph of functions


@dataclass(frozen=True)
class Function:
    """A generated function: it adds its constant to the results of others, which it calls by number."""

    constant: int
    calls: tuple[int, ...]


Graph = tuple[Function, ...]


@st.composite
def graphs(draw: st.DrawFn, most: int = 6, largest: int = 3) -> Graph:
    size = draw(st.integers(1, most))
    calls = st.lists(st.integers(0, size - 1), max_size=3).map(tuple)
    return tuple(draw(st.builds(Function, st.integers(0, largest), calls)) for _ in range(size))


@st.composite
def placements(draw: st.DrawFn) -> Callable[[Graph], Files]:
    """A way to spread functions over modules, and to write down the calls between them."""
    names = draw(st.permutations(["a", "b.c", "b.d"]))
    random = draw(st.randoms(use_true_random=False))

    def place(graph: Graph) -> Files:
        modules = [random.choice(names) for _ in graph]
        functions = [f"{random.choice('fgh')}{number}" for number in range(len(graph))]
        files = {f"src/reco_platform/{name}.py": "" for name in ("__init__", "b/__init__")}
        files |= {f"src/reco_platform/{name.replace('.', '/')}.py": "" for name in names}
        for number in random.sample(range(len(graph)), len(graph)):
            imports, called = [], [str(graph[number].constant)]
            for other in graph[number].calls:
                line, name = written(modules[other], functions[other], modules[number], random.randrange(4))
                imports.append(line)
                called.append(f"{name}(x)")
            body = "".join(f"    {line}\n" for line in imports if line) + f"    return {' + '.join(called)}\n"
            files[f"src/reco_platform/{modules[number].replace('.', '/')}.py"] += (
                f"def {functions[number]}(x):\n{body}\n\n"
            )
        line, name = written(modules[0], functions[0], "", random.randrange(3))
        return {**files, STEP: f"{line}\n\n{name}(0)\n"}

    return place


def written(module: str, function: str, caller: str, form: int) -> tuple[str, str]:
    """An import, empty within one module, and how it lets a function be called."""
    package, _, last = f"reco_platform.{module}".rpartition(".")
    if module == caller:
        return "", function
    return (
        (f"from reco_platform.{module} import {function}", function),
        (f"from {package} import {last} as module_{last}", f"module_{last}.{function}"),
        (f"import reco_platform.{module}", f"reco_platform.{module}.{function}"),
        (f"import reco_platform.{module} as other_{last}", f"other_{last}.{function}"),
    )[form]


def placed_digest(files: Files) -> str:
    with tempfile.TemporaryDirectory() as folder:
        return code_digest(STEP, [], write(files, Path(folder)))


def reached(graph: Graph, start: int = 0) -> set[int]:
    found, todo = set(), [start]
    while todo:
        number = todo.pop()
        todo += graph[number].calls if number not in found else ()
        found.add(number)
    return found


def with_constant(graph: Graph, number: int, constant: int) -> Graph:
    return tuple(Function(constant, one.calls) if number == at else one for at, one in enumerate(graph))


@pytest.mark.slow
@given(graphs(), placements(), placements())
def test_the_modules_names_order_and_imports_of_functions_do_not_count(
    graph: Graph, one: Callable[[Graph], Files], other: Callable[[Graph], Files]
) -> None:
    assert placed_digest(one(graph)) == placed_digest(other(graph))


@pytest.mark.slow
@given(graphs(), placements(), st.data())
def test_a_changed_function_counts_exactly_if_it_is_reached(
    graph: Graph, place: Callable[[Graph], Files], data: st.DataObject
) -> None:
    number = data.draw(st.integers(0, len(graph) - 1))
    changed = with_constant(graph, number, 1000)
    assert (placed_digest(place(changed)) != placed_digest(place(graph))) == (number in reached(graph))


@pytest.mark.slow
@given(graphs(most=4, largest=1), graphs(most=4, largest=1), placements())
def test_two_graphs_have_the_same_digest_exactly_if_they_do_the_same(
    one: Graph, other: Graph, place: Callable[[Graph], Files]
) -> None:
    assert (placed_digest(place(one)) == placed_digest(place(other))) == do_the_same(one, other)


def do_the_same(one: Graph, other: Graph) -> bool:
    """Whether the calls of both can be followed side by side and nothing ever differs: another way than hashing."""
    seen, todo = set(), [(0, 0)]
    while todo:
        pair = todo.pop()
        if pair in seen:
            continue
        seen.add(pair)
        first, second = one[pair[0]], other[pair[1]]
        itself = [[call == at for call in function.calls] for function, at in zip((first, second), pair, strict=True)]
        if first.constant != second.constant or itself[0] != itself[1]:
            return False
        todo += zip(first.calls, second.calls, strict=True)
    return True


# --- the project itself


TRAINING = {"train_als", "train_plain", "refit", "train_ranking", "refit_ranking", "trial"}


@pytest.fixture
def copy(root: Path, tmp_path: Path) -> Path:
    for name in ("src", "scripts"):
        shutil.copytree(root / name, tmp_path / name, ignore=shutil.ignore_patterns("__pycache__"))
    return tmp_path


def digests(project: Path) -> dict[str, str]:
    return {name: code_digest(step.script, step.files, project) for name, step in STEPS.items()}


def changed_steps(root: Path, copy: Path) -> set[str]:
    before, now = digests(root), digests(copy)
    return {name for name in STEPS if before[name] != now[name]}


def replaced(path: Path, old: str, new: str) -> None:
    text = path.read_text("utf-8")
    assert old in text
    path.write_text(text.replace(old, new), "utf-8")


def test_every_step_has_a_digest_of_its_own(root: Path) -> None:
    found = digests(root)
    assert len(set(found.values())) == len(STEPS)
    assert all(len(text) == 16 and int(text, 16) >= 0 for text in found.values())


def test_a_copy_with_other_times_of_change_has_the_same_digests(root: Path, copy: Path) -> None:
    for number, path in enumerate(sorted(copy.rglob("*.py"))):
        os.utime(path, (number, number))
    assert changed_steps(root, copy) == set()


class Reworded(ast.NodeTransformer):
    """Appends a letter to every string in what is raised, asserted or reported."""

    def __init__(self) -> None:
        self.count = 0

    def visit_Raise(self, node: ast.Raise) -> ast.AST:
        return self.reworded(node)

    def visit_Assert(self, node: ast.Assert) -> ast.AST:
        node.msg = self.reworded(node.msg) if node.msg else None
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        called = node.value.func if isinstance(node.value, ast.Call) else None
        name = called.attr if isinstance(called, ast.Attribute) else getattr(called, "id", None)
        return self.reworded(node) if name in {"print", "say", "log"} else node

    def reworded(self, node: ast.AST) -> ast.AST:
        for part in ast.walk(node):
            if isinstance(part, ast.Constant) and isinstance(part.value, str):
                part.value += "x"
                self.count += 1
        return node


@pytest.mark.slow
def test_other_words_in_every_message_change_no_digest(root: Path, copy: Path) -> None:
    count = 0
    for path in [*copy.rglob("src/**/*.py"), *copy.glob("scripts/*.py")]:
        change = Reworded()
        tree = change.visit(ast.parse(path.read_bytes()))
        if change.count:
            path.write_text(ast.unparse(tree), "utf-8")
        count += change.count
    assert count > 100
    assert changed_steps(root, copy) == set()


@pytest.mark.slow
def test_annotations_of_every_function_change_no_digest(root: Path, copy: Path) -> None:
    for path in copy.rglob("src/**/*.py"):
        tree = ast.parse(path.read_bytes())
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef):
                node.returns = None
        path.write_text(ast.unparse(tree), "utf-8")
    assert changed_steps(root, copy) == set()


@pytest.mark.slow
def test_another_number_in_the_kernel_changes_the_steps_that_train(root: Path, copy: Path) -> None:
    replaced(copy / "src/reco_platform/models/als/kernel.py", "BLOCK = 512", "BLOCK = 256")
    assert changed_steps(root, copy) == TRAINING


@pytest.mark.slow
def test_another_constant_of_spark_changes_the_steps_that_may_use_it(root: Path, copy: Path) -> None:
    replaced(
        copy / "src/reco_platform/contracts/spark_settings.py",
        '"spark.sql.ansi.enabled": "true"',
        '"spark.sql.ansi.enabled": "false"',
    )
    silver = {"silver_ratings", "silver_movies", "silver_tags"}
    assert changed_steps(root, copy) == silver | {
        "train_als",
        "refit",
        "train_ranking",
        "refit_ranking",
        "trial",
        "recommend",
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",
    ["lakehouse/tables", "lakehouse/publish", "engine/runner", "core/errors", "lakehouse/layout", "spark/submit"],
)
def test_an_edit_of_machinery_changes_no_digest(name: str, root: Path, copy: Path) -> None:
    path = copy / f"src/reco_platform/{name}.py"
    tree = ast.parse(path.read_bytes())
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            node.value += "x"
    path.write_text(ast.unparse(tree), "utf-8")
    assert changed_steps(root, copy) == set()


@pytest.mark.slow
def test_a_module_moved_with_all_its_imports_changes_no_digest(root: Path, copy: Path) -> None:
    (copy / "src/reco_platform/training").mkdir()
    (copy / "src/reco_platform/training/__init__.py").touch()
    shutil.move(copy / "src/reco_platform/models/als", copy / "src/reco_platform/training/factors")
    for path in copy.rglob("*.py"):
        text = path.read_text("utf-8").replace("reco_platform.models.als", "reco_platform.training.factors")
        path.write_text(text, "utf-8")
    assert changed_steps(root, copy) == set()
