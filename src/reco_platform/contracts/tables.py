"""The contract of each table: grain, columns, types, ranges. Schemas, checks and docs/contracts.md derive from it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from reco_platform.fingerprint.spec import arrow_fields, schema_hash

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True)
class Field:
    """One column: its Arrow type, what it means, and the values that it may have."""

    name: str
    type: pa.DataType
    description: str
    nullable: bool = False
    minimum: float | None = None
    maximum: float | None = None


@dataclass(frozen=True)
class Contract:
    """One table.

    Attributes:
        name: the table's name.
        grain: what one row stands for.
        key: columns whose values together are unique; empty if rows may repeat.
        fields: the columns in order.
        partition_by: partition columns, which are folder names and not in the files.
    """

    name: str
    grain: str
    key: tuple[str, ...]
    fields: tuple[Field, ...]
    partition_by: tuple[str, ...] = ()

    @property
    def schema(self) -> pa.Schema:
        return pa.schema([pa.field(field.name, field.type) for field in self.fields])

    @property
    def names(self) -> list[str]:
        return [field.name for field in self.fields]

    @property
    def schema_hash(self) -> str:
        return schema_hash(arrow_fields(self.schema))

    @property
    def ddl(self) -> str:
        """Names and types of the columns in Spark SQL."""
        return ", ".join(f"{name} {kind}" for name, kind in arrow_fields(self.schema))


INT, FLOAT, TEXT, TIME = pa.int32(), pa.float32(), pa.string(), pa.timestamp("us", "UTC")
USER = Field("user_id", INT, "User, as numbered in the source or in silver/users", minimum=0)
MOVIE = Field("movie_id", INT, "Movie, as numbered in the source or in silver/items", minimum=0)
YEAR = Field("year", INT, "Year of the event, UTC", minimum=1970, maximum=9999)
MONTH = Field("month", INT, "Month of the event, UTC", minimum=1, maximum=12)

RATINGS = Contract(
    "ratings",
    "one rating given by a user to a movie at one moment",
    ("user_id", "movie_id", "rating_ts"),
    (
        USER,
        MOVIE,
        Field("rating", FLOAT, "Stars", minimum=0.5, maximum=5.0),
        Field("rating_ts", TIME, "When it was given, UTC"),
        YEAR,
        MONTH,
    ),
    ("year", "month"),
)
MOVIES = Contract(
    "movies",
    "one movie",
    ("movie_id",),
    (
        MOVIE,
        Field("title", TEXT, "Title as in the source, with the year in brackets"),
        Field("genres_string", TEXT, "Genres as in the source, joined by |", nullable=True),
        Field("genres", pa.list_(TEXT), "Genres; empty where none are listed"),
        Field("release_year", INT, "Year at the end of the title", nullable=True, minimum=0, maximum=9999),
    ),
)
TAGS = Contract(
    "tags",
    "one tag given by a user to a movie at one moment",
    (),
    (
        USER,
        MOVIE,
        Field("tag", TEXT, "The tag as written"),
        Field("tag_ts", TIME, "When it was given, UTC"),
        YEAR,
        MONTH,
    ),
    ("year", "month"),
)
SOURCE_ID = Field("source_id", TEXT, "Id as the source writes it")
USERS = Contract(
    "users",
    "one user; only for data whose ids are texts",
    ("user_id",),
    (
        replace(USER, description="User, in the other tables; given in order of first appearance, never changed"),
        SOURCE_ID,
    ),
)
ITEMS = Contract(
    "items",
    "one movie; only for data whose ids are texts",
    ("movie_id",),
    (
        replace(MOVIE, description="Movie, in the other tables; given in order of first appearance, never changed"),
        SOURCE_ID,
    ),
)
INTERACTIONS = Contract(
    "interactions",
    "the latest rating of a user for a movie",
    ("user_id", "movie_id"),
    (
        USER,
        MOVIE,
        Field("user_index", INT, "Users numbered from 0 in order of user_id", minimum=0),
        Field("movie_index", INT, "Movies numbered from 0 in order of movie_id", minimum=0),
        Field("rating", FLOAT, "Stars", minimum=0.5, maximum=5.0),
        Field("rating_ts", TIME, "When it was given, UTC"),
        Field("fold", TEXT, "train, validation or test, as split cuts them; validation is part of the training data"),
    ),
)
RECOMMENDATION = pa.struct([("movie_id", INT), ("score", FLOAT), ("rank", INT)])
RECOMMENDATIONS = Contract(
    "recommendations_als",
    "the recommendations of one user",
    ("user_id",),
    (
        USER,
        Field("recommendations", pa.list_(RECOMMENDATION), "Best first; rank counts from 1"),
        Field("model_version", TEXT, "The model that made them"),
        Field("generated_ts", TIME, "When they were written; not part of the fingerprint"),
    ),
)
RECOMMENDATIONS_FALLBACK = Contract(
    "recommendations_fallback",
    "the most popular movies for one user whom the model does not know, or for a visitor",
    RECOMMENDATIONS.key,
    (
        replace(USER, description=f"{USER.description}; null for a visitor, in one row", nullable=True),
        Field(
            "recommendations",
            pa.list_(RECOMMENDATION),
            "Best first; the score is the number of ratings, older ones counting less",
        ),
        Field("model_version", TEXT, "popular-<half-life in days>d-<version of the model that does not know the user>"),
        Field("generated_ts", TIME, "When they were written; not part of the fingerprint"),
    ),
)
CONTRACTS = {
    contract.name: contract
    for contract in (RATINGS, MOVIES, TAGS, USERS, ITEMS, INTERACTIONS, RECOMMENDATIONS, RECOMMENDATIONS_FALLBACK)
}


def violations(contract: Contract, sample: pd.DataFrame) -> list[str]:
    """How a sample of a table violates its contract, checked by pandera; empty if it does not."""
    import pandera.pandas as pandera  # noqa: PLC0415  # takes a second to import

    schema = pandera.DataFrameSchema(
        {field.name: pandera_column(field) for field in contract.fields},
        strict=True,
        unique=list(contract.key) or None,
    )
    try:
        schema.validate(sample, lazy=True)
    except pandera.errors.SchemaErrors as error:
        cases = error.failure_cases.groupby(["column", "check"], dropna=False).size()
        return [f"{column}: {check} fails for {count} of the sampled rows" for (column, check), count in cases.items()]
    return []


def pandera_column(field: Field) -> Any:
    import pandera.pandas as pandera  # noqa: PLC0415

    checks = []
    if field.minimum is not None:
        checks.append(pandera.Check.ge(field.minimum))
    if field.maximum is not None:
        checks.append(pandera.Check.le(field.maximum))
    kinds = {INT: "int32", FLOAT: "float32", TIME: "datetime64[us, UTC]"}
    kind = None if field.nullable else kinds.get(field.type)
    return pandera.Column(kind, checks, nullable=field.nullable)
