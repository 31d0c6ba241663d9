"""Checks the content of a text: words, patterns, language, facts, similarity, the verdict of a judge."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from cervella.checks.check import Checked, Context, Outcome
from cervella.checks.prose import Found, Prose, pattern_of
from cervella.text.language import fold, words
from cervella.text.reading import ReadText

_ECHO = 4
"""Maximum number of words of a question that only repeats a figure («1.200? No»)."""
_LONGEST_UNIT = 30
"""Characters after the start of a figure in which its unit must follow."""
_ALL = re.compile(r".*", re.DOTALL)


def groups(terms: Any) -> list[list[str]]:
    """The terms of a check as groups: a text needs only one term of a group. A term alone is a group of one."""
    if isinstance(terms, str):
        return [[terms]]
    return [[term] if isinstance(term, str) else list(term) for term in terms]


def flat(terms: Any) -> list[str]:
    """The terms of a check as one list, without their groups."""
    return [term for group in groups(terms) for term in group]


def any_asserted(prose: Prose, terms: Any, *, anyhow: bool = False) -> Found | None:
    """What `asserted` finds for the first of several terms that the text asserts. None if it asserts none of them."""
    return next((found for term in flat(terms) if (found := asserted(prose, term, anyhow=anyhow))), None)


def asserted(prose: Prose, term: str, *, anyhow: bool = False) -> Found | None:
    """The first place in a text that asserts a term. None if there is none.

    A term is a word or phrase, `word*`, `~word` for all words of its stem, a figure or a date. With `anyhow` an
    occurrence counts also where it is quoted, negated or reported.
    """
    if term.startswith("~"):
        pattern = _stem_pattern(prose, term[1:])
    elif re.search(r"\d", term) and not term.endswith("*"):
        return next((f for f in _figures(prose, term, anyhow) if anyhow or not prose.negated(f)), None)
    else:
        pattern = pattern_of(term)
    if anyhow:
        return next(prose.find(pattern, quoted=True), None)
    found = prose.said(pattern)
    if found is None:  # facts are often given as quotations: «"il lancio è il 20"», dice il verbale
        quoted = (f for f in prose.find(pattern, quoted=True) if all(f.sentence.quoted[slice(*f.match.span())]))
        found = next((f for f in quoted if not prose.negated(f)), None)
    return found


def _figures(prose: Prose, term: str, anyhow: bool) -> Iterator[Found]:
    """Occurrences of a figure or a date (`1450`, `40 euro`, `17 aprile 2026`), in any spelling."""
    wanted = ReadText(term, prose.lang)
    date = next((iso for _, _, iso in wanted.date_spans), None)
    readings = wanted.figures[0].readings if wanted.figures else frozenset()
    unit = re.sub(r"[\d.,:\s'’%]+", " ", term).strip()
    named = pattern_of(unit + "*") if unit else _ALL
    for sentence, read in zip(prose.sentences, prose.read, strict=True):
        if not anyhow and sentence.asks and len(words(sentence.folded)) <= _ECHO:
            continue
        if date:
            spans = [(start, end) for start, end, iso in read.date_spans if iso == date]
        else:
            given = [(one, {reading.removesuffix(":00") for reading in one.readings}) for one in read.undated]
            spans = [(one.start, one.end) for one, hours in given if readings & (one.readings | hours)]
            spans = [(a, b) for a, b in spans if named.search(sentence.folded[a : b + _LONGEST_UNIT])]
        yield from (Found(sentence, match) for a, b in spans if (match := _ALL.match(sentence.folded, a, b)))
    if date:
        yield from _days(prose, date)


def _days(prose: Prose, iso: str) -> Iterator[Found]:
    """Occurrences of a date without its year («il 20 gennaio»); if the text names no month, also of its day alone («il
    17»)."""
    month, day = int(iso[5:7]), int(iso[8:])
    for sentence, read in zip(prose.sentences, prose.read, strict=True):
        named = [one for one in read.found_dates if (one.day, one.month) == (day, month)]
        if not read.date_spans:
            yield from (
                Found(sentence, match) for one in named if (match := _ALL.match(sentence.folded, one.start, one.end))
            )
    if not any(read.months for read in prose.read):
        yield from prose.find(*prose.rules.named("on_day", str(day)))


def _stem_pattern(prose: Prose, word: str) -> re.Pattern[str]:
    wanted = set(prose.lang.stems(word)) or {fold(word)}
    terms = [term for term in words(word) if term not in prose.lang.stop_words]
    said = {one for sentence in prose.sentences for one in words(sentence.folded)}
    same = sorted(one for one in said if set(prose.lang.stems(one)) & wanted or any(_akin(one, term) for term in terms))
    return re.compile(r"(?<![^\W_])(?:" + "|".join(map(re.escape, same)) + r")(?![^\W_])" if same else r"(?!)")


def _akin(one: str, other: str) -> bool:
    """Whether two words begin with the same letters, at least five: `ragiono` and `ragionare`, `liberi` and
    `libertà`."""
    same = next((n for n, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))
    return same >= 5 and same >= 0.6 * len(other)


def states(prose: Prose, terms: Any, *, anyhow: bool = False) -> tuple[bool, str]:
    """Whether the text asserts at least one term of each group. The second value names the groups that are missing.

    With `anyhow`, a term that is quoted, negated or reported counts too.
    """
    missing = [group for group in groups(terms) if not any_asserted(prose, group, anyhow=anyhow)]
    return not missing, "" if not missing else "missing: " + "; ".join(" / ".join(group) for group in missing)


def _contains_all(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    return states(prose, args["terms"], anyhow=bool(args.get("anyhow")))


def _contains_any(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    found = any_asserted(prose, args["terms"], anyhow=bool(args.get("anyhow")))
    return (True, found.shown) if found else (False, f"none of: {', '.join(flat(args['terms']))}")


def _contains_some(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """At least `at_least` of the terms are asserted; all by default."""
    wanted = groups(args["terms"])
    there = [group for group in wanted if any_asserted(prose, group)]
    least = int(args.get("at_least", len(wanted)))
    return len(there) >= least, f"{len(there)} of {len(wanted)}, at least {least}"


def _not_contains(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The text asserts none of the terms; quoted, negated or reported they are allowed."""
    anyhow, terms = bool(args.get("anyhow")), flat(args["terms"])
    found = any_asserted(prose, terms, anyhow=True) if anyhow else prose.said(*map(pattern_of, terms))
    return found is None, f"says: {found.shown}" if found else ""


def _regex(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    found = re.search(args["pattern"], fold(prose.text))
    return bool(found), found.group()[:80] if found else "no match"


def _not_regex(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    passed, detail = _regex(args, prose, context)
    return not passed, detail if passed else ""


def _language(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The text is not certainly in another language than `code`, by default the persona's. Code and quotations do not
    count."""
    from cervella.text.detection import foreign_language

    found = foreign_language(prose.plain, [args.get("code", context.language)])
    return found is None, "" if found is None else f"reads as {found}"


def _fact(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The text asserts a value of every group in `values` and none of `wrong`, in any spelling."""
    if found := any_asserted(prose, args.get("wrong", ())):
        return False, f"says: {found.shown}"
    return states(prose, args["values"])


def _similar(args: Mapping[str, Any], prose: Prose, context: Context) -> Checked:
    """The cosine similarity of the text with one of `texts` is at least `at_least`.

    If `embedder` is given, the check is scored only with the embedder of that name or fingerprint.
    """
    embedder = context.embedder
    pinned = args.get("embedder")
    if embedder is None or (pinned and pinned not in (embedder.fingerprint, embedder.name)):
        why = "no embedder" if embedder is None else f"the embedder is {embedder.name!r}, pinned is {pinned!r}"
        return Checked(kind="similar", passed=None, how="embedder", detail=why)
    texts = flat(args["texts"])
    vectors = embedder.embed_passages([prose.text, *texts])
    best = float(max(vectors[1:] @ vectors[0]))
    least = float(args["at_least"])
    return Checked(
        kind="similar", passed=best >= least, how="embedder", detail=f"cosine {best:.3f}, at least {least:g}"
    )


def _judge(args: Mapping[str, Any], prose: Prose, context: Context) -> Checked:
    """The verdict of a judge brain on `rubric`; not scored without a judge."""
    verdict = context.judge(str(args["rubric"]), prose.text) if context.judge is not None else None
    why = "no judge" if context.judge is None else "" if verdict is not None else "the judge gave no verdict"
    return Checked(kind="judge", passed=verdict, how="judge", detail=why)


KINDS = {
    "contains_all": _contains_all,
    "contains_any": _contains_any,
    "contains_some": _contains_some,
    "not_contains": _not_contains,
    "regex": _regex,
    "not_regex": _not_regex,
    "language": _language,
    "fact": _fact,
    "similar": _similar,
    "judge": _judge,
}
