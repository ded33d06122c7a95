"""The cleaned ratings of a data set, or of any folder with ratings.csv, without a run of the pipeline."""

from __future__ import annotations

from pathlib import Path

from common import PROJECT, RESULTS, log_line

from reco_platform.cleaning.native import cleaned_table
from reco_platform.cleaning.ratings import CLEANING
from reco_platform.core.errors import DataError
from reco_platform.datasets import registry
from reco_platform.datasets.bronze import import_csv_files
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.splits.latest import LatestRatings, latest_ratings

COLUMNS = ["user_id", "movie_id", "rating", "rating_ts"]


def ratings_file(dataset: str, folder: Path | None = None) -> Path:
    """The ratings.csv of a folder, or of a data set, which is generated or downloaded if needed.

    Args:
        dataset: name in the registry; not used with a folder.
        folder: with ratings.csv.

    Raises:
        ConfigError: if the registry has no such data set.
        DataError: if the data set is not on this machine and cannot be downloaded; says where to put it.
    """
    if folder is not None:
        return folder / "ratings.csv"
    entry = registry.resolve(registry.load_registry(PROJECT / "config" / "datasets.yaml"), dataset, None)
    lakehouse = Lakehouse(str(RESULTS / "_scratch" / dataset / "lakehouse"), dataset)
    try:
        import_csv_files(entry, lakehouse, log_line)
    except DataError as error:
        raise DataError(
            f"{dataset} is not on this machine: {error.message}",
            f"unpack {dataset}.zip from GroupLens anywhere and name the folder with its ratings.csv: DATA=FOLDER",
        ) from error
    return Path(str(lakehouse.content(f"{lakehouse.bronze('ratings')}.csv")))


def read_ratings(source: Path, threads: int) -> LatestRatings:
    """The latest valid rating of each user and movie, by the pipeline's own rules.

    Raises:
        DataError: if the file is missing or is not a CSV file of ratings.
    """
    return latest_ratings(cleaned_table(source, CLEANING, threads).select(COLUMNS), threads)
