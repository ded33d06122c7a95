"""docs/python.md: the public names of the package with their docstrings."""

from __future__ import annotations

import inspect
import re
from collections.abc import Collection, Iterator

import reco_platform

HEADINGS = ("Args", "Attributes", "Returns", "Raises")


def page(written: str) -> str:
    """The page as Markdown.

    Args:
        written: says how the page is made.
    """
    public = list(reco_platform.EXPORTS)
    functions = [name for name in public if inspect.isfunction(getattr(reco_platform, name))]
    classes = [name for name in public if inspect.isclass(getattr(reco_platform, name))]
    parts = [f"# Python\n<!-- {written} -->", inspect.getdoc(reco_platform) or ""]
    parts += [section(f"reco_platform.{name}", getattr(reco_platform, name), 2) for name in functions]
    shown = [getattr(reco_platform, name) for name in classes]
    for kind in shown:
        parts += class_sections(kind, [other for other in shown if other is not kind])
    parts.append("## reco_platform.\\_\\_version\\_\\_\n\nThe version of the package, a string.")
    return "\n\n".join(parts) + "\n"


def class_sections(kind: type, others: Collection[type]) -> Iterator[str]:
    """A class and its public members in the order of the code, also those inherited from a class of this package.

    Args:
        kind: the class.
        others: classes that have sections of their own, with the members that are inherited from them.
    """
    yield f"## {kind.__name__}\n\n{markdown(inspect.getdoc(kind) or '')}"
    package = f"{reco_platform.__name__}."
    inherited = [one for one in kind.__mro__ if one.__module__.startswith(package) and one not in others]
    for name, member in {name: member for one in inherited for name, member in vars(one).items()}.items():
        if name.startswith("_"):
            continue
        if isinstance(member, property):
            yield f"### {name}\n\n{markdown(inspect.getdoc(member) or '')}"
        elif inspect.isfunction(member):
            yield section(name, member, 3)


def section(name: str, function: object, depth: int) -> str:
    assert inspect.isfunction(function)  # noqa: S101  # for mypy: callers pass functions only
    signature = inspect.signature(function)
    shown = [one for one in signature.parameters.values() if one.name != "self"]
    text = str(signature.replace(parameters=shown)).replace("'", "")
    text = re.sub(r"environ\(\{.*?\}\)|PosixPath\(.*?\)|<.*?>", "...", text)
    return f"{'#' * depth} {name}\n\n```python\n{name}{text}\n```\n\n{markdown(inspect.getdoc(function) or '')}"


def markdown(docstring: str) -> str:
    """A docstring with its sections of arguments and errors as lists."""
    lines = []
    for line in docstring.splitlines():
        heading = line.removesuffix(":")
        if line.endswith(":") and heading in HEADINGS:
            lines += [f"**{heading}**", ""]
        elif re.match(r"    \S", line) and (found := re.match(r"    (\*{0,2}\w+): (.*)", line)):
            lines.append(f"- `{found[1]}`: {found[2]}")
        elif line.startswith("    "):
            lines.append(line.strip())
        else:
            lines.append(line)
    return "\n".join(lines)
