"""Questions to a lakehouse that was really built, from Python and from the shell, as docs/asking.md shows them."""

from __future__ import annotations

import csv
import io
import json
import shlex
from pathlib import Path

import pytest

import reco_platform
from reco_platform.core.errors import TableError
from reco_platform.serving import version
from support.answers import check_answers
from support.project import Project, Run

pytestmark = pytest.mark.pipeline

TITLE = "Whitby: Amber Station"
"""The title in the docs, of the data set demo."""


def some_title(lake: reco_platform.OpenLakehouse) -> str:
    """The title of the movie with the most ratings whose title has no quotes."""
    movies = [lake.item(movie) for movie in lake._version.catalogue.ids.tolist()]
    return max((movie for movie in movies if '"' not in movie.title), key=lambda movie: movie.ratings).title


def test_answers_are_those_of_gold(built_run: tuple[Project, Run]) -> None:
    lake = check_answers(built_run[0].lakehouse(), ("recommendations",))
    card = lake.model()
    assert (card.kind, card.evaluated, card.dataset) == ("explicit", "als", "small")
    evaluation = lake.metrics()["evaluation"]
    assert card.metrics == evaluation["systems"]
    evaluated = lake.table("interactions", ["user_id", "movie_id", "fold"]).to_pylist()
    pairs = [(row["user_id"], row["movie_id"]) for row in evaluated if row["fold"] == "test"]
    found = [one for one in lake.predict(pairs) if one.basis == "model"]
    assert len(found) == evaluation["predictions_count"], "the warm pairs of the evaluation"


def test_the_examples_of_the_docs_run(
    built_run: tuple[Project, Run], root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    project = built_run[0]
    page = (root / "docs" / "asking.md").read_text("utf-8")
    lake = reco_platform.open(project.lakehouse())
    title = some_title(lake)
    other = next(movie.movie_id for movie in lake.popular() if movie.title != title)

    changed = {
        f"{TITLE} (1965)": title, TITLE: title, "results/demo": "results/small", ", 2: 4.5": f", {other}: 4.5",
        "movie=2": f"movie={other}", "(1, 2)": f"(1, {other})", "item(2)": f"item({other})", " 2=4.5": f" {other}=4.5",
        "--user 1 2": f"--user 1 {other}",
    }  # fmt: skip

    def on_small_data(example: str) -> str:
        for old, new in changed.items():
            example = example.replace(old, new)
        return example

    monkeypatch.chdir(project.root)
    exec(on_small_data(page.split("```python\n")[1].split("```")[0]), {})  # noqa: S102  # of this project's own docs
    commands = [line.strip() for line in page.split("## Answers")[0].splitlines() if line.startswith("    reco ")]
    assert len(commands) == 5
    for command in commands:
        ran = project.reco(*shlex.split(on_small_data(command))[1:])
        assert ran.code == 0 and ran.stdout.strip(), f"{command}: {ran.output}"


def test_commands_print_the_answer_as_json_csv_or_a_table(built_run: tuple[Project, Run]) -> None:
    project = built_run[0]
    expected = reco_platform.open(project.lakehouse()).recommend(1, 4, why=1)
    as_json = json.loads(project.reco("recommend", "--user", "1", "-n", "4", "--why", "1", "--json").stdout)
    assert as_json == json.loads(json.dumps(expected.to_dict()))
    rows = list(csv.DictReader(io.StringIO(project.reco("recommend", "--user", "1", "-n", "4", "--csv").stdout)))
    assert [int(row["movie_id"]) for row in rows] == [movie.movie_id for movie in expected]
    assert [row["title"] for row in rows] == [movie.title for movie in expected]
    table = project.reco("recommend", "--user", "1", "-n", "4").stdout.splitlines()
    assert len(table) == 6 and expected[0].title in table[1] and expected.model_version in table[-1]
    parts = list(
        csv.DictReader(io.StringIO(project.reco("why", "--user", "1", str(expected[0].movie_id), "--csv").stdout))
    )
    assert sum(float(row["adds"]) for row in parts) == pytest.approx(expected[0].score, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["similar", "no such title at all"], "no movie is called 'no such title at all'"),
        (["recommend", "--user", "1", "--genre", "Comedie"], "no movie has the genre 'Comedie'"),
        (["recommend", "--user", "1", "--rated", "x=5"], "--user and --rated were both given"),
        (["recommend", "--rated", "x"], "has no number of stars"),
        (["recommend", "--user", "1", "-n", "0"], "n=0 is not allowed"),
        (["why", "6"], "whose score is to be explained?"),
        (["why", "--user", "99999", "6"], "the model does not know user 99999"),
    ],
)
def test_a_question_that_cannot_be_answered_is_a_message_and_exit_code_2(
    built_run: tuple[Project, Run], words: list[str], message: str
) -> None:
    ran = built_run[0].reco(*words)
    assert ran.code == 2 and not ran.stdout
    assert message in ran.output and "->" in ran.output and "Traceback" not in ran.output


def test_results_of_two_runs_are_not_mixed(built: Project) -> None:
    before = reco_platform.open(built.lakehouse())
    expected = before.recommend(1)
    built.gold("train_als", rank=5)
    assert before.recommend(1) == expected, "what is open stays as it is"
    with pytest.raises(TableError, match="a run is under way, or has stopped"):
        reco_platform.open(built.lakehouse()).recommend(1)


def test_arrays_of_large_data_are_mapped_from_files_and_give_the_same_answers(
    built: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = reco_platform.open(built.lakehouse())
    monkeypatch.setattr(version, "MAPPED_FROM", 1)
    for _ in range(2):
        mapped = reco_platform.open(built.lakehouse())
        assert mapped.recommend(1, 12, why=2) == expected.recommend(1, 12, why=2)
        assert mapped.history(1) == expected.history(1) and mapped.popular() == expected.popular()
        assert not mapped._version.ratings.stars.flags.writeable
    assert len(list((built.lakehouse() / "_serving").iterdir())) == 1
