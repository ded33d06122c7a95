"""Regular expressions for config values, with a description of each."""

from __future__ import annotations

RATING_METRICS = tuple(
    f"{kind}_{rows}{form}"
    for kind in ("rmse", "mae", "user_rmse")
    for rows in ("all", "warm")
    for form in ("", "_clipped")
)
RANKING_METRICS = (
    "precision", "recall", "ndcg", "map", "mrr", "hit_rate", "novelty", "popularity_percentile", "genre_diversity",
)  # fmt: skip

DATASET_NAME = r"^[\w][\w .+-]*$"
NOT_IN_FOLDERS = r"[{}\\%\x00-\x1f\x7f]"
FOLDER = r"^[^{}\\%\x00-\x1f\x7f-][^{}\\%\x00-\x1f\x7f]*$"
"""Braces are Snakemake wildcards, delta-rs reads \\ as / and %41 as A, programs read a leading - as an option."""
SOURCE_FILES = r"^[^\x00-\x1f\x7f]+$"
COLUMN = r"^[^\x00-\x08\x0a-\x1f\x7f]{1,200}$"
COLUMNS = r"^[^\x00-\x08\x0a-\x1f\x7f]{1,2000}$"
DELIMITER = r"^[^\x00-\x08\x0a-\x1f\x7f\"]{1,9}$"
ENCODING = r"^[A-Za-z0-9][\w.:-]{0,39}$"
TIME_UNIT = r"^(s|ms|us|ns|iso8601|excel|[^\x00-\x1f\x7f]*%[^\x00-\x1f\x7f]*)$"
TIME_ZONE = r"^([A-Za-z][\w+/-]*|[+-]\d\d:\d\d)$"
RATING_SCALE = r"^(none|[-\d.]+\.\.[-\d.]+(:[\d.]+)?)$"
"""Only the form; `core.rating_scale` checks the numbers."""
EVENT_WEIGHTS = r"^[^\x00-\x1f\x7f=][^\x00-\x1f\x7f]*=[\d.eE+-]+$"
MEMORY = r"^[1-9]\d*[mg]$"
MODEL_NAME = r"^[\w.-]+$"
DATE = r"^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])$"
SPARK_MASTER = r"^(spark://[\w.-]+:\d+(,[\w.-]+:\d+)*|yarn|k8s://\S+|local-cluster\[\d+,\d+,\d+\])$"
TRACKING_URI = r"^(https?://|(sqlite|postgresql|mysql|mssql)(\+\w+)?://|sha256:)"
"""Addresses of MLflow stores; `sha256:` replaces an address whose secrets must not be shown."""
METRIC = rf"^({'|'.join(RATING_METRICS)}|({'|'.join(RANKING_METRICS)})@[1-9]\d{{0,2}})$"
SWEEP_NAME = r"^\w[\w.-]*$"

MEANING = {
    DATASET_NAME: "a name of letters, digits, spaces and .+-_, starting with a letter or digit",
    FOLDER: "a folder whose name has no { } \\ %, no control characters, and no leading - (write ./-)",
    SOURCE_FILES: "names or patterns of files in dataset_path, joined by commas, or FOLDER.zip/MEMBER; or none",
    COLUMN: "the name of a column, or its position from 1 where there is no header; or none",
    COLUMNS: "names or positions of columns, joined by commas",
    DELIMITER: "one or more characters, such as ; or ::, or one of tab, comma, semicolon, pipe, space",
    ENCODING: "an encoding such as utf-8, latin-1, cp1252 or utf-16",
    TIME_UNIT: "s, ms, us, ns, iso8601, excel, or a pattern such as %d/%m/%Y %H:%M",
    TIME_ZONE: "a time zone such as UTC, Europe/Berlin or +02:00",
    EVENT_WEIGHTS: "events with weights, such as view=1 cart=3 purchase=5",
    RATING_SCALE: "least..greatest, such as 1..10 or 0..100:5 with a step, or none",
    DATE: "a date such as 2015-12-31",
    TRACKING_URI: "an address starting with http://, https://, sqlite://, postgresql://, mysql:// or mssql://",
    METRIC: f"one of {', '.join(RATING_METRICS)}; or one of {', '.join(RANKING_METRICS)} with the length of the lists, "
    "1 to 999, such as ndcg@10",
    SWEEP_NAME: "a name of letters, digits and .-_, starting with a letter or digit",
    MODEL_NAME: "a name of letters, digits and .-_",
    MEMORY: "a whole number with m or g, such as 800m or 4g",
    SPARK_MASTER: "spark://HOST:PORT, yarn, k8s://ADDRESS or local-cluster[EXECUTORS,CORES,MEMORY_MB]",
}
"""What each pattern allows, for error messages and docs."""
