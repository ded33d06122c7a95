"""An open lakehouse: its tables, metrics and receipts, and questions to its model, without a JVM."""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import pyarrow as pa

from reco_platform.core import project
from reco_platform.core.errors import ConfigError, TableError
from reco_platform.lakehouse import receipts
from reco_platform.lakehouse.layout import Lakehouse
from reco_platform.lakehouse.receipts import Receipt
from reco_platform.lakehouse.source_ids import AllSourceIds
from reco_platform.lakehouse.tables import content_problem, local_path, open_table
from reco_platform.pipeline.steps_table import IDS, STEP_OF, TABLE_RESULTS, artifact_of
from reco_platform.serving.recommender import Recommender
from reco_platform.serving.version import SAVED_CONFIG, ServedVersion, load
from reco_platform.store.paths import is_remote, store_path

RESULTS = tuple(name for name in STEP_OF if name != "bronze")


def open_lakehouse(root: str | os.PathLike[str], dataset: str | None = None) -> OpenLakehouse:
    """Opens a lakehouse for reading and for questions. Nothing is read from its tables yet, and no result is changed.

    Args:
        root: the lakehouse's folder, such as `results/demo`, or an address `hdfs://HOST:PORT/FOLDER`.
        dataset: name of the data set; needed for an address, whose receipts are on this machine.

    Returns:
        The open lakehouse.

    Raises:
        ConfigError: `root` is an address, and `dataset` is not given.
        TableError: there is no lakehouse at `root`.
    """
    text = os.fspath(root)
    if is_remote(text):
        if dataset is None:
            raise ConfigError(f"{text} needs the name of its data set", f"reco_platform.open({text!r}, dataset='demo')")
        return OpenLakehouse(Lakehouse(text, dataset))
    folder = store_path(text)
    try:
        saved = json.loads((folder / SAVED_CONFIG).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise TableError(f"{text} is not a lakehouse: it has no {SAVED_CONFIG}", project.run_command("gold")) from error
    return OpenLakehouse(Lakehouse(text, dataset or saved["dataset"]))


class OpenLakehouse(Recommender):
    """A lakehouse that is open for reading and for questions.

    Every result is read as its receipt says: a Delta table at exactly the version that the latest run has made, even if
    another program has since written a newer version. The names of results are `ratings`, `movies`, `tags`,
    `interactions`, `model`, `recommendations`, `evaluation`, `run_metrics`, `report` and so on.

    Questions, from `recommend` to `search`, are answered from one version of the model and its tables, which is read at
    the first question and kept. Open the lakehouse again for the version that a later run has made.
    """

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse
        self._ids: AllSourceIds | None = None

    @cached_property
    def _version(self) -> ServedVersion:  # type: ignore[override]  # read at the first question
        return load(self._lakehouse)

    def __repr__(self) -> str:
        return f"OpenLakehouse({self.root!r}, dataset={self.dataset!r})"

    @property
    def root(self) -> str:
        """The folder or address of the lakehouse."""
        return self._lakehouse.root

    @property
    def dataset(self) -> str:
        """The name of its data set."""
        return self._lakehouse.dataset

    @property
    def model_version(self) -> str:
        """The version of the latest run, such as `6eab05d6-1c2d3e4f-5d7885f9`: rating model, ranking model and data.

        Raises:
            TableError: no run has been completed here.
        """
        return str(self.receipt("run_metrics").facts["model_version"])

    def tables(self) -> list[str]:
        """The names of the tables that are present."""
        paths = {name: Path(self._receipt_path(name)) for name in TABLE_RESULTS}
        return [name for name, path in paths.items() if path.is_file() and receipts.read(path).kind == "table"]

    def source_ids(self) -> AllSourceIds:
        """How the ids of users and movies are written in the source: `users` and `movies`, each with the methods
        `shown(number)`, `shown_all(numbers)`, `number(source_id)` and `numbers(source_ids)`.

        Where the ids of the source are whole numbers, these return them as they are.

        Raises:
            TableError: silver/users or silver/items is damaged.
        """
        if self._ids is None:
            present = set(self.tables())
            self._ids = AllSourceIds.read(lambda name: self.table(name) if name in present else None)
        return self._ids

    def table(self, name: str, columns: Sequence[str] | None = None, *, source_ids: bool = True) -> pa.Table:
        """A table as an Arrow table; `.to_pandas()` converts it to a data frame.

        Args:
            name: one of `tables()`.
            columns: only these columns, in this order.
            source_ids: whether to show users and movies by the ids of the source where these are texts; otherwise by
                the numbers that the table holds, as `users` and `items` list them.

        Returns:
            All rows of the table. Their order is not defined.

        Raises:
            ConfigError: there is no result of this name, or it is not a table.
            TableError: the table is missing or damaged.
        """
        receipt = self.receipt(name)
        if receipt.kind != "table":
            known = ", ".join(self.tables()) or "none"
            raise ConfigError(f"{name} is not a table of {self.root}", f"the tables are: {known}")
        content = open_table(self._lakehouse.path, receipt, project.run_command("gold")).read(columns)
        return self.source_ids().shown_table(content) if source_ids and name not in IDS else content

    def receipt(self, name: str) -> Receipt:
        """The receipt of a result: its path, version, rows and fingerprint, and what it was made from.

        Args:
            name: of the result.

        Raises:
            ConfigError: there is no result of this name.
            TableError: the result has not been made, or its receipt is damaged.
        """
        if name not in RESULTS:
            near = difflib.get_close_matches(name, RESULTS, n=1, cutoff=0.5)
            guess = f"; did you mean {near[0]}?" if near else ""
            raise ConfigError(f"there is no result {name!r}{guess}", f"name one of {', '.join(RESULTS)}")
        return receipts.read(self._receipt_path(name))

    def metrics(self) -> dict[str, Any]:
        """The metrics of the latest run: the content of its `run_metrics` JSON file; docs/metrics.md explains them.

        Raises:
            TableError: the file is missing or damaged.
        """
        receipt = self.receipt("run_metrics")
        found = content_problem(self._lakehouse.path, receipt)
        if found:
            raise TableError(found, project.run_command("gold"))
        text = local_path(self._lakehouse.path, receipt).read_text(encoding="utf-8")
        metrics: dict[str, Any] = json.loads(text)
        return metrics

    def _receipt_path(self, name: str) -> str:
        return self._lakehouse.receipt(artifact_of(name, self.dataset))
