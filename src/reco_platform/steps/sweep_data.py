"""The train and validation folds as arrays, for the trials of sweeps. Only this step of a sweep reads interactions."""

from reco_platform.core.errors import DataError
from reco_platform.engine.task import Task
from reco_platform.lakehouse import publish
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.splits import interactions
from reco_platform.tuning import data as sweep_data

COLUMNS = ("user_id", "movie_id", "rating", "rating_ts")


def work(task: Task) -> Receipt:
    folds = ((interactions.TRAIN,), (interactions.VALIDATION,))
    train, validation = interactions.read_parts(task.open("interactions"), COLUMNS, folds, task.threads)
    if not (len(train) and len(validation)):
        raise DataError(
            f"the train fold has {len(train):,} ratings, the validation fold {len(validation):,}: a sweep needs both",
            "change test_fraction or validation_fraction",
        )
    movies = task.open("movies").read(["movie_id", "genres"])
    path = task.content_path()
    staging = publish.create_staging_folder(task.root / path)
    found = sweep_data.write_folds(sweep_data.build_folds(train, validation, movies), staging)
    publish.publish_folder(staging, task.root / path, fingerprint=found, rows=len(train))
    facts = {"train_count": len(train), "validation_count": len(validation)}
    return Receipt(task.artifact, "folder", path, "npy", None, len(train), "", found, facts)
