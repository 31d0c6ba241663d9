"""One document supersedes another only if it says so, in a place for it, by a name that fits exactly one."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

import pytest

from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.documents.markdown import parse
from cervella.knowledge.documents.replacing import replacing_of
from cervella.knowledge.index.manifest import FileRow
from cervella.knowledge.index.supersession import successors
from tests.conftest import PATIENCE

Write = Callable[[Path, str, str | bytes], Path]

OTHERS = {
    "listini/Listino 2025.md": "# Listino spiaggia 2025\n",
    "listini/Listino 2024.md": "# Listino spiaggia 2024\n",
    "adr/0007-cache.md": "# 7. Use a cache\n",
    "adr/0011-queue.md": "# 11. Use a queue\n",
    "a/check-in.md": "# Check-in serale\n",
    "b/turni.md": "# Turni\n",
    "c/turni.md": "# Turni\n",
    "caldaia.md": "# Caldaia\n",
}


def superseded(text: str, path: str = "listini/Listino 2026.md", others: dict[str, str] = OTHERS) -> set[str]:
    """The paths that a file with this text supersedes, among the others."""
    return set(successors({name: _row(name, one) for name, one in {**others, path: text}.items()}))


def _row(path: str, text: str) -> FileRow:
    document = parse(text)
    said = replacing_of(document)
    return FileRow(
        path=path, disk_path=path, sha256="", size=1, title=document.title, role=None, project=None, date=None,
        status="current", local_only=False, supersedes=said.supersedes, superseded_by=said.superseded_by,
    )  # fmt: skip


@pytest.mark.parametrize(
    "line",
    [
        "Sostituisce [[Listino 2025]].",
        "- Sostituisce [[Listino 2025|quello vecchio]]",
        "> **Sostituisce** il vecchio listino [del 2025](Listino%202025.md)",
        "Decisione: sostituisce `listini/Listino 2025.md`",
        "Questo listino annulla e sostituisce «Listino 2025».",
        "Sostituisce il Listino 2025 del 3 maggio, che era sbagliato.",
        "Sostituisce il listino spiaggia 2025.",
        "**Sostituisce:** Listino 2025",
        "Replaces [[Listino 2025]]",
        "Substitui a [[Listino 2025]].",
        "Ersetzt die Preisliste [[Listino 2025]].",
    ],
)
def test_a_line_that_begins_with_the_verb_and_names_the_document(line: str) -> None:
    assert superseded(f"# Listino spiaggia 2026\n\n{line}\n\nLettino 9 euro.\n") == {"listini/Listino 2025.md"}


@pytest.mark.parametrize(
    "line",
    [
        "Sostituisce la caldaia.",
        "Sostituisce la caldaia che perdeva.",
        "Sostituisce il filtro ogni tre mesi.",
        "Sostituisce il prezzo del lettino in [[Listino 2025]].",
        "Sostituisce in parte [[Listino 2025]].",
        "Sostituisce la sezione prezzi di [[Listino 2025]].",
        "Sostituisce [[Listino 2025#Prezzi]].",
        "Sostituisce [[Turni]].",
        "Sostituisce [[Listino 1999]].",
        "Sostituisce il listino.",
        "Non sostituisce [[Listino 2025]].",
        "Corregge [[Listino 2025]]: il lettino costa 9 euro.",
        "Ada sostituisce [[Listino 2025]].",
        "Vedi anche [[Listino 2025]].",
        "Sostituisce [[Listino 2026]].",
    ],
)
def test_a_thing_a_part_or_an_uncertain_name_supersedes_nothing(line: str) -> None:
    assert superseded(f"# Listino spiaggia 2026\n\n{line}\n\nLettino 9 euro.\n") == set()


def test_only_the_first_five_lines_count() -> None:
    before = "# T\n\n" + "Una riga.\n\n" * 3  # with the title, what follows is the fifth line that is not blank
    assert superseded(f"{before}Sostituisce [[Listino 2025]]\n")
    assert not superseded(f"{before}Una riga.\n\nSostituisce [[Listino 2025]]\n")


@pytest.mark.parametrize(
    "front",
    [
        "sostituisce: Listino 2025.md",
        'supersedes: "[[Listino 2025]]"',
        "replaces: listini/Listino 2025.md",
        "ersetzt: Listino spiaggia 2025",
    ],
)
def test_front_matter_supersedes(front: str) -> None:
    assert superseded(f"---\n{front}\n---\n# T\n") == {"listini/Listino 2025.md"}
    assert not superseded(f"---\n{front.split(':')[0]}: nessuno\n---\n# T\n")


def test_a_number_names_a_record() -> None:
    said = "# 12. Use both\n\nAccepted\n\nSupersedes ADR-0007 and ADR 11\n"
    assert superseded(said, "adr/0012-both.md") == {"adr/0007-cache.md", "adr/0011-queue.md"}
    assert superseded("---\nsupersedes: 7\n---\n# 12. Use both\n", "adr/0012-both.md") == {"adr/0007-cache.md"}


def test_the_old_document_may_say_it_of_itself() -> None:
    said = replacing_of(parse("---\nsuperseded_by: ADR-0012\n---\n# 7. Use a cache\n"))
    assert said.is_superseded
    assert said.superseded_by == ("ADR-0012",)
    assert not replacing_of(parse("---\nsuperseded_by:\n---\n# 7. Use a cache\n")).is_superseded
    assert replacing_of(parse("# 7\n\nSuperseded by [12](0012-both.md)\n")).is_superseded
    assert not replacing_of(parse("# Caldaia\n\nSostituita da una pompa di calore nuova.\n")).is_superseded
    assert superseded("# T\n", "nuovo.md", {"vecchio.md": "# V\n\nSuperato da [[nuovo]]\n"}) == {"vecchio.md"}


def test_two_that_supersede_each_other_are_left_alone() -> None:
    assert not superseded("Sostituisce [[b]]\n", "a.md", {"b.md": "Sostituisce [[a]]\n"})


def test_a_change_of_the_new_document_changes_the_status_of_the_old_one(tmp_path: Path, write: Write) -> None:
    folder, index = tmp_path / "base", tmp_path / "index"
    write(folder, "caparra.md", "# Caparra\n\nLa caparra è del 30 per cento.\n\n## Orari\n\nSi apre alle nove.\n")
    write(folder, "nuova.md", "# Caparra\n\nSostituisce [[caparra]]\n\nLa caparra è del 20 per cento.\n")

    def statuses() -> dict[str, str]:
        KnowledgeIndex(folder, index, embedder="none").update()
        with HybridRetriever(index, folder=folder, embedder="none") as retriever:
            return {one.path: one.status for one in retriever.retrieve("di quanto è la caparra")}

    assert list(statuses().items()) == [("nuova.md", "current"), ("caparra.md", "superseded")]
    write(folder, "nuova.md", "# Caparra\n\nLa caparra è del 20 per cento.\n")
    assert set(statuses().values()) == {"current"}


@pytest.mark.parametrize("text", ["sostituisce " * 90_000, "[[" * 500_000, "nota: " * 170_000, "> **" * 250_000])
def test_a_megabyte_takes_no_time(text: str) -> None:
    document = parse(f"# T\n\nx\n{text}\n")
    before = time.perf_counter()
    replacing_of(document)
    assert time.perf_counter() - before < 1 * PATIENCE
