"""What is hashed of a definition: its text without what cannot shape a result, and what it refers to."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol

from reco_platform.core.hashing import sha256
from reco_platform.engine.code.statements import DottedName, Imports, checks_types, imports_in

# Methods and functions that only report to a person or a log, when their result is not used.
REPORTING = frozenset({"log", "say", "debug", "info", "warning", "error", "exception", "critical"})
REPORTING_TOKENS = frozenset(
    {"ext:warnings.warn", *(f"ext:logging.{name}" for name in REPORTING), *(f"machinery:{name}" for name in REPORTING)}
)
TERMINAL_TOKENS = frozenset({"ext:sys.stdout", "ext:sys.stderr"})

# Fields of syntax trees that follow from the rest of the tree, or are comments and spelling.
UNHASHED_FIELDS = frozenset({"ctx", "type_comment", "kind"})


class Source(Protocol):
    """All modules of the project."""

    def targets(self, name: DottedName) -> list[Target]:
        """What a dotted name stands for."""
        ...


class Module(Protocol):
    """The module that a definition is in."""

    source: Any
    package: DottedName

    def targets(self, name: str, rest: DottedName) -> list[Target]:
        """What a name at the module's top level, with attributes, stands for."""
        ...


class Definition(Protocol):
    """A part of a module that is hashed as one: see `modules.Definition`."""

    module: Any
    names: tuple[str, ...]
    statements: list[ast.stmt]


@dataclass(frozen=True)
class Target:
    """What a name stands for.

    Attributes:
        token: what is hashed in place of the name.
        rest: the attributes that are left of a dotted name.
        definition: the definition to follow; None outside of the project, and for machinery.
    """

    token: str
    rest: DottedName = ()
    definition: Any = None


@dataclass(frozen=True)
class Content:
    """What is hashed of a definition.

    Attributes:
        text_hash: of its own text, with blanks in place of references.
        references: the definitions that it refers to, in the order of its text.
        imported: dotted names that its functions import.
        is_empty: whether nothing of it is hashed.
    """

    text_hash: str
    references: tuple[Any, ...]
    imported: tuple[DottedName, ...]
    is_empty: bool


class Normaliser:
    """Turns a definition into the text that is hashed, and finds what it refers to.

    Args:
        definition: to be normalised.
    """

    def __init__(self, definition: Definition) -> None:
        self._definition = definition
        self._module: Module = definition.module
        self._source: Source = definition.module.source
        self._own = {name: index for index, name in enumerate(definition.names)}
        self._text: list[str] = []
        self._references: list[Any] = []
        self._replaced: list[tuple[int, str]] = []
        self._local_names: set[str] = set()
        self._scopes: list[Imports] = []
        self._imported: list[DottedName] = []
        self._in_class = False

    def content(self) -> Content:
        for statement in self._definition.statements:
            self._visit(statement)
        is_empty = not self._text
        # A local variable may have the name of something else in the module: its name tells it from others then.
        self._text += [f"local:{at}:{name}" for at, name in self._replaced if name in self._local_names]
        return Content(sha256("\n".join(self._text)), tuple(self._references), tuple(self._imported), is_empty)

    def _visit(self, node: ast.AST) -> None:
        method = self._METHODS.get(type(node))
        if method is None:
            self._tree(node)
        else:
            method(self, node)

    def _tree(self, node: ast.AST, without: str = "") -> None:
        self._text.append(f"({type(node).__name__}")
        for name in node._fields:
            value = getattr(node, name, None)
            if value is None or name in UNHASHED_FIELDS or name == without:
                continue  # what is empty is left out, so that a field of a newer Python changes nothing
            if isinstance(value, list):
                self._list(name, value)
                continue
            self._text.append(name)
            if isinstance(value, ast.AST):
                self._visit(value)
            elif name in {"name", "rest"}:
                self._bind(value)
            else:
                self._text.append(repr(value))
        self._text.append(")")

    def _list(self, name: str, values: list[Any]) -> None:
        start = len(self._text)
        self._text += [name, "["]
        for value in values:
            if isinstance(value, ast.AST):
                self._visit(value)
            else:
                self._text.append(repr(value))
        if len(self._text) == start + 2:
            del self._text[start:]
        else:
            self._text.append("]")

    def _bind(self, name: str) -> None:
        """A name that is assigned to."""
        if name in self._own:
            self._text.append(f"own:{self._own[name]}")
        else:
            self._local_names.add(name)
            self._text.append(f"name:{name}")

    def _refer(self, name: str, attributes: DottedName = ()) -> None:
        """A name that is read, with the attributes that are read of it."""
        targets = self._targets(name, attributes)
        if name in self._own:
            targets = [Target(f"own:{self._own[name]}", attributes), *targets]
        self._replaced += [(len(self._text), name)] if targets else []
        self._text.append("<")
        for target in dict.fromkeys(targets or [Target(f"name:{name}", attributes)]):
            self._text += [target.token, *(f".{attribute}" for attribute in target.rest)]
            if target.definition is not None:
                self._references.append(target.definition)
        self._text.append(">")

    def _targets(self, name: str, attributes: DottedName) -> list[Target]:
        """What a name stands for here, the definition itself left out."""
        source = self._source
        for scope in reversed(self._scopes):
            if name in scope.names:
                return [found for one in scope.names[name] for found in source.targets((*one, *attributes))]
        found = self._module.targets(name, attributes)
        return [target for target in found if target.definition is not self._definition]

    # --- by type of node

    def _name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load):
            self._refer(node.id)
        else:
            self._bind(node.id)

    def _attribute(self, node: ast.Attribute) -> None:
        base, attributes = chain_of(node)
        if isinstance(base, ast.Name):
            self._refer(base.id, attributes)
        else:
            self._visit(base)
            self._text += [f".{attribute}" for attribute in attributes]

    def _argument(self, node: ast.arg) -> None:
        self._text.append("(arg")
        self._bind(node.arg)
        self._text.append(")")

    def _function(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        self._scope(node, in_class=False)

    def _class(self, node: ast.ClassDef) -> None:
        self._scope(node, in_class=True)

    def _scope(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef, in_class: bool) -> None:
        imports, outside = imports_in(node.body, self._module.package), self._in_class
        self._imported += imports.modules
        self._scopes.append(imports)
        self._in_class = in_class
        self._tree(node, without="returns")
        self._scopes.pop()
        self._in_class = outside

    def _annotated(self, node: ast.AnnAssign) -> None:
        """Annotations count in classes alone: they are the fields of data classes, models and named tuples."""
        if self._in_class:
            self._tree(node)
        elif node.value is not None:
            self._visit(ast.Assign(targets=[node.target], value=node.value))

    def _if(self, node: ast.If) -> None:
        if checks_types(node):
            for statement in node.orelse:
                self._visit(statement)
        else:
            self._tree(node)

    def _expression(self, node: ast.Expr) -> None:
        """An expression statement; constants are docstrings and the like."""
        only_reports = isinstance(node.value, ast.Call) and self._only_reports(node.value)
        if not only_reports and not isinstance(node.value, ast.Constant):
            self._tree(node)

    def _only_reports(self, call: ast.Call) -> bool:
        """Whether a call, whose result is not used, only says something to a person or a log."""
        base, attributes = chain_of(call.func)
        targets = self._targets(base.id, attributes) if isinstance(base, ast.Name) else []
        tokens = {target.token for target in targets if not target.rest}
        if isinstance(call.func, ast.Name) and call.func.id == "print" and not targets:
            return self._prints_to_terminal(call)
        if isinstance(call.func, ast.Name) and call.func.id in REPORTING and not targets:
            return True  # a callback that was passed in
        if attributes and attributes[-1] in REPORTING:
            # A method of anything; but no function of a module, such as numpy.log with its argument `out`.
            return tokens <= REPORTING_TOKENS
        return bool(tokens & REPORTING_TOKENS)

    def _prints_to_terminal(self, call: ast.Call) -> bool:
        for keyword in call.keywords:
            if keyword.arg == "file":
                base, attributes = chain_of(keyword.value)
                targets = self._targets(base.id, attributes) if isinstance(base, ast.Name) else []
                return {target.token for target in targets} <= TERMINAL_TOKENS and bool(targets)
        return True

    def _raise(self, _: ast.Raise) -> None:
        self._text.append("(Raise)")

    def _assert(self, node: ast.Assert) -> None:
        self._tree(node, without="msg")

    def _constant(self, node: ast.Constant) -> None:
        self._text.append(f"={node.value!r}")

    def _nothing(self, _: ast.AST) -> None:
        """What is not hashed: imports count by what is used of them."""

    _METHODS: ClassVar[dict[type[ast.AST], Callable[[Any, Any], None]]] = {
        ast.Name: _name,
        ast.Attribute: _attribute,
        ast.arg: _argument,
        ast.FunctionDef: _function,
        ast.AsyncFunctionDef: _function,
        ast.ClassDef: _class,
        ast.AnnAssign: _annotated,
        ast.If: _if,
        ast.Expr: _expression,
        ast.Raise: _raise,
        ast.Assert: _assert,
        ast.Constant: _constant,
        ast.Import: _nothing,
        ast.ImportFrom: _nothing,
        ast.Pass: _nothing,
    }


def chain_of(node: ast.expr) -> tuple[ast.expr, DottedName]:
    """What is left of the dots in an expression such as `a.b.c`, and the names right of it."""
    attributes: list[str] = []
    while isinstance(node, ast.Attribute):
        attributes.append(node.attr)
        node = node.value
    return node, tuple(reversed(attributes))
