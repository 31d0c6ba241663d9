"""What the tests share: passages, a soul, and a machine on which nothing is configured."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import settings

from cervella.types import Passage

settings.register_profile("house", derandomize=True, deadline=None)
settings.load_profile("house")

ROOT = Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data"
CORPORA = ROOT.parent / "shared" / "corpora"
VENDOR_KEYS = (
    "ANTHROPIC_API_KEY",
    "ANTHROPIC_AUTH_TOKEN",
    "OPENAI_API_KEY",
    "OLLAMA_HOST",
    "OLLAMA_API_KEY",
    "HF_TOKEN",
    "VLLM_API_KEY",
    "ANTHROPIC_BASE_URL",
)
PATIENCE = 60.0
"""Seconds, far above what any machine needs: what takes longer hangs, or grows with the square of its input."""
SECRET = "sk-" + "Zq9x" * 8
"""Shaped like a key; nobody's."""


@dataclass(frozen=True)
class PlainSoul:
    """A soul that is no Constitution: whatever keeps the protocol works."""

    text: str = "Sono Cervella, una partner: calma, precisa, in italiano.\n"
    name: str = "Cervella"
    language: str = "it"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def system_prompt(self) -> str:
        return self.text


def make_passage(text: str, *, id: str = "p1", path: str = "decisioni/20260109_rinvio.md", **facts: object) -> Passage:
    start = int(facts.pop("start_line", 12))  # type: ignore[call-overload]
    return Passage(
        id=id,
        path=path,
        text=text,
        start_line=start,
        end_line=start + text.count("\n"),
        **facts,  # type: ignore[arg-type]
    )


@pytest.fixture
def soul() -> PlainSoul:
    return PlainSoul()


@pytest.fixture
def passages() -> tuple[Passage, ...]:
    """A decision, a table, and a page that must not leave the machine; best first."""
    return (
        make_passage(
            "Il lancio è rinviato al 20 gennaio 2026: mancano i test di carico.",
            id="rinvio",
            heading="Perché",
            lead="Rinvio > Perché",
            date="2026-01-09",
            role="decision",
            project="miracollo",
            score=0.9,
        ),
        make_passage(
            "| Piano | Canone |\n|---|---|\n| Piccolo | 12,50 € |\n| Grande | 94.603 € |",
            id="prezzi",
            path="ricerche/prezzi.md",
            start_line=3,
            heading="Prezzi",
            role="research",
            score=0.6,
        ),
        make_passage(
            "Il margine riservato del lancio è 41 per cento.",
            id="margine",
            path="riservato/margine.md",
            start_line=1,
            local_only=True,
            score=0.3,
        ),
    )


@pytest.fixture(autouse=True)
def isolated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty working folder, and an environment that configures nothing."""
    for name in list(os.environ):
        if name.upper().startswith("CERVELLA_") or name in VENDOR_KEYS:
            monkeypatch.delenv(name)
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__EMBEDDING_CACHE", str(tmp_path / "embeddings"))  # not the real user's
    # What runs on this machine is no part of a test: nobody answers at these ports.
    monkeypatch.setenv("OLLAMA_HOST", "127.0.0.1:9")
    monkeypatch.setattr("cervella.brains.vllm.brain._URL", "http://127.0.0.1:9/v1")
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture(scope="session")
def corpora() -> Path:
    if not CORPORA.is_dir():
        pytest.skip(f"the corpora are not on this machine: no folder {CORPORA}")
    return CORPORA
