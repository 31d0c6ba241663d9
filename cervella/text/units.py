"""Units of measure: what their names and symbols mean, in all languages that are known."""

from __future__ import annotations

import re
from decimal import Decimal
from functools import lru_cache

from cervella.text.language import fold, known_languages, language

__all__ = ["MONEY", "PERCENT", "Senses", "named_unit", "senses_of", "unit_of"]

Senses = tuple[tuple[str, Decimal], ...]
"""Dimension and factor, for each thing that a unit may mean."""
MONEY = frozenset({"eur", "usd", "gbp"})
_TIME, _BYTES = "time", "bytes"
_SENSES: dict[str, Senses] = {
    # What a unit measures, and how much of the dimension's own unit it is. A name with several senses has them all.
    "eur": (("eur", Decimal(1)),),
    "usd": (("usd", Decimal(1)),),
    "gbp": (("gbp", Decimal(1)),),
    "cent": (("eur", Decimal("0.01")), ("usd", Decimal("0.01"))),
    "us": ((_TIME, Decimal("0.000001")),),
    "ms": ((_TIME, Decimal("0.001")),),
    "s": ((_TIME, Decimal(1)),),
    "min": ((_TIME, Decimal(60)),),
    "h": ((_TIME, Decimal(3600)),),
    "day": ((_TIME, Decimal(86400)),),
    "week": ((_TIME, Decimal(604800)),),
    "month": (("months", Decimal(1)),),
    "year": (("months", Decimal(12)),),
    "decade": (("months", Decimal(120)),),
    "century": (("months", Decimal(1200)),),
    "b": ((_BYTES, Decimal(1)), ("", Decimal(10**9))),
    "kb": ((_BYTES, Decimal(1000)), (_BYTES, Decimal(1024))),
    "mb": ((_BYTES, Decimal(10**6)), (_BYTES, Decimal(1024**2))),
    "gb": ((_BYTES, Decimal(10**9)), (_BYTES, Decimal(1024**3))),
    "tb": ((_BYTES, Decimal(10**12)), (_BYTES, Decimal(1024**4))),
    "mg": (("mass", Decimal("0.001")),),
    "g": (("mass", Decimal(1)),),
    "kg": (("mass", Decimal(1000)),),
    "q": (("mass", Decimal(10**5)),),
    "t": (("mass", Decimal(10**6)),),
    "ml": (("volume", Decimal("0.001")),),
    "cl": (("volume", Decimal("0.01")),),
    "dl": (("volume", Decimal("0.1")),),
    "l": (("volume", Decimal(1)),),
    "hl": (("volume", Decimal(100)),),
    "mm": (("length", Decimal("0.001")),),
    "cm": (("length", Decimal("0.01")),),
    "m": (("length", Decimal(1)), ("", Decimal(10**6)), (_TIME, Decimal(60))),
    "km": (("length", Decimal(1000)),),
    "mile": (("miles", Decimal(1)),),
    "w": (("power", Decimal(1)),),
    "kw": (("power", Decimal(1000)),),
    "kwh": (("energy", Decimal(1)),),
    "hz": (("frequency", Decimal(1)),),
    "khz": (("frequency", Decimal(1000)),),
    "mhz": (("frequency", Decimal(10**6)),),
    "ghz": (("frequency", Decimal(10**9)),),
    "celsius": (("temperature", Decimal(1)),),
    "fahrenheit": (("fahrenheit", Decimal(1)),),
    "px": (("pixels", Decimal(1)),),
    "%": (("%", Decimal(1)),),
}
_DEGREES = ("gradi", "degree", "degrees", "grau", "graus")
_SYMBOLS = {
    "€": "eur",
    "eur": "eur",
    "$": "usd",
    "us$": "usd",
    "usd": "usd",
    "£": "gbp",
    "gbp": "gbp",
    "µs": "us",
    "sec": "s",
    "d": "day",
    "°c": "celsius",
    "°f": "fahrenheit",
    **{degrees + scale: scale for degrees in _DEGREES for scale in ("celsius", "fahrenheit")},
    "gib": "gb",
    "mib": "mb",
    "kib": "kb",
}
_ALONE = frozenset("hmsgklq€$£")
"""One letter that is a unit also with a space before it."""


PERCENT = _SENSES["%"]


def senses_of(name: str, *, glued: bool = True) -> Senses:
    """What the name of a unit means; nothing where it is none. A letter that is not glued to a figure is rarely one."""
    return _senses(name, glued=glued)


def named_unit(name: str) -> str:
    """The unit that a folded name stands for, or the name itself."""
    return _SYMBOLS.get(name, _unit_words().get(name, name))


def _senses(name: str, *, glued: bool) -> Senses:
    folded = fold(name).replace(" ", "")
    if not glued and len(folded) == 1 and folded not in _ALONE:
        return ()
    unit = _SYMBOLS.get(name.lower().replace(" ", ""), _SYMBOLS.get(folded, folded))
    if unit not in _SENSES:
        unit = _unit_words().get(folded, "")
    if unit in _SENSES:
        return _SENSES[unit]
    return ((unit, Decimal(1)),) if unit else ()


def unit_of(header: str) -> Senses:
    """What the one unit that a column's header names measures: "Durata (giorni)"; none where it names none, or two."""
    found = {name: senses for name in re.findall(r"[€$£%]|[^\W\d_]{2,}", header) if (senses := senses_of(name))}
    distinct = set(found.values())
    return distinct.pop() if len(distinct) == 1 else ()


@lru_cache(maxsize=1)
def _unit_words() -> dict[str, str]:
    """The words for units in all languages that are known: an answer may name them in another than the base's."""
    found: dict[str, str] = {}
    for code in known_languages():
        for unit, names in language(code).units.items():
            found |= {fold(name): unit for name in names.split()}
    return found
