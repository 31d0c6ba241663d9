"""[privacy] personal: what a cloud brain sees of personal data, and what the person who asked sees."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent, load_config
from cervella.errors import ConfigError
from cervella.prompt.layout import render
from cervella.testing import FixedRetriever, ScriptedBrain
from cervella.types import Message, Prompt, Reply, TextDelta
from tests.conftest import PlainSoul, make_passage
from tests.fixtures.whole import whole

PHONE, OTHER, IBAN, MAIL = "340 1234567", "347 7654321", "IT60X0542811101000000123456", "mario.rossi@example.com"
PASSAGE = make_passage(
    f"Mario Rossi risponde al +39 {PHONE}, Anna al {OTHER}. Bonifici su {IBAN}.",
    lead=f"Contatti di {MAIL}",
    path=f"clienti/{MAIL}.md",
    heading=f"Contatti > {MAIL}",
)


@pytest.fixture
def make(soul: PlainSoul, tmp_path: Path) -> Iterator[Any]:
    made: list[Agent] = []

    def agent(brain: Any, personal: str | None = "mask") -> Agent:
        sections = {
            "privacy": {"personal": personal},
            "ledger": {"enabled": False},
            "conversations": {"path": tmp_path / "talk.sqlite"},
        }
        config = load_config(None, sections)
        made.append(Agent(config=config, brain=brain, retriever=FixedRetriever((PASSAGE,)), soul=soul))
        return made[-1]

    yield agent
    for one in made:
        one.close()


def cloud(*answers: Any) -> ScriptedBrain:
    return ScriptedBrain(list(answers) or ["Ecco."], location="cloud")


def test_a_cloud_brain_sees_masks_in_every_part_of_the_prompt(make: Any) -> None:
    brain = cloud()
    history = [(f"Il mio IBAN è {IBAN.lower()}", f"Segnato: {IBAN}.")]
    reply = make(brain).ask(f"Di chi è il {OTHER}?", history=history)
    [sent] = brain.prompts
    shown = whole(sent) + "".join(message.content for message in render(sent))
    for value in (PHONE, OTHER, IBAN, IBAN.lower(), MAIL):
        assert value not in shown
    assert sent.question == "Di chi è il [REDATTO: telefono]?" or "[REDATTO: telefono 2]" in sent.question
    assert "[REDATTO: IBAN]" in sent.passages[0].text
    assert sent.passages[0].path == "clienti/[REDATTO: indirizzo e-mail].md"
    # In reading: two numbers and the IBAN; the address in lead, path and heading; the question's and the history's two.
    assert reply.flags["personal_masked"] == 9


@pytest.mark.parametrize(
    ("location", "personal"), [("cloud", "keep"), ("cloud", None), ("local", "mask"), ("private", "mask")]
)
def test_any_other_brain_and_keep_change_nothing(make: Any, location: Any, personal: str | None) -> None:
    brain = ScriptedBrain("Ecco.", location=location)
    reply = make(brain, personal).ask(f"Di chi è il {PHONE}?")
    assert PHONE in brain.prompts[0].question
    assert PHONE in brain.prompts[0].passages[0].text
    assert "personal_masked" not in reply.flags


def test_the_answer_has_the_datum_again_and_its_citation_holds(make: Any) -> None:
    reply = make(cloud("Anna risponde al [REDATTO: telefono 2] [F1].")).ask("Che numero ha Anna?")
    assert reply.text == f"Anna risponde al {OTHER} [F1]."
    [citation] = reply.citations
    assert citation.supported
    assert citation.quote in PASSAGE.text


def test_a_datum_comes_back_as_the_source_spells_it(make: Any) -> None:
    reply = make(cloud("Mario risponde al [REDATTO: telefono] [F1].")).ask(f"È di Mario il {PHONE}?")
    assert reply.text == f"Mario risponde al +39 {PHONE} [F1]."


@pytest.mark.parametrize("cut", [1, 3, 7])
def test_a_mask_that_streams_in_pieces_is_restored(make: Any, cut: int) -> None:
    text = "Anna: [REDATTO: telefono 2] [F1], Mario: [REDATTO: telefono], [REDATTO"

    async def stream(prompt: Prompt) -> Any:
        from cervella.types import Completion, Finished

        for at in range(0, len(text), cut):
            yield TextDelta(text=text[at : at + cut])
        yield Finished(completion=Completion(text=text))

    class Pieces:
        name, model, location = "pezzi", "m", "cloud"

        def stream(self, prompt: Prompt, /) -> Any:
            return stream(prompt)

    events = list(make(Pieces()).stream("Che numeri hanno?"))
    wanted = f"Anna: {OTHER} [F1], Mario: +39 {PHONE}, [REDATTO"
    assert "".join(event.text for event in events if isinstance(event, TextDelta)) == wanted
    assert events[-1].reply.text == wanted


def test_the_masks_of_a_history_stay_as_they_are_when_it_grows(make: Any) -> None:
    """A provider's prompt cache reuses a common prefix."""
    brain = cloud()
    agent = make(brain)
    turns = [(f"Chiamo {OTHER}?", "Sì.")]
    agent.ask("E poi?", history=turns)
    agent.ask("E poi?", history=[*turns, (f"E {PHONE}?", "No.")])
    first, second = (render(prompt) for prompt in brain.prompts)
    assert second[: len(first) - 1] == first[:-1]


def test_a_reply_as_history_is_masked_again(make: Any) -> None:
    brain = cloud("Anna: [REDATTO: telefono 2].", "Ecco.")
    agent = make(brain)
    first = agent.ask("Che numero ha Anna?")
    assert isinstance(first, Reply)
    agent.ask("Sicura?", history=[first])
    assert OTHER not in "".join(message.content for message in render(brain.prompts[1]))


def test_a_mask_in_an_old_extract_is_nobodys(make: Any) -> None:
    note = make_passage(f"Anna risponde al {OTHER}.", path="note.md")
    extract = make_passage("Il vecchio estratto: [REDATTO: telefono].", path="estratto.md")
    brain = cloud("L'estratto ha [REDATTO: telefono], Anna [redatto: telefono\u00a02] [F1].")
    agent = make(brain)
    prompt = Prompt(system="", question="?", history=(), passages=(note, extract))
    assert agent.complete(prompt).text == f"L'estratto ha [REDATTO: telefono], Anna {OTHER} [F1]."


def test_the_preview_shows_what_would_be_sent(make: Any) -> None:
    preview = make(cloud()).preview(f"Di chi è il {PHONE}?")
    assert PHONE not in "".join(message.content for message in preview.messages)
    assert preview.flags["personal_masked"] > 0


def test_a_prompt_of_ones_own_is_masked_too(make: Any) -> None:
    brain = cloud("[REDATTO: telefono]")
    history = (Message(role="user", content=f"ecco {PHONE}"), Message(role="assistant", content="ok"))
    prompt = Prompt(system="", question="Ripeti.", history=history, passages=(replace(PASSAGE, path="a.md"),))
    assert make(brain).complete(prompt).text == f"+39 {PHONE}"
    assert PHONE not in whole(brain.prompts[0])


def test_a_second_opinion_from_the_cloud_sees_masks_too(make: Any) -> None:
    far = ScriptedBrain("VOTO: 9", name="lontano", model="altro", location="cloud")
    agent = make(ScriptedBrain(f"Anna risponde al {OTHER} [F1]."))
    agent.review(agent.ask(f"È di Anna il {OTHER}?"), brain=far)
    assert [OTHER in whole(prompt) for prompt in far.prompts] == [False]
    assert "Anna risponde al [REDATTO: telefono" in far.prompts[0].question


def test_another_value_is_an_error() -> None:
    with pytest.raises(ConfigError, match="personal"):
        load_config(None, {"privacy": {"personal": "hide"}})
