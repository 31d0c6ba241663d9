"""The value that every rule for secrets yields: where a secret is and of which kind."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["api_key", "token", "password", "private_key", "card"]
"""The kinds of secrets. Their names in each language are in the data of that language."""


@dataclass(frozen=True, slots=True)
class Secret:
    """The position and the kind of a secret in a text. The secret itself is not kept."""

    kind: Kind
    start: int
    end: int

    def moved(self, by: int) -> Secret:
        """The same secret in a text that has `by` more characters before it."""
        return Secret(self.kind, self.start + by, self.end + by)


def merged(found: Iterable[Secret]) -> list[Secret]:
    """The secrets in order. Overlapping ones are merged and get the kind of the longest."""
    out: list[Secret] = []
    for secret in sorted(found, key=lambda secret: (secret.start, -secret.end)):
        if out and secret.start < out[-1].end:
            last = out[-1]
            kind = secret.kind if secret.end - secret.start > last.end - last.start else last.kind
            out[-1] = Secret(kind, last.start, max(last.end, secret.end))
        else:
            out.append(secret)
    return out
