"""A user's own layout, for real: the same silver tables as from MovieLens's, and only what a change concerns reruns."""

from __future__ import annotations

import gzip
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from deltalake import DeltaTable

from support.project import Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

KEYS: dict[str, Any] = {
    "dataset": "shop", "dataset_path": "shop", "folder": "shop", "ratings_file": "orders.csv.gz", "delimiter": ";",
    "user_column": "customer", "item_column": "sku", "rating_column": "score", "time_column": "date",
    "time_unit": "iso8601", "rating_scale": "1..10", "id_type": "text", "items_file": "products.csv",
    "items_id_column": "sku", "title_column": "name", "genres_column": "kind", "genres_delimiter": "/",
}  # fmt: skip
HEADER = "date;score;sku;customer;note"


def silver(project: Project, table: str, lakehouse: str = "small") -> pa.Table:
    return DeltaTable(str(project.lakehouse(lakehouse) / "silver" / table)).to_pyarrow_table()


def order(row: dict[str, Any]) -> str:
    moment = datetime.fromtimestamp(row["rating_ts"].timestamp(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return f'{moment};{row["rating"] * 2:.0f};Sku-{row["movie_id"]};"cust, {row["user_id"]}";x'


def write_orders(path: Path, lines: list[str], header: str = HEADER) -> None:
    path.write_bytes(gzip.compress("\n".join([header, *lines, ""]).encode(), mtime=0))


def states(project: Project, **keys: Any) -> dict[str, str]:
    found = project.status(**{key: value for key, value in {**KEYS, **keys}.items() if key != "folder"})
    return {step["step"]: step["state"] for step in found["steps"]}


def test_a_shop_in_its_own_layout_has_the_same_silver_tables_and_reruns_what_a_change_concerns(built: Project) -> None:
    ratings, movies = (silver(built, table).to_pylist() for table in ("ratings", "movies"))
    built.path("shop").mkdir()
    orders = [order(row) for row in ratings]
    write_orders(built.path("shop/orders.csv.gz"), orders)
    names = [row["title"].replace('"', '""') for row in movies]
    kinds = ["/".join(row["genres"]) for row in movies]
    products = [
        f'Sku-{row["movie_id"]};"{name}";{kind};{row["movie_id"]}'
        for row, name, kind in zip(movies, names, kinds, strict=True)
    ]
    built.path("shop/products.csv").write_text("\n".join(["sku;name;kind;price", *products, ""]), "utf-8")

    run = built.gold("silver", **KEYS)
    assert run.code == 0, run.output
    assert {"bronze", "silver_ratings", "silver_movies", "silver_users", "silver_items"} <= run.worked

    users, items = (
        dict(zip(table[f"{kind}_id"].to_pylist(), table["source_id"].to_pylist(), strict=True))
        for table, kind in ((silver(built, "users", "shop"), "user"), (silver(built, "items", "shop"), "movie"))
    )
    found = [
        (users[row["user_id"]], items[row["movie_id"]], row["rating"] / 2, row["rating_ts"])
        for row in silver(built, "ratings", "shop").to_pylist()
    ]
    expected = [
        (f"cust, {row['user_id']}", f"Sku-{row['movie_id']}", row["rating"], row["rating_ts"]) for row in ratings
    ]
    assert sorted(found) == sorted(expected)
    shown = [
        (items[row["movie_id"]], row["title"], row["genres"]) for row in silver(built, "movies", "shop").to_pylist()
    ]
    assert sorted(shown) == sorted((f"Sku-{row['movie_id']}", row["title"], row["genres"]) for row in movies)

    unchanged = states(built)
    assert {unchanged[step] for step in ("bronze", "silver_ratings", "silver_movies", "silver_users")} == {"up to date"}
    assert states(built, title_column="price")["bronze"] == "works", "another mapping"
    assert states(built, rating_scale="0..10")["bronze"] == "up to date", "the scale does not shape the import"
    assert states(built, rating_scale="0..10")["silver_ratings"] == "works"

    write_orders(built.path("shop/orders.csv.gz"), orders, HEADER.replace("score", "stars"))
    assert states(built, rating_column="stars")["bronze"] == "works", "a renamed column"
    renamed = built.gold("silver", **{**KEYS, "rating_column": "stars"})
    assert renamed.worked == {"bronze"}, "the same ratings under another name"

    added = f'2030-01-01T00:00:00Z;7;Sku-new;"cust, {ratings[0]["user_id"]}";x'
    write_orders(built.path("shop/orders.csv.gz"), [added, *orders])
    more = built.gold("silver", **KEYS)
    assert more.worked == {"bronze", "silver_ratings", "silver_items", "etl_report"}, more.output
    after = dict(
        zip(*(silver(built, "items", "shop")[name].to_pylist() for name in ("movie_id", "source_id")), strict=True)
    )
    assert {number: after[number] for number in items} == items, "an id that was given stays"
    assert set(after.values()) - set(items.values()) == {"Sku-new"}
