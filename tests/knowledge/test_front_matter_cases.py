"""The rows of tests/data/notes/front-matter.jsonl, which were written by somebody who had not seen the rules."""

from __future__ import annotations

from pathlib import Path

from cervella.knowledge.documents.cutting import cut
from cervella.knowledge.documents.parsing import SafeParser
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.scan import Source
from cervella.text.language import language
from tests.fixtures.notes import failing, faults


def test_front_matter_is_understood_as_people_write_it(tmp_path: Path) -> None:
    assert failing("front-matter.jsonl", tmp_path) == {}


HEAD = "---\ntitle: Listino\ndata: {date}\n{more}---\n\nLa camera doppia costa {price} euro a notte.\n"
SPA = "# Spa\n\nLa sauna costa 12 euro.\n"


def test_a_draft_is_not_quoted_beside_what_holds(tmp_path: Path) -> None:
    files = {
        "listino 2026.md": HEAD.format(date="2026-01-10", more="", price=95),
        "listino nuovo.md": HEAD.format(date="2026-05-01", more="bozza: sì\n", price=120),
        "spa.md": SPA,
    }
    question = "Quanto costa la camera doppia a notte?"
    holds = {"question": question, "must": [["95"]], "must_not": ["120"], "source": "listino 2026.md"}
    assert not faults({"files": files, "ask": [holds]}, tmp_path / "both", embedder="none")
    del files["listino 2026.md"]
    only = {"question": question, "must": [["120"], ["in bozza"]]}
    assert not faults({"files": files, "ask": [only]}, tmp_path / "draft", embedder="none")


def test_a_note_of_front_matter_alone_is_no_result(tmp_path: Path) -> None:
    files = {
        "vuota.md": "---\ntitle: Idraulico di fiducia\naliases: [Gino]\n---\n",
        "interventi.md": "# Interventi\n\nL'idraulico di fiducia viene il martedì.\n",
    }
    search = {"query": "idraulico di fiducia", "first": "interventi.md"}
    assert not faults({"files": files, "search": [search]}, tmp_path, embedder="none")


def test_the_other_names_of_a_note_stand_behind_its_title() -> None:
    lang = language("it")
    text = "---\ntitle: Forno\naliases: [il Bestione, forno grande]\n---\n\n## Uso\n\nRaggiunge 430 gradi.\n"
    source = Source(path="forno.md", disk_path="forno.md", sha256="", size=0, raw=text)
    with SafeParser() as parser:
        made = cut(source, lang, Roles.of(), parser.parse)
    assert [(one.lead, one.heading) for one in made.chunks] == [("Forno (il Bestione, forno grande) > Uso", "Uso")]
    assert made.chunks[0].reading.strip() == "## Uso\n\nRaggiunge 430 gradi."
