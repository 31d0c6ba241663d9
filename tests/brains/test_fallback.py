"""Fallback: the next brain before the first token, nobody after it; and tainted text never in the cloud."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cervella.brains.routing.cooldown import Cooldown
from cervella.brains.routing.fallback import Fallback
from cervella.brains.shield.shield import Shield
from cervella.errors import (
    BrainAuthError,
    BrainNotInstalledError,
    BrainRateLimitError,
    BrainResponseError,
    BrainTimeoutError,
    BrainUnavailableError,
    BudgetError,
    CervellaError,
    ConfigError,
    PromptTooLongError,
    StreamInterruptedError,
)
from cervella.testing import ScriptedBrain
from cervella.types import Attempt, Completion, Finished, Location, Message, Passage, Prompt, TextDelta
from tests.conftest import make_passage
from tests.fixtures.whole import whole

LOCAL_WORDS = "il margine riservato"
TAINTED = Prompt(
    system="Sono Cervella.",
    question="Quanto è il margine?",
    passages=(
        make_passage("Il lancio è rinviato.", id="a"),
        make_passage(f"{LOCAL_WORDS} è 41 per cento", id="b", path="riservato/margine.md", local_only=True),
    ),
    history=(
        Message(role="user", content="E prima?", tainted=True),
        Message(role="assistant", content=f"Prima {LOCAL_WORDS} era 40.", tainted=True),
    ),
)
ONE = Prompt(system="Sono Cervella.", question="Quando si parte?")
FAULTS = (
    BrainUnavailableError("giù"),
    BrainTimeoutError("lento"),
    BrainAuthError("senza chiave"),
    BrainRateLimitError("troppe", retry_after=90.0),
    BrainNotInstalledError("manca", extra="vllm"),
    BrainResponseError("strano"),
    PromptTooLongError("lungo"),
)


def shielded(
    name: str, *answers: Any, location: Location = "local", retries: int = 0, **options: Any
) -> tuple[Shield, ScriptedBrain]:
    brain = ScriptedBrain(answers, name=name, model=f"{name}-1", location=location)
    return Shield(brain, retries=retries, **options), brain


async def run(brain: Any, prompt: Prompt = ONE, **options: Any) -> Completion:
    async for event in brain.stream(prompt, **options):
        if isinstance(event, Finished):
            return event.completion
    raise AssertionError("no Finished")


def ask(brain: Any, prompt: Prompt = ONE, **options: Any) -> Completion:
    return asyncio.run(run(brain, prompt, **options))


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: type(fault).__name__)
def test_a_failure_before_the_first_token_is_taken_over_and_recorded(fault: CervellaError) -> None:
    reported: list[Attempt] = []
    first, _ = shielded("primo", fault, on_attempt=reported.append)
    second, _ = shielded("secondo", "Il 20 gennaio.", on_attempt=reported.append)
    done = ask(Fallback([first, second]))
    assert done.text == "Il 20 gennaio."
    assert [(one.brain, one.outcome) for one in done.attempts] == [("primo", "error"), ("secondo", "ok")]
    assert done.flags == {"fallbacks": 1}
    assert list(done.attempts) == reported
    assert done.attempts[0].route is None
    assert (done.attempts[1].route, done.attempts[1].reason) == ("fallback", f"primo: {fault.code}")


def test_after_the_first_token_nothing_is_replayed() -> None:
    first, _ = shielded("primo", ("Il venti", BrainUnavailableError("giù")))
    second, spare = shielded("secondo", "altro")
    with pytest.raises(StreamInterruptedError) as caught:
        ask(Fallback([first, second]))
    assert caught.value.partial == "Il venti"
    assert spare.prompts == []
    assert [one.outcome for one in caught.value.attempts] == ["interrupted"]


def test_a_break_after_a_fallback_keeps_every_attempt() -> None:
    first, _ = shielded("primo", BrainUnavailableError("giù"))
    second, _ = shielded("secondo", ("Il", BrainUnavailableError("giù")))
    with pytest.raises(StreamInterruptedError) as caught:
        ask(Fallback([first, second]))
    assert [one.brain for one in caught.value.attempts] == ["primo", "secondo"]
    assert caught.value.flags["fallbacks"] == 1


def test_where_all_fail_the_error_says_what_each_said() -> None:
    members = [shielded(name, BrainUnavailableError(f"{name} è giù", remedy=f"avvia {name}"))[0] for name in "ab"]
    with pytest.raises(BrainUnavailableError) as caught:
        ask(Fallback(members))
    error = caught.value
    assert error.code == "no_brain_answered"
    assert "a è giù" in error.message
    assert "b è giù" in error.message
    assert "avvia a" in str(error.remedy)
    assert "avvia b" in str(error.remedy)
    assert [one.brain for one in error.attempts] == ["a", "b"]


def test_one_member_keeps_its_own_error() -> None:
    only, _ = shielded("solo", BrainAuthError("senza chiave"))
    with pytest.raises(BrainAuthError):
        ask(Fallback([only]))


def test_an_empty_fallback_is_a_mistake() -> None:
    with pytest.raises(ConfigError, match="no brains"):
        Fallback([])


def test_a_budget_is_one_members_failure() -> None:
    def guard(brain: Any, prompt: Prompt) -> None:
        raise BudgetError("speso", spent_usd=1, limit_usd=1)

    dear, brain = shielded("caro", "mai", guard=guard)
    cheap, _ = shielded("casa", "Ecco.")
    assert ask(Fallback([dear, cheap])).text == "Ecco."
    assert brain.prompts == []
    with pytest.raises(BudgetError):
        ask(Fallback([dear, shielded("caro2", "mai", guard=guard)[0]]))


def test_who_failed_rests_and_comes_back_by_one_probe() -> None:
    now = [0.0]
    cooldown = Cooldown(30, clock=lambda: now[0])
    first, tried = shielded("primo", BrainUnavailableError("giù"), "Sono tornato.")
    second, _ = shielded("secondo", "Eccomi.")
    fallback = Fallback([first, second], cooldown=cooldown)
    assert ask(fallback).text == "Eccomi."
    done = ask(fallback)
    assert (done.text, len(tried.prompts)) == ("Eccomi.", 1), "it rests: nobody waits for it again"
    assert done.flags == {}
    now[0] = 31.0
    assert ask(fallback).text == "Sono tornato."


def test_where_all_rest_all_are_tried() -> None:
    first, _ = shielded("primo", BrainUnavailableError("giù"), BrainUnavailableError("giù"), "Di nuovo qui.")
    fallback = Fallback([first], cooldown=Cooldown(600))
    for _ in range(2):
        with pytest.raises(BrainUnavailableError):
            ask(fallback)
    assert ask(fallback).text == "Di nuovo qui."


def test_a_prompt_that_is_too_long_is_not_the_brains_fault() -> None:
    first, tried = shielded("primo", PromptTooLongError("lungo"), "Breve.")
    second, _ = shielded("secondo", "Io lo reggo.")
    fallback = Fallback([first, second])
    assert ask(fallback).text == "Io lo reggo."
    assert ask(fallback).text == "Breve."
    assert len(tried.prompts) == 2


def test_a_caller_who_leaves_does_not_put_a_brain_to_rest() -> None:
    first, brain = shielded("primo", "una risposta lunga")
    fallback = Fallback([first, shielded("secondo", "altro")[0]])

    async def leave() -> None:
        stream = fallback.stream(ONE)
        assert isinstance(await anext(stream), TextDelta)
        await stream.aclose()

    asyncio.run(leave())
    assert brain.closed == 1
    assert ask(fallback).text == "una risposta lunga"


def test_a_silent_brain_leaves_time_for_the_next() -> None:
    class Silent:
        name, model, location = "muto", "m", "local"

        async def stream(self, prompt: Prompt, /) -> Any:
            await asyncio.sleep(3600)
            yield TextDelta(text="mai")

    second, _ = shielded("secondo", "In tempo.")
    assert ask(Fallback([Shield(Silent(), retries=0), second]), timeout=4.0).text == "In tempo."  # type: ignore[arg-type]


def test_it_shows_what_its_members_can() -> None:
    fallback = Fallback([shielded("a", "x")[0], shielded("b", "y", location="cloud")[0]])
    assert (fallback.name, fallback.model, fallback.location) == ("a, b", "a-1, b-1", "cloud")
    assert "images" in fallback.capabilities
    assert fallback.context_tokens is None


@given(
    places=st.lists(st.sampled_from(["local", "private", "cloud"]), min_size=1, max_size=5),
    faults=st.lists(st.sampled_from([*range(len(FAULTS)), None]), min_size=5, max_size=5),
    resting=st.sets(st.integers(0, 4)),
)
def test_tainted_text_never_reaches_a_cloud_brain_whatever_is_down(
    places: Sequence[Location], faults: Sequence[int | None], resting: set[int]
) -> None:
    cooldown = Cooldown(600)
    members, brains = [], []
    for number, place in enumerate(places):
        fault = faults[number]
        answer = "Non lo so." if fault is None else FAULTS[fault]
        member, brain = shielded(f"m{number}", answer, location=place)
        members.append(member)
        brains.append(brain)
        if number in resting:
            cooldown.failed(f"m{number}")
    try:
        ask(Fallback(members, cooldown=cooldown), TAINTED)
    except CervellaError:
        assert all(fault is not None for fault in faults[: len(places)])
    for brain in brains:
        for prompt in brain.prompts:
            if brain.location == "cloud":
                assert LOCAL_WORDS not in whole(prompt)


def passage_ids(prompt: Prompt) -> list[str]:
    return [one.id for one in prompt.passages if isinstance(one, Passage)]


def test_marks_stay_whoever_is_asked() -> None:
    down, _ = shielded("nuvola", BrainUnavailableError("giù"), location="cloud")
    near, brain = shielded("casa", "Ecco [F2].")
    done = ask(Fallback([down, near]), TAINTED)
    assert passage_ids(brain.prompts[0]) == ["a", "b"]
    assert done.attempts[0].shown == ("F1",)
    assert done.attempts[1].shown == ("F1", "F2")
