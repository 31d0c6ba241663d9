from __future__ import annotations

import pytest

from cervella.knowledge.markdown import parse
from cervella.knowledge.roles import DocumentFacts, facts_of, is_local_only
from cervella.language import language


def facts(path: str, text: str = "# T\n") -> DocumentFacts:
    return facts_of(path, parse(text), language("it"))


@pytest.mark.parametrize(
    ("path", "role"),
    [
        ("COSTITUZIONE.md", "constitution"),
        ("progetti/x/PROMPT_RIPRESA_x.md", "resume"),
        ("handoff/HANDOFF_290.md", "handoff"),
        ("memoria/lezioni/20260109_X.md", "lesson"),
        ("memoria/decisioni/20260109_X.md", "decision"),
        ("progetti/x/stato.md", "state"),
        ("idee/20260110_RICERCA_HOSTING.md", "research"),
        ("idee/_TEMPLATE_IDEA.md", "template"),
        ("archivio/2026-01/vario.md", "archive"),
        ("idee/vario.md", None),
    ],
)
def test_the_role_is_read_off_the_path(path: str, role: str | None) -> None:
    assert facts(path).role == role


def test_the_role_is_read_off_the_title_where_the_path_says_nothing() -> None:
    assert facts("idee/x.md", "# 🔬 RICERCA: i prezzi\n").role == "research"


def test_the_date_comes_from_the_header_then_from_the_file_name() -> None:
    assert facts("20260101_x.md", "# T\n\n> **Data:** 10 Gennaio 2026 - Sessione 3\n").date == "2026-01-10"
    assert facts("20260101_x.md").date == "2026-01-01"
    assert facts("x.md").date is None


def test_the_project_comes_from_its_folder_or_from_the_header() -> None:
    assert facts("progetti/miracollo/stato.md").project == "miracollo"
    assert facts("x.md", "# T\n\n**Progetto**: Cervella Baby - studio\n").project == "cervella-baby"
    assert facts("progetti/README.md").project is None


@pytest.mark.parametrize(
    ("path", "text", "status"),
    [
        ("x.md", "# T\n\n> **Stato:** superata\n", "superseded"),
        ("x.md", "# T\n\n**Status**: SUPERSEDED\n", "superseded"),
        ("x.md", "# T\n\n> Stato: deprecato da gennaio\n", "deprecated"),
        ("x.md", "# T\n\n> Superata da 20260110_y.md\n", "superseded"),
        ("x.md", "# T\n\n> ⚠️ **DEPRECATO**: vedi README\n", "deprecated"),
        ("x.md", "# Oggi (DEPRECATO)\n", "deprecated"),
        ("archivio/2026-01/x.md", "# T\n", "archived"),
        ("x.md", "# T\n\n> **Stato:** attiva\n", "current"),
        ("x.md", "# T\n\n> **Status:** PROPOSTA | APPROVATA | SUPERSEDED\n", "current"),
        ("x.md", "# T\n\nQwen ha superato Llama. File obsoleti altrove.\n", "current"),
        ("y.md", "# T\n\n> **Sostituisce:** x.md\n", "current"),
    ],
)
def test_the_status_is_what_the_document_says_of_itself(path: str, text: str, status: str) -> None:
    assert facts(path, text).status == status


def test_a_folder_named_local_only_means_all_in_it() -> None:
    assert is_local_only("progetti/x/a/b.md", ["progetti/x/"])
    assert is_local_only("progetti/x/a/b.md", ["progetti/x/**"])
    assert not is_local_only("progetti/xy/a.md", ["progetti/x"])


@pytest.mark.parametrize(
    "head",
    [
        "# Ricerca, 9 Gen 2026\n\nTesto.",
        "# Ricerca\n\nRicerca completata: 9 gennaio 2026.",
        "# Ricerca\n\n- **Data:** 2026-01-09\n",
    ],
)
def test_without_a_header_or_a_dated_name_the_first_date_near_the_top_counts(head: str) -> None:
    assert facts_of("idee/ricerca.md", parse(head), language("it")).date == "2026-01-09"
