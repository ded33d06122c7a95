"""Digests of what makes a result: canonical parameters, and the code of a step as syntax trees."""

from __future__ import annotations

import ast
import hashlib
import json
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

from reco_platform.core.project import ROOT

PROJECT = ROOT

# These decide when and where a step runs, never what it makes; a change in them leaves every result as it is.
MACHINERY = frozenset(
    {
        "engine.attempt", "spark.cluster", "config.commands", "config.model", "core.hashing", "core.errors",
        "engine.journal", "lakehouse.layout", "engine.openlineage", "store.paths", "store.hdfs", "store.atomic_write",
        "store.locks", "lakehouse.receipts",
        "pipeline.steps_table", "engine.runner",
    }
)  # fmt: skip

# Packages whose version shapes a result; the others read arguments, draw progress bars and the like.
COMPUTING = frozenset({"matplotlib", "numba", "numpy", "pyarrow", "pyspark", "scipy"})


def canonical(value: Any) -> str:
    """The one text of plain values: keys sorted, no spaces, no NaN.

    Raises:
        ValueError: for NaN or an infinity.
        TypeError: for a value that JSON does not have.
    """
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def short(value: Any) -> str:
    """Eight hex digits for a file or folder name."""
    return sha256(canonical(value))[:8]


def code_digest(script: str, files: Iterable[str] = (), project: Path = PROJECT) -> str:
    """Sixteen hex digits of the code behind a script: see `code_parts`."""
    return sha256(canonical(code_parts(script, files, project)))[:16]


def code_parts(script: str, files: Iterable[str] = (), project: Path = PROJECT) -> dict[str, str]:
    """What the code behind a script consists of: a short hash, or a version, by file or package.

    It covers the syntax trees of the script and of every project module that it imports, directly or not (comments,
    docstrings and layout left out), the bytes of `files`, and the versions of the packages that compute.

    Args:
        script: path of the script, relative to the project.
        files: paths of other files that shape the result, such as templates.
        project: the project's root folder.
    """
    parts: dict[str, str] = {}
    packages: set[str] = set()
    todo, seen = [project / script], set()
    while todo:
        path = todo.pop()
        if path in seen:
            continue
        seen.add(path)
        tree_hash, modules, imported = read_module(path)
        parts[str(path.relative_to(project))] = tree_hash
        packages |= imported & COMPUTING
        todo += [found for module in modules for found in module_files(module, project)]
    parts |= {name: hashlib.sha256((project / name).read_bytes()).hexdigest()[:16] for name in files}
    return parts | {name: metadata.version(name) for name in packages}


@cache
def read_module(path: Path) -> tuple[str, frozenset[str], frozenset[str]]:
    """A module's tree hash, the project modules it may import (dotted), and the top-level packages it imports."""
    tree = ast.parse(path.read_bytes())
    modules: set[str] = set()
    packages: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [node.module, *(f"{node.module}.{alias.name}" for alias in node.names)]
        else:
            drop_docstring(node)
            continue
        modules.update(name for name in names if name.startswith("reco_platform"))
        packages.update(name.partition(".")[0] for name in names)
    return sha256(ast.dump(tree))[:16], frozenset(modules), frozenset(packages)


def drop_docstring(node: ast.AST) -> None:
    if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) or not node.body:
        return
    first = node.body[0]
    if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and isinstance(first.value.value, str):
        node.body = node.body[1:] or [ast.Pass()]


def module_files(module: str, project: Path) -> list[Path]:
    """The files of a dotted project module and of the packages above it, machinery left out."""
    names = module.split(".")[1:]
    if ".".join(names[:2]) in MACHINERY:
        return []
    folder = project / "src" / "reco_platform"
    found = []
    for name in names:
        candidate = folder / f"{name}.py"
        folder = folder / name
        found += [path for path in (candidate, folder / "__init__.py") if path.is_file()]
    return found


def step_digest(name: str, params: Mapping[str, Any], code: str, inputs: Mapping[str, str]) -> str:
    """What a step's result is filed under: everything that may shape it, and nothing else."""
    return sha256(canonical({"step": name, "params": params, "code": code, "inputs": inputs}))[:20]
