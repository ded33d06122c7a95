"""The project's modules and definitions, and what the names in them refer to."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from reco_platform.core.hashing import sha256
from reco_platform.engine.code.normalise import Content, Normaliser, Target
from reco_platform.engine.code.statements import (
    DottedName,
    bound_names,
    executed_statements,
    has_effect,
    imports_in,
)

NAME = "reco_platform"

# Packages that decide when and where a step runs, and how its result is stored, never what it contains: references
# into them are not followed.
MACHINERY = frozenset(
    {"core", "store", "lakehouse", "tracking", "spark", "config", "engine", "pipeline", "maintenance", "cli"}
)


@cache
def source_of(folder: Path) -> Source:
    """The project's package in a folder, each module read once in the life of a process."""
    return Source(folder)


class Source:
    """The modules of the project's package, and the targets of the names in them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._modules: dict[DottedName, Module] = {}
        self._scripts: dict[Path, Module] = {}
        self._targets: dict[DottedName, list[Target]] = {}

    def script(self, path: Path) -> Module:
        if path not in self._scripts:
            self._scripts[path] = Module(self, (path.stem,), path, is_script=True)
        return self._scripts[path]

    def module(self, name: DottedName) -> Module:
        """The module of a dotted name that `has_module`."""
        if name not in self._modules:
            self._modules[name] = Module(self, name, self._file(name))
        return self._modules[name]

    def has_module(self, name: DottedName) -> bool:
        return name in self._modules or self._file(name).exists() or self.folder.joinpath(*name[1:]).is_dir()

    def _file(self, name: DottedName) -> Path:
        folder = self.folder.joinpath(*name[1:])
        package = folder / "__init__.py"
        return package if package.is_file() or len(name) == 1 else folder.with_suffix(".py")

    def modules_in(self, name: DottedName) -> Iterator[Module]:
        """The modules that Python executes to import a dotted name, machinery left out."""
        if name[0] != NAME or (len(name) > 1 and name[1] in MACHINERY):
            return
        for end in range(1, len(name) + 1):
            if not self.has_module(name[:end]):
                return
            yield self.module(name[:end])

    def targets(self, name: DottedName) -> list[Target]:
        """What a dotted name stands for; several targets where several statements bind it."""
        if name not in self._targets:
            self._targets[name] = self.resolve(name, frozenset())
        return self._targets[name]

    def resolve(self, name: DottedName, seen: frozenset[DottedName]) -> list[Target]:
        """As `targets`; `seen` are the names that are being resolved, since a package may import from itself."""
        if name[0] != NAME:
            return [Target(f"ext:{'.'.join(name)}")]
        for end in range(1, len(name)):
            if end == 1 and name[1] in MACHINERY:
                return [self._machinery(name)]
            whole = name[: end + 1]
            found = [] if whole in seen else self.module(name[:end]).targets(name[end], name[end + 1 :], seen | {whole})
            if found:
                return found
            if not self.has_module(whole):  # such as module.__file__
                return [Target("module", name[end:], self.module(name[:end]).everything)]
        return [Target("module", (), self.module(name).everything)]

    def _machinery(self, name: DottedName) -> Target:
        """The token of a name of machinery: the name alone, so that machinery can be moved."""
        end = 2
        while end < len(name) and self.has_module(name[: end + 1]):
            end += 1
        return Target(f"machinery:{name[min(end, len(name) - 1)]}", name[end + 1 :])


class Module:
    """A module of the project, or a script.

    Attributes:
        name: its dotted name.
        imports: those at its top level.
        packages: every top-level package that it imports anywhere.
        definitions: those that bind a name, by name.
        effects: what its import does besides binding names; for a script, all that it does.
    """

    def __init__(self, source: Source, name: DottedName, path: Path, is_script: bool = False) -> None:
        body = ast.parse(path.read_bytes()).body if path.is_file() or is_script else []
        statements = list(executed_statements(body, is_script))
        self.source, self.name = source, name
        self.label = ".".join(name if is_script else name[1:])
        self.package = name if path.stem == "__init__" else name[:-1]
        self.imports = imports_in(statements, self.package)
        self.packages = frozenset(module[0] for module in imports_in(statements, self.package, deep=True).modules)
        self.definitions: dict[str, list[Definition]] = {}
        for statement in statements:
            names = tuple(dict.fromkeys(bound_names(statement)))
            definition = Definition(self, names, [statement])
            for bound in names:
                self.definitions.setdefault(bound, []).append(definition)
        self.effects = Definition(self, (), [statement for statement in statements if has_effect(statement)])
        self._everything: Definition | None = None

    @property
    def everything(self) -> Definition:
        """All definitions of the module by name, for a reference to the module itself."""
        if self._everything is None:
            found = [(name, one) for name, several in sorted(self.definitions.items()) for one in several]
            text = "\n".join(name for name, _ in found)
            content = Content(sha256(f"module\n{text}"), tuple(one for _, one in found), (), is_empty=False)
            self._everything = Definition(self, (), [], content)
        return self._everything

    def targets(self, name: str, rest: DottedName, seen: frozenset[DottedName] = frozenset()) -> list[Target]:
        """What a name at the module's top level, with attributes, stands for; empty where nothing binds it."""
        own = self.definitions.get(name, ())
        found = [Target(f"ref:{definition.names.index(name)}", rest, definition) for definition in own]
        for imported in self.imports.names.get(name, ()):
            whole = (*imported, *rest)
            found += self.source.resolve(whole, seen) if seen else self.source.targets(whole)
        if not found:
            for star in self.imports.stars:
                if star[0] == NAME and star[1:2] and star[1] not in MACHINERY and (*star, name) not in seen:
                    found += self.source.module(star).targets(name, rest, seen | {(*star, name)})
        return found


@dataclass(eq=False)
class Definition:
    """A part of a module that is hashed as one.

    Attributes:
        module: where it is.
        names: the names that it binds at the module's top level.
        statements: its syntax trees.
    """

    module: Module
    names: tuple[str, ...]
    statements: list[ast.stmt]
    _content: Content | None = None

    @property
    def content(self) -> Content:
        if self._content is None:
            self._content = Normaliser(self).content()
        return self._content

    @property
    def references(self) -> tuple[Definition, ...]:
        """The definitions that it refers to, in the order of its text."""
        return self.content.references

    @property
    def label(self) -> str:
        """Its name for people."""
        return f"{self.module.label}.{self.names[0]}" if self.names else self.module.label
