"""Secrets found and masked, before text reaches a log, an error or a cloud brain.

The rules are a floor: they know the shapes that vendors give their keys, private keys, and `password = …` assignments.
"""

from __future__ import annotations

import re
from bisect import bisect_left
from dataclasses import dataclass

__all__ = ["Secret", "find_secrets", "mask_secrets"]


@dataclass(frozen=True, slots=True)
class Secret:
    """Where a secret stands in a text, and what kind it is. The secret itself is never kept."""

    kind: str
    start: int
    end: int


_NAMES = (
    r"password|passwd|pwd|passphrase|api[ _-]?key|chiave[ _-]?api"
    r"|secret[_-]?key|secret[_-]?access[_-]?key|access[_-]?key|access[_-]?token|auth[_-]?token|client[_-]?secret|token|secret|segreto"
)
_VALUE = r"[^\s\"'`<>{}|,;]"
_RULES: tuple[tuple[str, re.Pattern[str]], ...] = tuple(
    (kind, re.compile(pattern))
    for kind, pattern in (
        (
            "chiave privata",
            r"-----BEGIN (?:[A-Z]+ )*PRIVATE KEY-----(?:(?s:.{0,8000}?)-----END (?:[A-Z]+ )*PRIVATE KEY-----)?",
        ),
        ("chiave API", r"\bsk-[A-Za-z0-9_-]{16,}"),
        ("chiave API", r"\bAIza[0-9A-Za-z_-]{35}\b"),
        ("chiave API", r"\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"),
        ("chiave API", r"\b(?:sk|rk|pk)_(?:live|test)_[0-9A-Za-z]{16,}"),
        ("chiave API", r"\bhf_[A-Za-z0-9]{30,}\b"),
        ("token", r"\bgh[pousr]_[A-Za-z0-9]{36,}\b"),
        ("token", r"\bgithub_pat_[A-Za-z0-9_]{40,}\b"),
        ("token", r"\bglpat-[A-Za-z0-9_-]{20,}"),
        ("token", r"\bxox[abposr]-[A-Za-z0-9-]{10,}"),
        ("token", r"\beyJ[A-Za-z0-9_-]{10,}\.eyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}"),
        ("token", r"(?i)\bbearer +(?P<secret>[A-Za-z0-9._~+/-]{20,}=*)"),
        ("password", r"(?<=://)[^\s:/@]+:(?P<secret>[^\s:/@]+)(?=@)"),
        ("chiave API", r"\bgsk_[A-Za-z0-9]{20,}\b"),
        ("token", r"\b(?:npm_[A-Za-z0-9]{30,}|pypi-[A-Za-z0-9_-]{30,}|whsec_[A-Za-z0-9+/=]{16,})"),
        ("token", r"\bSG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
        ("password", r"(?i)\bauthorization\s*:\s*basic +(?P<secret>[A-Za-z0-9+/]{8,}=*)"),
        # NAME = value, however the name goes on before: DB_PASSWORD, AWS_SECRET_ACCESS_KEY, "api-key", chiave API.
        (
            "password",
            r"(?i)(?<![A-Za-z0-9])(?:[A-Za-z0-9]{1,30}[_-]){0,5}(?:"
            + _NAMES
            + r")[\"'`*]*\s*[:=]\s*[\"'`*]*(?P<secret>(?="
            + _VALUE
            + r"{0,200}[0-9])(?="
            + _VALUE
            + r"{0,200}[A-Za-z])"
            + _VALUE
            + r"{8,})",
        ),
        # A password may be letters alone, and stand after a verb; its name is then spelt out whole.
        (
            "password",
            r"(?i)(?<![A-Za-z0-9])(?:[A-Za-z0-9]{1,30}[_-]){0,5}(?:password|passwd|passphrase)[\"'`*]*\s*=\s*[\"'`*]*"
            r"(?P<secret>" + _VALUE + r"{8,})",
        ),
        (
            "password",
            r"(?i)\b(?:password|passphrase)\b[^\n.:=]{0,20}\s(?:è|e'|is|é)\s+[\"'`*«]*(?P<secret>(?="
            + _VALUE
            + r"{0,200}[0-9])"
            + _VALUE
            + r"{8,})",
        ),
    )
)


def find_secrets(text: str) -> list[Secret]:
    """The secrets in a text, in order, none inside another.

    >>> [secret.kind for secret in find_secrets("usa sk-" + "a1" * 12)]
    ['chiave API']
    """
    found: list[Secret] = []  # sorted, none inside another
    for kind, pattern in _RULES:
        for match in pattern.finditer(text):
            start, end = match.span("secret" if "secret" in pattern.groupindex else 0)
            place = bisect_left(found, end, key=lambda secret: secret.start)
            if place == 0 or found[place - 1].end <= start:
                found.insert(place, Secret(kind, start, end))
    return found


def mask_secrets(text: str) -> tuple[str, int]:
    """The text with every secret replaced by `[REDATTO: kind]`, and how many there were.

    >>> mask_secrets("password: Segreta99!")
    ('password: [REDATTO: password]', 1)
    """
    found = find_secrets(text)
    for secret in reversed(found):
        text = f"{text[: secret.start]}[REDATTO: {secret.kind}]{text[secret.end :]}"
    return text, len(found)
