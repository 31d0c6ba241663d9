"""The date of a document is the one that it is dated with, never another one that it mentions."""

from __future__ import annotations

import time

import pytest

from cervella.knowledge.documents.dating import date_of
from cervella.knowledge.documents.markdown import parse
from cervella.text.language import language
from tests.conftest import PATIENCE


def date(text: str, path: str = "x.md", code: str = "it") -> str | None:
    return date_of(path, parse(text), language(code))


@pytest.mark.parametrize(
    "line",
    [
        "3 marzo 2026",
        "*martedì 3 marzo 2026*",
        "Roma, 3 marzo 2026",
        "Reggio Emilia, lì 3 marzo 2026",
        "Verbale del 3 marzo 2026",
        "Verbale della riunione di reparto, 3 marzo 2026",
        "Riunione del 3 marzo 2026 con Ada e Piero",
        "Aggiornato il 3 marzo 2026",
        "Documento aggiornato al 3/3/2026",
        "Ultima modifica 3 marzo 2026",
        "Ricerca completata: 3 marzo 2026",
        "## Riunione di martedì 3 marzo 2026",
        "**Data**: 3 marzo 2026",
        "> Aggiornato: 03/03/2026, scade il 31/12/2029",
    ],
)
def test_a_line_that_dates_the_document(line: str) -> None:
    assert date(f"# Turni\n\n{line}\n\nTesto fino al 31/12/2029.\n") == "2026-03-03"


@pytest.mark.parametrize(
    ("code", "line"),
    [
        ("en", "Last updated on March 3, 2026"),
        ("en", "Minutes of 3 March 2026"),
        ("en", "Dublin, 3 March 2026"),
        ("pt", "Lisboa, 3 de março de 2026"),
        ("pt", "Atualizado em 3 de março de 2026"),
        ("es", "Acta de la reunión del 3 de marzo de 2026"),
        ("de", "Berlin, den 3. März 2026"),
        ("de", "Stand 3. März 2026"),
    ],
)
def test_other_languages_date_their_documents_too(code: str, line: str) -> None:
    assert date(f"# T\n\n{line}\n\nx\n", code=code) == "2026-03-03"


@pytest.mark.parametrize(
    "line",
    [
        "Da rivedere entro il 31/12/2029.",
        "Scade il 31/12/2029",
        "Scadenza: 31/12/2029",
        "Listino valido dal 1 marzo 2026",
        "Ada è nata il 3 marzo 1980",
        "Prossima riunione: 15 gennaio 2027",
        "Abbiamo deciso il 3 marzo 2026 di chiudere il forno.",
        "Il contratto del 3 marzo 2026 non basta.",
        "- 3 marzo 2026",
        "| 3 marzo 2026 | pagato |",
        "# Scadenze: 31/12/2029",
        "## Prezzi dal 1 giugno 2026",
        "```\n3 marzo 2026\n```",
        "«Non si torna indietro» (Ada, 3 marzo 2026)",
    ],
)
def test_a_date_of_something_else_is_not_the_documents(line: str) -> None:
    assert date(f"# Listino spiaggia\n\n{line}\n\nL'ombrellone costa 30 euro.\n") is None


def test_the_places_come_in_order() -> None:
    head = "Verbale del 3 marzo 2026\n"
    assert date(f"---\ndate: 2026-01-01\n---\n# T del 2 marzo 2026\n\n{head}", "20260102_x.md") == "2026-01-01"
    assert date(f"# T del 2 marzo 2026\n\n{head}", "20260102_x.md") == "2026-01-02"
    assert date(f"# T del 2 marzo 2026\n\n{head}") == "2026-03-02"
    assert date(f"# T\n\n{head}") == "2026-03-03"


def test_a_letter_has_its_date_at_the_end() -> None:
    assert date("# Lettera\n\n" + "Gentile cliente, grazie.\n\n" * 60 + "Roma, 3 marzo 2026\n\nAda\n") == "2026-03-03"


def test_a_name_with_a_deadline_has_no_date() -> None:
    assert date("# T\n", "scadenza-2029-12-31.md") is None
    assert date("# T\n", "verbale_2026-03-03.md") == "2026-03-03"


@pytest.mark.parametrize("text", ["# 3 marzo 2026 " * 60_000, "entro il 3/3/2026 " * 60_000, "a, " * 300_000])
def test_a_megabyte_takes_no_time(text: str) -> None:
    document = parse(text)
    before = time.perf_counter()
    date_of("x.md", document, language("it"))
    assert time.perf_counter() - before < 1 * PATIENCE
