"""The router: hard gates first, then ordered rules; each decision says why, and calls nobody."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cervella.brains.routing.cooldown import Cooldown
from cervella.brains.routing.router import RouteDecision, Router, Rule, default_rules, features_of, rules_of
from cervella.brains.shield.shield import Shield
from cervella.errors import BrainResponseError, BrainUnavailableError, CervellaError, ConfigError
from cervella.prompt.layout import estimate_tokens, render
from cervella.testing import ScriptedBrain
from cervella.text.folding import any_of
from cervella.text.language import known_languages, language
from cervella.types import Completion, Finished, Image, Location, Prompt
from tests.conftest import make_passage
from tests.fixtures.whole import whole

PICTURE = Image(media_type="image/png", data=b"\x89PNG")


def member(
    name: str,
    *answers: Any,
    location: Location = "local",
    window: int | None = None,
    sees: bool = True,
) -> tuple[Shield, ScriptedBrain]:
    brain = ScriptedBrain(answers or ("Ecco.",), name=name, location=location, context_tokens=window)
    if not sees:
        brain.capabilities = frozenset()
    return Shield(brain, retries=0), brain


def router(**options: Any) -> Router:
    tiers = {"own": [member("casa", sees=False)[0]], "strong": [member("claude", location="cloud")[0]]}
    return Router(tiers, **options)


def asked(question: str = "Quanto costa il piano piccolo?", **facts: Any) -> Prompt:
    hints = {"confidence": 0.9, "abstain": False, "language": "it", **facts.pop("hints", {})}
    return Prompt(system="Sono Cervella.", question=question, hints=hints, **facts)


def of_length(tokens: int) -> Prompt:
    """A prompt of exactly so many estimated tokens."""
    prompt = asked()
    missing = 3 * tokens - sum(len(message.content) for message in render(prompt))
    prompt = asked(instructions="x" * (missing - len(language("it").prompt["question"]) - 3))
    short = 3 * tokens - sum(len(message.content) for message in render(prompt))
    prompt = asked(instructions=prompt.instructions + "x" * short)
    assert estimate_tokens(render(prompt)) == tokens
    return prompt


async def run(brain: Any, prompt: Prompt) -> Completion:
    async for event in brain.stream(prompt):
        if isinstance(event, Finished):
            return event.completion
    raise AssertionError("no Finished")


# The owner's split


@pytest.mark.parametrize(
    ("prompt", "rule", "brain"),
    [
        (asked(), "sources", "casa"),
        (asked("Scrivi una funzione Python che legga il listino"), "code", "claude"),
        (asked("Che cosa fa questo?\n```\nfor x in y: pass\n```"), "code", "claude"),
        (asked("Prepara un piano di migrazione per il gestionale"), "planning", "claude"),
        (asked("Confronta i tre fornitori e valuta i rischi"), "reasoning", "claude"),
        (asked("E poi? " * 400), "long-question", "claude"),
        (asked(images=(PICTURE,)), "images", "claude"),
        (asked("Scrivi una funzione Python", hints={"batch": True}), "batch", "casa"),
        (asked(hints={"confidence": 0.1, "abstain": True}), "unknown", "casa"),
        (asked(hints={"confidence": 0.1}), "unsure", "claude"),
        (asked(hints={"confidence": None}), "on-the-subject", "casa"),
        (asked(hints={"confidence": None, "abstain": True}), "unknown", "casa"),
        (asked(hints={"confidence": None, "abstain": None}), "no-search", "claude"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_the_default_rules_are_the_owners_split(prompt: Prompt, rule: str, brain: str) -> None:
    decision = router().decide(prompt)
    assert (decision.rule, decision.brain) == (rule, brain)
    assert decision.reason
    assert router().decide(prompt) == decision, "the same question, the same decision"


@pytest.mark.parametrize(("tokens", "rule"), [(99_999, "sources"), (100_000, "sources"), (100_001, "long")])
def test_the_bound_of_a_long_prompt(tokens: int, rule: str) -> None:
    assert router().decide(of_length(tokens)).rule == rule


@pytest.mark.parametrize(
    ("code", "question", "intent"),
    [
        ("it", "Correggi il bug nella query SQL delle prenotazioni", "code"),
        ("it", "Ho questo traceback: che cosa vuol dire?", "code"),
        ("it", "Che cosa succederebbe se alzassimo i prezzi?", "reasoning"),
        ("it", "Pianifica i prossimi tre mesi", "planning"),
        ("en", "Write a unit test for the parser", "code"),
        ("en", "Compare the two vendors and weigh the risks", "reasoning"),
        ("en", "Draft a migration plan", "planning"),
        ("pt", "Escreve uma função em Python", "code"),
        ("pt", "Compara os dois fornecedores e os riscos", "reasoning"),
        ("pt", "Prepara um plano de migração", "planning"),
    ],
)
def test_intents_in_each_language(code: str, question: str, intent: str) -> None:
    assert intent in language(code).intents(question)


@pytest.mark.parametrize(
    ("code", "question"),
    [
        ("it", "Qual è il codice della cassaforte?"),
        ("it", "Che strategia di prezzo abbiamo scelto?"),
        ("it", "Quando è stato approvato il piano di lancio?"),
        ("it", "Perché abbiamo lasciato Google Cloud?"),
        ("it", "Dove gira Miracollo?"),
        ("en", "What is the door code?"),
        ("en", "When was the roadmap approved?"),
        ("pt", "Qual é o código da porta?"),
    ],
)
def test_a_question_that_looks_a_fact_up_wants_nothing_more(code: str, question: str) -> None:
    assert language(code).intents(question) == frozenset()


def test_every_language_knows_every_intent() -> None:
    for code in known_languages():
        assert all(
            language(code).file("intents.toml")[intent] != any_of(()) for intent in ("code", "reasoning", "planning")
        )


# Hard gates


def test_a_picture_never_goes_to_a_brain_that_cannot_see() -> None:
    decision = router().decide(asked(images=(PICTURE,), hints={"batch": True}))
    assert decision.order == ("claude",)
    assert decision.excluded == {"casa": "can't see images"}


def test_where_nobody_can_see_the_error_says_so() -> None:
    blind = Router({"own": [member("casa", sees=False)[0]]})
    with pytest.raises(BrainResponseError, match="casa can't see images") as caught:
        blind.decide(asked(images=(PICTURE,)))
    assert caught.value.code == "no_brain_fits"


def test_a_brain_with_too_small_a_window_is_passed_over_where_another_has_room() -> None:
    small, wide = member("casa", window=4_000)[0], member("claude", location="cloud", window=200_000)[0]
    decision = Router({"own": [small], "strong": [wide]}).decide(of_length(3_500))
    assert (decision.brain, decision.rule) == ("claude", "sources")
    assert "window of 4000" in decision.reason
    alone = Router({"own": [small]}).decide(of_length(3_500))
    assert alone.brain == "casa", "its shield cuts the passages"


def test_the_room_for_the_answer_counts() -> None:
    small, wide = member("casa", window=4_000)[0], member("claude", location="cloud")[0]
    both = Router({"own": [small], "strong": [wide]})
    prompt = of_length(2_900)
    assert both.decide(prompt).brain == "casa"
    assert both.decide(replace(prompt, max_output_tokens=1_101)).brain == "claude"


def test_a_brain_over_its_budget_is_passed_over() -> None:
    decision = router(affordable=lambda one, prompt: one.name != "claude").decide(asked("Scrivi uno script bash"))
    assert decision.brain == "casa"
    assert "claude is over the budget" in decision.reason


def test_what_is_local_is_for_the_owners_brains_alone() -> None:
    tainted = asked("Scrivi una funzione Python", passages=(make_passage("riservato", local_only=True),))
    decision = router().decide(tainted)
    assert decision.order == ("casa",)
    assert "in the cloud" in decision.excluded["claude"]


@given(
    places=st.lists(st.sampled_from(["local", "private", "cloud"]), min_size=1, max_size=5),
    down=st.sets(st.integers(0, 4)),
    resting=st.sets(st.integers(0, 4)),
    split=st.integers(0, 5),
    question=st.sampled_from(["Quanto costa?", "Scrivi una funzione Python", "Prepara un piano"]),
)
def test_a_local_passage_never_falls_back_to_the_cloud(
    places: list[Location], down: set[int], resting: set[int], split: int, question: str
) -> None:
    cooldown = Cooldown(600)
    made = [
        member(f"m{n}", BrainUnavailableError("giù") if n in down else "Ecco.", location=place)
        for n, place in enumerate(places)
    ]
    for number in resting:
        cooldown.failed(f"m{number}")
    shields = [shield for shield, _ in made]
    composed = Router({"own": shields[:split], "strong": shields[split:]}, cooldown=cooldown)
    prompt = asked(question, passages=(make_passage("il margine riservato", local_only=True),))
    with contextlib.suppress(CervellaError):
        asyncio.run(run(composed, prompt))
    near = any(place != "cloud" for place in places)
    for shield, brain in made:
        if shield.location == "cloud":
            assert not near or not brain.prompts
            assert all("margine riservato" not in whole(one) for one in brain.prompts)


# Asked


def test_where_the_chosen_one_fails_the_others_stand_in_and_the_books_know() -> None:
    down, _ = member("casa", BrainUnavailableError("giù"))
    claude, _ = member("claude", "Ci sono.", location="cloud")
    done = asyncio.run(run(Router({"own": [down], "strong": [claude]}), asked()))
    assert done.text == "Ci sono."
    first, second = done.attempts
    assert (first.brain, first.route) == ("casa", "sources")
    assert (second.brain, second.route) == ("claude", "fallback")
    assert "casa: brain_unavailable" in str(second.reason)


def test_deciding_calls_nobody() -> None:
    one, brain = member("casa")
    Router({"own": [one]}).decide(asked())
    assert brain.prompts == []


# The owner's own rules


def test_own_rules_take_the_place_of_the_default_ones() -> None:
    rules = rules_of([{"name": "notte", "to": "claude", "when": {"tokens_below": 10_000}, "reason": "di notte"}])
    decision = router(rules=rules).decide(asked())
    assert (decision.brain, decision.rule, decision.reason) == ("claude", "notte", "di notte")


def test_where_no_rule_holds_the_first_brain_is_asked() -> None:
    decision = router(rules=[Rule(name="mai", to="strong", when={"images": True})]).decide(asked())
    assert (decision.brain, decision.rule) == ("casa", "none")


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ({"name": "x"}, "no 'to'"),
        ({"to": "own"}, "no 'name'"),
        ({"name": "x", "to": "own", "wen": {}}, "unknown key 'wen'"),
        ({"name": "x", "to": "own", "when": {"imges": True}}, "unknown condition 'imges'"),
        ({"name": "x", "to": "own", "when": {"images": 3}}, "images = 3"),
        ({"name": "x", "to": "own", "when": {"tokens_above": True}}, "tokens_above = True"),
        ({"name": "x", "to": "own", "when": "code"}, "`when`"),
    ],
)
def test_a_rule_that_cannot_be_used_says_where(table: Mapping[str, Any], said: str) -> None:
    with pytest.raises(ConfigError, match=said) as caught:
        rules_of([table])
    assert caught.value.code == "bad_rule"
    assert caught.value.remedy


def test_a_rule_to_nobody_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="chooses 'cluade'") as caught:
        router(rules=[Rule(name="x", to="cluade")])
    assert "Did you mean 'claude'?" in str(caught.value.remedy)


def test_the_default_rules_are_whole() -> None:
    rules = default_rules()
    assert len({rule.name for rule in rules}) == len(rules)
    assert all(rule.reason for rule in rules)
    assert not rules[-1].when, "the last one always holds"


def test_a_decision_is_plain_data() -> None:
    decision = router().decide(asked())
    assert isinstance(decision, RouteDecision)
    data = decision.as_dict()
    assert data["brain"] == "casa"
    assert data["features"]["tokens"] == features_of(asked())["tokens"]
