"""The search for the defaults of the ranking models, on the validation folds of several data sets.

python tools/ranking_search.py --datasets demo generated-1m --folders ../shared/data/ml-latest-small

Runs the sweep of config/sweeps/ranking-search.yaml on two splits of each data set. For each model it prints the
settings with the greatest mean share: the NDCG@10 of a setting divided by that of the model's best setting in the same
sweep, averaged over the sweeps. So no data set counts more because its scores are higher. No test fold is read.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean
from typing import Any

from reco_platform.core import project, terminal

GRID = "config/sweeps/ranking-search.yaml"
SPLITS = ("user_time", "random")
SHOWN = 5
Setting = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Search:
    """One sweep: a name for its column, its folder of results, and its config values."""

    title: str
    leaderboard: Path
    values: Mapping[str, str]


def searches(names: Sequence[str], folders: Sequence[Path]) -> Iterator[Search]:
    """The sweeps of data sets of the registry, and of folders with ratings.csv and movies.csv."""
    sources = [*((name, {}) for name in names), *((one.resolve().name, {"dataset_path": str(one)}) for one in folders)]
    for name, path in sources:
        for split in SPLITS:
            root, sweep = f"results/ranking-search/{name}", f"search-{split}"
            values = {"dataset": name, **path, "split": split, "sweep_name": sweep, "lakehouse": root}
            yield Search(f"{name} {split}", Path(root, "sweeps", sweep, "leaderboard.json"), values)


def run(search: Search, cores: int) -> list[dict[str, Any]]:
    """The lines of a sweep's leaderboard; nothing is computed twice.

    Raises:
        CalledProcessError: if the sweep fails.
    """
    pairs = [f"{key}={value}" for key, value in {**search.values, "tracking": "false"}.items()]
    script = str(project.file("tools/run_pipeline.py"))
    command = [
        sys.executable,
        script,
        "sweep",
        "--run",
        "--cores",
        str(cores),
        "--configfile",
        GRID,
        "--config",
        *pairs,
    ]
    subprocess.run(command, check=True, stdout=sys.stderr)
    found: list[dict[str, Any]] = json.loads(search.leaderboard.read_text(encoding="utf-8"))["trials"]
    return found


def scores_by_setting(lines: Sequence[Mapping[str, Any]], axes: Sequence[str]) -> dict[str, dict[Setting, float]]:
    """The score of each setting of the axes, by model."""
    found: dict[str, dict[Setting, float]] = defaultdict(dict)
    for line in lines:
        params = line["params"]
        setting = tuple((key, params[key]) for key in axes if key in params)
        found[params["ranking_model"]][setting] = line["value"]
    return found


def mean_shares(columns: Sequence[Mapping[Setting, float]]) -> dict[Setting, float]:
    """The mean share of each setting over the sweeps, greatest first; see the module."""
    best = [max(column.values()) for column in columns]
    shares = {
        setting: fmean(column[setting] / most for column, most in zip(columns, best, strict=True))
        for setting in columns[0]
    }
    return dict(sorted(shares.items(), key=lambda item: -item[1]))


def table(kind: str, titles: Sequence[str], columns: Sequence[Mapping[Setting, float]], shown: int) -> str:
    """A model's best settings in Markdown."""
    shares = mean_shares(columns)
    keys = [key for key, _ in next(iter(shares))]
    rows = [
        [*(f"{value:g}" for _, value in setting), f"{share:.3f}", *(f"{column[setting]:.4f}" for column in columns)]
        for setting, share in list(shares.items())[:shown]
    ]
    head = [*keys, "mean share", *titles]
    lines = ["| " + " | ".join(cells) + " |" for cells in (head, ["---"] * len(head), *rows)]
    return "\n".join([f"{kind}, NDCG@10 on validation", "", *lines])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--datasets", nargs="*", default=[], help="names of config/datasets.yaml")
    parser.add_argument("--folders", nargs="*", type=Path, default=[], help="folders with ratings.csv and movies.csv")
    parser.add_argument("--cores", type=int, default=2)
    parser.add_argument("--shown", type=int, default=SHOWN, help="settings of each model to print")
    arguments = parser.parse_args()
    wanted = list(searches(arguments.datasets, arguments.folders))
    if not wanted:
        parser.error("name a data set (--datasets) or a folder (--folders)")
    axes = ("disliked_rating", "best_rating", "ease_reg", "ranking_rank", "unobserved_weight", "ranking_max_iter")
    found = [scores_by_setting(run(search, arguments.cores), axes) for search in wanted]
    titles = [search.title for search in wanted]
    for kind in found[0]:
        print(table(kind, titles, [one[kind] for one in found], arguments.shown), end="\n\n")
    return 0


if __name__ == "__main__":
    terminal.prepare()
    sys.exit(main())
