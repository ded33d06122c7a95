"""Verbs that ask the model: lists, likeness, reasons, search; as a table on a terminal, as JSON, or as CSV."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import click

from reco_platform.cli.project_options import Invocation, on_a_project
from reco_platform.cli.verbs import verb
from reco_platform.core.errors import ConfigError

if TYPE_CHECKING:
    import pyarrow as pa

    from reco_platform.serving.answers import Movies
    from reco_platform.serving.lakehouse import OpenLakehouse

WIDE = 200
"""Columns of a table that is not shown on a terminal."""

EITHER = "--user 1, or --rated 'Toy Story=5' --rated 3114=4.5"


def asking(function: Callable[..., Any]) -> Callable[..., Any]:
    """Adds the options of every verb of this module."""
    options = (
        click.option("--lakehouse", metavar="FOLDER", type=click.Path(),
                     help="Folder of the lakehouse, such as results/demo. Default: that of the configuration."),
        click.option("--json", "as_json", is_flag=True, help="Print one JSON object, for programs."),
        click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a header, for programs."),
    )  # fmt: skip
    for option in reversed(options):
        function = option(function)
    return on_a_project(function)


def rated_option(function: Callable[..., Any]) -> Callable[..., Any]:
    return click.option(
        "--rated", multiple=True, metavar="MOVIE=STARS", help="A rating of somebody who is not in the data; repeat it."
    )(function)


def number_option(default: int) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    return click.option("-n", type=int, default=default, show_default=True, help="Length of the list.")


@verb(
    "recommend", "recommend --user 1", "recommend --user 1 --genre Comedy --from 1990 --why 3",
    'recommend --rated "Toy Story=5" --rated 3114=4.5', "recommend --user 1 --json",
)  # fmt: skip
@asking
@click.option("--user", metavar="ID", help="A user of the data. Default: a visitor.")
@rated_option
@number_option(10)
@click.option("--genre", multiple=True, help="Only movies of this genre; of all, if repeated.")
@click.option("--from", "first", type=int, metavar="YEAR", help="Only movies released in this year or later.")
@click.option("--to", "last", type=int, metavar="YEAR", help="Only movies released in this year or earlier.")
@click.option("--seen/--unseen", default=None, help="With or without what was rated. Default: as in the run.")
@click.option("--why", type=int, default=0, metavar="K", help="Give K reasons for each movie.")
def recommend(
    invocation: Invocation, *, lakehouse: str | None, as_json: bool, as_csv: bool, user: str | None,
    rated: Sequence[str], first: int | None, last: int | None, seen: bool | None, genre: Sequence[str], **options: Any,
) -> None:  # fmt: skip
    """A user whom the model does not know, and a visitor, get the most popular movies."""
    if user is not None and rated:
        raise ConfigError("--user and --rated were both given", EITHER)
    opened = open_for(invocation, lakehouse)
    options |= {"genres": genre, "released": (first, last)}
    if rated:
        found = opened.recommend_for(ratings_of(rated), exclude_seen=not seen, **options)
    else:
        found = opened.recommend(user, exclude_seen=None if seen is None else not seen, **options)
    show(found, found.to_dict(), as_json, as_csv)


@verb("similar", 'similar "Toy Story"', "similar 260 -n 5 --csv")
@asking
@click.argument("movie")
@number_option(10)
def similar(invocation: Invocation, *, lakehouse: str | None, as_json: bool, as_csv: bool, movie: str, n: int) -> None:
    """MOVIE is an id or a title."""
    found = open_for(invocation, lakehouse).similar(movie, n)
    show(found, found.to_dict(), as_json, as_csv)


@verb("search", "search toy st", "search matrix --json")
@asking
@click.argument("words", nargs=-1, required=True)
@number_option(20)
def search(
    invocation: Invocation, *, lakehouse: str | None, as_json: bool, as_csv: bool, words: Sequence[str], n: int
) -> None:
    """WORDS are words of a title, or their beginnings."""
    found = open_for(invocation, lakehouse).search(" ".join(words), n)
    show(found, found.to_dict(), as_json, as_csv)


@verb("why", "why --user 1 Casablanca", 'why --rated "Toy Story=5" Aladdin', "why --user 1 260 --of rating --csv")
@asking
@click.argument("movie")
@click.option("--user", metavar="ID", help="A user of the data.")
@rated_option
@click.option("--of", type=click.Choice(("list", "rating")), default="list", show_default=True,
              help="Explain the score in the list, or the predicted rating.")  # fmt: skip
@click.option("-n", type=int, default=5, show_default=True, help="Reasons to show for and against it.")
def why(
    invocation: Invocation, *, lakehouse: str | None, as_json: bool, as_csv: bool, movie: str, user: str | None,
    rated: Sequence[str], of: Any, n: int,
) -> None:  # fmt: skip
    """MOVIE is an id or a title. The parts add up to the score; --json and --csv have all of them."""
    if (user is None) == (not rated):
        raise ConfigError("whose score is to be explained?", EITHER)
    opened = open_for(invocation, lakehouse)
    found = opened.explain_for(ratings_of(rated), movie, of=of) if user is None else opened.explain(user, movie, of=of)
    if as_json or as_csv:
        print_data(found.to_dict(), found.to_arrow(), as_csv)
    else:
        print("\n".join(found.sentences(n)))


def open_for(invocation: Invocation, folder: str | None) -> OpenLakehouse:
    """The lakehouse in a folder, as typed, or that of the configuration."""
    from reco_platform.serving.lakehouse import open_lakehouse

    if folder is not None:
        return open_lakehouse(folder)
    lakehouse = invocation.prepare().lakehouse
    return open_lakehouse(lakehouse.root, lakehouse.dataset)


def ratings_of(words: Iterable[str]) -> dict[int | str, float]:
    """Ratings from words such as `Toy Story=5` or `3114=4.5`.

    Raises:
        ConfigError: for a word without stars, or a movie that was named twice.
    """
    found: dict[int | str, float] = {}
    for word in words:
        movie, _, stars = word.rpartition("=")
        try:
            given = float(stars)
        except ValueError as error:
            raise ConfigError(f"--rated {word!r} has no number of stars behind =", "--rated 'Toy Story=5'") from error
        if not movie.strip() or movie in found:
            raise ConfigError(f"--rated {word!r} names {'a movie again' if movie else 'no movie'}", EITHER)
        found[movie] = given
    return found


# --- output


def show(found: Movies[Any], data: dict[str, Any], as_json: bool, as_csv: bool) -> None:
    if as_json or as_csv:
        print_data(data, found.to_arrow(), as_csv)
        return
    if found.note:
        print(found.note)
    if not found:
        print("No movie fits.")
        return
    ranked = hasattr(found[0], "rank")
    names = ["id", "title", "genres", "ratings"]
    rows = []
    for movie in found:
        row = [str(movie.movie_id), movie.title, ", ".join(movie.genres), f"{movie.ratings:,}"]
        digits = 1 if found.source == "popular" else 3
        rows.append([str(movie.rank), *row, f"{movie.score:.{digits}f}"] if ranked else row)
        rows += [["", "", f"  {one.adds:+.3f} {one.words}"] for one in getattr(movie, "why", ())]
    print_table(["rank", *names, "score"] if ranked else names, rows)
    if found.score_means:
        print(f"score: {found.score_means}; model {found.model_version}")


def print_data(data: dict[str, Any], table: pa.Table, as_csv: bool) -> None:
    """Prints an answer as JSON or CSV; a cell with several genres has | between them."""
    if not as_csv:
        print(json.dumps(data, indent=1, ensure_ascii=False))
        return
    out = csv.writer(sys.stdout, lineterminator="\n")
    out.writerow(table.column_names)
    for row in table.to_pylist():
        out.writerow(["|".join(cell) if isinstance(cell, list) else cell for cell in row.values()])


def print_table(names: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Prints a table that fits the terminal; titles and genres are cut where it is too narrow."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(width=None if sys.stdout.isatty() else WIDE, highlight=False)
    table = Table(box=None, pad_edge=False, header_style="bold" if sys.stdout.isatty() else "")
    for name in names:
        is_number = name in {"rank", "id", "ratings", "score"}
        table.add_column(name, justify="right" if is_number else "left", no_wrap=True, overflow="ellipsis")
    for row in rows:
        table.add_row(*map(Text, row))
    console.print(table)
