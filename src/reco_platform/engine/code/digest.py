"""The digest of all code that may shape the result of a step's script.

A definition is a top-level statement of a project module that binds names. Starting from what the script executes,
references are followed from definition to definition. Each is hashed without what cannot shape a result (layout,
docstrings, annotations, messages, its own name and place), so moving or renaming code leaves the digest as it is.
docs/decisions/code-digests.md has the reasons and the limits.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from reco_platform.core import project as project_files
from reco_platform.core.hashing import canonical_json, sha256
from reco_platform.engine.code.modules import NAME, Definition, DottedName, source_of

PROJECT = project_files.ROOT

# Packages whose version shapes a result; the others read arguments, draw progress bars and the like.
COMPUTING = frozenset({"matplotlib", "numba", "numpy", "pyarrow", "pyspark", "scipy"})


def code_digest(script: str, files: Iterable[str] = (), project: Path = PROJECT, package: Path | None = None) -> str:
    """The digest of all code that may shape the result of a script.

    It covers every definition that the script reaches, the bytes of `files` in the order given (not their paths, so
    that a template can be moved), and the versions of the `COMPUTING` packages that the reached modules import.

    Args:
        script: path of the script, absolute or relative to the project.
        files: paths of other files that shape the result, such as templates.
        project: the project's root folder.
        package: source folder of the project's package; by default the one in the project, else the installed one.

    Returns:
        Sixteen hex digits.

    Raises:
        OSError: if the script, one of its modules or one of the files cannot be read.
        SyntaxError: if one of them is not Python.
    """
    code = reach(script, project, package)
    hashes = refined(code.definitions)
    # The hash of the entry covers only as many steps as the refinement took, all hashes together cover everything.
    parts = [hashes[code.entry], sorted(set(hashes.values())), file_hashes(files, project), versions(code)]
    return sha256(canonical_json(parts))[:16]


def code_parts(
    script: str, files: Iterable[str] = (), project: Path = PROJECT, package: Path | None = None
) -> dict[str, str]:
    """The parts that `code_digest` covers, to tell which of them changed.

    Args:
        script: path of the script, absolute or relative to the project.
        files: paths of other files that shape the result, such as templates.
        project: the project's root folder.
        package: source folder of the project's package; by default the one in the project, else the installed one.

    Returns:
        For each definition ("cleaning.rules.apply") a short hash of its own text, for each file one of its bytes,
        and for each package that computes its version.

    Raises:
        OSError: if the script, one of its modules or one of the files cannot be read.
        SyntaxError: if one of them is not Python.
    """
    code, files = reach(script, project, package), list(files)
    texts: dict[str, list[str]] = {}
    for definition in code.definitions:
        texts.setdefault(definition.label, []).append(definition.content.text_hash)
    parts = {label: sha256(canonical_json(hashes))[:16] for label, hashes in sorted(texts.items())}
    return parts | dict(zip(files, file_hashes(files, project), strict=True)) | versions(code)


def changed_parts(before: dict[str, str], now: dict[str, str]) -> list[str]:
    """The names of the parts that differ between two results of `code_parts`; parts that only moved are left out."""
    missing, added = (
        {name: value for name, value in one.items() if other.get(name) != value}
        for one, other in ((before, now), (now, before))
    )
    moved = set(missing.values()) & set(added.values())
    return sorted({name for part in (missing, added) for name, value in part.items() if value not in moved})


def refined(definitions: Iterable[Definition]) -> dict[Definition, str]:
    """A hash of each definition together with everything that it refers to, also in cycles.

    This is colour refinement: in each round a hash takes in those of its references. It is finished when a round
    distinguishes no more definitions than the one before.
    """
    hashes = {definition: definition.content.text_hash for definition in definitions}
    count = 0
    while len(set(hashes.values())) > count:
        count = len(set(hashes.values()))
        hashes = {
            definition: sha256("".join([definition.content.text_hash, *map(hashes.__getitem__, definition.references)]))
            for definition in hashes
        }
    return hashes


def file_hashes(files: Iterable[str], project: Path) -> list[str]:
    return [hashlib.sha256(file_path(name, project).read_bytes()).hexdigest()[:16] for name in files]


def file_path(name: str, project: Path) -> Path:
    """The path of a file of the project, also where the package is installed without its src folder."""
    return project_files.file(name) if project == PROJECT else project / name


def versions(code: Reached) -> dict[str, str]:
    """The versions of the packages that compute in what was reached."""
    imported = {name for definition in code.definitions for name in definition.module.packages}
    return {name: metadata.version(name) for name in sorted(imported & COMPUTING)}


@dataclass(frozen=True)
class Reached:
    """The definitions behind a script; `entry` is what the script itself executes."""

    entry: Definition
    definitions: list[Definition]


def reach(script: str, project: Path, package: Path | None) -> Reached:
    """Everything that a script refers to, directly or not, and what happens when the modules behind it are imported."""
    in_project = project / "src" / NAME
    source = source_of((package or (in_project if in_project.is_dir() else project_files.PACKAGE)).resolve())
    entry = source.script((project / script).resolve())
    found: dict[Definition, None] = {}
    executed: set[DottedName] = set()
    todo = [entry.effects]
    imported = list(entry.imports.modules)
    while todo or imported:
        if imported:
            for module in source.modules_in(imported.pop()):
                if module.name not in executed:
                    executed.add(module.name)
                    imported += module.imports.modules
                    todo += [] if module.effects.content.is_empty else [module.effects]
            continue
        definition = todo.pop()
        if definition not in found:
            found[definition] = None
            todo += definition.references
            imported += definition.content.imported
    return Reached(entry.effects, list(found))
