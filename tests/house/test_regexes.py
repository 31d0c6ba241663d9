"""No regular expression takes more than linear steps on a stranger's text, or its input has a bound.

Steps are counted on texts that are made from each pattern (`tests/fixtures/regex_steps.py`), without a clock.
"""

from __future__ import annotations

import re
import sys
from collections import Counter
from itertools import islice

import pytest

from tests.fixtures.regex_steps import SUPER_LINEAR, Steps, TooManyStepsError, attacks, growth
from tests.fixtures.regexes import Regex, regexes

PARTS = 6
BOUNDED = {
    # Where it is compiled: the characters of the longest text that it is given.
    "cervella.checks.reading.<genexpr>": 1_200,  # `prose._LONGEST_SENTENCE`
    "cervella.checks.reading.<dictcomp>": 1_200,
    "cervella.checks.reading._rules": 300,  # `prose._CLAUSE`
    "cervella.brains.http.chat_templates._EXCEPT": 80,
    "cervella.brains.http.refusals._COUNTS": 4_000,  # `refusals._READ_AT_MOST`
    "cervella.brains.http.refusals._QUOTED": 4_000,
    "cervella.claims.names._NO_NAME_BEFORE": 12,
    "cervella.knowledge.documents.dating.date_of": 255,  # the name of a file
    "cervella.knowledge.documents.footnotes._CLOSING": 12,
    "cervella.knowledge.documents.front_matter._SENTENCE": 500,
    "cervella.privacy.codes._WORDS": 80,  # `codes._BEFORE`
    "cervella.privacy.codes._coded": 90,  # `codes._BEFORE` and a number
    "cervella.privacy.file_names._JOINED": 64,  # the value of `file_names._after`
    "cervella.privacy.file_names._TELLING": 64,
    "cervella.privacy.names._WORD_BEFORE": 24,
    "cervella.privacy.vendors._shapes": 8_000,  # `redaction._WINDOW`
    # By their own repeats: longer texts than these are linear.
    "cervella.brains.http.chat_templates._JINJA": 400,
    "cervella.knowledge.documents.front_matter._PAIR": 400,
    "cervella.knowledge.documents.front_matter._TOML_PAIR": 400,
    "cervella.knowledge.documents.inline._TOKEN": 2_000,
    "cervella.text.language._abstains": 400,
    "cervella.knowledge.documents.replacing._LINK": 400,  # `replacing._LONGEST`
    "cervella.review.revision._clause": 2_000,  # `revision._MAX_ABSTENTION`
    "cervella.privacy.addresses._COMMANDS": 1_200,
    "cervella.privacy.addresses._WIFI": 1_200,
    "cervella.privacy.file_names._FILE": 400,
    "cervella.text.language._LAST_WORD": 24,  # `language._LONGEST_ABBREVIATION`
    # The owner's or the library's own texts.
    "cervella.knowledge.documents.patterns._BELOW": 255,
    "cervella.privacy.vendors._IN_OR_OUT": 200,  # a shape of vendors.toml
    "cervella.text.folding.phrase": 200,
}
"""The patterns that may take more than linear steps, because their input is short."""
MATCHED = {
    "cervella.knowledge.documents.flavours._BULLET",
    "cervella.knowledge.documents.front_matter._JSON_PAIR",
    "cervella.knowledge.documents.replacing._verb",
    "cervella.privacy.values._placeholder",
    "cervella.privacy.values._says",
    "cervella.privacy.values._statement",
    "cervella.text.identity._part",
    "cervella.text.language._abstains",
}
"""Patterns that are only tried at one place of a text, which the source does not show where they are compiled."""
ALIKE = 6
OF_DATA = {
    "cervella.checks.reading.<genexpr>",
    "cervella.checks.reading.<dictcomp>",
    "cervella.privacy.addresses._COMMANDS",
    "cervella.privacy.personal.<genexpr>",
    "cervella.privacy.vendors.<genexpr>",
    "cervella.privacy.vendors._shapes",
    "cervella.text.asking_words.pattern",
}
"""Where each pattern is another one, and not the same with other names."""
MOST_STEPS = 3_000_000


@pytest.fixture(autouse=True)
def deep() -> None:
    sys.setrecursionlimit(30_000)


def looked_at() -> list[Regex]:
    """All patterns, but of those that differ only in names, such as the persona's, the first ones."""
    found: list[Regex] = []
    made: Counter[str] = Counter()
    known: set[tuple[str, int, bool]] = set()
    for regex in dict.fromkeys(regexes()):
        if regex.where not in BOUNDED:  # equal patterns are judged once
            if regex[1:] in known:
                continue
            known.add(regex[1:])
        made[regex.where] += 1
        if made[regex.where] <= ALIKE or regex.where in OF_DATA:
            found.append(regex)
    return found


def judged(regex: Regex) -> str:
    """What is wrong with a pattern; empty if nothing is."""
    pattern = re.compile(regex.pattern, regex.flags)
    anchored = regex.anchored or regex.where in MATCHED
    ratio, attack = growth(pattern, anchored=anchored)
    if ratio <= SUPER_LINEAR:
        return ""
    if (bound := BOUNDED.get(regex.where)) is None:
        return f"{regex.where}: {regex.pattern[:120]!r} takes {ratio:.0f} times the steps for 4 times {attack[:60]!r}"
    steps = Steps(pattern)
    try:
        alike = (text for text in attacks(pattern, min(bound, 1_200)) if text[:20] == attack[:20])
        for text in islice(alike, ALIKE):
            steps.of(text, anchored=anchored, most=MOST_STEPS)
    except TooManyStepsError:
        return f"{regex.where}: {regex.pattern[:120]!r} takes too long for {attack[:60]!r}, up to its bound"
    return ""


@pytest.mark.parametrize("part", range(PARTS))
def test_a_pattern_takes_linear_steps_or_its_input_is_bounded(part: int) -> None:
    own = looked_at()
    assert len(own) > 500
    assert [fault for regex in own[part::PARTS] if (fault := judged(regex))] == []


def test_no_name_is_kept_for_a_pattern_that_is_gone() -> None:
    known = {regex.where for regex in regexes()}
    assert {*BOUNDED, *MATCHED, *OF_DATA} <= known


@pytest.mark.parametrize(
    ("pattern", "is_linear"),
    [
        (r"a+b", False),
        (r"(?<!a)a++b", True),
        (r"(?:a|a )*b", False),
        (r"(?:\w+\s?)*!", False),
        (r"\s*$", False),
        (r"[^\W_]+", True),
        (r"a{0,50}b", True),
        (r"<!--.*?-->", False),
        (r"«[^«»]{1,100}»", True),
        (r"(?P<q>['\"])[^'\"]*(?P=q)", True),
    ],
)
def test_the_counter_tells_linear_patterns_from_others(pattern: str, is_linear: bool) -> None:
    ratio, _ = growth(re.compile(pattern))
    assert (ratio <= SUPER_LINEAR) is is_linear


@pytest.mark.parametrize("pattern", [r"a+b", r"(?:ab?)*c", r"\s*$", r"(a|b)*?c", r"(?<!\d)\d++x", r"(?i)[a-c]{2,}\b"])
@pytest.mark.parametrize("text", ["aab ab c", "12x 3", "abcABC aa", ""])
def test_the_counter_finds_what_re_finds(pattern: str, text: str) -> None:
    compiled = re.compile(pattern)
    ends = [match.end() for match in compiled.finditer(text) if match.group()]
    assert Steps(compiled).ends(text) == ends
