from __future__ import annotations

import os
import socket
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cervella.errors import KnowledgeError
from cervella.knowledge import SKIP_REASONS, KnowledgeIndex
from cervella.knowledge.documents.scan import scan
from cervella.types import IndexReport

Write = Callable[[Path, str, str | bytes], Path]


def index(folder: Path, index_dir: Path, **options: Any) -> IndexReport:
    return KnowledgeIndex(folder, index_dir, embedder="none", **options).update()


def reasons(report: IndexReport) -> dict[str, str]:
    assert report.files_seen == report.files_indexed + sum(one.reason != "ignored" for one in report.files_skipped)
    assert {item.reason for item in report.files_skipped} <= set(SKIP_REASONS)
    return {item.path: item.reason for item in report.files_skipped}


def test_every_file_is_indexed_or_skipped_for_a_reason(notes: Path, index_dir: Path, write: Write) -> None:
    write(notes, "foto.png", b"\x89PNG")
    write(notes, ".git/config", "x")
    write(notes, ".obsidian/nota.md", "# x")
    write(notes, ".nascosta/nota.md", "# x")
    write(notes, "secrets/nota.md", "# x")
    write(notes, "progetti/CREDENZIALI_vm.md", "# x")
    write(notes, "bozze/a/b.md", "# x")
    write(notes, "binario.md", b"# a\x00b")
    write(notes, "latino.md", "# perché".encode("latin-1"))
    write(notes, "vuoto.md", "")
    write(notes, "bianco.md", " \n\t\n")
    write(notes, "grande.md", "# x\n" * 1_000)
    report = index(notes, index_dir, exclude=["bozze/"], max_bytes=2_000)
    assert report.files_indexed == 4
    assert report.encodings == {"latino.md": "cp1252"}
    assert reasons(report) == {
        ".nascosta/nota.md": "excluded",
        ".obsidian": "ignored",
        "bianco.md": "empty",
        "binario.md": "not_text",
        "bozze/a/b.md": "excluded",
        "foto.png": "not_markdown",
        "grande.md": "too_large",
        "progetti/CREDENZIALI_vm.md": "excluded",
        "secrets/nota.md": "excluded",
        "vuoto.md": "empty",
    }


def test_a_hidden_folder_is_read_when_it_is_the_one_named(tmp_path: Path, index_dir: Path, write: Write) -> None:
    write(tmp_path, ".sncp/a.md", "# A\n")
    write(tmp_path, ".sncp/.obsidian/b.md", "# B\n")
    assert reasons(index(tmp_path / ".sncp", index_dir)) == {".obsidian": "ignored"}


def test_links_are_never_followed(notes: Path, index_dir: Path, tmp_path: Path, write: Write) -> None:
    outside = write(tmp_path, "fuori/segreto.md", "# Fuori\n")
    (notes / "fuori.md").symlink_to(outside)
    (notes / "cartella_fuori").symlink_to(outside.parent)
    (notes / "dentro.md").symlink_to(notes / "ricette" / "pane.md")
    (notes / "ricette" / "giro").symlink_to(notes)
    (notes / "cerchio.md").symlink_to(notes / "cerchio.md")
    (notes / "nulla.md").symlink_to(notes / "manca.md")
    report = index(notes, index_dir)
    assert report.files_indexed == 3
    assert reasons(report) == {
        "cartella_fuori": "outside",
        "cerchio.md": "outside",
        "dentro.md": "linked",
        "fuori.md": "outside",
        "nulla.md": "outside",
        "ricette/giro": "linked",
    }


def test_pipes_and_sockets_are_no_files_and_are_not_opened(notes: Path, index_dir: Path) -> None:
    os.mkfifo(notes / "tubo.md")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(notes / "presa.md"))
        assert index(notes, index_dir).files_seen == 3


def test_of_two_names_equal_in_nfc_the_second_is_skipped(notes: Path, index_dir: Path, write: Write) -> None:
    write(notes, unicodedata.normalize("NFD", "città.md"), "# Uno\n")
    write(notes, unicodedata.normalize("NFC", "città.md"), "# Due\n")
    report = index(notes, index_dir)
    assert report.files_indexed == 4
    assert reasons(report) == {unicodedata.normalize("NFC", "città.md"): "name_clash"}


def test_an_unreadable_file_stops_nothing(notes: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    really_open = os.open

    def refuse(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("pane.md"):
            raise PermissionError(13, "Permission denied")
        return really_open(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refuse)
    report = index(notes, index_dir)
    assert report.files_indexed == 2
    assert reasons(report) == {"ricette/pane.md": "unreadable"}


def test_a_name_that_is_not_unicode_is_reported(notes: Path, index_dir: Path) -> None:
    with open(os.fsencode(notes) + b"/\xff.md", "wb") as file:
        file.write(b"# x\n")
    assert reasons(index(notes, index_dir)) == {"\ufffd.md": "unreadable"}


def test_what_a_folder_that_cannot_be_listed_holds_is_not_taken_for_gone(
    notes: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert index(notes, index_dir).files_indexed == 3
    really_scan = os.scandir

    def refuse(path: Any) -> Any:
        if str(path).rstrip("/").endswith("ricette"):
            raise PermissionError(13, "Permission denied")
        return really_scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    report = index(notes, index_dir)
    assert (report.files_indexed, report.removed) == (3, 0)
    assert any("'ricette'" in warning for warning in report.warnings)


def test_the_index_is_no_part_of_the_knowledge(notes: Path) -> None:
    for _ in range(2):
        assert index(notes, notes / "indice").files_seen == 3


def test_a_byte_order_mark_and_old_line_ends_are_fine(notes: Path, index_dir: Path, write: Write) -> None:
    write(notes, "bom.md", "\ufeff# Bom\n\ntesto\n".encode())
    write(notes, "mac.md", "# Mac\r\rtesto\r")
    assert index(notes, index_dir).files_indexed == 5


@pytest.mark.parametrize("make", [lambda p: None, lambda p: p.write_text("x")], ids=["missing", "a file"])
def test_no_folder_is_an_error_with_a_cure(tmp_path: Path, index_dir: Path, make: Callable[[Path], Any]) -> None:
    make(tmp_path / "cartella")
    with pytest.raises(KnowledgeError) as caught:
        index(tmp_path / "cartella", index_dir)
    assert caught.value.code in ("folder_missing", "not_a_folder")
    assert caught.value.remedy
    assert not index_dir.exists()


def test_an_empty_folder_is_a_report_with_a_warning(tmp_path: Path, index_dir: Path) -> None:
    (tmp_path / "vuota").mkdir()
    report = index(tmp_path / "vuota", index_dir)
    assert (report.files_seen, report.chunks_total) == (0, 0)
    assert report.warnings


def test_the_walk_is_in_the_same_order_every_time(notes: Path) -> None:
    paths = [file.path for file in scan(notes).found]
    assert paths == sorted(paths)


def test_mdx_and_txt_are_read_as_markdown(notes: Path, index_dir: Path, write: Write) -> None:
    for name in ("guida.mdx", "appunti.txt", "VECCHIO.TXT", "altro.markdown"):
        write(notes, name, "# Titolo\n\nUna riga.\n")
    write(notes, "codice.py", "# Titolo\n")
    report = index(notes, index_dir)
    assert report.files_indexed == 7
    assert reasons(report) == {"codice.py": "not_markdown"}
