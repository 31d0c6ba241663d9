"""Are these words and these numbers in the cited lines? Deterministic: no model is asked.

A text is cut into units: the sentences of its prose and lists, the rows of its tables, the lines of its fences and
boxes. A claim is held against the lines that it cites: every number and every date that it gives, and all words that
it puts in quotation marks, must stand there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import lru_cache

from cervella.language import Language, fold, words
from cervella.types import Passage

__all__ = ["Claim", "Unit", "best_unit", "numbers", "quotations", "supports", "units"]

_FENCE = re.compile(r"^\s{0,3}(`{3,}|~{3,})")
_RULE = re.compile(r"^[^\w]*$")
_TABLE_RULE = re.compile(r"^\s*\|?[\s:|+=-]+\|?\s*$")
_ITEM = re.compile(r"^\s*(?:>\s*)*(?:[-*+•]|\d{1,3}[.)])\s+(?:\[[ xX]\]\s+)?")
_HEADING = re.compile(r"^\s{0,3}#{1,6}\s+")
_QUOTE_MARK = re.compile(r"^\s*(?:>\s?)+")
_BOX_EDGE = re.compile(r"^[\s|│┃║+*]+|[\s|│┃║+*]+$")
_BOX = re.compile(r"[│┃║┌┐└┘├┤═─╔╗╚╝]|^\s*[|+].*[|+]\s*$")
_NUMBER = re.compile(
    r"(?:(?<![\w.,)%€$])[-−])?"  # a sign, where no range or name stands before it
    r"(?:\d{1,3}(?:[ \u00a0\u202f'’]\d{3})+(?![\d.,]*\d)|\d+(?:[.,:]\d+)*)"
    r"(?P<percent>\s?(?:%|per ?cento\b|percent\b|por cento\b))?"
)
_MULTIPLE = re.compile(r"\s?(k|mila|thousand|mil)\b|\s?(m|mln|milion[ei]|million|milhões|milhão)\b", re.IGNORECASE)
_SHORT_MULTIPLES = ("k", "m", "mil")  # may be a unit of measure, or stand in a table's header
_QUOTATION = re.compile(r"«([^«»]+)»|“([^“”]+)”|„([^„“”]+)[“”]|\"([^\"]{1,400})\"|‘([^‘’]+)’(?!\w)")
_ELLIPSIS = re.compile(r"\[\s*(?:…|\.{3})\s*\]|\(\s*(?:…|\.{3})\s*\)|…|\.{3}")
_ORDINAL = re.compile(r"^[ \t]*(?:>[ \t]*)*\d{1,3}[.)]\s+", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Unit:
    """A piece of a text that can be quoted: `text[start:end]`."""

    start: int
    end: int
    kind: str
    """`sentence`, `row`, `line` (of a fence or a box), `heading`."""
    block: int
    """Units of one paragraph, item, table or fence share a number."""


def units(text: str, lang: Language) -> list[Unit]:
    """The quotable pieces of a text, in order: sentences, table rows, lines of fences and boxes, headings.

    Each is a stretch of the text as it stands; markers of lists and quotes, ruled lines and box edges belong to none.
    """
    return list(_cached_units(text, lang))


@lru_cache(maxsize=512)
def _cached_units(text: str, lang: Language) -> tuple[Unit, ...]:
    return tuple(_units(text, lang))


def _units(text: str, lang: Language) -> Iterator[Unit]:
    fence: str | None = None
    block = 0
    paragraph: tuple[int, int] | None = None
    position = 0
    for line in text.split("\n"):
        start, end = position, position + len(line)
        position = end + 1
        opening = _FENCE.match(line)
        structural = (
            fence is not None
            or opening
            or _RULE.match(line)
            or _is_row(line)
            or _HEADING.match(line)
            or _ITEM.match(line)
        )
        if paragraph and structural:
            yield from _sentences(text, paragraph, lang, block)
            paragraph = None
        if structural:
            block += 0 if (fence is not None and not opening) else 1
        if opening and fence is None:
            fence = opening.group(1)
        elif opening and fence is not None and opening.group(1).startswith(fence) and not line.strip(" `~"):
            fence = None
        elif _RULE.match(line):
            continue
        elif fence is not None:
            yield _trimmed(text, start, end, "line", block)
        elif _is_row(line):
            block -= 1  # the rows of one table are one block
            if not _TABLE_RULE.match(line):
                yield _trimmed(text, start, end, "row" if line.lstrip().startswith("|") else "line", block)
        elif match := _HEADING.match(line):
            yield Unit(start + match.end(), start + len(line.rstrip(" #")), "heading", block)
        elif match := _ITEM.match(line):
            paragraph = (start + match.end(), end)
        elif paragraph:
            paragraph = (paragraph[0], end)
        else:
            block += 1
            quote = _QUOTE_MARK.match(line)
            paragraph = (start + (quote.end() if quote else 0), end)
    if paragraph:
        yield from _sentences(text, paragraph, lang, block)


def _is_row(line: str) -> bool:
    stripped = line.strip()
    return (stripped.startswith("|") and stripped.count("|") >= 2) or bool(_BOX.search(line))


def _trimmed(text: str, start: int, end: int, kind: str, block: int) -> Unit:
    """The unit of one line; of a box line, what stands between its edges; of a table row, the whole row."""
    line = text[start:end]
    if kind == "row":
        return Unit(start + len(line) - len(line.lstrip()), start + len(line.rstrip()), kind, block)
    inner = _BOX_EDGE.sub("", line) if _BOX.search(line) else line.strip()
    offset = line.find(inner)
    return Unit(start + offset, start + offset + len(inner), kind, block)


def _sentences(text: str, span: tuple[int, int], lang: Language, block: int) -> Iterator[Unit]:
    start, end = span
    for first, last in lang.sentences(text[start:end]):
        yield Unit(start + first, start + last, "sentence", block)


def numbers(text: str) -> list[frozenset[str]]:
    """The figures in a text, each as the set of its possible readings: `94.603` is one number here, another there.

    `95K` reads as 95 and as 95000, `95 mila` as 95000. Signs and percent signs are left out.

    >>> [sorted(n) for n in numbers("94.603 o 97,6 %")]
    [['94.603', '94603'], ['97.6']]
    """
    return [figure.readings for figure in _figures(text)]


@dataclass(frozen=True, slots=True)
class _Figure:
    """A number as it is written."""

    readings: frozenset[str]
    negative: bool = False
    percent: bool = False

    def asked(self) -> frozenset[str]:
        """What must be offered for a claim that gives this figure."""
        sign, unit = "-" if self.negative else "", "%" if self.percent else ""
        return frozenset(f"{sign}{reading}{unit}" for reading in self.readings)

    def offered(self) -> set[str]:
        """What a passage that holds it offers: less 5 is a 5 too; a bare 20 may stand in a column of percentages."""
        values = {f"{reading}%" for reading in self.readings}
        values |= set() if self.percent else self.readings
        return values | ({f"-{value}" for value in values} if self.negative else set())


def _figures(text: str, lang: Language | None = None) -> list[_Figure]:
    """The figures in a text; with a language also the words that stand for figures, and for nothing else."""
    found = []
    for match in _NUMBER.finditer(text):
        percent = match["percent"] or ""
        token = match.group().removesuffix(percent)
        readings = _readings(token.lstrip("-−"))
        multiple = _MULTIPLE.match(text, match.end())
        if multiple:
            factor = 1000 if multiple.group(1) else 1_000_000
            times = {_plain(Decimal(r) * factor) for r in readings if r.count(".") <= 1 and ":" not in r}
            short = multiple.group().strip().lower() in _SHORT_MULTIPLES
            readings = readings | times if short or not times else times
        found.append(_Figure(frozenset(readings), negative=token[0] in "-−", percent=bool(percent)))
    if lang is not None:  # "una" and "sei" are figures and other words too: what is a stop word counts for none
        known = (word for word in words(_NUMBER.sub(" ", text)) if word in lang.numbers and word not in lang.stop_words)
        found += [_Figure(frozenset({str(lang.numbers[word])})) for word in known]
    return found


def _readings(token: str) -> set[str]:
    if ":" in token:
        return {token}
    separators = re.sub(r"\d", "", token)
    if not separators:
        return {_plain(Decimal(token))}
    if not separators.strip(" \u00a0\u202f'’"):  # 12 345 and 12'345
        return {_plain(Decimal(re.sub(r"\D", "", token)))}
    if len(set(separators)) > 1:  # 1.234,56 or 1,234.56: the last separator is the decimal one
        whole, _, cents = token.rpartition(separators[-1])
        return {_plain(Decimal(re.sub(r"\D", "", whole) + "." + cents))}
    groups = re.split(r"[.,]", token)
    thousands = 1 <= len(groups[0]) <= 3 and groups[0] != "0" and all(len(group) == 3 for group in groups[1:])
    readings = {_plain(Decimal("".join(groups)))} if thousands else set()
    if len(groups) == 2:
        # Where both readings are possible the decimal one keeps its zeros: 3.000 may be 3000, but it is no 3.
        readings.add(".".join(groups) if thousands else _plain(Decimal(".".join(groups))))
        if len(groups[0]) <= 2 and len(groups[1]) == 2:
            readings.add(":".join(groups))  # 14.30 may be a time
    elif not thousands:
        readings.add(".".join(groups))  # a version, or a date: compared as written
    return readings


def _plain(value: Decimal) -> str:
    digits = format(value, "f")  # exact, however long: `normalize` would round to the context's precision
    return digits.rstrip("0").rstrip(".") if "." in digits else digits


def quotations(text: str) -> list[str]:
    """What a text puts in quotation marks (« », “ ”, " "), cut at each ellipsis.

    >>> quotations('Dice «mancano i test […] di carico».')
    ['mancano i test', 'di carico']
    """
    quoted = [next(group for group in match.groups() if group is not None) for match in _QUOTATION.finditer(text)]
    pieces = [piece for quote in quoted for piece in _ELLIPSIS.split(quote)]
    return [piece.strip() for piece in pieces if _normal(piece)]


def _normal(text: str) -> str:
    """Folded words alone: no emphasis, no punctuation but inside figures, one space between; `24GB` is `24 GB`."""
    text = fold(text)
    text = re.sub(r"\]\([^()\s]*\)", "]", text)  # where a link leads is not among its words
    text = re.sub(r"(?<=\d)(?=[^\W\d_])", " ", re.sub(r"[–—−]", "-", text))
    text = re.sub(r"[^\w%€$£+.,:\-/]|_", " ", text)
    text = re.sub(r"(?<!\d)[.,:]|[.,:](?!\d)|\s-\s|(?<=\d)\s+(?=%)", lambda found: "-" if "-" in found[0] else "", text)
    return " ".join(text.split())


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an answer says with one mark, or one group of marks."""

    text: str
    """The words, without the marks."""
    group: tuple[str, ...]
    """All the marks that stand behind it together."""


@dataclass(frozen=True)
class _Facts:
    """What a passage offers to hold a claim against."""

    values: frozenset[str]
    dates: frozenset[str]
    months: frozenset[int]
    words: str
    stems: frozenset[str]


@lru_cache(maxsize=128)
def _facts(passage: Passage, lang: Language) -> _Facts:
    # The date is shown with the passage, and the header of a split table belongs to its rows: both may be told.
    shown = f"{passage.lead}\n{passage.text}"
    dates = {iso for _, _, iso in lang.find_dates(shown)} | ({passage.date} if passage.date else set())
    months = {month for _, month in lang.find_months(shown)} | {int(iso[5:7]) for iso in dates}
    figures = _figures(f"{shown}\n{(passage.date or '')[:4]}", lang)  # of the document's date, the year stands alone
    return _Facts(
        values=frozenset(value for figure in figures for value in figure.offered()),
        dates=frozenset(dates),
        months=frozenset(months),
        words=_normal(passage.text),
        stems=frozenset(lang.stems(f"{passage.path} {shown}")),
    )


def supports(claim: str, passages: Sequence[Passage], lang: Language, *, mark: int = 0) -> bool:
    """Whether `passages[mark]` supports a claim that cites all of `passages` together.

    Every number, date and quoted phrase of the claim must stand in the passages; where there are any, at least one in
    `passages[mark]`. A claim without such facts must share at least one content word with it, unless it has none.
    """
    claim = _without_places(_ORDINAL.sub("", claim), passages)
    dates = lang.find_dates(claim)
    rest = list(claim)
    for start, end, _ in dates:
        rest[start:end] = " " * (end - start)
    offered = [_facts(passage, lang) for passage in passages]
    own = offered[mark]

    figures = [figure.asked() for figure in _figures("".join(rest), lang)]
    holders: list[list[_Facts]] = [[f for f in offered if iso in f.dates] for _, _, iso in dates]
    for day, month in lang.find_months("".join(rest)):  # "20 gennaio", "gennaio 2026", "a gennaio"
        whole = [f for f in offered if any(iso.endswith(f"-{month:02}-{day or 0:02}") for iso in f.dates)]
        holders.append(whole or [f for f in offered if month in f.months])
        if whole and frozenset({str(day)}) in figures:
            figures.remove(frozenset({str(day)}))  # the day of a date that is there, in whatever spelling
    holders += [[f for f in offered if readings & f.values] for readings in figures]
    holders += [[f for f in offered if _stands(_normal(quote), f.words)] for quote in quotations(claim)]
    if holders:
        return all(holders) and any(any(f is own for f in holder) for holder in holders)
    stems = frozenset(lang.stems(claim))
    return not stems or bool(stems & own.stems)


def _without_places(claim: str, passages: Sequence[Passage]) -> str:
    """The claim without the files and lines that it names: they are shown beside the marks, not in the lines."""
    for passage in passages:
        name = passage.path.rsplit("/", 1)[-1]
        places = [passage.path, name] + ([name.removesuffix(".md")] if re.search(r"\d", name) else [])
        claim = re.sub(rf"(?<![\w/])(?:{'|'.join(map(re.escape, places))})(?![\w/])", " ", claim)
        span = rf"{passage.start_line}\s*[-–]\s*{passage.end_line}"
        claim = re.sub(rf"(?i)(?:\b(?:righ[ae]|linhas?|lines?)\s+|:){span}\b", " ", claim)
    return claim


def _stands(quote: str, words: str) -> bool:
    """Whether the words of a quote stand there as whole words."""
    return re.search(rf"(?<!\w){re.escape(quote)}(?!\w)", words) is not None


def best_unit(claims: Iterable[str], passage: Passage, lang: Language) -> str:
    """The sentence or row of a passage that fits the claims best, verbatim; its first one where nothing fits."""
    wanted = " ".join(claims)
    stems = set(lang.stems(wanted))
    values = {reading for figure in numbers(wanted) for reading in figure}
    quoted = [_normal(quote) for quote in quotations(wanted)]
    best, best_score = "", -1.0
    for unit in units(passage.text, lang):
        text = passage.text[unit.start : unit.end]
        own = set(lang.stems(text))
        score = len(stems & own) + 2.0 * sum(bool(figure & values) for figure in set(numbers(text)))
        score += sum(3.0 + len(quote) / 50 for quote in quoted if quote in _normal(text) or _normal(text) in quote)
        score -= 0.01 * len(own) + (0.5 if unit.kind == "heading" else 0.0)
        if score > best_score and text.strip():
            best, best_score = text, score
    return best or passage.text.strip()
