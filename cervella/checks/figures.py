"""Figures and dates in a text, in any spelling: digits, words, half a date."""

from __future__ import annotations

import re
from collections.abc import Iterator

from cervella.checks.prose import Found, Prose, pattern_of
from cervella.text.language import Language, fold, words
from cervella.text.quantities import numbers

__all__ = ["figure_in", "written_figures"]

_ECHO = 4
"""A question of so few words («1.200? No») only repeats a figure."""

_LONGEST_WORD = 80
"""Letters of a figure in words."""


def figure_in(prose: Prose, term: str, anyhow: bool) -> Found | None:
    """Where a text gives a figure or a date (`1450`, `40 euro`, `17 aprile 2026`); not negated, unless `anyhow`."""
    date = prose.lang.find_dates(term)
    wanted = [] if date else numbers(term)
    unit = "" if date else fold(re.sub(r"[\d.,:\s'’%]+", " ", term)).strip()
    for sentence in prose.sentences:
        for match, there in _figures(prose, sentence.folded):
            same = there == date[0][2] if date else isinstance(there, frozenset) and bool(wanted and there & wanted[0])
            if not same or (unit and not pattern_of(unit + "*").search(sentence.folded[match.end() :][:30])):
                continue
            found = Found(sentence, match)
            if not anyhow and sentence.asks and len(words(sentence.folded)) <= _ECHO:
                continue
            if anyhow or not prose.negated(found):
                return found
    if date:  # «il 20 gennaio», the year left out
        day = next(iter(prose.lang.find_months(re.sub(r"\s+", " ", prose.lang.format_date(date[0][2])))), None)
        for sentence in prose.sentences:
            if day and not prose.lang.find_dates(sentence.folded):
                spelled = [name for name, value in prose.lang.numbers.items() if value == day[0]]
                days = [str(day[0]), f"0{day[0]}", *spelled]
                found_day = prose.lang.day_pattern(days, day[1]).search(sentence.folded)
                if found_day and (anyhow or not prose.negated(Found(sentence, found_day))):
                    return Found(sentence, found_day)
        if day and not any(prose.lang.find_months(s.folded) for s in prose.sentences):  # «il 17», no month at all
            alone = prose.rules.named("on_day", str(day[0]))
            return next((f for p in alone for f in prose.find(p) if anyhow or not prose.negated(f)), None)
    return None


def _figures(prose: Prose, text: str) -> Iterator[tuple[re.Match[str], frozenset[str] | str]]:
    taken = []
    for start, end, iso in prose.lang.find_dates(text):
        taken.append((start, end))
        match = re.compile(r".*", re.DOTALL).match(text, start, end)
        if match:
            yield match, iso
    token = re.compile(r"\d+(?:[.,:]\d+|[ '\u00a0\u202f]\d{3}(?!\d))*(?:\s?(?:k|mila|milion[ei]|mln|m)\b)?")
    for match in token.finditer(text):
        if not any(start <= match.start() < end for start, end in taken):
            for readings in numbers(match.group())[:1]:
                hours = {reading.split(":")[0] for reading in readings if reading.endswith(":00")}
                yield match, readings | hours
    for match, value in written_figures(text, prose.lang):
        yield match, frozenset({str(value)})


def written_figures(text: str, lang: Language) -> Iterator[tuple[re.Match[str], int]]:
    """The numbers that stand in words in a folded text, compounds too: `duemilacentottanta` is 2180."""
    for match in re.finditer(r"[a-z]+", text):
        if match.group() in lang.stop_words:
            continue
        value = _written(match.group(), lang)
        if value is not None:
            yield match, value


def _written(word: str, lang: Language) -> int | None:
    """The value of a word that is made of number words and of nothing else."""
    if word in lang.numbers:
        return lang.numbers[word]
    if len(word) > _LONGEST_WORD:
        return None
    total = part = 0
    rest = word
    while rest:
        if rest.startswith("mila"):
            total, part, rest = total + part * 1000, 0, rest[4:]
            continue
        for name in sorted(lang.numbers, key=len, reverse=True):
            value = lang.numbers[name]
            tens = value % 10 == 0 and 10 < value <= 100 and rest.startswith(name[:-1])  # «trentotto», «centottanta»
            if rest.startswith(name) or (tens and rest[len(name) - 1 : len(name)] in ("u", "o")):
                rest = rest[len(name) :] if rest.startswith(name) else rest[len(name) - 1 :]
                if value == 1000:
                    total, part = total + 1000 * (part or 1), 0
                else:
                    part = part * 100 if value == 100 and 1 < part < 10 else part + value
                break
        else:
            return None
    return total + part
