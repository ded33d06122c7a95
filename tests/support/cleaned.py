"""Cleaning as a whole, by both engines, and lines that break its rules."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from reco_platform.cleaning import movies, native, quality, ratings, tags
from reco_platform.cleaning import spark as silver_spark
from reco_platform.cleaning.rules import CleaningRules
from reco_platform.config.model import Config
from reco_platform.datasets import csv_reader
from reco_platform.engine.task import Task
from reco_platform.fingerprint.files import file_fingerprint
from reco_platform.lakehouse import layout
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.pipeline.steps_table import STEPS
from support.builders import MOVIES_HEADER, RATINGS_HEADER, TAGS_HEADER

CLEANINGS = {"ratings": ratings.CLEANING, "movies": movies.CLEANING, "tags": tags.CLEANING}
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
SHARE = Config().max_reject_share


@dataclass
class Outcome:
    """What a run of the product left behind."""

    cleaning: CleaningRules
    cleaned: quality.CleaningResult
    staging: Path
    quarantine: Path
    extra: list[str]

    def table(self) -> pa.Table:
        contract = self.cleaning.contract
        if not any(self.staging.rglob("*.parquet")):
            return contract.schema.empty_table()
        kinds = pa.schema([contract.schema.field(name) for name in contract.partition_by])
        partitioning = ds.partitioning(kinds, flavor="hive") if contract.partition_by else None
        return ds.dataset(self.staging, format="parquet", partitioning=partitioning).to_table(contract.names)

    def rejected(self) -> list[dict[str, Any]]:
        files = list(self.quarantine.glob("*.parquet"))
        return pa.concat_tables([pq.read_table(path) for path in files]).to_pylist() if files else []


def folders(folder: Path, table: str) -> tuple[Path, Path]:
    staging, quarantine = folder / f"{table}-staging", folder / f"{table}-quarantine"
    staging.mkdir(parents=True)
    quarantine.mkdir()
    return staging, quarantine


def natively(source: Path, table: str, folder: Path, threads: int = 2) -> Outcome:
    cleaning, (staging, quarantine) = CLEANINGS[table], folders(folder, table)
    extra = csv_reader.extra_columns(source, cleaning.source_columns)
    records = csv_reader.read_records(source, cleaning.source_columns)
    cleaned = native.clean(records, cleaning, staging, quarantine, threads)
    return Outcome(cleaning, cleaned, staging, quarantine, extra)


def by_spark(spark: Any, source: Path, table: str, folder: Path) -> Outcome:
    cleaning, (staging, quarantine) = CLEANINGS[table], folders(folder, table)
    extra = csv_reader.extra_columns(source, cleaning.source_columns)
    parsed = folder / f"{table}.parquet"
    csv_reader.convert_to_parquet(source, cleaning.source_columns, parsed)
    cleaned = silver_spark.clean(spark, parsed, cleaning, staging, quarantine)
    return Outcome(cleaning, cleaned, staging, quarantine, extra)


def rows_of(table: pa.Table) -> list[tuple[Any, ...]]:
    """Rows as the oracle writes them: seconds for moments, tuples for lists."""
    plain = [[_plain(value) for value in column.to_pylist()] for column in table.columns]
    return list(zip(*plain, strict=True))


def _plain(value: Any) -> Any:
    if isinstance(value, datetime):
        return round((value - EPOCH).total_seconds())
    return tuple(value) if isinstance(value, list) else value


def task_for(root: Path, table: str, storage_format: str = "delta", share: float = SHARE) -> Task:
    """The silver step of one table in a lakehouse with nothing but CSV files."""
    path = root / "bronze" / f"{table}.csv"
    kind = "file" if path.is_file() else "absent"
    content = file_fingerprint(path) if kind == "file" else ""
    bronze = Receipt(f"bronze/{table}", kind, f"bronze/{table}.csv", "csv", fingerprint=content)  # type: ignore[arg-type]
    params = {"sample_size": 100, "sample_seed": 7, "max_reject_share": share, "storage_format": storage_format}
    artifact = layout.silver(table)
    receipt = root / f"{artifact}.receipt.json"
    step = STEPS[f"silver_{table}"]
    return Task(step, "own", root, receipt, artifact, {**params, "code": "0"}, {"bronze": bronze}, 2, "warn")


# --- hand-made hazards: each line with the rules that it must break

RATING_HAZARDS: list[tuple[str, tuple[str, ...]]] = [
    ("1,10,4.0,1000000000", ()),
    (" 5 ,10, 3.5 , 1000000001 ", ()),
    ("+7,010,+2.5,1000000002", ()),
    ("6,10,1e0,1000000003", ()),
    ("6,11,.5,0", ()),
    ("6,12,5.,253402300799", ()),
    ("6,13,3.7,1582934400", ()),
    ('"6","14","4.5","1583020800"', ()),
    ("0,0,0.5,1", ()),
    ("2147483647,2147483647,5.0,1", ()),
    # duplicates: the highest stays; in key (9, 9, 9) three ratings differ from the one that stays
    ("9,9,3.0,9", ()),
    ("9,9,4.5,9", ()),
    ("9,9,3.0,9", ()),
    ("9,9,1.0,9", ()),
    ("8,8,2.0,8", ()),
    ("8,8,2.0,8", ()),
    ("8,8,2.0,9", ()),
    # one rule each
    (",10,4.0,1000000000", ("null_user",)),
    ("  ,10,4.0,1000000000", ("null_user",)),
    ('"",10,4.0,1000000000', ("null_user",)),
    ("one,10,4.0,1000000000", ("user_not_a_number",)),
    ("1.0,10,4.0,1000000000", ("user_not_a_number",)),
    ("2147483648,10,4.0,1000000000", ("user_not_a_number",)),
    ("-1,10,4.0,1000000000", ("negative_user",)),
    ("-2147483648,10,4.0,1000000000", ("negative_user",)),
    ("1,,4.0,1000000000", ("null_movie",)),
    ("1,ten,4.0,1000000000", ("movie_not_a_number",)),
    ("1,1_0,4.0,1000000000", ("movie_not_a_number",)),
    ("1,٣,4.0,1000000000", ("movie_not_a_number",)),
    ("1,-10,4.0,1000000000", ("negative_movie",)),
    ("1,10,,1000000000", ("null_rating",)),
    ("1,10,four,1000000000", ("rating_not_a_number",)),
    ('1,10,"3,5",1000000000', ("rating_not_a_number",)),
    ("1,10,3.5f,1000000000", ("rating_not_a_number",)),
    ("1,10,3.5D,1000000000", ("rating_not_a_number",)),
    ("1,10,0x1p1,1000000000", ("rating_not_a_number",)),
    ("1,10,0X1P1,1000000000", ("rating_not_a_number",)),
    ("1,10,NaN,1000000000", ("rating_not_a_number",)),
    ("1,10,nan,1000000000", ("rating_not_a_number",)),
    ("1,10,Infinity,1000000000", ("rating_not_a_number",)),
    ("1,10,-inf,1000000000", ("rating_not_a_number",)),
    ("1,10,null,1000000000", ("rating_not_a_number",)),
    ("1,10,0.0,1000000000", ("rating_out_of_range",)),
    ("1,10,-4.0,1000000000", ("rating_out_of_range",)),
    ("1,10,5.5,1000000000", ("rating_out_of_range",)),
    ("1,10,1e400,1000000000", ("rating_out_of_range",)),
    ("1,10,4.0,", ("null_timestamp",)),
    ("1,10,4.0,yesterday", ("timestamp_not_a_number",)),
    ("1,10,4.0,1e9", ("timestamp_not_a_number",)),
    ("1,10,4.0,1000000000.0", ("timestamp_not_a_number",)),
    ("1,10,4.0,2001-09-09", ("timestamp_not_a_number",)),
    ("1,10,4.0,99999999999999999999", ("timestamp_not_a_number",)),
    ("1,10,4.0,-1", ("timestamp_out_of_range",)),
    ("1,10,4.0,1000000000000", ("timestamp_out_of_range",)),
    ("1,10,4.0,253402300800", ("timestamp_out_of_range",)),
    ("1,10,4.0", ("malformed_line",)),
    ("1,10,4.0,1000000000,", ("malformed_line",)),
    ("#### disk error ####", ("malformed_line",)),
    ('1,10,"4.0"5,1000000000', ("malformed_line",)),
    ("   ", ("malformed_line",)),
    # several at once
    (",,,", ("null_user", "null_movie", "null_rating", "null_timestamp")),
    ("-1,x,9,-5", ("negative_user", "movie_not_a_number", "rating_out_of_range", "timestamp_out_of_range")),
    ("y,-1,z,w", ("user_not_a_number", "negative_movie", "rating_not_a_number", "timestamp_not_a_number")),
    (",10,NaN,1000000000", ("null_user", "rating_not_a_number")),
]

MOVIE_HAZARDS: list[tuple[str, tuple[str, ...]]] = [
    ("1,Toy Story (1995),Adventure|Animation", ()),
    ('2,"American President, The (1995)",Comedy', ()),
    ('3,"A ""quoted"" title",(no genres listed)', ()),
    ("4,No genres (2000),", ()),
    ("5,Two years (1999) (2001),Drama", ()),
    ("6,Trailing space (1999)  ,Drama", ()),
    ("7,Not a year (199),Drama||War", ()),
    ("8,(1984) at the front,IMAX", ()),
    ('9,"Two\nlines (1990)",Drama', ()),
    ("0,Amélie (2001),Comédie", ()),
    ("1,Toy Story (1995),Adventure|Animation", ()),
    ("1,Toy Story (1995),Adventure", ()),
    (",Nameless (1990),Drama", ("null_movie",)),
    ("x,Unnumbered (1990),Drama", ("movie_not_a_number",)),
    ("-3,Negative (1990),Drama", ("negative_movie",)),
    ("10,,Drama", ("null_title",)),
    ("11,  ,Drama", ("null_title",)),
    (",,", ("null_movie", "null_title")),
    ("12,American President, The (1995),Comedy", ("malformed_line",)),
    ("13", ("malformed_line",)),
    ("14,Blank parts (1990),Drama|", ()),
    ("15,Blanks around (1990), Drama | Comedy|Drama", ()),
    # quotes that RFC 4180 does not know; the first would swallow lines up to the next quote
    ('18,"Lost quote (1983),Drama', ("malformed_line",)),
    ("19,Swallowed by none (1984),Drama", ()),
    ('16,"Grand" Stage (1998),Musical', ("malformed_line",)),
    (r'17,"The \"Best\" Film (1999)",Drama', ("malformed_line",)),
    ('20,Found" again (1987),Comedy', ()),
    ('21,Inches 5" (1987),Comedy', ()),
]

TAG_HAZARDS: list[tuple[str, tuple[str, ...]]] = [
    ("1,10,funny,1000000000", ()),
    ("1,10,funny,1000000000", ()),
    ("1,10,Funny,1000000000", ()),
    ('1,10,"long, but worth it",1000000000', ()),
    ('1,10,"so-called ""classic""",1000000000', ()),
    ('1,10,"two\nlines",1000000000', ()),
    ("1,10, padded ,1000000000", ()),
    ("1,10,null,1000000000", ()),
    ("1,10,🎬 наивно,1000000000", ()),
    ("1,10,,1000000000", ("null_tag",)),
    ("1,10,   ,1000000000", ("null_tag",)),
    (",10,dark,1000000000", ("null_user",)),
    ("x,10,dark,1000000000", ("user_not_a_number",)),
    ("-1,10,dark,1000000000", ("negative_user",)),
    ("1,,dark,1000000000", ("null_movie",)),
    ("1,x,dark,1000000000", ("movie_not_a_number",)),
    ("1,-1,dark,1000000000", ("negative_movie",)),
    ("1,10,dark,", ("null_timestamp",)),
    ("1,10,dark,soon", ("timestamp_not_a_number",)),
    ("1,10,dark,-1", ("timestamp_out_of_range",)),
    (",,,", ("null_user", "null_movie", "null_timestamp", "null_tag")),
    ("1,10,dark", ("malformed_line",)),
    ("1,10,long, but unquoted,1000000000", ("malformed_line",)),
    ('1,10,"stray,1000000000', ("malformed_line",)),
    ("1,10,after the stray,1000000000", ()),
    ('1,10,"text" behind,1000000000', ("malformed_line",)),
]

HAZARDS = {
    "ratings": (RATINGS_HEADER, RATING_HAZARDS),
    "movies": (MOVIES_HEADER, MOVIE_HAZARDS),
    "tags": (TAGS_HEADER, TAG_HAZARDS),
}
