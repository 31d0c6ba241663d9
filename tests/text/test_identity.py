"""Questions about the persona herself: how they are known, and that her Constitution answers, the one that holds."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.testing import EchoBrain, FixedRetriever
from cervella.text.language import known_languages, language
from tests.conftest import DATA

ABOUT_HER = (
    "Chi sei?",
    "Cervella, chi sei?",
    "cervella chi sei",
    "CHI SEI, CERVELLA?",
    "Ciao Cervella! Chi sei?",
    "chi è la Cervella?",
    "Chi e' Cervella?",
    "e Cervella chi è?",
    "Presentati",
    "Cervella, presentati per favore.",
    "ti puoi presentare?",
    "Mi dici chi sei?",
    "Ciao, chi sei e cosa fai?",
    "Chi sei? E a cosa servi?",
    "Parlami un po' di te",
    "Parlami della Cervella",
    "Come ti chiami?",
    "Sei Cervella?",
    "sei una persona o un robot?",
    "Ciaooo Cervela, chi seiii?",
    "ki sei",
    "si può presentare?",
    "Qual è il tuo scopo?",
    "con chi sto parlando?",
    "Who are you?",
    "Cervella, who are you?",
    "Who's Cervella?",
    "Hi! Please introduce yourself.",
    "Tell me about yourself",
    "Quem és tu?",
    "Quem é a Cervella?",
    "Cervella, apresenta-te",
)
ABOUT_OTHERS = (
    "chi è il fornitore?",
    "Chi è Mistral?",
    "Chi è Cervella Baby?",
    "Presentami il nuovo listino",
    "Cervella, presentami il nuovo listino",
    "Quando è nata Cervella?",
    "Chi sei per dirlo?",
    "Chi ha scritto la Costituzione di Cervella?",
    "Cervella, chi è il fornitore?",
    "Parlami di Miracollo",
    "Cervella?",
    "Ciao Cervella!",
    "E tu?",
    "Sei d'accordo con il rinvio?",
    "Sei sicura?",
    "Chi siete?",
    "Come si chiama il file?",
    "Chi sei e quanto costa il piano Pro?",
    "Who is the supplier?",
    "Tell me about the launch",
    "Quem é o fornecedor?",
    "",
    "chi sei " * 500,
)


@pytest.mark.parametrize("code", known_languages())
@pytest.mark.parametrize("question", ABOUT_HER)
def test_a_question_about_her_is_known_in_any_language(question: str, code: str) -> None:
    assert language(code).asks_identity(question, "Cervella") is not None


@pytest.mark.parametrize("code", known_languages())
@pytest.mark.parametrize("question", ABOUT_OTHERS)
def test_a_question_about_anything_else_is_not(question: str, code: str) -> None:
    assert language(code).asks_identity(question, "Cervella") is None


@pytest.mark.parametrize(
    ("persona", "question"),
    [
        ("La Nonna Pina", "chi è Nonna Pina?"),
        ("La Nonna Pina", "Nonna, chi sei?"),
        ("Ada Rossi", "Who is Ada?"),
        ("D'Artagnan", "chi è d’Artagnan?"),
        ("Hélène-2", "chi è Helene 2?"),
        ("C++ (beta)", "chi è C++ (beta)?"),
        ("COSTITUZIONE DI NORA", "Nora, chi sei?"),
        ("Nora, la voce dell'officina", "chi è la Nora?"),
    ],
)
def test_she_is_asked_for_by_her_whole_name_or_its_first_word(persona: str, question: str) -> None:
    assert language("it").asks_identity(question, persona) is not None
    assert language("it").asks_identity("chi è Rossi?", persona) is None


def base(folder: Path) -> Callable[[str, str], None]:
    def write(name: str, text: str) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")

    return write


SOUL = "# Nora\n\n## Chi sono\n\n{} la voce dell'officina.\n\n## Tratti\n\n- nome: Nora\n"


def made(folder: Path, constitution: str, *, language: str = "it", **options: Any) -> cervella.Agent:
    config = folder / "cervella.toml"
    knowledge = '[knowledge]\nfolder = "kb"\nembedder = "none"\n'
    soul = f'[soul]\nconstitution = "{constitution}"\nlanguage = "{language}"\n'
    config.write_text(f'brain = "extractive"\n{soul}{knowledge}', encoding="utf-8")
    agent = cervella.Agent(config=config, **options)
    agent.index()
    return agent


@pytest.fixture
def drafts(tmp_path: Path) -> Path:
    """A base whose Constitution has another name, beside drafts and notes that say her name often."""
    write = base(tmp_path)
    write("kb/persona/anima.md", SOUL.format("Io sono"))
    write("kb/persona/COSTITUZIONE_bozza.md", SOUL.format("Sono la bozza di"))
    write("kb/COSTITUZIONE.md", SOUL.format("Sono la copia vecchia di"))
    write("kb/memoria/decisioni/20260110_nora.md", "# Nora: la prova\n\nSono contenta: Nora, chi sei? Nora è un POC.\n")
    return tmp_path


@pytest.mark.parametrize("question", ["Nora, chi sei?", "Presentati", "Who are you, Nora?"])
def test_the_constitution_that_is_configured_is_found_and_no_other(drafts: Path, question: str) -> None:
    with made(drafts, "kb/persona/anima.md") as agent:
        found = agent.search(question)
    assert found[0].path == "persona/anima.md"
    assert found[0].role == "constitution"
    assert "persona/COSTITUZIONE_bozza.md" not in {passage.path for passage in found}


@pytest.mark.parametrize("question", ["chi è la Nora?", "Parlami di Nora", "Nora chi è?"])
def test_the_constitution_that_is_configured_answers_and_no_other(drafts: Path, question: str) -> None:
    with made(drafts, "kb/persona/anima.md") as agent:
        reply = agent.ask(question)
    assert [citation.path for citation in reply.citations] == ["persona/anima.md"]
    assert "Io sono la voce dell'officina" in reply.text
    assert reply.passages[0].role == "constitution"
    assert "persona/COSTITUZIONE_bozza.md" not in {passage.path for passage in reply.passages}


def test_whatever_brain_answers_the_passages_are_the_constitutions(drafts: Path) -> None:
    with made(drafts, "kb/persona/anima.md", brain=EchoBrain()) as agent:
        assert agent.ask("chi è Nora?").passages[0].path == "persona/anima.md"
        assert agent.ask("Nora, chi sei?").passages == (), "her own prompt says it"
        assert agent.search("Nora, chi sei?")[0].path == "persona/anima.md"


@pytest.mark.parametrize("question", ["Nora, chi sei?", "Chi è Nora?", "chi è la Nora?", "Presentati"])
def test_where_no_document_says_who_she_is_nothing_else_is_sure_to(drafts: Path, question: str) -> None:
    base(drafts)("fuori.md", SOUL.format("Io sono"))
    with made(drafts, "fuori.md") as agent:
        found = agent.search(question)
        assert (found.confidence, found.abstain) == (0.0, True)
        assert {passage.role for passage in found}.isdisjoint({"constitution"}), "a draft says who she was to be"
        assert agent.ask("chi è Nora?").abstained


def test_within_filters_that_leave_the_constitution_out_nobody_says_who_she_is(drafts: Path) -> None:
    with made(drafts, "kb/persona/anima.md") as agent:
        found = agent.search("Nora, chi sei?", filters={"path": "memoria/**"})
    assert found.abstain
    assert {passage.path for passage in found} <= {"memoria/decisioni/20260110_nora.md"}


def test_a_constitution_that_cannot_be_read_does_not_stop_a_search(drafts: Path) -> None:
    with made(drafts, "kb/persona/anima.md") as agent:
        (drafts / "kb" / "persona" / "anima.md").unlink()
    with cervella.Agent(config=drafts / "cervella.toml") as agent:
        assert agent.search("la prova")[0].path == "memoria/decisioni/20260110_nora.md"


def test_a_question_about_her_follows_up_on_nothing(drafts: Path) -> None:
    with made(drafts, "kb/persona/anima.md") as agent:
        reply = agent.ask("E Nora chi è?", history=[("Che cosa dice la prova?", "È un POC.")])
    assert reply.retrieval_query == "E Nora chi è?"
    assert reply.citations[0].path == "persona/anima.md"


def test_a_retriever_of_somebody_else_is_asked_nothing_beyond_the_protocol(drafts: Path) -> None:
    with made(drafts, "kb/persona/anima.md", retriever=FixedRetriever(())) as agent:
        assert agent.ask("chi è Nora?").passages == ()


# Questions that somebody else wrote

CASES = [json.loads(line) for line in (DATA / "who-are-you.jsonl").read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def answered(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[str, dict[str, Any], cervella.Reply]]:
    """Every question of the eight bases, beside the path of their Constitution and the reply."""
    out = []
    for case in CASES:
        folder = tmp_path_factory.mktemp(case["id"])
        for name, text in case["files"].items():
            base(folder)(f"kb/{name}", text)
        with made(folder, f"kb/{case['constitution']}", language=case["language"]) as agent:
            out += [(case["constitution"], asked, agent.ask(asked["q"])) for asked in case["questions"]]
    return out


def test_of_96_questions_about_her_the_constitution_answers_all(answered: list[Any]) -> None:
    about_her = [(path, reply) for path, asked, reply in answered if asked["expect"] == "identity"]
    cited = [reply for path, reply in about_her if _first(reply) == path and not reply.abstained]
    said = [reply for _, reply in about_her if not reply.passages and not reply.abstained]
    assert (len(about_her), len(cited) + len(said)) == (96, 96)
    assert len(said) > 60, "small talk, which her prompt answers without a source"


NOT_IN_HER_WORDS = {
    "a che cosa servi?": "what every persona can do is said, not what this one is for",
    "che cosa sei?": "one Constitution says it in the third person; it is said all the same",
    "sei una persona o una macchina?": "her Constitution says it in a form that is not read; it is said all the same",
}


def test_what_she_says_of_herself_is_what_the_constitution_says(answered: list[Any]) -> None:
    about_her = [(asked, reply.text.lower()) for _, asked, reply in answered if asked["expect"] == "identity"]
    unsaid = [asked["q"] for asked, text in about_her if not any(one.lower() in text for one in asked["must_say"])]
    assert set(unsaid) <= set(NOT_IN_HER_WORDS)
    assert len(unsaid) <= 3


def test_of_98_questions_about_others_none_is_answered_by_the_constitution(answered: list[Any]) -> None:
    others = [(path, asked, reply) for path, asked, reply in answered if asked["expect"] == "other"]
    caught = [asked["q"] for path, asked, reply in others if _first(reply) == path != asked["answer_path"]]
    right = [asked["q"] for _, asked, reply in others if _first(reply) == asked["answer_path"]]
    assert (len(others), caught) == (98, [])
    assert len(right) >= 78, "by words alone; 77 before there was a rule for her"


def _first(reply: cervella.Reply) -> str | None:
    return reply.citations[0].path if reply.citations else None


@pytest.mark.parametrize(
    "question", ["Cervella, chi sei?", "cervella , CHI SEI", "Otto, presentati", "Bot, who are you?"]
)
def test_who_is_spoken_to_by_another_name_is_still_she(question: str) -> None:
    assert language("it").asks_identity(question, "Nina") == ""


@pytest.mark.parametrize(
    "question", ["Otto, chi è Cervella?", "Otto, quanto costa il listino?", "Chi è Otto, chi era?"]
)
def test_a_name_in_front_makes_no_question_about_her(question: str) -> None:
    assert language("it").asks_identity(question, "Nina") is None
