"""A user's own files, from the first look at them to lists with their ids."""

from __future__ import annotations

import pytest
import yaml

from support import forked_runs, layouts
from support.project import RECO, Project

pytestmark = [pytest.mark.pipeline, pytest.mark.slow]

SETTINGS = {"dataset_path": None, "top_n": 5}


def shop(project: Project) -> None:
    """A shop's ratings from 1 to 10 with ids of its own and dates of ISO 8601, and its articles."""
    ratings = layouts.some_ratings(1500, 60, 50)
    lines = [f"K-{r.user:04d};ART-{r.item:03d};{r.stars * 2:.0f};{r.iso}" for r in ratings]
    articles = [f"ART-{item:03d};Article {item};{genres}" for item, _, genres in layouts.titles(ratings)]
    layouts.write(project.path("shop"), {
        "bewertungen.csv": ["Kundennummer;Artikelnummer;Bewertung;Datum", *lines],
        "artikel.csv": ["Artikelnummer;Bezeichnung;Kategorie", *articles],
    })  # fmt: skip


def test_a_shop_goes_from_inspect_to_lists_with_its_own_ids_and_is_remembered(built: Project) -> None:
    shop(built)
    command = [*RECO[1:], "inspect", "shop", "--save", "mine.yaml"]
    looked = forked_runs.run(command, built.root, built.environment({"PYTHONPATH": "src"}))
    assert looked.returncode == 0, looked.stdout + looked.stderr
    saved = yaml.safe_load(built.path("mine.yaml").read_text("utf-8"))
    assert (saved["dataset"], saved["rating_scale"], saved["id_type"]) == ("shop", "1..10:1", "text")

    run = built.gold("gold", "--configfile", "mine.yaml", dataset=None, folder="shop", **SETTINGS)
    assert "user K-0001" in run.output and "Article " in run.output
    next_lines = run.output.partition("\nNext\n")[2]
    assert "another model:   snakemake --cores 2 gold --config dataset=shop rank=20 " in next_lines
    assert "check results:   reco validate --config dataset=shop rank=4 " in next_lines

    again = built.gold(dataset="shop", folder="shop", **SETTINGS)
    assert not again.worked and "dataset=shop goes on with dataset_path=" in again.output
    for verb in ("status", "validate", "explain"):
        said = built.reco(verb, dataset="shop", **SETTINGS)
        assert said.code == 0 and "dataset=shop goes on with" in said.output, said.output


def test_ratings_off_the_scale_name_the_config_that_accepts_them(built: Project) -> None:
    lines = layouts.ratings_csv([layouts.Rating(r.user, r.item, r.stars * 2, r.time) for r in layouts.some_ratings()])
    layouts.write(built.path("ten"), {"ratings.csv": lines, "movies.csv": layouts.movies_csv(layouts.some_ratings())})
    options = {"dataset": "ten", "dataset_path": "ten", "folder": "ten"}
    run = built.snakemake("silver", rating_scale="0.5..5", **options)
    assert run.code == 1
    assert "rating_out_of_range" in run.output and "ratings run from 1 to 10: accepted with" in run.output
    command = run.output.rstrip().splitlines()[-1]
    assert command.startswith("Then run again   snakemake") and " rating_scale=1..10:1 " in command
    assert built.gold("silver", rating_scale="1..10:1", **options).code == 0
