"""The configuration: a strict pydantic model with one field per key. docs/configuration.md is generated from it."""

from __future__ import annotations

from datetime import date
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, ValidationInfo, field_validator, model_validator

from reco_platform.config.keys import Key, key
from reco_platform.config.patterns import (
    COLUMN,
    COLUMNS,
    DATASET_NAME,
    DATE,
    DELIMITER,
    ENCODING,
    EVENT_WEIGHTS,
    FOLDER,
    MEMORY,
    METRIC,
    MODEL_NAME,
    RATING_SCALE,
    SOURCE_FILES,
    SPARK_MASTER,
    SWEEP_NAME,
    TIME_UNIT,
    TIME_ZONE,
    TRACKING_URI,
)  # fmt: skip
from reco_platform.config.spark_conf import parse_settings, setting_text
from reco_platform.core.hashing import sha256
from reco_platform.core.rating_scale import NO_RATINGS, RatingScale, parse_rating_scale
from reco_platform.core.redaction import redact_uri

MAX_LIST_LENGTH = 1000
MAX_TRIALS = 2000  # all trial ids are passed as one argument of a command

LayoutName = Literal[
    "movielens", "ml-100k", "ml-1m", "ml-10m", "amazon-csv", "amazon-jsonl", "goodreads", "netflix", "book-crossing",
    "lastfm-360k", "steam", "yelp",
]  # fmt: skip
"""Names of `known_layouts.KNOWN_LAYOUTS`."""

DEFAULT_SCALE = str(RatingScale())

SCALE_KEYS = ("liked_rating", "disliked_rating", "relevant_rating", "best_rating")
"""Keys whose default follows from the rating scale."""

# Groups of steps whose results depend on the same keys.
SILVER = ("silver_ratings", "silver_movies", "silver_tags")
IDS = ("silver_users", "silver_items")
SPLIT = ("interactions", "track", "leaderboard")
MODEL = ("train_als", "refit", "run_metrics", "track", "trial")
TRAINING = (*MODEL, "train_plain")
RANKING_MODEL = ("train_ranking", "refit_ranking", "trial")
RANKING = (*RANKING_MODEL, "evaluate", "run_metrics", "track")
POSITIVES = (*RANKING, "recommend", "fallback", "gate")
LISTS = ("recommend", "fallback", "track")
RELEVANCE = ("evaluate", "track", "trial", "gate")
SCORING = ("trial", "leaderboard")
TRACKING = ("gate", "track", "track_sweep")
TABLE_FORMAT = (*SILVER, *IDS, *SPLIT, *LISTS, "etl_report", "run_metrics")


class Config(BaseModel):
    """All config keys, in one flat model, with defaults and bounds. Unknown keys are rejected."""

    model_config = ConfigDict(extra="forbid", frozen=True, validate_default=True, coerce_numbers_to_str=True)

    dataset: str = key(
        "demo",
        pattern=DATASET_NAME,
        max_length=80,
        description="Name of the data set: an entry of config/datasets.yaml, or any name together with dataset_path",
    )
    dataset_path: str | None = key(
        None,
        pattern=FOLDER,
        description="Folder with ratings.csv, movies.csv and, if there is one, tags.csv; "
        "no registry entry is needed then",
    )
    layout: LayoutName | None = key(
        None,
        description="With dataset_path: a known layout of files; it gives defaults to the keys from ratings_file to "
        "repeats (docs/own-data.md)",
    )
    ratings_file: str | None = key(
        None,
        pattern=SOURCE_FILES,
        description="File of the ratings or events in dataset_path, several, or a pattern; also .gz, .zst and "
        "FOLDER.zip/MEMBER; default ratings.csv",
    )
    items_file: str | None = key(
        None,
        pattern=SOURCE_FILES,
        description="File of the items with titles, or none: then items are shown by their ids; default movies.csv",
    )
    file_format: Literal["auto", "csv", "parquet", "jsonl", "netflix"] | None = key(
        None,
        description="Format of the files: text with delimiters, Parquet, JSON lines or that of the Netflix prize; "
        "default by the ending of their names",
    )
    delimiter: str | None = key(
        None, pattern=DELIMITER, description="What stands between the fields of a line; default a comma"
    )
    quoting: bool | None = key(None, description='Whether fields may be in quotes, as "a, b"; default true')
    header: bool | None = key(None, description="Whether the first line names the columns; default true")
    encoding: str | None = key(None, pattern=ENCODING, description="Encoding of the text; default utf-8")
    user_column: str | None = key(None, pattern=COLUMN, description="Column of the user's id; default userId")
    item_column: str | None = key(None, pattern=COLUMN, description="Column of the item's id; default movieId")
    rating_column: str | None = key(
        None,
        pattern=COLUMN,
        description="Column of the rating; none: a row is an event, such as a click; default rating",
    )
    time_column: str | None = key(
        None, pattern=COLUMN, description="Column of the time; none: needs split=random; default timestamp"
    )
    event_column: str | None = key(None, pattern=COLUMN, description="Column of the type of event, with event_weights")
    items_delimiter: str | None = key(
        None, pattern=DELIMITER, description="As delimiter, for items_file; default as for the ratings"
    )
    items_header: bool | None = key(None, description="As header, for items_file; default as for the ratings")
    items_encoding: str | None = key(
        None, pattern=ENCODING, description="As encoding, for items_file; default as for the ratings"
    )
    items_id_column: str | None = key(
        None, pattern=COLUMN, description="Column of the item's id in items_file; default movieId"
    )
    title_column: str | None = key(
        None,
        pattern=COLUMN,
        description="Column of the title in items_file; none: items are shown by their ids; default title",
    )
    genres_column: str | None = key(
        None, pattern=COLUMN, description="Column of the genres or categories in items_file; default genres"
    )
    genres_delimiter: str | None = key(
        None, pattern=DELIMITER, description="What stands between two genres; default a pipe"
    )
    item_attributes: str | None = key(
        None, pattern=COLUMNS, description="Further columns of items_file that are kept, such as author,price"
    )
    time_unit: str | None = key(
        None,
        pattern=TIME_UNIT,
        description="How times are written: whole numbers since 1970 in s, ms, us or ns, iso8601, days as Excel "
        "counts them (excel), or a pattern of strptime; default s",
    )
    time_zone: str | None = key(
        None, pattern=TIME_ZONE, description="Time zone of times that do not name theirs; default UTC"
    )
    rating_scale: str | None = key(
        None,
        pattern=RATING_SCALE,
        description="Least and greatest rating; none: ratings are counts or weights; default 0.5..5",
        shapes=("silver_ratings",),
    )
    id_type: Literal["integer", "text"] | None = key(
        None,
        description="Whether ids are whole numbers from 0 to 2147483647, or any text; default integer",
    )
    event_weights: str | None = key(
        None, pattern=EVENT_WEIGHTS, description="With event_column: how much each type of event counts"
    )
    repeats: Literal["latest", "sum"] | None = key(
        None,
        description="What counts of several events of a user and an item: the latest, or the sum; default latest",
    )
    lakehouse: str | None = key(
        None,
        pattern=FOLDER,
        description="Root of every table, model and report; default results/<dataset>, or results/<dataset>-parquet",
        env="LAKEHOUSE_PATH",
    )
    storage_format: Literal["delta", "parquet"] = key(
        "delta", description="Format of the tables", shapes=TABLE_FORMAT, env="STORAGE_FORMAT"
    )
    force_overwrite: bool = key(
        False,
        description="Let a run replace a foreign table (of another data set, format or program) or one whose Delta log "
        "is damaged; all versions of the old table are deleted",
    )

    sample_size: int = key(
        10_000,
        ge=1,
        le=10_000_000,
        description="Rows sampled from each silver table for the contract check",
        shapes=SILVER,
    )
    sample_seed: int = key(7, ge=0, lt=2**31, description="Seed of the sample", shapes=SILVER)
    max_reject_share: float = key(
        0.05,
        ge=0,
        le=1,
        description="Largest share of rows that cleaning may reject; above it the step fails",
        shapes=SILVER,
    )

    etl_engine: Literal["auto", "native", "spark"] = key(
        "auto",
        description="Engine that cleans: threads on one machine (native), Spark, or chosen by size (auto); "
        "does not affect results",
    )

    split: Literal["global_time", "user_time", "random"] = key(
        "global_time",
        description="How interactions are split into folds: by one timestamp for all users, by the last ratings of "
        "each user, or at random",
        shapes=SPLIT,
    )
    test_fraction: float = key(
        0.2,
        gt=0,
        lt=1,
        description="Share of the interactions (user_time: of each user's) in the test fold",
        shapes=SPLIT,
    )
    validation_fraction: float = key(
        0.1,
        gt=0,
        lt=1,
        description="Share of the remaining interactions in the validation fold, on which sweeps select",
        shapes=SPLIT,
    )
    validation_from: str | None = key(
        None,
        pattern=DATE,
        description="global_time by date: first day, UTC, of the validation fold; with test_from",
        shapes=SPLIT,
    )
    test_from: str | None = key(
        None,
        pattern=DATE,
        description="global_time by date: first day, UTC, of the test fold; with validation_from",
        shapes=SPLIT,
    )
    last_k: int | None = key(
        None,
        ge=1,
        le=10_000,
        description="user_time: number of last ratings of each user in the test fold; as many before them are "
        "the validation fold",
        shapes=SPLIT,
    )
    split_seed: int = key(42, ge=0, lt=2**31, description="Seed of split=random", shapes=SPLIT)
    min_user_ratings: int = key(
        1,
        ge=1,
        le=1_000_000,
        description="Minimum training ratings of a user to be trained on and recommended to",
        shapes=(*TRAINING, *RANKING_MODEL),
        axis=True,
    )
    min_item_ratings: int = key(
        1,
        ge=1,
        le=1_000_000,
        description="Minimum training ratings of a movie to be trained on and recommended",
        shapes=(*TRAINING, *RANKING_MODEL),
        axis=True,
    )

    engine: Literal["auto", "native", "spark-ml"] = key(
        "auto",
        description="Engine that trains: threads on one machine (native), pyspark.ml, or chosen by size (auto)",
        shapes=(*MODEL, *RANKING_MODEL),
        axis=True,
    )
    solver: Literal["cg", "cholesky"] = key(
        "cg",
        description="Solver of the native engine: conjugate gradients (cg), or exact and slower (cholesky)",
        shapes=(*TRAINING, *RANKING_MODEL),
        axis=True,
    )
    biased: bool = key(
        True,
        description="Train on residuals after the mean and the user and movie biases; false: on ratings",
        shapes=MODEL,
        axis=True,
    )
    bias_damping: float = key(
        5.0,
        ge=0,
        le=1_000_000,
        description="Damping of the biases: number of zero residuals added to each user and movie",
        shapes=(*MODEL, "evaluate", "gate"),
        axis=True,
    )
    rank: int = key(
        50,
        ge=1,
        le=500,
        description="Number of latent factors of the ALS model",
        shapes=TRAINING,
        env="ALS_RANK",
        axis=True,
    )
    max_iter: int = key(10, ge=1, le=200, description="ALS iterations", shapes=TRAINING, env="ALS_MAX_ITER", axis=True)
    reg_param: float = key(
        0.1,
        ge=0,
        le=100,
        description="ALS regularisation, scaled by each row's number of ratings",
        shapes=TRAINING,
        env="ALS_REG_PARAM",
        axis=True,
    )
    cold_start_strategy: Literal["drop", "nan"] = key(
        "drop",
        description="Treatment of test rows whose user or movie has no training rows",
        shapes=("evaluate", "run_metrics", "track"),
        env="ALS_COLD_START_STRATEGY",
    )
    nonnegative: bool = key(
        False, description="Constrain the factors to be nonnegative; pyspark.ml only", shapes=MODEL, axis=True
    )
    seed: int = key(
        42,
        ge=0,
        lt=2**31,
        description="Seed of the initial factors",
        shapes=(*TRAINING, *RANKING_MODEL),
        axis=True,
    )
    num_blocks: int = key(
        4,
        ge=1,
        le=1024,
        description="User and item blocks of pyspark.ml's ALS; part of its result, so pinned",
        shapes=(*MODEL, *RANKING_MODEL),
        axis=True,
    )

    ranking_model: Literal["auto", "implicit", "ease", "item_knn", "popular", "explicit"] = key(
        "auto",
        description="Model that orders the lists: ALS on positives and all unrated movies (implicit), weights between "
        "movies (ease, item_knn), ease or implicit by the size of the data (auto), the most popular movies (popular), "
        "or the model that predicts ratings (explicit)",
        shapes=POSITIVES,
        axis=True,
    )
    positives: Literal["all", "liked", "graded", "weighted"] = key(
        "graded",
        description="What the ranking model learns from: every rating alike (all), those from liked_rating (liked), "
        "with values that rise from 0 at disliked_rating to 1 at best_rating (graded), or with weights that rise with "
        "the rating (weighted)",
        shapes=POSITIVES,
        axis=True,
    )
    liked_rating: float | None = key(
        None,
        ge=-1_000_000,
        le=1_000_000,
        description="Rating from which a movie counts as liked, with positives=liked; default 80% of the "
        "way up the rating scale: 4 of 0.5..5, 8 of 1..10",
        shapes=POSITIVES,
        axis=True,
    )
    disliked_rating: float | None = key(
        None,
        ge=-1_000_000,
        le=1_000_000,
        description="Rating up to which a movie counts like an unrated one, with positives=graded; default half way up "
        "the rating scale: 2.5 of 0.5..5, 5 of 1..10",
        shapes=POSITIVES,
        axis=True,
    )
    best_rating: float | None = key(
        None,
        ge=-1_000_000,
        le=1_000_000,
        description="Rating from which a movie counts in full, with positives=graded; default the top of the rating "
        "scale: 5 of 0.5..5, 10 of 1..10",
        shapes=POSITIVES,
        axis=True,
    )
    positive_strength: float = key(
        4.0,
        ge=0,
        le=1000,
        description="With positives=weighted: how much more the highest rating weighs than the lowest, which weighs 1",
        shapes=POSITIVES,
        axis=True,
    )
    positive_half_life: float | None = key(
        None,
        gt=0,
        le=100_000,
        description="Days after which a rating weighs half in the ranking model; default: all weigh the same",
        shapes=POSITIVES,
        axis=True,
    )
    ranking_rank: int = key(
        64, ge=1, le=500, description="Number of latent factors of ranking_model=implicit", shapes=RANKING, axis=True
    )
    ranking_max_iter: int = key(
        15, ge=1, le=200, description="Iterations of ranking_model=implicit", shapes=RANKING, axis=True
    )
    ranking_reg_param: float = key(
        0.004,
        ge=0,
        le=100,
        description="Regularisation of ranking_model=implicit, scaled by each row's ratings and unobserved pairs",
        shapes=RANKING,
        axis=True,
    )
    unobserved_weight: float = key(
        0.6,
        gt=0,
        le=1000,
        description="Weight of a pair without a rating in ranking_model=implicit, relative to one with a rating",
        shapes=RANKING,
        axis=True,
    )
    max_items: int = key(
        3000,
        ge=1,
        le=20_000,
        description="Number of most rated movies that ease and item_knn know",
        shapes=RANKING,
        axis=True,
    )
    ease_reg: float = key(100.0, gt=0, le=1_000_000, description="Regularisation of ease", shapes=RANKING, axis=True)
    knn_neighbours: int = key(
        100, ge=1, le=20_000, description="Nearest neighbours of each movie in item_knn", shapes=RANKING, axis=True
    )
    knn_shrink: float = key(
        20.0,
        ge=0,
        le=1_000_000,
        description="Shrinks item_knn's similarities of movies that few users rated both",
        shapes=RANKING,
        axis=True,
    )

    top_n: int = key(
        10, ge=1, le=1000, description="Recommendations for each user", shapes=(*LISTS, "run_metrics"), env="TOP_N"
    )
    diversify: float = key(
        0.0,
        ge=0,
        le=1,
        description="How much a list prefers movies that differ from those before it over those with the best scores: "
        "from 0, by scores alone, to 1",
        shapes=("recommend", "evaluate", "track"),
    )
    exclude_seen: bool = key(
        True, description="Exclude movies that the user has rated in the training data", shapes=LISTS
    )

    refit: bool = key(
        True,
        description="Serve models that are trained on all ratings after the evaluation; false: the evaluated models",
        shapes=LISTS,
    )
    fallback_lists: bool = key(
        True,
        description="Also make gold/recommendations_fallback: popular movies for users without a list of their own, "
        "and for visitors",
        shapes=("track", "run_metrics"),
    )

    evaluation_k: tuple[int, ...] = key(
        (5, 10, 20),
        min_length=1,
        description="Cut-offs k of the ranking metrics, such as 5,10,20",
        shapes=("evaluate", "track"),
    )
    relevance: Literal["threshold", "user_mean"] = key(
        "threshold",
        description="Which test ratings count as relevant: from relevant_rating, or from the user's mean",
        shapes=RELEVANCE,
    )
    relevant_rating: float | None = key(
        None,
        ge=-1_000_000,
        le=1_000_000,
        description="Minimum rating that counts as relevant, with relevance=threshold; default as for liked_rating",
        shapes=RELEVANCE,
    )
    bootstrap_samples: int = key(
        1000,
        ge=100,
        le=100_000,
        description="Number of bootstrap resamples of users for each interval",
        shapes=RELEVANCE,
    )
    bootstrap_seed: int = key(42, ge=0, lt=2**31, description="Seed of the bootstrap", shapes=RELEVANCE)

    sweep_metric: str | None = key(
        None,
        pattern=METRIC,
        description="Metric on the validation fold by which sweeps rank trials, any of the evaluation; default "
        "rmse_all for the rating model, ndcg@10 for the ranking model",
        shapes=SCORING,
    )
    max_trials: int = key(100, ge=1, le=MAX_TRIALS, description="Maximum number of trials of a sweep")
    sweep_sample: int | None = key(
        None, ge=1, le=MAX_TRIALS, description="Number of trials drawn at random from the grid; default the whole grid"
    )
    sweep_seed: int = key(42, ge=0, lt=2**31, description="Seed of sweep_sample")
    patience: int | None = key(
        None,
        ge=1,
        le=200,
        description="Early stopping: iterations without improvement after which a trial ends with its best iteration; "
        "native engine only",
        shapes=SCORING,
    )
    sweep_name: str | None = key(
        None,
        pattern=SWEEP_NAME,
        max_length=80,
        description="Name of the sweep's folder; default a short hash of its trials",
    )
    sweep_allow_failures: bool = key(
        False, description="Let a sweep succeed although some of its trials failed", shapes=("leaderboard",)
    )
    chosen_by: str | None = key(
        None,
        pattern=SWEEP_NAME,
        max_length=80,
        description="Name of the sweep that chose the hyperparameters",
        shapes=("run_metrics",),
    )

    retain_versions: int | None = key(
        None,
        ge=1,
        le=1_000_000,
        description="How many model versions, and versions of the data behind them, `reco prune` keeps; "
        "default all of them",
    )

    driver_memory: str = key(
        "2g", pattern=MEMORY, description="Java heap of each Spark driver, such as 800m or 4g; does not affect results"
    )
    log_level: Literal["debug", "info", "warn", "error"] = key(
        "warn", description="Spark's log level; does not affect results"
    )
    spark_event_logs: bool = key(
        False, description="Keep Spark's event logs in _spark-events, for `make history`; does not affect results"
    )
    spark_master: str | None = key(
        None,
        pattern=SPARK_MASTER,
        description="Spark cluster: spark://host:port, yarn, k8s://address; default threads on this machine; "
        "does not affect results",
    )
    spark_conf: dict[str, str] = key(
        {},
        description="Spark settings by name, except those that results depend on; pass secrets through the environment "
        "or a configfile",
        env="RECO_SPARK_CONF",
        secret=True,
    )
    executor_memory: str | None = key(
        None, pattern=MEMORY, description="Java heap of each executor of a cluster; does not affect results"
    )
    executor_cores: int | None = key(
        None, ge=1, le=1024, description="Cores of each executor of a cluster; does not affect results"
    )
    executor_instances: int | None = key(
        None, ge=1, le=100_000, description="Number of executors on a cluster; does not affect results"
    )
    tracking: bool = key(
        True, description="Log runs to MLflow and compare each new model with the champion", shapes=("gate",)
    )
    mlflow_tracking_uri: str | None = key(
        None,
        pattern=TRACKING_URI,
        description="MLflow server (http, https) or database; default a SQLite file under results/mlflow",
        shapes=TRACKING,
        env="MLFLOW_TRACKING_URI",
        secret=True,
    )
    registered_model: str | None = key(
        None,
        pattern=MODEL_NAME,
        max_length=80,
        description="Name of the registered model in MLflow; it has one champion; default reco-<dataset>",
        shapes=TRACKING,
    )
    gate_metric: Literal["rmse_all", "rmse_warm"] = key(
        "rmse_all",
        description="RMSE by which the gate compares rating models; lists are compared by NDCG@10",
        shapes=("gate",),
    )

    @model_validator(mode="before")
    @classmethod
    def _thresholds_of_the_scale(cls, values: Any) -> Any:
        """Fills thresholds that are not given from the rating scale, so that steps always have their numbers."""
        text = values.get("rating_scale") or (NO_RATINGS if values.get("rating_column") == NO_RATINGS else None)
        try:
            scale = parse_rating_scale(text) if text else RatingScale()
        except (ValueError, TypeError):
            scale = RatingScale()  # the key's own check reports it
        return values | {name: getattr(scale, name) for name in SCALE_KEYS if values.get(name) is None}

    @field_validator("*", mode="before")
    @classmethod
    def _refuse_bool_for_number(cls, value: Any, info: ValidationInfo) -> Any:
        if isinstance(value, bool) and cls.model_fields[str(info.field_name)].annotation not in {bool, bool | None}:
            raise ValueError("a boolean, where another type is expected")
        return value

    @field_validator("evaluation_k", mode="before")
    @classmethod
    def _split_at_commas(cls, value: Any) -> Any:
        return [word.strip() for word in value.split(",")] if isinstance(value, str) else value

    @field_validator("spark_conf", mode="before")
    @classmethod
    def _parse_settings(cls, value: Any) -> Any:
        return {name: setting_text(each) for name, each in parse_settings(value or {}).items()}

    @field_validator("evaluation_k")
    @classmethod
    def _sort_lengths(cls, value: tuple[int, ...]) -> tuple[int, ...]:
        if any(not 1 <= k <= MAX_LIST_LENGTH for k in value):
            raise ValueError("a length out of bounds")
        return tuple(sorted(set(value)))

    @field_validator("validation_from", "test_from", mode="before")
    @classmethod
    def _date_as_text(cls, value: Any) -> Any:
        return value.isoformat() if isinstance(value, date) else value

    @property
    def scale(self) -> RatingScale:
        """The scale of the ratings, also where the key has its default."""
        default = "none" if self.rating_column == "none" else DEFAULT_SCALE
        return parse_rating_scale(self.rating_scale or default)

    @property
    def root(self) -> str:
        """The lakehouse; default results/<dataset>, with a suffix so that two formats never share a path."""
        if self.lakehouse is not None:
            return self.lakehouse.rstrip("/") or "/"
        return f"results/{self.dataset}" + ("" if self.storage_format == "delta" else "-parquet")

    @property
    def has_text_ids(self) -> bool:
        """Whether the ids of the source are texts, which silver/users and silver/items number."""
        return self.id_type == "text"

    @property
    def has_ranking_model(self) -> bool:
        """Whether another model than the one that predicts ratings orders the lists."""
        return self.ranking_model != "explicit"

    @property
    def refits_rating_model(self) -> bool:
        return self.refit and not self.has_ranking_model

    @property
    def refits_ranking_model(self) -> bool:
        return self.refit and self.has_ranking_model

    def shaping(self) -> dict[str, Any]:
        """All values by key, as steps record them; a digest replaces the address of the MLflow store."""
        values = self.model_dump(mode="json")
        values["rating_scale"] = None if self.scale == RatingScale() else str(self.scale)  # none follows from no column
        if self.mlflow_tracking_uri is not None:
            values["mlflow_tracking_uri"] = f"sha256:{sha256(redact_uri(self.mlflow_tracking_uri))[:12]}"
        return values


KEYS: dict[str, Key] = {
    name: next(one for one in field.metadata if isinstance(one, Key)) for name, field in Config.model_fields.items()
}
"""The metadata of each key."""

ENVIRONMENT = {one.env: name for name, one in KEYS.items() if one.env}
"""Keys by environment variable; these rank between --config and the defaults file."""

SECRET_KEYS = frozenset(name for name, one in KEYS.items() if one.secret)
"""Keys whose values may contain secrets."""

AXES = tuple(name for name, one in KEYS.items() if one.axis)
"""Keys that a sweep may vary."""

RATING_AXES = tuple(name for name in AXES if "train_ranking" not in KEYS[name].shapes)
"""Axes that shape the rating model alone."""

RANKING_AXES = tuple(name for name in AXES if "train_als" not in KEYS[name].shapes)
"""Axes that shape the ranking model alone."""


def keys_of(step: str) -> tuple[str, ...]:
    """The keys that shape the result of a step, in the order of the model."""
    return tuple(name for name, one in KEYS.items() if step in one.shapes)
