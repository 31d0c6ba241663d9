"""Files of an index that have a second name elsewhere, by a hard link or a symbolic one."""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

import pytest

from cervella.errors import IndexDamagedError, IndexMissingError, KnowledgeError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.index.storage import IndexFolder

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes, and links need a right")
Write = Callable[[Path, str, str | bytes], Path]
WORDS = "un testo di fuori"
NAMES = [
    *("current", "writer.lock", "writer.pid", "stamps.json", ".current.0123456789ab.partial"),
    *(f"GEN/manifest.sqlite{end}" for end in ("", "-wal", "-shm", "-journal")),
    *("GEN/seal.json", "GEN/readers.lock", "gone-0123/file", "work-0123/file"),
]


@pytest.fixture
def base(tmp_path: Path, write: Write) -> Path:
    write(tmp_path / "KB", "pane.md", "# Pane\n\nLievito madre e sale.\n")
    KnowledgeIndex(tmp_path / "KB", tmp_path / "index", embedder="none").update()
    return tmp_path


def update(base: Path, index_dir: str = "index", mode: int = 0o600) -> None:
    (base / "KB/nuovo.md").write_text("# Nuovo\n\nIl lievito di birra.\n")
    KnowledgeIndex(base / "KB", base / index_dir, embedder="none", mode=mode).update()


def found(base: Path, index_dir: str) -> list[str]:
    with HybridRetriever(base / index_dir, folder=base / "KB", embedder="none", refresh="off") as retriever:
        return [passage.path for passage in retriever.retrieve("lievito madre")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("rebuild", [False, True])
def test_the_other_name_of_a_planted_file_keeps_its_text_and_its_mode(base: Path, name: str, rebuild: bool) -> None:
    outside = base / "outside"
    outside.write_text(WORDS)
    outside.chmod(0o644)
    place = base / "index" / name.replace("GEN", IndexFolder(base / "index").current().name)
    place.parent.mkdir(exist_ok=True)
    place.unlink(missing_ok=True)
    os.link(outside, place)
    try:
        KnowledgeIndex(base / "KB", base / "index", embedder="none").update(rebuild=rebuild)
        update(base)
    except KnowledgeError:
        pass
    assert outside.read_text() == WORDS
    assert stat.S_IMODE(outside.stat().st_mode) == 0o644


def test_a_copy_by_hard_links_is_read_and_written_and_the_original_stays(base: Path) -> None:
    shutil.copytree(base / "index", base / "copy", copy_function=os.link)
    before = {path: path.read_bytes() for path in (base / "index").rglob("*") if path.is_file()}
    modes = {path: path.stat().st_mode for path in before}
    assert found(base, "copy") == ["pane.md"]
    update(base, "copy", mode=0o640)
    assert set(found(base, "copy")) == {"pane.md", "nuovo.md"}
    assert found(base, "index") == ["pane.md"]
    assert {path: path.read_bytes() for path in before} == before
    assert {path: path.stat().st_mode for path in before} == modes


def test_an_index_of_links_says_that_it_is_one_and_how_to_copy_it(base: Path) -> None:
    shutil.copytree(base / "index", base / "linked", copy_function=lambda old, new: os.symlink(old, new))
    for use in (lambda: found(base, "linked"), lambda: update(base, "linked")):
        with pytest.raises(IndexDamagedError, match="has a link at") as caught:
            use()
        assert "cp -rL" in caught.value.remedy


@pytest.mark.parametrize("name", ["link", "link/below"])
def test_a_folder_that_leads_nowhere_is_said(base: Path, name: str) -> None:
    (base / "link").symlink_to(base / "not-mounted")
    for use, kind in ((lambda: found(base, name), IndexMissingError), (lambda: update(base, name), KnowledgeError)):
        with pytest.raises(kind, match=r"is a link to .*not-mounted', which does not exist") as caught:
            use()
        assert "Mount the disk" in caught.value.remedy
    (base / "not-mounted").mkdir()
    update(base, name)
    assert set(found(base, name)) == {"pane.md", "nuovo.md"}
