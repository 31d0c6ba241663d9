"""Does a claim stand in the lines that it cites? Deterministic: no model is asked.

`findings` says what of a claim does not: a figure, a date or a unit that the lines do not give, words in quotation
marks that they do not have, a figure that stands there for something else, another source that fits better.
`supports` is the short answer: every number and date of the claim, and all words that it puts in quotation marks, must
stand in the lines.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal, TypeAlias

from cervella.claims.arithmetic import counted, reckoned, rounded
from cervella.claims.evidence import Line, Scale, Source, about_of, negated, source_of
from cervella.claims.misplaced import Fact, best_line, meant_line
from cervella.claims.names import codes, is_known, names
from cervella.text.detection import language_of
from cervella.text.language import Language
from cervella.text.quantities import Quantity, numbers, quantities, same_unit
from cervella.text.sentences import Unit, normal, quotations, stands, units
from cervella.types import Passage

__all__ = [
    "Claim",
    "Finding",
    "FindingKind",
    "Unit",
    "best_unit",
    "findings",
    "numbers",
    "quotations",
    "supports",
    "units",
]

FindingKind: TypeAlias = Literal[
    "figure", "date", "unit", "quote", "row", "name", "source", "words", "negation", "unread"
]
"""What is wrong with a claim:

- `figure`, `date`, `quote`, `name`: the lines do not give it; `unit`: they give the figure with another unit;
- `row`: the figure or date stands there, but for something else;
- `source`: the lines say little of it, and those of another source most;
- `words`: the claim and the lines have no word in common;
- `negation`: the lines say the same without the "not", or with one;
- `unread`: the claim is too long, and its end was not looked at.
"""
_SOURCE_COVER, _SOURCE_MARGIN = 0.4, 0.22
"""How much of a claim another passage has to have to be its source, and how much more than the cited one."""
_SAME_WORDS = 0.75
"""How much of a claim and of a line the other has to have, for a "not" in one of them to be a contradiction."""
_FEWEST_WORDS, _FEWEST_OF_A_CLAUSE, _NEAREST = 4, 2, 6
_DAY_AND_MONTH = re.compile(r"(?<![\w/.,])(\d{1,2})/(\d{1,2})(?![\w/]|[.,]\d)")
_LONGEST_CLAIM, _MOST_FACTS = 6_000, 120
"""Characters, and figures, dates and quotations, of one claim that are looked at: of a longer one the rest is not."""
_LONGEST_GIVEN, _MOST_QUOTES, _SHOWN = 30_000, 50, 80
"""Characters of the question with the earlier turns; quotations that choose a quote; characters of a claim shown."""
_ORDINAL = re.compile(r"^[ \t]*(?:>[ \t]*)*\d{1,3}[.)]\s+", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What an answer says with one mark, or one group of marks."""

    text: str
    """The words, without the marks."""
    group: tuple[str, ...]
    """All the marks that stand behind it together."""
    whole: bool = True
    """Whether the words are all there; the first ones of a very long block are left out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that a claim says and its lines do not."""

    kind: FindingKind
    text: str
    """The words of the claim that it is about."""
    nearest: str = ""
    """The line that comes nearest, verbatim; empty where none does."""
    elsewhere: tuple[int, ...] = ()
    """The numbers of the `others` in which it stands."""


def _fitting(
    figure: Quantity, found: Sequence[tuple[int, Line, Quantity]], about: frozenset[str]
) -> list[tuple[int, Line]]:
    """Of the places that give a figure's value those that give it in its unit, or in none that anybody knows."""
    fitting = [(n, line, told) for n, line, told in found if same_unit(figure, told)]
    if not figure.senses or len(fitting) == len(found) or any(told.senses for _, _, told in fitting):
        measured = [(n, line) for n, line, told in fitting if told.senses]
        return measured if figure.senses and measured else [(n, line) for n, line, _ in fitting]
    # A bare 5 somewhere is no "5 secondi" where the line that is meant says "5 min".
    meant = max(len(about & line.stems) for _, line, told in found if not same_unit(figure, told))
    return [(n, line) for n, line, _ in fitting if len(about & line.stems) > meant]


def _facts(claim: str, sources: Sequence[Source], lang: Language, spoken: Language) -> list[Fact]:
    """What of a claim can be held against the lines word by word."""
    dates = spoken.find_dates(claim)
    rest = list(claim)
    for start, end, _ in dates:
        rest[start:end] = " " * (end - start)
    left = "".join(rest)
    figures = quantities(left, spoken)
    about = about_of(claim, lang)
    facts = []
    for match in _DAY_AND_MONTH.finditer(left):  # a fraction or a mark, "9/10", but where the lines have that day
        named = f"{int(match[2]):02}-{int(match[1]):02}"
        holders = tuple(n for n, source in enumerate(sources) if any(named in line.days for line in source.lines))
        if holders:
            lines = tuple(line for n in holders for line in sources[n].lines if named in line.days)
            facts.append(Fact("date", match.group(), holders, lines, day=named))
            figures = [figure for figure in figures if not match.start() <= figure.start < match.end()]
    for start, end, iso in dates:
        holders = tuple(n for n, source in enumerate(sources) if iso in source.dates)
        lines = tuple(line for n in holders for line in sources[n].lines if iso in line.dates)
        facts.append(Fact("date", claim[start:end], holders, lines, iso=iso, day=iso[5:]))
    for day, month in spoken.find_months(left):  # "20 gennaio", "gennaio 2026", "a gennaio"
        ending = f"-{month:02}-{day or 0:02}"
        whole = tuple(n for n, s in enumerate(sources) if any(iso.endswith(ending) for iso in s.dates))
        holders = whole or tuple(n for n, source in enumerate(sources) if month in source.months)
        name = spoken.months[month - 1]
        named = f"{month:02}-{day:02}" if day else ""
        lines = tuple(line for n in holders for line in sources[n].lines if named in line.days) if whole or day else ()
        facts.append(Fact("date", f"{day} {name}" if day else name, holders, lines, day=named))
        if whole:  # the day of a date that is there, in whatever spelling
            same = next((f for f in figures if f.readings == {str(day)} and not f.senses), None)
            figures = [figure for figure in figures if figure is not same]
    for figure in figures:
        found = [(n, line, told) for n, source in enumerate(sources) for line, told in source.told(figure)]
        fitting = _fitting(figure, found, about)
        facts.append(
            Fact(
                "figure",
                claim[figure.start : figure.end].strip(),
                tuple(dict.fromkeys(n for n, _ in fitting)),
                tuple(line for _, line in fitting),
                figure=figure,
                unit_only=bool(found) and not fitting,
            )
        )
    for quote in quotations(claim):
        holders = tuple(n for n, source in enumerate(sources) if stands(normal(quote), source.words))
        facts.append(Fact("quote", quote, holders))
    return facts


def supports(claim: str, passages: Sequence[Passage], lang: Language, *, mark: int = 0) -> bool | None:
    """Whether `passages[mark]` supports a claim that cites all of `passages` together; None where the claim is too
    long to be looked at whole, and what was looked at stands.

    Every number, date and quoted phrase of the claim must stand in the passages; where there are any, at least one in
    `passages[mark]`. A claim without such facts must share at least one content word with it, unless it has none.
    """
    claim, whole = _looked_at(claim)
    claim = _without_places(_ORDINAL.sub("", claim), passages)
    sources = [source_of(passage, lang) for passage in passages]
    facts = _facts(claim, sources, lang, lang)
    if len(facts) > _MOST_FACTS:
        facts, whole = facts[:_MOST_FACTS], False
    if not all(fact.holders for fact in facts):
        return False
    if not whole:
        return None
    if facts:
        return any(mark in fact.holders for fact in facts)
    stems = frozenset(lang.stems(claim))
    return not stems or bool(stems & sources[mark].stems)


def _looked_at(claim: str) -> tuple[str, bool]:
    """As much of a claim as is looked at, and whether that is all of it."""
    return (claim, True) if len(claim) <= _LONGEST_CLAIM else (claim[:_LONGEST_CLAIM], False)


def findings(
    claim: str,
    passages: Sequence[Passage],
    lang: Language,
    *,
    others: Sequence[Passage] = (),
    given: str = "",
) -> list[Finding]:
    """What a claim says that the passages which it cites, all together, do not.

    `others` are the passages that were shown and are not cited here: what stands in one of them tells a swapped source
    from an invention. `given` is what the claim may repeat without a source: the question, today's date. A claim in
    another language than the base's is held to its figures, dates and quotations alone.

    >>> from cervella.text.language import language
    >>> lines = Passage(id="1", path="a.md", text="La prova dura 3 giorni.", start_line=1, end_line=1)
    >>> [(f.kind, f.text) for f in findings("La prova dura 3 ore", [lines], language("it"))]
    [('unit', '3 ore')]
    """
    written = claim
    claim, whole = _looked_at(claim)
    claim = _without_places(_ORDINAL.sub("", claim), passages)
    spoken = language_of(claim, lang)
    sources = [source_of(passage, lang) for passage in passages]
    beside = [source_of(passage, lang) for passage in others]
    scale = Scale([*sources, *beside])
    about = about_of(claim, lang)
    best = best_line(about, sources, scale)
    allowed = source_of(Passage(id="", path="", text=given[:_LONGEST_GIVEN], start_line=1, end_line=1), spoken)
    found: list[Finding] = []
    facts = _facts(claim, sources, lang, spoken)
    if len(facts) > _MOST_FACTS:
        facts, whole = facts[:_MOST_FACTS], False
    if not whole:
        found.append(Finding(kind="unread", text=written.strip()[:_SHOWN]))
    holding = cache(lambda n: _held(claim, beside[n], lang, spoken))
    told = [fact.figure for fact in facts if fact.figure is not None and fact.holders]
    for fact in facts:
        if fact.holders:
            line = meant_line(fact, claim, facts, sources, scale, lang) if spoken is lang else None
            if line is not None and not _follows(fact, claim, told, sources, lang, spoken, given):
                found.append(Finding(kind="row", text=fact.text, nearest=line.text))
        elif not _allowed(fact, allowed, spoken) and not _follows(fact, claim, told, sources, lang, spoken, given):
            kind: FindingKind = "unit" if fact.unit_only else fact.kind
            found.append(
                Finding(
                    kind=kind,
                    text=fact.text,
                    nearest=best.text if best is not None else "",
                    elsewhere=tuple(n for n in range(len(beside)) if (fact.kind, fact.text) in holding(n)),
                )
            )
    if spoken is not lang:
        return found
    nearest = best.text if best is not None else ""
    measured = " ".join(fact.text for fact in facts if fact.figure is not None and fact.figure.senses)
    for name in (*names(claim, lang), *codes(claim)):
        if name not in measured and not is_known(name, [*sources, allowed]):
            elsewhere = tuple(n for n, source in enumerate(beside) if is_known(name, [source]))
            found.append(Finding(kind="name", text=name, nearest=nearest, elsewhere=elsewhere))
    found += _of_the_words(claim, about, sources, beside, scale, lang, best, bool(told or found))
    return found


def _allowed(fact: Fact, allowed: Source, spoken: Language) -> bool:
    """Whether the question gives it already."""
    if fact.figure is not None:
        return any(same_unit(fact.figure, told) for _, told in allowed.told(fact.figure))
    if fact.kind == "quote":
        return stands(normal(fact.text), allowed.words)
    if fact.iso:
        return fact.iso in allowed.dates
    return any(month in allowed.months for _, month in spoken.find_months(f"{fact.text} 1"))


def _follows(
    fact: Fact,
    claim: str,
    told: Sequence[Quantity],
    sources: Sequence[Source],
    lang: Language,
    spoken: Language,
    given: str,
) -> bool:
    """Whether a figure that the lines do not give follows from those that they do."""
    figure = fact.figure
    if figure is None or fact.unit_only:
        return False
    about = about_of(claim, lang)
    shares = [(len(about & (line.stems | line.near)), line) for source in sources for line in source.lines]
    most = max((share for share, _ in shares), default=0)
    near = [quantity for share, line in shares if 2 * share >= most for quantity in line.quantities]
    lines = sorted(
        (line for source in sources for line in source.lines if about & line.stems and line.quantities),
        key=lambda line: -len(about & line.stems),
    )[:_NEAREST]
    told = [*told, *(other for other in quantities(given, spoken) if other.senses)]
    return (
        rounded(figure, claim, near, spoken)
        or counted(figure, claim, sources, lang)
        or reckoned(figure, claim, told, lines, sources, spoken)
    )


def _held(claim: str, source: Source, lang: Language, spoken: Language) -> frozenset[tuple[str, str]]:
    """What of a claim another passage gives, by kind and words."""
    return frozenset((fact.kind, fact.text) for fact in _facts(claim, [source], lang, spoken) if fact.holders)


def _of_the_words(
    claim: str,
    about: frozenset[str],
    sources: Sequence[Source],
    beside: Sequence[Source],
    scale: Scale,
    lang: Language,
    best: Line | None,
    has_facts: bool,
) -> Iterator[Finding]:
    """Whether the words of a claim are those of its lines at all, or of another passage, or say the contrary."""
    if not about or not sources:
        return
    own = max(scale.passage_cover(about, source) for source in sources)
    window = max(scale.window_cover(about, source) for source in sources)
    nearest = best.text if best is not None else ""
    elsewhere = [
        n
        for n, source in enumerate(beside)
        if (there := scale.window_cover(about, source)) >= _SOURCE_COVER and there - window >= _SOURCE_MARGIN
    ]
    if elsewhere and len(about) >= _FEWEST_WORDS:
        yield Finding(kind="source", text=claim.strip(), nearest=nearest, elsewhere=tuple(elsewhere))
    elif not own and not has_facts and len(about) >= _FEWEST_OF_A_CLAUSE:
        yield Finding(kind="words", text=claim.strip(), nearest=nearest)
    if (
        best is not None
        and best.kind == "sentence"
        and scale.cover(about, best) >= _SAME_WORDS
        and len(about) >= _FEWEST_WORDS - 1
    ):
        back = scale.weight(best.about & about) / (scale.weight(best.about) or 1.0)
        if back >= _SAME_WORDS and negated(claim, lang) != negated(best.text, lang):
            yield Finding(kind="negation", text=claim.strip(), nearest=nearest)


def _without_places(claim: str, passages: Sequence[Passage]) -> str:
    """The claim without the files and lines that it names: they are shown beside the marks, not in the lines."""
    for passage in passages:
        name = passage.path.rsplit("/", 1)[-1]
        places = [passage.path, name] + ([name.removesuffix(".md")] if re.search(r"\d", name) else [])
        claim = re.sub(rf"(?<![\w/])(?:{'|'.join(map(re.escape, places))})(?![\w/])", " ", claim)
        span = rf"{passage.start_line}\s*[-–]\s*{passage.end_line}"
        claim = re.sub(rf"(?i)(?:\b(?:righ[ae]|linhas?|lines?)\s+|:){span}\b", " ", claim)
    return claim


def best_unit(claims: Iterable[str], passage: Passage, lang: Language) -> str:
    """The sentence or row of a passage that fits the claims best, verbatim; its first one where nothing fits."""
    wanted = " ".join(claims)[:_LONGEST_CLAIM]
    stems = set(lang.stems(wanted))
    values = {reading for figure in numbers(wanted) for reading in figure}
    quoted = [normal(quote) for quote in quotations(wanted)[:_MOST_QUOTES]]
    best, best_score = "", -1.0
    for unit in units(passage.text, lang):
        text = passage.text[unit.start : unit.end]
        own, plain = set(lang.stems(text)), normal(text) if quoted else ""
        score = len(stems & own) + 2.0 * sum(bool(figure & values) for figure in set(numbers(text)))
        score += sum(3.0 + len(quote) / 50 for quote in quoted if quote in plain or plain in quote)
        score -= 0.01 * len(own) + (0.5 if unit.kind == "heading" else 0.0)
        if score > best_score and text.strip():
            best, best_score = text, score
    return best or passage.text.strip()
