"""The options of a question are spelt once: mypy, the reference and every way of asking know them."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella import (
    Agent,
    AskOptions,
    BatchQuestion,
    CompleteOptions,
    ConfigError,
    Image,
    IndexOptions,
    Message,
    Prompt,
    ReviewOptions,
    SessionOptions,
)
from cervella.testing import FixedRetriever, ScriptedBrain
from tests.conftest import ROOT, PlainSoul

PROMPT = Prompt(system="Sono.", question="Quando?")
FIRST = "Quanto costa il piano base?"


@pytest.fixture
def agent(soul: PlainSoul, passages: Any, tmp_path: Path) -> Iterator[Agent]:
    config = cervella.Config(
        conversations={"path": tmp_path / "conversations.db"}, ledger={"path": tmp_path / "ledger.db"}
    )
    with Agent(config=config, brain=ScriptedBrain("Sì."), soul=soul, retriever=FixedRetriever(passages)) as made:
        yield made


async def collected(events: Any) -> list[Any]:
    return [event async for event in events]


WAYS: dict[str, Callable[..., Any]] = {
    "ask": lambda a, **o: a.ask("Quando?", **o),
    "aask": lambda a, **o: asyncio.run(a.aask("Quando?", **o)),
    "stream": lambda a, **o: list(a.stream("Quando?", **o)),
    "astream": lambda a, **o: asyncio.run(collected(a.astream("Quando?", **o))),
    "preview": lambda a, **o: a.preview("Quando?", **o),
    "apreview": lambda a, **o: asyncio.run(a.apreview("Quando?", **o)),
    "route": lambda a, **o: a.route("Quando?", **o),
    "aroute": lambda a, **o: asyncio.run(a.aroute("Quando?", **o)),
    "batch": lambda a, **o: list(a.batch(["Quando?"], **o)),
    "abatch": lambda a, **o: asyncio.run(collected(a.abatch(["Quando?"], **o))),
    "review": lambda a, **o: a.review("Sì.", question="Quando?", **o),
    "areview": lambda a, **o: asyncio.run(a.areview("Sì.", question="Quando?", **o)),
    "complete": lambda a, **o: a.complete(PROMPT, **o),
    "acomplete": lambda a, **o: asyncio.run(a.acomplete(PROMPT, **o)),
    "index": lambda a, **o: a.index(**o),
    "aindex": lambda a, **o: asyncio.run(a.aindex(**o)),
    "Session.ask": lambda a, **o: a.session("anna").ask("Quando?", **o),
    "Session.aask": lambda a, **o: asyncio.run(a.session("anna").aask("Quando?", **o)),
    "Session.stream": lambda a, **o: list(a.session("anna").stream("Quando?", **o)),
    "Session.astream": lambda a, **o: asyncio.run(collected(a.session("anna").astream("Quando?", **o))),
}


OPTIONS_OF = {
    "complete": CompleteOptions.__optional_keys__,
    "index": IndexOptions.__optional_keys__,
    "review": ReviewOptions.__optional_keys__,
    **{way: SessionOptions.__optional_keys__ for way in WAYS if way.startswith("Session.")},
}
"""Where they are not those of a question."""


# What mypy knows


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where mypy keeps what it knows of the package from one test to the next."""
    return tmp_path_factory.mktemp("mypy")


def mypy(place: Path, *lines: str) -> list[str]:
    """What `mypy --strict` says of a file that has an agent and a talk."""
    file = place / "asks.py"
    head = ("import cervella", "agent = cervella.Agent()", 'talk = agent.session("anna")')
    file.write_text("\n".join((*head, *lines)) + "\n", encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(place / "cache"), file],
        capture_output=True,
        text=True,
        cwd=ROOT,
    )
    assert done.returncode in (0, 1), done.stderr  # 2: mypy itself failed
    return done.stdout.splitlines()


def test_mypy_knows_every_option_in_every_way_of_asking(place: Path) -> None:
    asks = [
        *(f'agent.{way}("Quando?"%s)' for way in ("ask", "aask", "stream", "astream", "preview", "apreview")),
        *(f'agent.{way}("Quando?"%s)' for way in ("route", "aroute")),
        *(f'agent.{way}(["Quando?"]%s)' for way in ("batch", "abatch")),
    ]
    talks = [f'talk.{way}("Quando?"%s)' for way in ("ask", "aask", "stream", "astream")]
    rows = [f'agent.{way}([{{"question": "Quando?"%s}}])' for way in ("batch", "abatch")]
    reviews = [f'agent.{way}("Sì."%s)' for way in ("review", "areview")]
    prompts = [f"agent.{way}(prompt%s)" for way in ("complete", "acomplete")]
    indexes = [f"agent.{way}(force=False%s)" for way in ("index", "aindex")]
    searches = [f'agent.{way}("lancio"%s)' for way in ("search", "asearch")]
    wrong = {
        "filtres={}": [*asks, *talks, *reviews, *searches],
        'brian="echo"': [*asks, *talks, *reviews, *prompts],
        'top_k="six"': [*asks, *talks, *reviews, *searches],
        "history=[]": talks,
        'query="lancio"': talks,
        'session="anna"': talks,
        '"filtres": {}': rows,
        '"top_k": "six"': rows,
        '"images": []': rows,
        '"session": "anna"': rows,
        'sesion="anna"': [*asks, *prompts],
        "tainted=1.5": reviews,
        'repeatable="yes"': prompts,
        "rebiuld=True": indexes,
        'verify="yes"': indexes,
    }
    right = {
        ', filters={}, brain="echo", top_k=6, timeout=None': [*asks, *talks, *reviews],
        ', "id": 7, "brain": "echo", "filters": {}, "top_k": 6, "history": [], "query": "lancio"': rows,
        ', brain="echo", timeout=None, repeatable=True, session="anna"': prompts,
        ", rebuild=True, verify=True, purge=False, strict=True, progress=None": indexes,
        ", top_k=6, filters={}": searches,
    }
    bad = [call % f", {option}" for option, calls in wrong.items() for call in calls]
    good = [call % options for options, calls in right.items() for call in calls]
    lines = [f"x{number} = {call}" for number, call in enumerate([*bad, *good])]
    told = mypy(place, 'prompt = cervella.Prompt(system="", question="Quando?")', *lines)
    faulty = {int(line.split(":")[1]) for line in told if ": error:" in line}
    assert faulty == set(range(5, 5 + len(bad))), told


KNOWLEDGE = "cervella.knowledge.SKIP_REASONS, cervella.knowledge.HybridRetreiver"


def test_mypy_knows_the_names_of_the_package(place: Path) -> None:
    told = mypy(place, "cervella.Agnet()", "cervella.BudgetError('no')", "import cervella.knowledge", KNOWLEDGE)
    assert ['has no attribute "Agnet"' in told[0], 'has no attribute "HybridRetreiver"' in told[1]] == [True, True]
    assert len(told) == 2


def test_mypy_takes_every_right_option(place: Path) -> None:
    told = mypy(
        place,
        'rows: list[str | cervella.BatchQuestion] = ["Quando?", {"question": "Quando?", "id": 7, "top_k": 2}]',
        "agent.batch(rows, top_k=3, images=None)",
        'talks: cervella.SessionOptions = {"batch": True, "images": [], "review": "echo"}',
        'talk.ask("Quando?", **talks)',
        'agent.ask("Quando?", **talks)',
        'image = cervella.Image(media_type="image/png", data=b"")',
        'options: cervella.AskOptions = {"top_k": 3, "review": True, "brain": ["claude", "echo"]}',
        'agent.ask("Quando?", images=(one for one in [image]), history=[("a", "b")], session="anna")',
        'agent.ask("Quando?", **options)',
        'text: str = agent.ask("Quando?", temperature=0.2, max_output_tokens=50, batch=True, query="lancio").text',
        'agent.preview("Quando?", session="anna", images=[image], review=False)',
        'agent.route("Quando?", filters=cervella.Filters(role="decision"), review="echo")',
        'agent.review("Sì.", question="Quando?", tainted=True)',
    )
    assert told == []


# What an unknown option is told


MISSPELT = {
    "filtres": "filters",
    "brian": "brain",
    "topk": "top_k",
    "sesion": "session",
    "repeatible": "repeatable",
    "rebiuld": "rebuild",
}
MISSPELT_OPTIONS = [
    (way, wrong, near)
    for way in WAYS
    for wrong, near in MISSPELT.items()
    if near in OPTIONS_OF.get(way.removeprefix("a"), AskOptions.__optional_keys__)
]


@pytest.mark.parametrize(("way", "wrong", "near"), MISSPELT_OPTIONS)
def test_an_unknown_option_names_the_nearest_known_one(agent: Agent, way: str, wrong: str, near: str) -> None:
    with pytest.raises(ConfigError) as caught:
        WAYS[way](agent, **{wrong: None})
    assert caught.value.code == "unknown_option"
    assert repr(wrong) in caught.value.message
    assert f"Did you mean {near!r}?" in str(caught.value.remedy)
    assert "_" not in caught.value.message.replace(wrong, "")  # no private method


def test_an_unknown_option_is_told_before_the_first_event(agent: Agent) -> None:
    for stream in (agent.stream, agent.astream, agent.session("anna").stream, agent.session("anna").astream):
        with pytest.raises(ConfigError):
            stream("Quando?", filtres=None)  # type: ignore[call-arg, operator]
    for batch in (agent.batch, agent.abatch):
        with pytest.raises(ConfigError):
            batch(["Quando?"], filtres=None)  # type: ignore[call-arg, operator]


@pytest.mark.parametrize("option", ["history", "query", "session"])
def test_a_session_says_which_options_are_its_own(agent: Agent, option: str) -> None:
    with pytest.raises(ConfigError, match=f"its own .*{option}"):
        agent.session("anna").ask("Quando?", **{option: "altro"})  # type: ignore[misc]


# A preview takes all that a question takes


class Sees(ScriptedBrain):
    capabilities = frozenset({"images"})


def everything(image: Image) -> dict[str, Any]:
    """Every option of a question, with an iterator wherever one is allowed."""
    options: dict[str, Any] = {
        "batch": True,
        "brain": Sees("Sì."),
        "filters": {},
        "history": iter([(FIRST, "24 euro."), Message(role="user", content="E quello grande?")]),
        "images": (one for one in [image]),
        "max_output_tokens": 50,
        "query": "listino",
        "review": False,
        "session": "anna",
        "temperature": 0.5,
        "timeout": 60.0,
        "top_k": 2,
    }
    assert set(options) == AskOptions.__optional_keys__
    return options


def test_a_preview_is_the_prompt_that_is_sent(agent: Agent) -> None:
    image = Image(media_type="image/png", data=b"png")
    preview = agent.preview("Quando?", **everything(image))
    options = everything(image)
    agent.ask("Quando?", **options)
    sent = options["brain"].prompts[-1]
    assert preview.prompt.images == sent.images == (image,)
    assert preview.prompt.history == sent.history
    assert preview.prompt.hints == sent.hints
    assert (preview.prompt.max_output_tokens, preview.prompt.temperature) == (50, 0.5)
    assert preview.retrieval.query == "listino"


def test_a_route_takes_all_that_a_question_takes(agent: Agent) -> None:
    assert agent.route("Quando?", **everything(Image(media_type="image/png", data=b"png"))).rule == "explicit"


def test_a_preview_says_what_a_question_would_of_a_second_brain(agent: Agent) -> None:
    for ask in (agent.ask, agent.preview, agent.route):
        with pytest.raises(cervella.UnknownBrainError, match="cluade"):
            ask("Quando?", review="cluade")


@pytest.mark.parametrize("images", [Image(media_type="image/png", data=b""), 3, "foto.png", ["foto.png"]])
@pytest.mark.parametrize("way", ["ask", "preview", "route"])
def test_images_that_are_none_are_a_configuration_error(agent: Agent, way: str, images: Any) -> None:
    with pytest.raises(ConfigError, match="images"):
        WAYS[way](agent, images=images)


BAD_VALUES = [
    *(("ask", "top_k", value) for value in (0, -1, True, "6", 2.0)),
    *(("Session.ask", "top_k", value) for value in (0, "6")),
    *(("ask", "temperature", value) for value in (float("inf"), float("nan"), float("-inf"), -1, True, "1")),
    *(("ask", "timeout", value) for value in (True, False, 0, -1, float("nan"), "3")),
    *(("ask", "batch", value) for value in ("x", 1)),
    *(("ask", "session", value) for value in (3, "", " ", b"x")),
    *(("complete", "session", value) for value in (3, "")),
    *(("complete", "timeout", value) for value in (True, "3")),
    ("complete", "repeatable", "yes"),
    ("review", "tainted", "no"),
    ("review", "top_k", 0),
    *(("index", flag, "yes") for flag in ("force", "rebuild", "verify", "purge", "strict")),
    ("preview", "top_k", 0),
    ("route", "temperature", float("inf")),
]


@pytest.mark.parametrize(("way", "option", "value"), BAD_VALUES)
def test_a_value_that_an_option_can_not_have_is_a_configuration_error(
    agent: Agent, way: str, option: str, value: Any
) -> None:
    with pytest.raises(ConfigError, match=f"^{option} is ") as caught:
        WAYS[way](agent, **{option: value})
    assert caught.value.remedy


def test_a_search_checks_top_k_before_any_retriever_does(agent: Agent) -> None:
    for top_k in (0, True, "6"):
        with pytest.raises(ConfigError, match=r"^top_k is "):
            agent.search("lancio", top_k=top_k)  # type: ignore[arg-type]


def test_what_is_no_prompt_and_no_answer_is_a_configuration_error(agent: Agent) -> None:
    for prompt in ("x", None, {"question": "x"}):
        with pytest.raises(ConfigError, match=r"^prompt is "):
            agent.complete(prompt)  # type: ignore[arg-type]
    for answer in (None, 3, ["Sì."]):
        with pytest.raises(ConfigError, match=r"^answer is "):
            agent.review(answer, question="Quando?")  # type: ignore[arg-type]


@pytest.mark.parametrize("way", ["ask", "preview", "batch", "Session.ask"])
def test_none_is_no_images(agent: Agent, way: str) -> None:
    assert WAYS[way](agent, images=None)


def test_every_option_says_what_it_is() -> None:
    page = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    for options in (AskOptions, SessionOptions, BatchQuestion, CompleteOptions, IndexOptions, ReviewOptions):
        entry = page.partition(f"\n### {options.__name__}\n")[2].partition("\n### ")[0]
        for name in options.__optional_keys__:
            (row,) = [line for line in entry.splitlines() if line.startswith(f"| `{name}` |")]
            assert not row.endswith("| – |"), row
