"""Python statements: which are executed, what they import and what they bind."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
SCOPES = (*FUNCTIONS, ast.ClassDef)

DottedName = tuple[str, ...]


@dataclass(frozen=True)
class Imports:
    """What import statements bind.

    Attributes:
        names: for each name the dotted names that it may stand for.
        stars: modules of which every name is imported.
        modules: all dotted names imported.
    """

    names: dict[str, list[DottedName]] = field(default_factory=dict)
    stars: list[DottedName] = field(default_factory=list)
    modules: list[DottedName] = field(default_factory=list)


def imports_in(body: Iterable[ast.stmt], package: DottedName, deep: bool = False) -> Imports:
    """The imports among statements; `deep` for those inside of functions and classes too."""
    found = Imports()
    for statement in nested(body, deep):
        if isinstance(statement, ast.Import):
            for alias in statement.names:
                name = tuple(alias.name.split("."))
                found.modules.append(name)
                bound = alias.asname or name[0]
                found.names.setdefault(bound, []).append(name if alias.asname else name[:1])
        elif isinstance(statement, ast.ImportFrom):
            above = package[: len(package) - statement.level + 1] if statement.level else ()
            base = (*above, *(statement.module.split(".") if statement.module else ()))
            for alias in statement.names:
                if alias.name == "*":
                    found.stars.append(base)
                    found.modules.append(base)
                else:
                    found.modules.append((*base, alias.name))
                    found.names.setdefault(alias.asname or alias.name, []).append((*base, alias.name))
    return found


def executed_statements(body: Iterable[ast.stmt], is_script: bool) -> Iterator[ast.stmt]:
    """The top-level statements that Python executes: without `if TYPE_CHECKING:`, and in a module without its main."""
    for statement in body:
        if isinstance(statement, ast.If) and (checks_types(statement) or (not is_script and is_main(statement))):
            yield from executed_statements(statement.orelse, is_script)
        else:
            yield statement


def checks_types(statement: ast.If) -> bool:
    """Whether a statement is `if TYPE_CHECKING:`."""
    test = statement.test
    name = test.attr if isinstance(test, ast.Attribute) else getattr(test, "id", None)
    return name == "TYPE_CHECKING"


def is_main(statement: ast.If) -> bool:
    """Whether a statement is `if __name__ == "__main__":`."""
    return ast.unparse(statement.test) == "__name__ == '__main__'"


def nested(body: Iterable[ast.stmt], deep: bool = False) -> Iterator[ast.stmt]:
    """Statements and those inside of them, `if TYPE_CHECKING:` left out; of functions and classes only if `deep`."""
    for statement in body:
        if isinstance(statement, ast.If) and checks_types(statement):
            yield from nested(statement.orelse, deep)
            continue
        yield statement
        if deep or not isinstance(statement, SCOPES):
            for block in blocks(statement):
                yield from nested(block, deep)


def blocks(statement: ast.stmt) -> Iterator[list[ast.stmt]]:
    """The blocks of statements in a compound statement."""
    for name in ("body", "orelse", "finalbody"):
        yield getattr(statement, name, [])
    for part in (*getattr(statement, "handlers", ()), *getattr(statement, "cases", ())):
        yield part.body


def bound_names(statement: ast.stmt) -> Iterator[str]:
    """The names that a top-level statement binds, imports left out."""
    for part in nested([statement]):
        if isinstance(part, SCOPES):
            yield part.name
        for target in targets_of(part):
            for node in ast.walk(target):
                if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                    yield node.id
        for expression in ast.iter_child_nodes(part):
            if isinstance(expression, ast.expr) and not isinstance(part, SCOPES):
                yield from (node.target.id for node in ast.walk(expression) if isinstance(node, ast.NamedExpr))


def targets_of(statement: ast.stmt) -> list[ast.expr]:
    """What a statement, without those inside of it, assigns to."""
    if isinstance(statement, ast.Assign):
        return statement.targets
    if isinstance(statement, ast.AugAssign | ast.For | ast.AsyncFor):
        return [statement.target]
    if isinstance(statement, ast.AnnAssign):
        return [statement.target] if statement.value else []
    if isinstance(statement, ast.With | ast.AsyncWith):
        return [item.optional_vars for item in statement.items if item.optional_vars]
    if type(statement).__name__ == "TypeAlias":  # of Python 3.12
        return [getattr(statement, "name")]  # noqa: B009
    return []


def has_effect(statement: ast.stmt) -> bool:
    """Whether a top-level statement does anything besides binding names and importing."""
    for part in nested([statement]):
        if isinstance(part, ast.Delete) or (isinstance(part, ast.Expr) and not isinstance(part.value, ast.Constant)):
            return True
        for target in targets_of(part):
            if any(isinstance(node, ast.Attribute | ast.Subscript) for node in ast.walk(target)):
                return True
    return False
