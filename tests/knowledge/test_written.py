"""Markdown as it is written: the frozen cases of tests/data/notes, and those of ../shared/cases/markdown."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from cervella import Agent
from tests.conftest import ROOT
from tests.fixtures.notes import SOUL, failing

CASES = ROOT.parent / "shared" / "cases" / "markdown"

KNOWN: dict[str, set[str]] = {
    "small sections next to each other are one passage, with the heading of the first": {
        *(f"wr-0{n}" for n in (1, 2, 3, 4, 5, 7, 8, 9)),
    },
    "the row calls the reason `binary`; the report says `not_text`": {"wr-69"},
}
"""The rows that are not right yet, by the reason. A row that becomes right is taken out."""


def test_every_frozen_row_is_right_but_those_that_are_known(tmp_path: Path) -> None:
    wrong = failing("written.jsonl", tmp_path)
    assert wrong.keys() == set().union(*KNOWN.values()), wrong


@pytest.fixture(name="base")
def base_fixture(tmp_path: Path) -> Path:
    if not CASES.is_dir():
        pytest.skip(f"the cases are not on this machine: no folder {CASES}")
    (tmp_path / "soul.md").write_text(SOUL, encoding="utf-8")
    return tmp_path


@pytest.mark.parametrize(
    ("case", "question", "said", "reading"),
    [
        ("02-nbsp-heading", "pressione giusta del generatore", ["3,2"], ["## Generatore"]),
        (
            "09-footnotes",
            "quanto costa il canone della sede?",
            ["450 euro", "30 giugno 2026"],
            ["(IVA esclusa)", "[F2]"],
        ),
        ("11-html-table", "a che ora apre il sabato?", ["10:15"], ["| Sabato | 10:15 |", "Festivi"]),
        ("11e-html-multiline", "quanto dura il massaggio svedese?", ["50 minuti"], ["| Fango termale | 30 minuti |"]),
        ("13-entities", "di quanto è la penalità di disservizio?", ["150"], ["150 € al giorno", "L'indennità"]),
        ("55-table-no-outer-pipes", "interno della portineria", ["100"], ["| portineria | 100 | terra |"]),
        ("17-nested-lists", "cuoco di sera", ["Dario"], ["    - sera\n        - cuoco: Dario"]),
    ],
)
def test_the_small_inputs_of_public_reports(
    base: Path, case: str, question: str, said: list[str], reading: list[str]
) -> None:
    config = base / "cervella.toml"
    lines = ['brain = "extractive"', "[soul]", 'constitution = "soul.md"', "[knowledge]"]
    lines += [f"folder = {json.dumps(str(CASES / case / 'kb'))}", 'index = "index"', 'embedder = "none"']
    config.write_text("\n".join(lines), encoding="utf-8")
    with Agent(config=config) as agent:
        agent.index()
        read = "\n".join(passage.reading for passage in agent.search(question, top_k=99))
        answer = agent.ask(question).text
    assert [piece for piece in reading if piece not in read] == []
    assert [piece for piece in said if piece not in answer] == []


def test_a_transcript_on_one_line_is_cut_at_its_sentences(base: Path) -> None:
    from cervella.knowledge.documents.chunking import chunk
    from cervella.knowledge.documents.markdown import parse
    from cervella.knowledge.documents.reading import reading_of
    from cervella.text.language import language

    document = parse((CASES / "41-transcript-one-line" / "kb" / "trascrizione.md").read_text(encoding="utf-8"))
    reading = reading_of(document, language("it")).lines
    pieces = chunk(document, reading=reading, sentences=language("it").sentences)
    assert len(pieces) > 50
    assert max(len(piece.reading) for piece in pieces) < 700
    assert all(piece.reading.rstrip().endswith((".", "!", "?")) for piece in pieces)
    [answer] = [piece for piece in pieces if "3.870" in piece.reading]
    assert len(answer.reading) < 700
