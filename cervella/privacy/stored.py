"""Masks the secrets of data that are written to disk, and of values that an error message quotes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from cervella.privacy.redaction import mask_secrets
from cervella.text.language import DEFAULT_LANGUAGE


def masked(data: Any, code: str = DEFAULT_LANGUAGE) -> Any:
    """A copy of JSON data with the secrets in its texts masked. Keys, numbers and other values stay as they are.

    `code` is the language of the masks. Masked data do not change when they are masked again.

    >>> masked({"question": "la password: Segreta99!", "turn": 1})
    {'question': 'la password: [REDATTO: password]', 'turn': 1}
    """
    if isinstance(data, str):
        return mask_secrets(data, code)[0]
    if isinstance(data, Mapping):
        return {key: masked(value, code) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        every = [masked(one, code) for one in data]
        return every if isinstance(data, list) else tuple(every)
    return data


def quoted(value: object, longest: int = 60) -> str:
    """The repr of a value for an error message: its secrets are masked, and it is cut to `longest` characters.

    >>> quoted(("password: Segreta99!", 3))
    "('password: [REDATTO: password]', 3)"
    """
    return mask_secrets(repr(value))[0][:longest]
