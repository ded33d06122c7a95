"""The verb that queries the tables of a lakehouse."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import click

from reco_platform.cli.project_options import Invocation, on_a_project
from reco_platform.cli.verbs import verb
from reco_platform.core.errors import ConfigError, RecoError
from reco_platform.core.words import counted

if TYPE_CHECKING:
    from reco_platform.maintenance.sql import Database, Format

PROMPT, CONTINUED = "sql> ", "  -> "


@verb("sql", '''sql "SELECT year, count(*) FROM ratings GROUP BY year"''', '''sql "SELECT * FROM history"''',
      '''sql 'SELECT count(*) FROM "ratings@0"' ''', "sql -f top.sql --format csv", "sql",
      '''sql --engine spark "DESCRIBE HISTORY {ratings}"''')  # fmt: skip
@on_a_project
@click.argument("queries", nargs=-1)
@click.option("-f", "--file", type=click.Path(), help="Run the statements in a file; - for standard input.")
@click.option("--format", "kind", type=click.Choice(("table", "csv", "json", "parquet")),
              help="Of the result. Default: table, or by the suffix of --output.")  # fmt: skip
@click.option("-o", "--output", type=click.Path(), help="Write the result to a file: .csv, .json or .parquet.")
@click.option("--engine", type=click.Choice(("duckdb", "spark")), default="duckdb", show_default=True)
def sql(
    invocation: Invocation,
    queries: Sequence[str],
    *,
    file: str | None,
    kind: Format | None,
    output: str | None,
    engine: str,
) -> None:
    """Each table is a view under its own name: ratings, movies, tags, interactions, recommendations_als, ...;
    rejected rows are rejected_ratings and so on. The view history lists the versions of every table, and "ratings@0" is
    version 0 of ratings. Without a query, a prompt reads statements that end with a semicolon.

    With --engine spark, {ratings} stands for the table's path, and the result is printed as Spark does."""
    target = Path(invocation.argument(output)) if output else None
    statements = [*queries, *([text_of(file if file == "-" else invocation.argument(file))] if file else [])]
    lakehouse = invocation.prepare().lakehouse
    if engine == "spark":
        from reco_platform.maintenance import spark_sql

        if target or kind not in {None, "table"} or not statements:
            raise ConfigError("--engine spark prints the results of queries as tables", "leave out --engine spark")
        spark_sql.show(lakehouse, statements)
        return
    from reco_platform.maintenance.sql import Database

    database = Database(lakehouse)
    kind = format_of(kind, target)
    if statements:
        run_all(database, statements, kind, target)
    elif sys.stdin.isatty():
        prompt(database)
    else:
        run_all(database, [sys.stdin.read()], kind, target)


def text_of(file: str) -> str:
    """The text of a file of statements.

    Raises:
        ConfigError: if it cannot be read.
    """
    try:
        return sys.stdin.read() if file == "-" else Path(file).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ConfigError(f"-f {file}: {reason}", "name a file of SQL statements") from error


def format_of(kind: Format | None, target: Path | None) -> Format:
    """The format that was asked for, otherwise by the suffix of the file.

    Raises:
        ConfigError: for Parquet without a file.
    """
    by_suffix: dict[str, Format] = {".csv": "csv", ".json": "json", ".parquet": "parquet"}
    found = kind or (by_suffix.get(target.suffix, "table") if target else "table")
    if found == "parquet" and target is None:
        raise ConfigError("--format parquet needs a file to write to", "--output result.parquet")
    return found


def run_all(database: Database, statements: Sequence[str], kind: Format, target: Path | None) -> None:
    """Runs statements, and prints their results, or writes the last one to a file."""
    from reco_platform.maintenance import sql as queries

    found = [result for text in statements for result in database.run(text)]
    if target is None:
        print("\n".join(queries.as_text(one, kind) for one in found), flush=True)
        return
    if not found:
        raise ConfigError("the statements have no result to write", "end with a SELECT")
    queries.write(found[-1], target, kind)
    print(f"{counted(len(found[-1]), 'row')} written to {target}")


def prompt(database: Database) -> None:
    """Reads statements from the terminal and prints their results, until the end of the input."""
    from reco_platform.maintenance import sql as queries

    print(f"Tables: {', '.join(database.names)}\nEnd a statement with ; - leave with Ctrl-D")
    for statement in typed_statements():
        try:
            print("\n".join(queries.as_text(found, "table") for found in database.run(statement)) or "done")
        except RecoError as error:
            print(f"[ERROR] {error}", file=sys.stderr)


def typed_statements() -> Iterator[str]:
    """The statements that are typed, each up to its semicolon; Ctrl-C drops the one begun."""
    with suppress(ImportError):  # gives input() its history, where Python has it
        import readline  # noqa: F401
    begun: list[str] = []
    while True:
        try:
            begun.append(input(CONTINUED if begun else PROMPT))
        except KeyboardInterrupt:
            begun = []
            print()
            continue
        except EOFError:
            print()
            return
        if not begun[0].strip():
            begun = []
        elif begun[0].strip().rstrip(";").lower() in {"quit", "exit", ".quit", "\\q"}:
            return
        elif begun[-1].rstrip().endswith(";"):
            yield "\n".join(begun)
            begun = []
