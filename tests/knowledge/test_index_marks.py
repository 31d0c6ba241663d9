"""Marks that an index remembers but nobody can read: an update refuses them, and a rebuild keeps what is left."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from cervella.errors import IndexDamagedError, KnowledgeError
from cervella.knowledge import KnowledgeIndex
from cervella.knowledge.index.manifest import Manifest
from tests.fixtures.sealing import change_manifest, manifest_of

Write = Callable[[Path, str, str | bytes], Path]
PATTERN = "personale/**"
BAD = {
    "empty": "",
    "null": "null",
    "a list": "[1]",
    "a number": "9" * 30,
    "a number without end": "9" * 100_000,
    "other types": '{"documents": [1], "paths": 3}',
    "nested tables": '{"documents": {"a": {"b": []}}, "paths": {"x": null}}',
    "deep": "[" * 50_000,
    "deep tables": '{"documents":' * 20_000,
    "no JSON": "../../x",
    "half a character": '{"documents": {"a": "\\ud800"}}',
}


@pytest.fixture
def base(tmp_path: Path, write: Write) -> Path:
    """A folder whose local-only file was moved to a place that no pattern covers, after it was indexed."""
    write(tmp_path / "KB", "personale/diario.md", "# Diario\n\nIl faro di Capo Zuffa.\n")
    write(tmp_path / "KB", "personale/altro.md", "# Altro\n\nUn altro faro.\n")
    write(tmp_path / "KB", "nota.md", "# Nota\n\nUna nota.\n")
    index(tmp_path).update()
    (tmp_path / "KB/personale/diario.md").rename(tmp_path / "KB/diario.md")
    index(tmp_path).update()
    return tmp_path


def index(base: Path) -> KnowledgeIndex:
    return KnowledgeIndex(base / "KB", base / "index", embedder="none", local_only=[PATTERN])


def marked(base: Path) -> set[str]:
    with Manifest.open(manifest_of(base / "index").parent) as manifest:
        return {path for path, file in manifest.files().items() if file.local_only}


@pytest.mark.parametrize("marks", BAD.values(), ids=BAD)
def test_marks_that_cannot_be_read_are_damage_and_a_rebuild_keeps_those_of_the_files(base: Path, marks: str) -> None:
    change_manifest(base / "index", f"UPDATE meta SET value = '{marks}' WHERE key = 'marks'")
    for use in (index(base).update, index(base).update_words, index(base).drift):
        with pytest.raises(IndexDamagedError, match="'marks' can't be read"):
            use()
    report = index(base).update(rebuild=True)
    assert marked(base) == {"diario.md", "personale/altro.md"}
    assert any("local_only" in warning for warning in report.warnings)
    assert index(base).update().warnings == ()


def test_the_former_generation_keeps_the_marks_of_a_manifest_that_is_gone(base: Path) -> None:
    (base / "KB/nota.md").write_text("# Nota\n\nUna nota più lunga.\n")
    index(base).update()
    manifest_of(base / "index").write_bytes(b"no database")
    report = index(base).update(rebuild=True)
    assert "diario.md" in marked(base)
    assert any("local_only" in warning for warning in report.warnings)


def test_a_sound_index_is_built_anew_with_its_marks_and_without_a_warning(base: Path) -> None:
    assert index(base).update(rebuild=True).warnings == ()
    assert marked(base) == {"diario.md", "personale/altro.md"}


@pytest.mark.parametrize("patterns", ["null", "[1]", "[" * 50_000, "3", "{"])
def test_patterns_that_cannot_be_read_are_damage(base: Path, patterns: str) -> None:
    change_manifest(base / "index", f"UPDATE meta SET value = '{patterns}' WHERE key = 'patterns'")
    with pytest.raises(IndexDamagedError, match="'patterns' can't be read"):
        index(base).update_words()
    index(base).update(rebuild=True)


@pytest.mark.parametrize("marks", ["null", "[" * 50_000])
def test_a_roll_back_goes_by_the_marks_that_can_be_read(tmp_path: Path, write: Write, marks: str) -> None:
    write(tmp_path / "KB", "diario.md", "# Diario\n\nIl faro di Capo Zuffa.\n")
    write(tmp_path / "KB", "nota.md", "# Nota\n\nUna nota.\n")
    index(tmp_path).update()
    former = (tmp_path / "index/current").read_text()
    write(tmp_path / "KB", "personale/diario.md", "# Diario\n\nIl faro di Capo Zuffa.\n")
    index(tmp_path).update()
    change_manifest(tmp_path / "index", f"UPDATE meta SET value = '{marks}' WHERE key = 'marks'")
    with (tmp_path / "index/current").open("a") as file:
        file.write(former)
    with pytest.raises(KnowledgeError) as caught:  # the current generation marks the copy of a local-only file
        index(tmp_path).roll_back()
    assert caught.value.code == "local_only_exposed"


def test_what_can_be_read_is_as_before(base: Path) -> None:
    with Manifest.open(manifest_of(base / "index").parent) as manifest:
        stored = json.loads(manifest.meta("marks") or "")
    assert stored["paths"] == {"diario.md": "personale/diario.md", "personale/altro.md": "personale/altro.md"}
