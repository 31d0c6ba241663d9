"""Judges whether a value can be the secret that a name announces, by what the name and the connector between say."""

from __future__ import annotations

import re
from dataclasses import dataclass

from cervella.privacy.names import Name, words
from cervella.privacy.values import (
    is_example,
    is_grouped,
    is_joined,
    is_no_password,
    is_numbers,
    is_ordinary,
    is_passphrase,
    is_random,
    is_seed,
    is_striking,
    is_telling,
)

_NUMBER = re.compile(r"\d{1,4}[A-Z]\d{1,4}(?<=.{4})|[A-Z#*]?\d(?:[ .\-/]?\d){2,11}[A-Z#*]{0,2}")
_PLAIN_NUMBER = re.compile(r"\d{4,8}")
_PASSWORD = re.compile(r"(?=.*\w.*\w)\S{4,64}")
_KEY_OF_DIGITS = re.compile(r"\d{4,6}(?:[- ]\d{4,6}){3,11}")
_DATED = re.compile(r"(?:19|20)\d\d(?:[-./]?\d\d){0,2}")
_SNAKE = re.compile(r"[^\W\d_]{2,}(?:_[^\W\d_]+)+")


@dataclass(frozen=True, slots=True)
class Value:
    """A text that may be a secret, at a place of a line."""

    text: str
    start: int
    quoted: bool
    alone: bool
    """Whether nothing but marks follow it in its line or cell."""
    following: str = ""
    """The word after it."""
    closed: bool = False
    """Whether a comma or a semicolon follows it."""
    constant: bool = False
    """Whether it is assigned as in a shell or an .env file, where no variable can stand: `PGPASSWORD=noce_moscata`."""

    @property
    def end(self) -> int:
        return self.start + len(self.text)


def fits(name: Name, value: Value, connector: str) -> bool:
    """Whether a value can be the secret that a name announces.

    `connector`: `direct`, `cell`, `attribute`, `call`, `dash`, `verb`; `adjacent` for a value right beside the name;
    `near` for one some words after.
    """
    text = value.text
    if len(text) < 3:
        return False
    if not text.strip("["):
        return True  # it is masked already: what would follow it is no value either
    direct = connector in ("direct", "cell", "attribute", "call")
    if name.strength == "enough":
        return _fits_password(name, value, connector, direct=direct)
    if name.group == "pairs":
        return is_striking(text) and connector != "near"
    if is_seed(text):
        return direct
    if len(text) < 8 or is_example(text):
        return False
    if is_grouped(text):
        return direct
    if name.strength == "weak":
        if is_random(text):
            return connector != "near" or len(text) >= 16
        return direct and connector != "cell" and is_telling(text) and len(text) >= 10 and not _is_words(text)
    if direct:
        return is_striking(text) or (
            len(text) >= 16 and text.isalpha() and not text.islower() and not is_ordinary(text)
        )
    return is_random(text) or (connector in ("verb", "adjacent", "dash") and is_telling(text) and len(text) >= 10)


def _fits_password(name: Name, value: Value, connector: str, *, direct: bool) -> bool:
    text = value.text
    if name.group in ("pins", "combinations"):
        return _fits_pin(name, value, connector, direct=direct)
    named = name.group != "pairs" and connector not in ("near", "adjacent", "asked")
    if connector in ("near", "asked"):
        return is_telling(text)
    if is_striking(text, of_password=named):
        return direct or connector in ("dash", "verb") or len(text) >= 8 or is_telling(text)
    if is_grouped(text) or is_seed(text) or _KEY_OF_DIGITS.fullmatch(text):
        return True
    if is_no_password(text) if named or text.isdigit() else is_example(text):
        return False
    if is_numbers(text):
        return (value.alone or value.quoted or value.closed) and (
            direct or connector == "dash" or (len(text) >= 6 and not _DATED.fullmatch(text))
        )
    if is_joined(text):
        return True
    if connector == "verb" and value.alone and is_ordinary(text) and text.lower() not in words("no_passwords"):
        return True
    if not direct and not (connector in ("verb", "dash", "adjacent") and value.quoted):
        return False
    if value.constant or (connector == "cell" and value.alone and _SNAKE.fullmatch(text)):
        return len(text) >= 4
    ends = value.alone or value.quoted or (value.closed and name.after_user)
    if named and connector in ("direct", "cell") and ends and _PASSWORD.fullmatch(text):
        return True
    if value.quoted:
        return is_passphrase(text) or (len(text) >= 4 and " " not in text and (_is_mixed(text) or is_ordinary(text)))
    return value.alone and (is_ordinary(text) or _is_mixed(text))


def _fits_pin(name: Name, value: Value, connector: str, *, direct: bool) -> bool:
    text = value.text
    digits = text.replace(" ", "")
    said = value.following in words("counted")
    if connector in ("near", "asked"):
        return (
            bool(_PLAIN_NUMBER.fullmatch(digits))
            and (digits == text or value.alone)
            and not (said or _starts_as_year(text))
        )
    if _NUMBER.fullmatch(text):
        if said or (name.plural and not (value.alone or value.closed or value.quoted)):
            return False
        return direct or (len(digits) >= 4 and not _starts_as_year(text) and (" " not in text or value.alone))
    if name.group == "combinations" or (connector == "cell" and name.end - name.start <= 4):
        return False  # a combination of keys; the pins of a plug
    if is_striking(text):
        return direct or connector in ("dash", "verb") or is_telling(text)
    if is_example(text):
        return False
    if is_grouped(text) or is_joined(text):
        return direct
    return direct and connector != "cell" and value.alone and _is_mixed(text) and any(map(str.isdigit, text))


def _is_mixed(text: str) -> bool:
    """Whether a short text has letters and digits, or a sign inside: `aB3!`, `Inchiostro:CMYK`."""
    letter = re.search(r"[^\W\d_]", text)
    return bool(letter and (re.search(r"\d", text) or re.search(r"\w[^\w\s.'’/()-]+\w", text)))


def _starts_as_year(text: str) -> bool:
    """Whether a number is a year, or a quantity or a code of the same length that starts as one: `1985`, `20.1`."""
    return len(text) == 4 and text[:2] in ("19", "20")


def _is_words(text: str) -> bool:
    return all(re.fullmatch(r"[A-Za-z]+\d{0,4}|\d{1,4}", part) for part in re.findall(r"[A-Za-z0-9]+", text))
