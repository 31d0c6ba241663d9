"""Files that are broken, or built to break: each is indexed or skipped for a reason, and none stops the others."""

from __future__ import annotations

import os
import sys
import time
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.hostile import bombs, markup_bombs
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.documents import parsing, workers
from cervella.knowledge.documents.chunking import chunk
from cervella.knowledge.documents.markdown import parse, split_lines
from cervella.knowledge.documents.parsing import SafeParser, plain
from cervella.knowledge.documents.reading import reading_of
from cervella.privacy.redaction import mask_secrets
from cervella.text.language import language
from cervella.types import Filters
from tests.conftest import PATIENCE

Write = Callable[[Path, str, str | bytes], Path]

WAITS = "# Attesa\n\n" + "".join(
    f"- voce numero {n}\n" for n in range(4_000)
)  # more than a hundredth of a second can parse
PROSE = ("Parole, e ancora parole. " * 40 + "\n\n") * 100
FILES: dict[str, str | bytes] = {
    "nul.md": b"# a\x00b",
    "utf16.md": "# città".encode("utf-16"),
    "utf16_senza_segno.md": "# città perché".encode("utf-16-le"),
    "utf8_con_segno.md": "\ufeff# Segno\n\nfarfalla\n".encode(),
    "immagine.md": b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 40,
    "latin1.md": "# perché".encode("latin-1"),
    "surrogati.md": b"# a\xed\xa0\x80b\n",
    "solo_intestazione.md": "---\ntitolo: vuoto\n---\n",
    "riga_lunga.md": "farfalla " * 120_000,
    "parola_lunga.md": "x" * 1_000_000,
    "vecchio_mac.md": "# Mac\r\rfarfalla\r",
    "controlli.md": "# Campane\x07\n\nfarfalla \x1b[31m rossa \u202e aira\n",
    "combinati.md": "a" + "\u0301" * 50_000,
    "vuoto.md": b"",
}


def test_every_hostile_file_is_indexed_or_skipped_and_the_others_are_found(
    notes: Path, index_dir: Path, tmp_path: Path, write: Write
) -> None:
    for name, data in FILES.items():
        write(notes, name, data)
    with open(write(notes, "enorme.md", "# x\n"), "r+b") as file:
        file.truncate(100_000_000)
    write(notes, unicodedata.normalize("NFC", "città.md"), "# Uno\n")
    write(notes, unicodedata.normalize("NFD", "città.md"), "# Due\n")
    (notes / "giro").symlink_to(notes)
    (notes / "fuori.md").symlink_to(write(tmp_path, "altrove/segreto.md", "# Fuori\n\nfarfalla\n"))
    (notes / "salita.md").symlink_to(Path("..") / "altrove" / "segreto.md")
    if hasattr(os, "mkfifo"):
        os.mkfifo(notes / "tubo.md")
    report = KnowledgeIndex(notes, index_dir, embedder="none").update()
    reasons = {item.path: item.reason for item in report.files_skipped}
    assert reasons == {
        "città.md": "name_clash",
        "enorme.md": "too_large",
        "fuori.md": "outside",
        "giro": "linked",
        "immagine.md": "not_text",
        "nul.md": "not_text",
        "salita.md": "outside",
        "utf16_senza_segno.md": "not_text",
        "vuoto.md": "empty",
    }
    assert report.encodings == {"latin1.md": "cp1252", "utf16.md": "utf-16"}
    assert report.files_indexed + len(report.files_skipped) == report.files_seen
    with HybridRetriever(index_dir, folder=notes, embedder="none") as retriever:
        assert retriever.retrieve("lievito madre").passages[0].path == "ricette/pane.md"
        # The long line is many passages, and all of them say it.
        short = Filters(path=["utf8_con_segno.md", "vecchio_mac.md", "controlli.md", "surrogati.md"])
        found = {passage.path for passage in retriever.retrieve("farfalla", top_k=9, filters=short).passages}
    assert found >= {"utf8_con_segno.md", "vecchio_mac.md", "controlli.md"}


@pytest.mark.parametrize("name", bombs(0))
def test_no_text_keeps_the_indexer_busy_and_no_line_is_lost(name: str) -> None:
    text = bombs(0.1)[name]
    started = time.perf_counter()
    masked, _ = mask_secrets(text)
    with SafeParser() as parser:
        document, _ = parser.parse(masked)
    chunks = chunk(document)
    assert time.perf_counter() - started < PATIENCE
    lines = split_lines(masked)
    taken = [
        number
        for piece in chunks
        for number in range(piece.start_line, piece.end_line + 1)
        if lines[number - 1].strip()
    ]
    # A long line is in several chunks, which share out what is read in it.
    assert "".join("".join(piece.reading for piece in chunks).split()) == "".join(masked.split())
    taken = [number for place, number in enumerate(taken) if number not in taken[max(0, place - 1) : place]]
    assert taken == [number for number, line in enumerate(lines, start=1) if line.strip()]


@pytest.mark.parametrize("name", markup_bombs(0))
def test_no_markup_keeps_the_indexer_busy(name: str) -> None:
    text = markup_bombs(0.1)[name]
    lang = language("it")
    started = time.perf_counter()
    with SafeParser() as parser:
        document, _ = parser.parse(text)
    reading = reading_of(document, lang)
    chunks = chunk(document, reading=reading.lines, sentences=lang.sentences)
    assert time.perf_counter() - started < PATIENCE
    assert len(reading.lines) == len(split_lines(text))
    assert sum(len(piece.reading) for piece in chunks) < 5 * len(text) + 20_000


def test_an_ordinary_text_is_parsed_in_this_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_start", lambda: pytest.fail("a process was started"))
    with SafeParser() as parser:
        assert parser.parse("# A\n\ntesto\n") == (parse("# A\n\ntesto\n"), None)


def test_a_long_text_is_parsed_as_it_would_be_here_and_the_process_serves_the_next() -> None:
    text = "# Titolo\n\n> **Data:** 9 gennaio 2026\n\n" + PROSE
    with SafeParser() as parser:
        assert parser.parse(text) == (parse(text), None)
        process = parser._worker._process
        assert parser.parse(text + "fine\n")[1] is None
        assert parser._worker._process is process
    assert process is not None
    assert process.poll() is not None


@pytest.mark.skipif(
    not hasattr(__import__("signal"), "setitimer"), reason="this system has no clock of a process's work"
)
def test_what_takes_too_long_is_cut_by_its_lines_and_the_next_text_is_parsed() -> None:
    with SafeParser() as parser:
        document, why = parser.parse(WAITS, budget_seconds=0.01)
        assert why
        assert "0.0 s" in why
        assert document == plain(WAITS)
        assert document.title == "Attesa"
        assert parser.parse("# B\n\n" + PROSE)[1] is None


def test_without_a_process_the_lines_are_still_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")
    with SafeParser() as parser:
        document, why = parser.parse(WAITS)
    assert why
    assert document == plain(WAITS)


def test_a_file_that_is_cut_by_its_lines_is_named_found_and_embedded(
    notes: Path, index_dir: Path, write: Write, make_embedder: Callable[[], Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(parsing, "_SECONDS", 0.01)
    monkeypatch.setattr(parsing, "_SECONDS_PER_MILLION", 0.01)
    write(notes, "lunga.md", WAITS + "\nmongolfiera\n")
    embedder = make_embedder()
    report = KnowledgeIndex(notes, index_dir, embedder=embedder).update()
    assert [warning for warning in report.warnings if warning.startswith("lunga.md: ")]
    assert report.pending_embeddings == 0
    assert KnowledgeIndex(notes, index_dir, embedder=embedder).update().warnings == report.warnings
    with HybridRetriever(index_dir, folder=notes, embedder=embedder) as retriever:
        assert "lunga.md" in {passage.path for passage in retriever.retrieve("mongolfiera").passages}


def test_many_lines_of_hardly_a_word_are_no_document(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_start", lambda: pytest.fail("a process was started"))
    text = "# Elenco\n" + "- a\n" * 6_000
    with SafeParser() as parser:
        document, why = parser.parse(text)
    assert why
    assert document == plain(text)


@pytest.mark.parametrize("text", ["", "\n\n", "a", "# A\n\nb\n\n\n", "\r\r", " \n# T\n"])
def test_plain_lines_are_one_block_of_all_that_is_not_blank(text: str) -> None:
    document = plain(text)
    assert document.lines == tuple(split_lines(text))
    covered = {n for block in document.blocks for n in range(block.start_line, block.end_line + 1)}
    assert covered >= {n for n, line in enumerate(document.lines, start=1) if line.strip()}
    assert len(document.blocks) == bool(text.strip())
