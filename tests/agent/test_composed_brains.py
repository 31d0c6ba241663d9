"""A list of brains, a fallback and a router by configuration, through the Agent and the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.cli import main
from cervella.errors import BrainUnavailableError, ConfigError, UnknownBrainError
from cervella.testing import FixedRetriever, ScriptedBrain
from cervella.types import Passage
from tests.conftest import PlainSoul

ROUTED = """
brain = "router"

[brains.router]
own = "casa"
strong = ["lontana", "riserva"]

[brains.casa]
kind = "scripted"
answers = ["Da casa."]

[brains.lontana]
kind = "scripted"
answers = ["Da lontano."]

[brains.riserva]
kind = "fallback"
members = ["casa", "lontana"]
"""


FALLBACK = 'kind = "fallback"\nmembers = '


@pytest.fixture
def make(passages: tuple[Passage, ...], soul: PlainSoul) -> Any:
    def make(**options: Any) -> Agent:
        return Agent(**{"retriever": FixedRetriever(passages), "soul": soul, **options})

    return make


def write(folder: Path, text: str) -> Path:
    path = folder / "cervella.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_a_list_of_objects_is_a_fallback(make: Any) -> None:
    down = ScriptedBrain([BrainUnavailableError("giù")], name="giu")
    up = ScriptedBrain(["Eccomi."], name="su")
    with make(brain=[down, up]) as agent:
        reply = agent.ask("Quando si parte?")
        assert (reply.text, reply.brain, reply.flags["fallbacks"]) == ("Eccomi.", "su", 1)
        assert [one.brain for one in reply.attempts][-1] == "su"
        assert agent.brain_name == "giu, su"


def test_a_list_of_names_in_the_configuration(make: Any, isolated: Path) -> None:
    write(isolated, 'brain = ["muta", "echo"]\n[brains.muta]\nkind = "scripted"\nanswers = ["Da muta."]\n')
    with make() as agent:
        assert agent.ask("Ciao?").brain == "muta"
        assert agent.brain_name == "muta, echo"
        assert agent.ask("Ciao?", brain=["echo", "muta"]).brain == "echo"
        assert agent.with_brain(["echo"]).ask("Ciao?").brain == "echo"


def test_a_named_fallback_and_a_router_of_it(make: Any, isolated: Path) -> None:
    write(isolated, ROUTED)
    with make() as agent:
        reply = agent.ask("Quando si parte?")
        assert (reply.brain, reply.attempts[0].route) == ("casa", "sources")
        assert agent.ask("Scrivi una funzione Python che conti i giorni").brain == "lontana"
        explicit = agent.ask("Quando si parte?", brain="lontana")
        assert (explicit.brain, explicit.attempts[0].route) == ("lontana", "explicit")


def test_route_explains_and_calls_nobody(make: Any, isolated: Path) -> None:
    write(isolated, ROUTED)
    with make() as agent:
        decision = agent.route("Prepara un piano di lancio")
        assert (decision.brain, decision.rule) == ("lontana", "planning")
        assert decision.order == ("lontana", "riserva", "casa")
        assert agent.route("Quando si parte?", batch=True).rule == "batch"
        assert agent.route("Quando si parte?", brain="echo").rule == "explicit"
        assert agent.brain_named("casa").brain.prompts == []


def test_route_without_a_router_names_the_one_that_is_configured(make: Any) -> None:
    with make(brain=["echo", "scripted"]) as agent:
        decision = agent.route("Quando si parte?")
        assert (decision.brain, decision.rule, decision.order) == ("echo", "configured", ("echo", "scripted"))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (f'brain = "a"\n[brains.a]\n{FALLBACK}["b"]\n[brains.b]\n{FALLBACK}["a"]\n', "contains itself: a > b > a"),
        ('brain = "a"\n[brains.a]\nkind = "fallback"\n', "no members"),
        ('brain = "a"\n[brains.a]\nkind = "fallback"\nmembers = [3]\n', "members is"),
        ('brain = "a"\n[brains.a]\nkind = "fallback"\nmember = ["echo"]\n', "no option 'member'"),
        ('brain = "router"\n', "no brain in its tier .own."),
        ('brain = "router"\n[brains.router]\nown = "echo"\nstrong = "scripted"\nrules = [{name = "x", to = "chi"}]\n',
         "chooses 'chi'"),
    ],
)  # fmt: skip
def test_what_cannot_be_put_together_says_why(make: Any, isolated: Path, text: str, said: str) -> None:
    write(isolated, text)
    with make() as agent, pytest.raises(ConfigError, match=said) as caught:
        agent.ask("Ciao?")
    assert caught.value.remedy


def test_an_unknown_member_is_an_unknown_brain(make: Any) -> None:
    with make(brain=["echo", "cluade"]) as agent, pytest.raises(UnknownBrainError):
        agent.ask("Ciao?")


def test_an_empty_list_is_a_mistake(make: Any) -> None:
    with make(brain=[]) as agent, pytest.raises(ConfigError, match="no brains"):
        agent.ask("Ciao?")


def test_brains_route_on_the_command_line(isolated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (isolated / "note").mkdir()
    (isolated / "note" / "COSTITUZIONE.md").write_text("# Chi sono\n\nSono Cervella.\n", encoding="utf-8")
    (isolated / "note" / "prezzi.md").write_text("# Prezzi\n\nIl piano piccolo costa 12 euro.\n", encoding="utf-8")
    head = 'soul = {constitution = "note/COSTITUZIONE.md"}\nknowledge = {folder = "note", embedder = "none"}\n'
    write(isolated, head + ROUTED)
    assert main(["index"]) == 0
    capsys.readouterr()
    assert main(["brains", "route", "Scrivi uno script bash", "--json"]) == 0
    decision = json.loads(capsys.readouterr().out)
    assert decision["brain"] == "lontana"
    assert decision["rule"] == "code"
    assert decision["features"]["code"] is True
    assert main(["brains", "route", "Quanto costa il piano piccolo?"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("casa: ")
    assert "then, if it fails: lontana" in said
    assert main(["brains"]) == 0
    assert "* router" in capsys.readouterr().out
    assert main(["doctor"]) == 0


def test_a_brain_over_its_budget_is_not_chosen(make: Any, isolated: Path, passages: tuple[Passage, ...]) -> None:
    text = ROUTED.replace(
        'answers = ["Da lontano."]',
        'answers = ["Da lontano."]\nlocation = "cloud"\nusd_per_day = 0.001\nprice = {input = 1000, output = 1000}',
    )
    write(isolated, text)
    with make(retriever=FixedRetriever(passages[:2])) as agent:
        decision = agent.route("Prepara un piano di lancio")
        assert decision.excluded == {"lontana": "is over the budget"}
        assert agent.ask("Prepara un piano di lancio").brain == "casa"


def test_a_batch_is_routed_as_one(make: Any, isolated: Path) -> None:
    write(isolated, ROUTED)
    with make() as agent:
        replies = list(agent.batch(["Prepara un piano di lancio", "Scrivi una funzione Python"]))
        assert [reply.attempts[0].route for reply in replies] == ["batch", "batch"]
