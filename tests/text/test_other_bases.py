"""A base in another language: the same path, with that language's file of data."""

from __future__ import annotations

from pathlib import Path

import pytest

import cervella
from cervella.text.language import language

BASES = {
    "en": (
        "# Decision\n\n> **Date:** 9 January 2026\n\nThe launch is postponed because the load tests are missing.\n",
        "Why did we postpone the launch?",
        "load tests are missing",
        "Who won the football match?",
    ),
    "es": (
        "# Decisión\n\n> **Fecha:** 9 de enero de 2026\n\nEl lanzamiento se aplaza: faltan las pruebas de carga.\n",
        "¿Por qué aplazamos el lanzamiento?",
        "faltan las pruebas de carga",
        "¿Quién ganó el partido de fútbol?",
    ),
    "de": (
        "# Entscheidung\n\n> **Datum:** 9. Januar 2026\n\nDer Start ist verschoben, weil die Lasttests fehlen.\n",
        "Warum haben wir den Start verschoben?",
        "weil die Lasttests fehlen",
        "Wer hat das Fußballspiel gewonnen?",
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
