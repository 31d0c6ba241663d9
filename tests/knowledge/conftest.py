"""Folders, embedders and corpora for the tests of knowledge."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cervella.text.language import words
from tests.conftest import CORPORA

SNCP = CORPORA / "sncp-20260111"


class HashEmbedder:
    """Texts that share words get near vectors; the same text always gets the same one."""

    name = "hash"
    dimensions = 32

    def __init__(self, fingerprint: str = "hash-1", *, fail_after: int | None = None) -> None:
        self.fingerprint = fingerprint
        self.embedded: list[str] = []
        self._fail_after = fail_after

    def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
        if self._fail_after is not None and len(self.embedded) + len(texts) > self._fail_after:
            raise KeyboardInterrupt
        self.embedded += texts
        return np.stack([self.embed_query(text) for text in texts])

    def embed_query(self, text: str, /) -> np.ndarray:
        vector = np.full(self.dimensions, 1e-3, dtype=np.float32)
        for word in words(text):
            vector[int(hashlib.sha256(word.encode()).hexdigest(), 16) % self.dimensions] += 1
        return vector / np.linalg.norm(vector)


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    """A small folder of markdown."""
    folder = tmp_path / "notes"
    write(folder, "decisioni/20260109_hosting.md", HOSTING_OLD)
    write(folder, "decisioni/20260110_hosting.md", HOSTING_NEW)
    write(folder, "ricette/pane.md", "# Pane\n\nFarina, acqua, lievito madre e otto ore di riposo.\n")
    return folder


HOSTING_OLD = """# Decisione: hosting su Cloud Run

> **Data:** 9 gennaio 2026 | **Progetto:** Cervella Baby
> **Stato:** superata

Il servizio gira su Cloud Run, con la fatturazione a consumo.
"""
HOSTING_NEW = """# Decisione: hosting sulla VM

> **Data:** 10 gennaio 2026
> **Sostituisce:** 20260109_hosting.md

Il servizio gira sulla macchina virtuale, non su Cloud Run: la fatturazione a consumo non serve.
"""


def write(folder: Path, name: str, text: str | bytes) -> Path:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


@pytest.fixture(name="write")
def write_fixture() -> Callable[[Path, str, str | bytes], Path]:
    return write


@pytest.fixture
def index_dir(tmp_path: Path) -> Path:
    return tmp_path / "index"


@pytest.fixture
def make_embedder() -> Callable[..., HashEmbedder]:
    return HashEmbedder


@pytest.fixture(scope="session")
def sncp() -> Path:
    if not SNCP.is_dir():
        pytest.skip("the corpus ../shared/corpora/sncp-20260111 is not on this machine")
    return SNCP
