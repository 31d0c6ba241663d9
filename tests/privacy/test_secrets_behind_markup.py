"""Secrets that markup hides from the rules, and that a reader of the note sees: the index stores no part of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from cervella.knowledge.documents.cutting import Cut, cut
from cervella.knowledge.documents.parsing import parse_within
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.scan import FoundFile, Source, read
from cervella.text.language import language

VALUE = "Mario.Rossi85"


def made(folder: Path, text: str) -> Cut:
    (folder / "nota.md").write_text(text, encoding="utf-8")
    source = read(folder, FoundFile(path="nota.md", disk_path="nota.md", size=0, mtime_ns=0))
    assert isinstance(source, Source)
    return cut(source, language("it"), Roles.of({}), lambda text: parse_within(text, 0.0))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("La password &egrave; X", 1),
        ("Password:&nbsp;X", 1),
        ("<b>Password:</b>&nbsp;<code>X</code>", 1),
        ("Pass&#119;ord: X", 1),
        ("Contrase&ntilde;a: X", 1),
        ("WLAN-Schl&uuml;ssel: X", 1),
        ("Password\\: X", 1),
        ("Password: <!-- nuova --> X", 1),
        ("Pass<!-- a -->word: X", 1),
        ("## Pass<span></span>word: X\n\nIl resto.", 1),
        ("Password:\n: X", 2),
        ("> [!warning] Password\n> X", 2),
        ("La password del NAS[^1].\n\n[^1]: X", 3),
        ("<table><tr><th colspan=2>Password</th></tr><tr><td>X</td></tr></table>", 1),
        ("Uno.\n\n---\n\n| a | b |\n|---|---|\n| Pass<b></b>word: X | 2 |", 7),
    ],
)
def test_a_secret_behind_markup_is_in_no_part_of_what_the_index_stores(text: str, line: int, tmp_path: Path) -> None:
    stored = made(tmp_path, text.replace("X", VALUE))
    assert VALUE not in repr((stored.text, stored.reading, stored.read, stored.facts, stored.chunks))
    assert "rossi85" not in repr((stored.stems, stored.subjects)).lower()
    assert [(one.line, one.kind) for one in stored.redactions] == [(line, "password")]
    assert stored.text.count("\n") == text.count("\n")


def test_a_value_that_the_text_does_not_have_literally_takes_its_line_with_it(tmp_path: Path) -> None:
    stored = made(tmp_path, "Prima.\n\n- Password: <!-- nuova --> Mario<b></b>.Rossi85\n\nDopo.\n")
    assert stored.text == "Prima.\n\n- [REDATTO: password]\n\nDopo.\n"
    assert "Rossi85" not in stored.read


def test_a_note_without_secrets_is_stored_as_it_is(tmp_path: Path) -> None:
    text = "Perch&eacute; <b>no</b>? [^1] &amp; altro\\: sì.\n\n[^1]: La guida del 2024.\n"
    stored = made(tmp_path, text)
    assert (stored.text, stored.redactions) == (text, ())
