"""Reads the metadata of a model from the head of its GGUF file, without loading the model.

The layout is described at https://github.com/ggml-org/ggml/blob/master/docs/gguf.md, little-endian: magic, version, two
counts, then the metadata as key, type, value, then one description for each tensor, then the tensors.
"""

from __future__ import annotations

import mmap
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

_NUMBERS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_STRING, _ARRAY = 8, 9
_CONTROL, _USER_DEFINED = 3, 4
_MOST_DIMENSIONS = 4


class GgufError(ValueError):
    """The file is not a complete GGUF file. The message is a clause that a longer message quotes, such as "it is
    empty"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """Properties of a model from its file; None for a property that the file does not contain."""

    context_tokens: int | None
    """The window that the model was trained with, in tokens."""
    family: str | None
    """The name of the model's family in lower case, such as `smollm2`."""
    size_label: str | None
    """The model's number of parameters as text, such as `135M`."""


class _Head:
    """Reads the values in the head of a GGUF file, one after the other, each from `position`."""

    def __init__(self, data: mmap.mmap) -> None:
        self._data = data
        self.position = 0

    def number(self, form: str) -> Any:
        (value,) = struct.unpack_from(form, self._data, self.position)
        self.position += struct.calcsize(form)
        return value

    def raw(self) -> bytes:
        length: int = self.number("<Q")
        end = self.position + length
        if end > len(self._data):
            raise GgufError("it ends inside its own head")
        value = self._data[self.position : end]
        self.position = end
        return value

    def text(self) -> str:
        return self.raw().decode("utf-8", "replace")

    def value(self) -> Any:
        kind: int = self.number("<I")
        if kind == _STRING:
            return self.text()
        if kind != _ARRAY:
            return self.number(_form(kind))
        kind, count = self.number("<I"), self.number("<Q")
        if kind == _STRING:
            return [self.raw() for _ in range(count)]
        if count > len(self._data):
            raise GgufError("it ends inside its own head")
        form = f"<{count}{_form(kind)[1]}"
        values = struct.unpack_from(form, self._data, self.position)
        self.position += struct.calcsize(form)
        return values


def _form(kind: int) -> str:
    if kind not in _NUMBERS:
        raise GgufError(f"it contains a value of the unknown type {kind}")
    return _NUMBERS[kind]


def _metadata(head: _Head) -> Iterator[tuple[str, Any]]:
    """Yields each key of the metadata with its value, in the file's order.

    The last pair is `tensors` with the offset of the last tensor, in bytes from the end of the head.
    """
    if head.number("<I") != int.from_bytes(b"GGUF", "little"):
        raise GgufError("it does not begin with the bytes of a GGUF file")
    version = head.number("<I")
    if version not in (2, 3):
        raise GgufError(f"it is GGUF version {version}; only 2 and 3 are supported")
    tensors, pairs = head.number("<Q"), head.number("<Q")
    for _ in range(pairs):
        key = head.text()
        yield key, head.value()
    last = 0
    for _ in range(tensors):
        head.raw()
        dimensions: int = head.number("<I")
        if dimensions > _MOST_DIMENSIONS:
            raise GgufError(f"it describes a tensor of {dimensions} dimensions")
        head.position += 8 * dimensions + 4
        last = max(last, head.number("<Q"))
    yield "tensors", last


def _read(path: str | os.PathLike[str]) -> Iterator[tuple[str, Any]]:
    with open(path, "rb") as file:
        try:
            data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        except ValueError as error:
            raise GgufError("it is empty") from error
        with data:
            head = _Head(data)
            try:
                for key, value in _metadata(head):
                    if key == "tensors" and head.position + value > len(data):
                        raise GgufError("its last tensors are missing")
                    yield key, value
            except struct.error as error:
                raise GgufError("it ends inside its own head") from error


def read_facts(path: str | os.PathLike[str]) -> ModelFacts:
    """The properties of the model in a GGUF file. Only the first kilobytes of the file are read.

    Raises OSError if the file can't be read, GgufError if it is not a GGUF file.
    """
    found: dict[str, Any] = {}
    for key, value in _read(path):
        if key.startswith("tokenizer."):  # the vocabulary is long and comes last
            break
        found[key] = value
    context = found.get(f"{found.get('general.architecture')}.context_length")
    return ModelFacts(
        context_tokens=context if isinstance(context, int) and context > 0 else None,
        family=str(found["general.basename"]).lower() if "general.basename" in found else None,
        size_label=found.get("general.size_label"),
    )


def read_control_tokens(path: str | os.PathLike[str]) -> tuple[str, ...]:
    """The control tokens of the model, such as `<|im_end|>`: the engine obeys them anywhere in a prompt.

    Reads the whole head, which takes about 0.1 s for 50,000 tokens. Raises OSError if the file can't be read, and
    GgufError if it is not a GGUF file or is incomplete.
    """
    found = {key: value for key, value in _read(path) if key.startswith("tokenizer.ggml.token")}
    tokens, kinds = found.get("tokenizer.ggml.tokens", ()), found.get("tokenizer.ggml.token_type", ())
    control = [
        token.decode("utf-8", "replace")
        for token, kind in zip(tokens, kinds, strict=False)
        # some files list a template's tags, such as `<|user|>`, as user-defined tokens
        if kind == _CONTROL or (kind == _USER_DEFINED and token.startswith(b"<|") and token.endswith(b"|>"))
    ]
    return tuple(spelling for spelling in control if len(spelling) > 1)
