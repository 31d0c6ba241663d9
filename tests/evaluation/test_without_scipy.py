"""Where scipy is not installed, what needs it says how to get it, before a brain or a search is asked."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.cli import main
from cervella.configuration.settings import EvaluationConfig
from cervella.errors import EvaluationError
from cervella.evaluation.comparison.comparison import compare, rescore_comparison
from cervella.evaluation.records import Run
from cervella.evaluation.search.retrieval import auroc, evaluate_retrieval
from cervella.evaluation.soul_test.soul_test import rescore, run_soul_test
from cervella.evaluation.statistics.intervals import mean_interval
from cervella.evaluation.statistics.statistics import drift_slope, mcnemar, paired_difference, tost, tost_power
from cervella.evaluation.suites.file import load_suite
from cervella.evaluation.suites.question_file import load_questions
from cervella.testing import EchoBrain, FixedRetriever
from cervella.types import Completion, Finished
from tests.conftest import ROOT

CURE = 'pip install "cervella[evaluation]"'
SUITE = """
name = "una"
language = "it"

[[probe]]
id = "name"
dimension = "identity"
severity = "hard"
turns = ["Come ti chiami?"]
checks = [{ kind = "contains_any", terms = ["Cervella"] }]
perfect = ["Mi chiamo Cervella."]
flatterer = ["Come vuoi tu!"]
"""
QUESTIONS = (
    {"id": "port", "question": "Su quale porta risponde?", "answer": "8010", "files": ["porte.md"]},
    {"id": "rooms", "question": "Quante camere ha l'albergo di Giove?", "files": [], "kind": "unanswerable"},
)


class Counting(EchoBrain):
    """Counts the prompts that it is sent."""

    asked = 0

    async def stream(self, prompt: Any, /) -> Any:
        Counting.asked += 1
        yield Finished(completion=Completion(text="Sì."))


class CountingRetriever(FixedRetriever):
    searched = 0

    def retrieve(self, query: str, /, **options: Any) -> Any:
        CountingRetriever.searched += 1
        return super().retrieve(query, **options)


@pytest.fixture
def hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.partition(".")[0] == "scipy"]:
        monkeypatch.delitem(sys.modules, name)
    for name in ("scipy", "scipy.stats"):
        monkeypatch.setitem(sys.modules, name, None)


@pytest.fixture
def home(isolated: Path) -> Path:
    constitution = ROOT / "knowledge" / "COSTITUZIONE.md"
    (isolated / "note").mkdir()
    (isolated / "note" / "porte.md").write_text("# Porte\n\nIl servizio risponde sulla porta 8010.\n", encoding="utf-8")
    (isolated / "cervella.toml").write_text(
        f'brain = "echo"\n[soul]\nconstitution = "{constitution}"\n[knowledge]\nfolder = "note"\nembedder = "none"\n',
        encoding="utf-8",
    )
    (isolated / "una.toml").write_text(SUITE, encoding="utf-8")
    rows = "".join(json.dumps(row) + "\n" for row in QUESTIONS)
    (isolated / "questions.jsonl").write_text(rows, encoding="utf-8")
    assert main(["index"]) == 0
    return isolated


@pytest.fixture
def agent(home: Path) -> Iterator[Agent]:
    Counting.asked = CountingRetriever.searched = 0
    with Agent(retriever=CountingRetriever()) as made:
        yield made


def _soul_test(agent: Agent, home: Path) -> Any:
    return run_soul_test(agent, load_suite(str(home / "una.toml"), agent.traits), [Counting()])


def _compare(agent: Agent, home: Path) -> Any:
    return compare(agent, [Counting()], questions=home / "questions.jsonl")


def _retrieval(agent: Agent, home: Path) -> Any:
    return evaluate_retrieval(agent, load_questions(home / "questions.jsonl", for_retrieval=True))


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize("call", [_soul_test, _compare, _retrieval], ids=["soul test", "compare", "retrieval"])
def test_python_gets_the_cure_before_anything_is_asked_or_written(call: Any, agent: Agent, home: Path) -> None:
    with pytest.raises(EvaluationError) as caught:
        call(agent, home)
    assert CURE in str(caught.value.remedy)
    assert caught.value.code == "scipy_missing"
    assert (Counting.asked, CountingRetriever.searched) == (0, 0)
    assert not agent.config.evaluation.folder.exists()


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    "words",
    [
        ["soul", "test", "--suite", "una.toml"],
        ["soul", "test", "echo", "--suite", "una.toml", "--json"],
        ["compare", "echo", "extractive", "--suite", "una.toml"],
        ["compare", "echo", "--suite", "none", "--questions", "questions.jsonl", "--json"],
        ["compare", "--retrieval", "questions.jsonl"],
    ],
    ids=" ".join,
)
def test_a_command_gets_the_cure_before_the_number_of_answers_is_told(
    words: list[str], home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    assert main(words) == 1
    out, err = capsys.readouterr()
    assert not out
    assert CURE in err
    assert "answers to" not in err
    assert not (home / ".cervella" / "evaluations").exists()


def test_a_run_is_scored_again_by_nobody_who_could_not_end_it(
    agent: Agent, home: Path, request: pytest.FixtureRequest
) -> None:
    def judge(*_: object) -> Any:
        raise AssertionError("the judge was asked")

    suite = load_suite(str(home / "una.toml"), agent.traits)
    runs = [Run.open(Path(_soul_test(agent, home).folder)), Run.open(Path(_compare(agent, home).folder))]
    request.getfixturevalue("hidden")
    for again in (
        lambda: rescore(runs[0], suite, agent.traits, judge=judge),
        lambda: rescore_comparison(runs[1], rules=EvaluationConfig(), judge=judge),
    ):
        with pytest.raises(EvaluationError) as caught:
            again()
        assert CURE in str(caught.value.remedy)


SCORES = [0.0, 1.0, 0.5, 1.0, 0.25, 0.75]


@pytest.mark.usefixtures("hidden")
@pytest.mark.parametrize(
    "call",
    [
        lambda: mean_interval(SCORES),
        lambda: auroc(SCORES, SCORES[:3]),
        lambda: mcnemar([True, True, False], [False, True, True]),
        lambda: paired_difference(SCORES, SCORES[::-1]),
        lambda: drift_slope([1, 2, 1, 2, 1, 2], SCORES, ["a", "a", "b", "b", "c", "c"]),
        lambda: tost(SCORES, SCORES[::-1], 0.1),
        lambda: tost_power(0.1, 5, 0.1),
    ],
    ids=["mean", "auroc", "mcnemar", "paired", "drift", "tost", "power"],
)
def test_every_statistic_that_needs_scipy_says_how_to_get_it(call: Callable[[], Any]) -> None:
    with pytest.raises(EvaluationError) as caught:
        call()
    assert CURE in str(caught.value.remedy)
