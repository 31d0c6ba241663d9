"""A base in another language: the same path, with that language's file of data."""

from __future__ import annotations

from pathlib import Path

import pytest

import cervella
from cervella.text.language import known_languages, language

BASES = {
    "en": (
        "# Decision\n\n> **Date:** 9 January 2026\n\nThe launch is postponed because the load tests are missing.\n",
        "Why did we postpone the launch?",
        "load tests are missing",
        "Who won the football match?",
    ),
    "pt": (
        "# Decisão\n\n> **Data:** 9 de janeiro de 2026\n\nO lançamento foi adiado porque faltam os testes de carga.\n",
        "Por que adiamos o lançamento?",
        "faltam os testes de carga",
        "Quem ganhou o jogo de futebol?",
    ),
}


@pytest.mark.parametrize("code", BASES)
def test_a_base_in_another_language_answers_in_it(tmp_path: Path, code: str) -> None:
    note, question, fact, unknown = BASES[code]
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "decision.md").write_text(note, encoding="utf-8")
    (tmp_path / "SOUL.md").write_text("# Cervella\n\nCervella.\n", encoding="utf-8")
    config = tmp_path / "cervella.toml"
    config.write_text(
        f'brain = "extractive"\n[soul]\nconstitution = "SOUL.md"\nlanguage = "{code}"\n'
        '[knowledge]\nfolder = "notes"\nembedder = "none"\n',
        encoding="utf-8",
    )
    with cervella.Agent(config=config) as agent:
        agent.index()
        reply, other = agent.ask(question), agent.ask(unknown)
        prompt = agent.preview(question).messages[-1].content
    lang = language(code)
    assert fact in reply.text
    assert reply.citations[0].supported
    assert reply.passages[0].date == "2026-01-09"
    assert lang.format_date("2026-01-09") in prompt
    assert lang.abstention in prompt
    assert (other.abstained, other.text) == (True, lang.abstention)


@pytest.mark.parametrize("code", known_languages())
def test_every_language_says_the_same_things(code: str) -> None:
    lang, italian = language(code), language("it")
    assert set(lang.prompt) == set(italian.prompt)
    assert set(lang.phrases) == set(italian.phrases)
    assert set(lang.status) == set(italian.status)
    assert set(lang.starter) == set(italian.starter)
    assert set(lang.traits) == set(italian.traits)
    assert len(lang.months) == 12
    assert lang.abstains(lang.abstention)
    assert lang.asks_identity({"it": "Chi sei?", "en": "Who are you?", "pt": "Quem és tu?"}[code]) == ""
    assert lang.follows_up({"it": "E quanto costa?", "en": "And how much is it?", "pt": "E quanto custa?"}[code])


@pytest.mark.parametrize("code", known_languages())
def test_the_questions_of_a_starter_are_read_by_its_owner_and_not_by_every_engine(tmp_path: Path, code: str) -> None:
    path = tmp_path / "SOUL.md"
    path.write_text(language(code).starter["constitution"].format(today="2026-01-09"), encoding="utf-8")
    soul = cervella.Constitution.load(path, language=code)
    [questions] = [section for section in soul.sections if not section.kept]
    assert questions is soul.sections[-1]
    assert questions.text.count("\n- ") == 5
    assert questions.title not in soul.system_prompt()
    assert "<!--" not in soul.system_prompt(), "nothing is paid for that says nothing"
    bodies = [section.text.partition("\n")[2].strip() for section in soul.sections]
    assert all(bodies), "no heading stands alone"
    assert soul.name == "Cervella"
