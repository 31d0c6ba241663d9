"""Small talk is answered without a search, by any brain, in the language and the register of the conversation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.agent.small_talk import shown_name
from cervella.testing import EchoBrain, ScriptedBrain
from cervella.text.language import known_languages, language
from cervella.types import Filters, Prompt, Retrieval

SOUL = "# Costituzione di Nina\n\nSono Nina, la voce dello studio. Rispondo con il {}.\n\n{}\n"
GREETINGS = {"it": "Ciao!", "en": "Hello!", "es": "¡Hola!", "de": "Hallo!", "pt": "Olá!"}


class Unasked:
    """A retriever that must not be asked."""

    def retrieve(self, query: str, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval:
        raise AssertionError(query)


def made(folder: Path, *, register: str = "tu", more: str = "", **options: Any) -> cervella.Agent:
    (folder / "kb").mkdir(exist_ok=True)
    (folder / "kb" / "COSTITUZIONE.md").write_text(SOUL.format(register, more), encoding="utf-8")
    (folder / "kb" / "listino.md").write_text("# Listino\n\nLa pulizia costa 80 €. Dura un'ora.\n", encoding="utf-8")
    config = folder / "cervella.toml"
    config.write_text(
        'brain = "extractive"\n[soul]\nconstitution = "kb/COSTITUZIONE.md"\n'
        '[knowledge]\nfolder = "kb"\nembedder = "none"\n',
        encoding="utf-8",
    )
    return cervella.Agent(config=config, **options)


@pytest.mark.parametrize("code", GREETINGS)
def test_a_greeting_is_answered_in_its_language_without_a_search(tmp_path: Path, code: str) -> None:
    with made(tmp_path, retriever=Unasked()) as agent:
        reply = agent.ask(GREETINGS[code])
    assert reply.text == language(code).file("small-talk.toml")["answers"]["greeting"]
    assert (reply.passages, reply.citations, reply.abstained, reply.retrieval_query) == ((), (), False, "")


@pytest.mark.parametrize("wrong", [{"top_k": 0}, {"top_k": "sei"}, {"filters": "listino"}, {"filters": {"rolle": "x"}}])
def test_an_argument_that_small_talk_does_not_use_is_checked_all_the_same(tmp_path: Path, wrong: Any) -> None:
    with made(tmp_path, retriever=Unasked()) as agent, pytest.raises(cervella.ConfigError):
        agent.ask("Ciao!", **wrong)


def test_the_constitution_decides_whether_she_says_tu_or_lei(tmp_path: Path) -> None:
    with made(tmp_path, register="Lei", retriever=Unasked()) as agent:
        assert agent.ask("ciao").text == "Buongiorno! Mi dica pure che cosa cerca."
        assert "usted" in agent.ask("hola, ¿qué tal?").text


def test_who_she_is_is_told_in_the_words_of_her_constitution(tmp_path: Path) -> None:
    with made(tmp_path, retriever=Unasked()) as agent:
        assert agent.ask("Chi sei?").text == "Sono Nina, la voce dello studio."
        assert agent.ask("Come ti chiami?").text == "Mi chiamo Nina."
        assert agent.ask("Who are you?").text.startswith("My name is Nina.")
        assert agent.ask("Sei una persona?").text == "Non sono una persona: sono un programma."
        assert agent.ask("Che modello sei?").text.startswith("Qui non parla nessun modello")
        assert len(agent.ask("Chi sei e cosa sai fare?").text.split()) <= 40


def test_what_she_says_she_is_comes_before_the_phrase_of_the_language(tmp_path: Path) -> None:
    with made(tmp_path, more="Sono un'assistente digitale.", retriever=Unasked()) as agent:
        assert agent.ask("Sei una persona?").text == "Sono un'assistente digitale."
        assert agent.ask("Che cosa sei?").text == "Sono Nina, la voce dello studio. Sono un'assistente digitale."


def test_a_model_gets_no_passages_and_is_not_told_to_abstain(tmp_path: Path) -> None:
    seen: list[Prompt] = []
    with made(tmp_path, brain=EchoBrain(), retriever=Unasked()) as agent:
        for code, greeting in GREETINGS.items():
            prompt = agent.preview(greeting).prompt
            seen.append(prompt)
            assert language(code).abstention not in prompt.instructions
            assert prompt.hints["language"] == code
    assert {prompt.passages for prompt in seen} == {()}
    assert {bool(prompt.hints["abstain"]) for prompt in seen} == {False}
    assert {prompt.hints["instructions_without_passages"] for prompt in seen} == {one.instructions for one in seen}


@pytest.mark.parametrize("question", ["Ciao", "Ciao, quanto costa la pulizia?"])
def test_what_is_retrieved_does_not_depend_on_the_brain(tmp_path: Path, question: str) -> None:
    with made(tmp_path) as agent:
        agent.index()
        found = [agent.with_brain(brain).ask(question).passages for brain in ("extractive", EchoBrain())]
    assert found[0] == found[1]
    assert bool(found[0]) is (question != "Ciao")


def test_a_word_alone_that_the_base_has_is_searched_for(tmp_path: Path) -> None:
    with made(tmp_path) as agent:
        assert agent.ask("guida").retrieval_query == ""
        (tmp_path / "kb" / "guida.md").write_text("# Guida\n\nLa guida dello studio costa 8 €.\n", encoding="utf-8")
        agent.index()
        assert agent.ask("guida").passages[0].path == "guida.md"
        assert agent.ask("la guida?").passages[0].path == "guida.md"
        assert agent.ask("ciao").retrieval_query == ""


def test_a_query_of_the_caller_is_searched_for(tmp_path: Path) -> None:
    with made(tmp_path) as agent:
        agent.index()
        assert agent.ask("ciao", query="listino").passages[0].path == "listino.md"


def test_a_follow_up_passes_over_small_talk(tmp_path: Path) -> None:
    with made(tmp_path) as agent:
        agent.index()
        talk = agent.session("a")
        assert talk.ask("ciao").retrieval_query == ""
        assert talk.ask("e quanto costa?").retrieval_query == "e quanto costa?"
        talk.ask("Perché la pulizia dei denti costa di più a gennaio?")
        assert talk.ask("grazie").retrieval_query == ""
        followed = talk.ask("e quanto dura?").retrieval_query
    assert followed == "Perché la pulizia dei denti costa di più a gennaio? e quanto dura?"


def test_a_session_that_is_opened_again_still_passes_over_small_talk(tmp_path: Path) -> None:
    for question in ("Quanto costa la pulizia?", "grazie"):
        with made(tmp_path) as agent:
            agent.index()
            agent.session("a").ask(question)
    with made(tmp_path) as agent:
        assert agent.session("a").ask("e quanto dura?").retrieval_query == "Quanto costa la pulizia? e quanto dura?"


def test_a_review_of_small_talk_looks_for_no_sources(tmp_path: Path) -> None:
    with made(tmp_path, retriever=Unasked()) as agent:
        reply = agent.ask("ciao", review=True)
        assert reply.review is not None
        assert reply.review.approved
        assert agent.review("Buongiorno!", question="ciao").approved


def test_a_reply_without_sources_is_shown_by_itself(tmp_path: Path) -> None:
    with made(tmp_path, brain=ScriptedBrain(["Ciao a te!"]), retriever=Unasked()) as agent:
        reply = agent.ask("ciao")
    assert str(reply).strip() == "Ciao a te!"
    assert "Ciao a te!" in reply._repr_markdown_()


@pytest.mark.parametrize(
    ("persona", "name"),
    [
        ("Ada Rossi", "Ada Rossi"),
        ("COSTITUZIONE DI ADA", "Ada"),
        ("La Nonna Pina", "Nonna Pina"),
        ("Costituzione", None),
    ],
)
def test_her_name_is_said_without_the_title_of_her_constitution(persona: str, name: str | None) -> None:
    assert shown_name(persona, language("it")) == name


@pytest.mark.parametrize("code", known_languages())
def test_no_answer_claims_to_be_a_person(tmp_path: Path, code: str) -> None:
    answers = language(code).file("small-talk.toml")["answers"]
    program = {"it": "programma", "en": "program", "es": "programa", "de": "Programm", "pt": "programa"}[code]
    assert all(program in answers[kind] for kind in ("who", "machine", "model"))
