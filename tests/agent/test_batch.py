"""Many questions: several at once, answered in order, and one that fails stops nothing."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.cli import main
from cervella.errors import BrainAuthError, ConfigError
from cervella.testing import EchoBrain, FixedRetriever, ScriptedBrain
from cervella.types import BrainEvent, Completion, Finished, Image, Passage, Prompt, Reply, TextDelta
from tests.conftest import PATIENCE, PlainSoul


class Uneven:
    """Answers with the question after a time that the question gives, and counts who is served at once."""

    name, model, location = "uneven", "uneven", "local"

    def __init__(self) -> None:
        self.now = self.most = self.asked = 0

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        self.asked += 1
        self.now += 1
        self.most = max(self.most, self.now)
        try:
            await asyncio.sleep(float(prompt.question.split()[0]))
            if "chiave" in prompt.question:
                raise BrainAuthError("La chiave non va.", brain=self.name, remedy="Cambiala.")
            yield TextDelta(text=prompt.question)
            yield Finished(completion=Completion(text=prompt.question))
        finally:
            self.now -= 1


class Sees(ScriptedBrain):
    capabilities = frozenset({"images"})


@pytest.fixture
def brain() -> Uneven:
    return Uneven()


@pytest.fixture
def agent(brain: Uneven, passages: tuple[Passage, ...], soul: PlainSoul) -> Iterator[Agent]:
    with Agent(brain=brain, retriever=FixedRetriever(passages), soul=soul) as agent:
        yield agent


def texts(replies: list[Any]) -> list[str]:
    return [reply.text if isinstance(reply, Reply) else type(reply).__name__ for reply in replies]


QUESTIONS = [f"{0.001 * (7 * n % 10)} domanda {n}" for n in range(20)]


def test_answers_come_in_the_order_of_the_questions(agent: Agent, brain: Uneven) -> None:
    assert texts(list(agent.batch(QUESTIONS, concurrency=5))) == QUESTIONS
    assert 1 < brain.most <= 5


def test_the_async_face_does_the_same(agent: Agent, brain: Uneven) -> None:
    async def ask() -> list[Any]:
        return [reply async for reply in agent.abatch(iter(QUESTIONS), concurrency=3)]

    assert texts(asyncio.run(ask())) == QUESTIONS
    assert brain.most <= 3


def test_one_that_fails_gives_its_error_in_its_place(agent: Agent) -> None:
    asked: list[Any] = [
        "0 a",
        "0 chiave",
        "",
        {"question": "0 b", "top_k": 1, "id": 7},
        {"question": "0 c", "filter": {}},
        7,
    ]
    found = texts(list(agent.batch(asked)))
    assert found == ["0 a", "BrainAuthError", "ConfigError", "0 b", "ConfigError", "ConfigError"]


def test_options_of_one_question_beat_those_of_all(agent: Agent) -> None:
    replies = list(agent.batch(["0 a", {"question": "0 b", "brain": EchoBrain()}], top_k=1))
    assert [reply.brain for reply in replies if isinstance(reply, Reply)] == ["uneven", "echo"]
    assert [len(reply.passages) for reply in replies if isinstance(reply, Reply)] == [1, 1]


@pytest.mark.parametrize("way", ["batch", "abatch"])
def test_every_question_of_a_batch_gets_the_images_and_the_history_of_an_iterator(
    way: str, passages: tuple[Passage, ...], soul: PlainSoul
) -> None:
    brain, image = Sees("Sì."), Image(media_type="image/png", data=b"png")
    with Agent(brain=brain, retriever=FixedRetriever(passages), soul=soul) as agent:
        options: Any = {"images": (one for one in [image]), "history": iter([("Costa?", "24 euro.")])}

        async def ask() -> list[Any]:
            return [reply async for reply in agent.abatch(["uno?", "due?", "tre?"], **options)]

        replies = asyncio.run(ask()) if way == "abatch" else list(agent.batch(["uno?", "due?", "tre?"], **options))
    assert texts(replies) == ["Sì."] * 3
    assert [(prompt.images, len(prompt.history)) for prompt in brain.prompts] == [((image,), 2)] * 3


def test_the_first_answer_comes_before_the_last_question_is_taken(agent: Agent) -> None:
    taken: list[int] = []

    def endless() -> Iterator[str]:
        while True:
            taken.append(1)
            yield "0 ancora"

    replies = agent.batch(endless(), concurrency=2)
    assert next(replies)
    replies.close()
    assert len(taken) <= 2 * 8


def test_who_stops_early_stops_the_engines(agent: Agent, brain: Uneven) -> None:
    replies = agent.batch(["0 prima", *["30 lunga"] * 5], concurrency=6)
    next(replies)
    replies.close()
    assert brain.now == 0
    assert brain.asked > 1


def test_who_leaves_the_async_loop_stops_the_engines_too(agent: Agent, brain: Uneven) -> None:
    async def ask() -> None:
        replies = agent.abatch(["0 prima", *["30 lunga"] * 5], concurrency=6)
        async for _ in replies:
            break
        await replies.aclose()

    asyncio.run(asyncio.wait_for(ask(), PATIENCE))
    assert brain.now == 0


@pytest.mark.parametrize("wrong", [{"concurrency": 0}, {"concurrency": True}, {"concurrency": 1.5}])
def test_a_concurrency_that_can_not_be_is_an_error(agent: Agent, wrong: Any) -> None:
    with pytest.raises(ConfigError, match="concurrency"):
        list(agent.batch(["0 a"], **wrong))


def test_one_text_is_no_list_of_questions(agent: Agent) -> None:
    with pytest.raises(ConfigError):
        list(agent.batch("Perché?"))


# Files


TOML = """brain = "echo"
[soul]
constitution = "anima.md"
[knowledge]
folder = "note"
embedder = "none"
"""


@pytest.fixture
def home(isolated: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    (isolated / "cervella.toml").write_text(TOML, encoding="utf-8")
    (isolated / "anima.md").write_text("# Cervella\n\n- nome: Cervella\n\nCalma, in italiano.\n", encoding="utf-8")
    (isolated / "note").mkdir()
    (isolated / "note" / "a.md").write_text("# Lancio\n\nIl lancio è il 20 gennaio.\n", encoding="utf-8")
    assert main(["index"]) == 0
    capsys.readouterr()
    return isolated


def write(path: Path, *rows: Any) -> None:
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def ask(*more: str) -> int:
    return main(["ask", "--batch", "in.jsonl", "--out", "out.jsonl", *more])


def test_a_file_of_questions_becomes_a_file_of_answers(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home / "in.jsonl", {"id": 7, "question": "Quando parte?"}, "Perché è così?", {"question": "E poi?"})
    assert ask("--json") == 0
    rows = read(home / "out.jsonl")
    assert [row["answer"] for row in rows] == ["Quando parte?", "Perché è così?", "E poi?"]
    assert rows[0]["id"] == 7
    assert all(isinstance(row["id"], str) for row in rows[1:])
    assert {"question", "citations", "usage", "cost_usd", "brain"} <= rows[0].keys()
    assert json.loads(capsys.readouterr().out) == {
        "rows": 3, "skipped": 0, "answered": 3, "refused": 0, "failed": 0, "out": "out.jsonl",
    }  # fmt: skip


def test_one_bad_row_stops_nothing(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = '{"id": "a", "question": "Prima?"}', '"Ultima?"'
    bad = ('{"id": ', "42", '{"id": "senza"}', '{"id": "vuota", "question": ""}', '{"question": "x", "top_k": -1}')
    (home / "in.jsonl").write_bytes(
        ("\ufeff" + good[0] + "\r\n\n" + "\n".join(bad) + "\n").encode() + b"\xff\xfe\n" + good[1].encode()
    )
    assert ask() == 1
    rows = read(home / "out.jsonl")
    assert [row.get("answer") for row in rows] == ["Prima?", *[None] * 6, "Ultima?"]
    assert [row["error"]["code"] for row in rows if "error" in row][:3] == ["bad_row"] * 3
    assert all(row["error"]["message"] and row["error"]["help"] for row in rows if "error" in row)
    assert "2 answered, 6 failed" in capsys.readouterr().err


def test_failed_rows_are_counted_and_exit_with_1(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home / "in.jsonl", "Prima?", {"id": "vuota", "question": ""}, "Ultima?")
    assert ask("--json") == 1
    told = capsys.readouterr()
    assert json.loads(told.out) == {
        "rows": 3, "skipped": 0, "answered": 2, "refused": 0, "failed": 1, "out": "out.jsonl",
    }  # fmt: skip
    error, cure = told.err.splitlines()[-2:]
    assert error.startswith("error: 1 of 3 questions failed")
    assert cure.startswith("help: ")
    assert [row.get("answer") for row in read(home / "out.jsonl")] == ["Prima?", None, "Ultima?"]


def test_what_is_answered_already_is_not_asked_again(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    twice = "Due volte?"
    write(home / "in.jsonl", {"id": 1, "question": "Uno?"}, twice, twice)
    assert ask() == 0
    first = (home / "out.jsonl").read_bytes()
    assert len(read(home / "out.jsonl")) == 3
    write(home / "in.jsonl", {"id": 1, "question": "Uno?"}, twice, twice, {"id": 2, "question": "Due?"}, twice)
    assert ask() == 0
    assert (home / "out.jsonl").read_bytes().startswith(first)
    assert [row["question"] for row in read(home / "out.jsonl")] == ["Uno?", twice, twice, "Due?", twice]
    assert "2 answered, 0 failed, 3 were answered already" in capsys.readouterr().err


def test_a_row_that_a_crash_cut_off_is_asked_again(home: Path) -> None:
    write(home / "in.jsonl", "Uno?", "Due?", "Tre?")
    assert ask() == 0
    whole = (home / "out.jsonl").read_bytes()
    for cut in (1, 40, len(whole) // 2):
        (home / "out.jsonl").write_bytes(whole[:-cut])
        assert ask() == 0
        assert [row["question"] for row in read(home / "out.jsonl")] == ["Uno?", "Due?", "Tre?"]


def test_keys_that_mean_nothing_are_told_of(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home / "in.jsonl", {"id": 1, "question": "Uno?", "lang": "it", "filter": {"role": "decision"}})
    assert ask() == 0
    assert "mean nothing here: filter, lang" in capsys.readouterr().err


def test_a_file_of_something_else_is_never_written_to(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home / "in.jsonl", "Uno?")
    (home / "out.jsonl").write_text("appunti miei\n", encoding="utf-8")
    assert ask() == 2
    assert (home / "out.jsonl").read_text(encoding="utf-8") == "appunti miei\n"
    assert "line 1" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--batch", "in.jsonl"],
        ["--out", "out.jsonl", "Perché?"],
        ["--batch", "in.jsonl", "--out", "out.jsonl", "Perché?"],
        ["--batch", "in.jsonl", "--out", "in.jsonl"],
        ["--batch", "manca.jsonl", "--out", "out.jsonl"],
        ["--batch", "in.jsonl", "--out", "out.jsonl", "--show-prompt"],
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(
    home: Path, arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    write(home / "in.jsonl", "Uno?")
    assert main(["ask", *arguments]) == 2
    assert "help:" in capsys.readouterr().err
    assert read(home / "in.jsonl") == ["Uno?"]


def test_what_would_fail_every_question_fails_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(home / "in.jsonl", *[f"Domanda {n}?" for n in range(5)])
    assert ask("--brain", "ecoh") == 2
    (home / "cervella.toml").write_text(TOML + 'index = "altrove"\n', encoding="utf-8")
    assert ask() == 1
    assert not (home / "out.jsonl").exists()
    assert "cervella index" in capsys.readouterr().err


SLOW = """
import asyncio, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for what it runs in the background
import cervella.testing
async def slowly(self, prompt, /, stream=cervella.testing.EchoBrain.stream):
    await asyncio.sleep(0.1)
    async for event in stream(self, prompt):
        yield event
cervella.testing.EchoBrain.stream = slowly
from cervella.cli import main
sys.exit(main(["ask", "--batch", "in.jsonl", "--out", "out.jsonl", "--concurrency", "2"]))
"""


@pytest.mark.skipif(os.name == "nt", reason="Windows sends this signal to a whole console")
def test_an_interrupted_run_keeps_whole_rows_and_goes_on(home: Path) -> None:
    questions = [f"Domanda {n}?" for n in range(200)]
    write(home / "in.jsonl", *questions)
    running = subprocess.Popen([sys.executable, "-c", SLOW], cwd=home, stderr=subprocess.PIPE, text=True)
    until = time.monotonic() + PATIENCE
    while not (home / "out.jsonl").exists() or (home / "out.jsonl").read_bytes().count(b"\n") < 3:
        assert time.monotonic() < until
        time.sleep(0.05)
    running.send_signal(signal.SIGINT)
    _, said = running.communicate(timeout=PATIENCE)
    assert running.returncode == 130, said
    assert "Traceback" not in said
    kept = [row["question"] for row in read(home / "out.jsonl")]
    assert 3 <= len(kept) < 200
    assert kept == questions[: len(kept)]
    write(home / "in.jsonl", *questions[: len(kept) + 5])
    assert ask() == 0
    assert [row["question"] for row in read(home / "out.jsonl")] == questions[: len(kept) + 5]


def test_a_prompt_that_is_none_is_a_configuration_error(agent: Agent) -> None:
    with pytest.raises(ConfigError, match="prompt is 'Quando"):
        agent.complete("Quando?")  # type: ignore[arg-type]
