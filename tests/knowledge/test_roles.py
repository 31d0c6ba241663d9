from __future__ import annotations

import time

import pytest

from cervella.knowledge.documents.forms import is_form
from cervella.knowledge.documents.markdown import parse
from cervella.knowledge.documents.parsing import plain
from cervella.knowledge.documents.roles import DocumentFacts, Roles, facts_of
from cervella.knowledge.documents.series import session_order
from cervella.text.language import language


def facts(path: str, text: str = "# T\n", **own: object) -> DocumentFacts:
    return facts_of(path, parse(text), language("it"), Roles.of(own))


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


@pytest.mark.parametrize(
    ("code", "head"),
    [
        ("de", "Status: ersetzt durch ../20260109_start.md\nDatum: 01.12.2025\n"),
        ("de", "Status: ersetzt durch ../20260109_start.md\n\nStand: 1. Dezember 2025\n"),
        ("it", "Stato: superata da ../20260109_avvio.md\nData: 1 dicembre 2025\n"),
        ("it", "> Stato: superata da ../20260109_avvio.md\n> Data: 1 dicembre 2025\n"),
        ("it", "- Stato: superata da ../20260109_avvio.md\n- **Data**: 2025-12-01\n"),
        ("es", "| Estado | sustituido por ../20260109_inicio.md |\n|---|---|\n| Fecha | 1 de diciembre de 2025 |\n"),
        ("en", "Status: superseded by ../20260109_start.md\n*Date:* 1 December 2025\n"),
    ],
)
def test_the_date_under_its_own_key_comes_before_one_in_a_path_above_it(code: str, head: str) -> None:
    assert facts_of("x.md", parse(f"# T\n\n{head}\nText.\n"), language(code)).date == "2025-12-01"


def test_a_line_with_the_key_of_a_date_comes_before_the_name_and_an_item_of_a_list_after_it() -> None:
    assert facts("20260109_x.md", "# T\n\nData: 1 dicembre 2025\n").date == "2025-12-01"
    assert facts("20260109_x.md", "# Riunione\n\nLa prossima:\n\n- Data: 15 gennaio 2026\n").date == "2026-01-09"
    assert facts("x.md", "# T\n\nData prevista: 15 gennaio 2026. Scritta il 9 gennaio 2026.\n").date is None


def test_the_project_comes_from_its_folder_or_from_the_header() -> None:
    assert facts("progetti/miracollo/stato.md").project == "miracollo"
    assert facts("x.md", "# T\n\n**Progetto**: Cervella Baby - studio\n").project == "cervella-baby"
    assert facts("progetti/README.md").project is None


@pytest.mark.parametrize(
    ("path", "text", "status"),
    [
        ("x.md", "# T\n\n> **Stato:** superata\n", "superseded"),
        ("x.md", "# T\n\n**Status**: SUPERSEDED\n", "superseded"),
        ("x.md", "# T\n\nCosì:\n\n```yaml\nstato: superato\n```\n\nLe foto in jpg.\n", "current"),
        ("x.md", "# T\n\n> Stato: deprecato da gennaio\n", "deprecated"),
        ("x.md", "# T\n\n> Superata da 20260110_y.md\n", "superseded"),
        ("x.md", "# T\n\n> ⚠️ **DEPRECATO**: vedi README\n", "deprecated"),
        ("x.md", "# Oggi (DEPRECATO)\n", "deprecated"),
        ("archivio/2026-01/x.md", "# T\n", "archived"),
        ("x.md", "# T\n\n> **Stato:** attiva\n", "current"),
        ("x.md", "# T\n\n> **Status:** PROPOSTA | APPROVATA | SUPERSEDED\n", "current"),
        ("x.md", "# T\n\nQwen ha superato Llama. File obsoleti altrove.\n", "current"),
        ("y.md", "# T\n\n> **Sostituisce:** x.md\n", "current"),
        ("stato/oggi.md", "# Stato\n\n⚠️ **ATTENZIONE: questo file è DEPRECATO** dal 20 gennaio\n", "deprecated"),
        ("stato/oggi.md", "# Stato\n\nIl documento e' obsoleto.\n", "deprecated"),
        ("stato/oggi.md", "# Stato (SUPERATO)\n", "superseded"),
        ("x.md", "# T\n\n> This file is no longer maintained\n", "deprecated"),
        ("x.md", "# T\n\nStato dell'arte delle librerie deprecate\n", "current"),
        ("x.md", "# Come deprecare un file\n\nNon usare più npm.\n", "current"),
    ],
)
def test_the_status_is_what_the_document_says_of_itself(path: str, text: str, status: str) -> None:
    assert facts(path, text).status == status


@pytest.mark.parametrize(
    ("text", "date", "status"),
    [
        ("# X\n\n| Date | 2023-02-20 |\n|--|--|\n| Status | Superseded |\n\nText.", "2023-02-20", "superseded"),
        ("| **Status:** | Draft |\n|--|--|\n| Date: | 11-April-2023 |\n\nText.", "2023-04-11", "draft"),
        ("# X\n\nStato | Deprecato\n---|---\nData | 1 marzo 2026\n\nTesto.", "2026-03-01", "deprecated"),
        ("# X\n\n| | |\n|--|--|\n| Superseded by | [b](b.md) |\n\nText.", None, "superseded"),
        ("# X\n\n<table><tr><td>Status</td><td>Deprecated</td></tr></table>\n\nText.", None, "deprecated"),
        ("# X\n\n| Status | Meaning |\n|--|--|\n| Deprecated | 2020-01-01 |\n\nText.", None, "current"),
        ("# X\n\n| Status | Draft |\n|--|--|\n| 2020-01-01 | made |\n\nText.", None, "current"),
        ("# X\n\n## Papers\n\n| Status | Draft |\n|--|--|\n| Owner | Ann |\n", None, "current"),
    ],
)
def test_the_rows_of_a_table_of_facts_at_the_top_count_as_its_header(text: str, date: str | None, status: str) -> None:
    assert (facts("x.md", text).date, facts("x.md", text).status) == (date, status)


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


def test_a_path_that_the_owner_calls_deprecated_is_so_whatever_is_still_written_into_it() -> None:
    text = "# Stato oggi\n\n> **Data:** 28 gennaio 2026\n> **Stato:** attivo\n"
    assert facts("stato/oggi.md", text).status == "current"
    assert facts("stato/oggi.md", text, deprecated=["stato/oggi.md"]).status == "deprecated"
    assert facts("stato/oggi.md", text, deprecated=["Stato/"]).status == "deprecated"


def test_the_owners_lists_come_before_the_shipped_ones() -> None:
    own = {"minutes": {"paths": ["verbali", "**/RICERCA_di_gruppo*"], "weight": 1.2}}
    assert facts("verbali/2026/x.md", **own).role == "minutes"
    assert facts("idee/ricerca_di_gruppo.md", **own).role == "minutes"
    assert facts("idee/ricerca_mia.md", **own).role == "research"
    roles = Roles.of(own)
    assert (roles.weight("minutes"), roles.weight("template"), roles.weight("unheard"), roles.weight(None)) == (
        1.2,
        Roles.of().weight("template"),
        1.0,
        1.0,
    )


def test_a_value_alone_leaves_the_shipped_lists() -> None:
    assert facts("progetti/x/PROMPT_RIPRESA_x.md", resume={"weight": 1.5}).role == "resume"


def test_the_owners_words_and_folders_tell_the_status_too() -> None:
    assert facts("x.md", "# T\n\nFuori uso dal 2026\n", deprecated_words=["fuori uso"]).status == "deprecated"
    assert facts("x.md", "# T\n\nRimpiazzato da y.md\n", superseded_words=["rimpiazzato da"]).status == "superseded"
    assert facts("vecchio/x.md", archived=["vecchio"]).status == "archived"
    assert facts("vecchio/x.md", archived=["vecchio"]).role == "archive"


@pytest.mark.parametrize(
    "text",
    [
        "# Piano: [NOME]\n\n> **Data:** [DATA]\n",
        "# {{title}}\n\n## Note\n",
        "# Sopralluogo\n\nData: <% tp.date.now() %>\n",
        "# Verbale\n\nData:\nPresenti:\n\n## Decisioni\n",
        "---\ndate: YYYY-MM-DD\n---\n# Riunione NNN\n",
        "# Ricevuta\n\nRicevo da ________ la somma di ____ euro.\n",
    ],
)
def test_a_document_with_places_to_fill_in_is_a_template_in_a_folder_of_templates(text: str) -> None:
    assert facts("templates/mail.md", text).role == "template"
    assert facts("Templates/sub/mail.md", text).role == "template"
    assert facts("altro/mail.md", text).role is None


@pytest.mark.parametrize(
    "text",
    [
        "# Mail templates\n\nThe mail template goes in layouts/mail.html and takes a subject.\n",
        "# Pages\n\nSee the [licence], [this](a.md), [that][1] and note[^a].\n\n- [ ] todo\n- [x] done\n\n[1]: b.md\n",
        "# Variables\n\nUse `{{ page.title }}`:\n\n```\n{{ page.title }} [NAME] [DATE]\n```\n",
        "# Steps\n\nDo so:\n\n- one\n- two\n\nThen:\n\ngo on.\n",
    ],
)
def test_documentation_of_templates_is_no_template(text: str) -> None:
    assert facts("docs/templates/mail.md", text).role is None
    assert facts("docs/mail-templates.md", text).role is None
    assert facts("docs/mail_template.md", text).role == "template"


def test_places_to_fill_in_are_found_in_linear_time() -> None:
    for piece in ("[a", "[", "{{", "<%", "a:\n", "*", "_", "`", "...."):
        document = plain(piece * (1_000_000 // len(piece)))
        started = time.perf_counter()
        is_form(document)
        assert time.perf_counter() - started < 2


def test_templates_weigh_less() -> None:
    roles = Roles.of()
    assert roles.weight("template") < roles.weight("decision")


def test_another_table_has_another_fingerprint() -> None:
    assert Roles.of().fingerprint == Roles.of({}).fingerprint
    assert Roles.of({"resume": {"weight": 2.0}}).fingerprint != Roles.of().fingerprint


@pytest.mark.parametrize(
    ("path", "text", "session"),
    [
        ("x.md", "# T\n\n> **Sessione:** 294 | **Progetto:** X\n", "294"),
        ("x.md", "# T\n\n> **Sessione:** #159e\n", "159e"),
        ("x.md", "# T\n\n> **Data:** 9 Gennaio 2026 - Sessione 140\n", "140"),
        ("handoff/HANDOFF_20260120_miracollook_S300.md", "# T\n", "300"),
        ("handoff/HANDOFF_20260116_SESSION240.md", "# T\n", "240"),
        ("handoff/HANDOFF_SESSIONE_266_CONTABILITA.md", "# T\n", "266"),
        ("20260115_SESSIONE_218_HANDOFF.md", "# T\n", "218"),
        ("x.md", "# Sessione 134 - Riassunto\n", "134"),
        ("VDA_VE503_costi_2026.md", "# T\n", None),
    ],
)
def test_the_session_is_read_off_the_header_the_name_or_the_title(path: str, text: str, session: str | None) -> None:
    assert facts(path, text).session == session


@pytest.mark.parametrize(
    ("path", "document", "version"),
    [
        ("idee/20260111_SERVIZIO_v2.md", "idee/servizio", (0, 2.0)),
        ("idee/SERVIZIO_v1.3.md", "idee/servizio", (0, 1.3)),
        ("idee/servizio-v1_4.md", "idee/servizio", (0, 1.4)),
        ("idee/SERVIZIO.md", "idee/servizio", (0, 1.0)),
        ("idee/Servizio (bozza).md", "idee/servizio", (-1, 1.0)),
        ("idee/SERVIZIO_v2_DRAFT.md", "idee/servizio", (-1, 2.0)),
        ("idee/servizio_v2_definitivo.md", "idee/servizio", (1, 2.0)),
        ("idee/10-01-2026 servizio final.md", "idee/servizio", (1, 1.0)),
        ("provvisorio/servizio_provvisorio.md", "provvisorio/servizio", (-1, 1.0)),
        ("bold/v2ray.md", "bold/v2ray", (0, 1.0)),
    ],
)
def test_the_version_is_read_off_the_name(path: str, document: str, version: tuple[int, float]) -> None:
    place = Roles.of({"draft_words": ["provvisorio"]}).in_series(path)
    assert (place.document, place.version) == (document, version)


@pytest.mark.parametrize(
    ("path", "series", "numbers"),
    [
        ("h/20260111_HANDOFF_252.md", "h/handoff #", (252,)),
        ("h/STUDIO_PARTE4_v2.md", "h/studio parte#", (4,)),
        ("listini/2026.md", "listini/#", (2026,)),
        ("h/nota.md", "h/nota", ()),
        ("h/00017.md", "h/#", ()),
    ],
)
def test_the_number_in_a_series_is_read_off_the_name(path: str, series: str, numbers: tuple[int, ...]) -> None:
    place = Roles.of().in_series(path)
    assert (place.series, place.numbers) == (series, numbers)


def test_sessions_are_compared_as_numbers() -> None:
    assert sorted(["159e", "60", "159"], key=lambda one: session_order(one) or (0, "")) == ["60", "159", "159e"]
