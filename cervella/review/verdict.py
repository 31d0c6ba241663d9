"""Checks an answer without a model: compares it with its sources and with the rules of the soul.

The score, 0 to 10, is the weighted mean of four criteria, `WEIGHTS`. A criterion without a serious issue gets 10. With
one, it gets 5 times the share of the claims that have none. With the default threshold of 9, one serious issue of
`facts`, `sources` or `soul` is enough to refuse an answer.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace

from cervella.checks import MOST_CHARACTERS
from cervella.checks.check import PersonaTraits
from cervella.claims.citations import claims_of, looked_at
from cervella.claims.grounding import Claim, Finding, findings
from cervella.prompt.layout import FoundMark, find_marks, strip_marks
from cervella.review.persona import SOUL_KINDS, soul_issues
from cervella.text.detection import language_of
from cervella.text.language import Language
from cervella.text.sentences import quotables
from cervella.types import Passage
from cervella.types.verdict import UNEXPECTED_ERROR, ReviewIssue, ReviewVerdict

THRESHOLD = 9.0
"""Default minimum score, 0 to 10, of an approved answer."""
_MAX_CLAIMS, _MAX_CHARACTERS = 250, 30_000
"""Maximum number of claims that are compared with the passages, and of their characters together. The limits apply once
to the claims with a citation mark and once to those without."""
_SHOWN, _MAX_SEARCHED = 80, 200_000
"""Characters of an unchecked claim that its issue shows. Characters of all claims with a citation mark, together, in
which `_unmarked` looks for a sentence."""
WEIGHTS = {"facts": 0.4, "sources": 0.3, "soul": 0.2, "form": 0.1}
"""The weight of each criterion in the score."""
ISSUE_KINDS = {
    # Kind: criterion, problem.
    "figure": ("facts", "The cited lines do not give this figure."),
    "date": ("facts", "The cited lines do not give this date."),
    "unit": ("facts", "The cited lines give this figure with another unit."),
    "quote": ("facts", "The cited lines do not contain this quotation word for word."),
    "row": ("facts", "The cited lines give this value for something else."),
    "name": ("facts", "The cited lines do not contain this name."),
    "negation": ("facts", "The cited line says the opposite."),
    "words": ("sources", "The claim and the cited lines have no word in common."),
    "source": ("sources", "Another passage says this, but the cited lines do not."),
    "invented_mark": ("sources", "This citation mark belongs to no passage."),
    "stale": ("sources", "The cited file has changed or was deleted since it was indexed."),
    "uncited": ("sources", "This figure has no citation, and no passage contains it."),
    "unread": ("facts", "The answer is too long to be checked completely: this part and the rest were not checked."),
    "empty": ("form", "There is no answer."),
    "cut": ("form", "The answer breaks off."),
    "opinion": ("facts", "The second opinion finds this wrong."),
}
"""For each kind of issue, the criterion that it lowers and its description. The soul's rules are in `SOUL_KINDS`."""


def unchecked(text: str, *, threshold: float) -> ReviewVerdict:
    """The verdict on an answer whose checks failed: it is not approved."""
    issue = replace(_unread(text), problem="The checks failed: this answer was not checked.")
    return ReviewVerdict(approved=False, score=0.0, issues=(issue,), threshold=threshold, error=UNEXPECTED_ERROR)


def review_text(
    text: str,
    sources: Mapping[str, Passage],
    lang: Language,
    *,
    question: str = "",
    given: str = "",
    finish_reason: str = "stop",
    threshold: float = THRESHOLD,
    traits: PersonaTraits | None = None,
    stale: Collection[str] = (),
    until: float | None = None,
) -> ReviewVerdict:
    """Compare an answer with its passages and return the verdict. No model is called.

    `sources` maps each citation mark to its passage. The answer may repeat `question` and `given` (today's date,
    earlier turns) without a citation. Without `traits` the rules of the soul are not checked. `stale` are the marks of
    passages whose file has changed or was deleted since it was indexed. `finish_reason` is that of the answer; a
    refusal counts as an empty answer. The checks stop when `time.monotonic()` passes `until`, if it is given; an
    unchecked claim becomes an issue of kind `unread`.
    """
    if finish_reason == "refusal":
        text = ""
    marks = find_marks(text)
    claims = claims_of(text, lang, marks)
    bare = _unmarked(text, lang, claims, marks)
    repeated = f"{question}\n{given}"
    issues: list[ReviewIssue] = []
    marked = list(dict.fromkeys(claims))
    unmarked = [Claim(text=piece, group=()) for piece in dict.fromkeys(bare)]
    for several in (marked, unmarked):
        read = looked_at(several, most=_MAX_CLAIMS, characters=_MAX_CHARACTERS)
        for claim in several:
            issues += _of_stale(claim, sources, stale)
            if claim not in read or _past(until):
                issues.append(_unread(claim.text))
                break
            issues += (_of_claim if claim.group else _of_unmarked)(claim, sources, lang, repeated, question)
    issues += _of_the_form(text, finish_reason)
    criteria = ["facts", "sources", "form"]
    if traits is not None and _past(until):
        issues.append(_unread(text))
    elif traits is not None:
        criteria.append("soul")
        if len(text) > MOST_CHARACTERS:
            issues.append(_unread(text[MOST_CHARACTERS:]))
        head = text[:MOST_CHARACTERS]
        against = soul_issues(head, traits, lang, passages=list(sources.values()), question=question)
        issues += [ReviewIssue(kind=kind, claim=words, text=words, problem=SOUL_KINDS[kind]) for kind, words in against]
    count = len(claims) + len(bare)
    scored = {name: _score(name, issues, count) for name in WEIGHTS if name in criteria}
    weights = sum(WEIGHTS[name] for name in scored)
    score = round(sum(WEIGHTS[name] * one for name, one in scored.items()) / weights, 2)
    return ReviewVerdict(
        approved=score >= threshold and not any(issue.serious for issue in issues),
        score=score,
        criteria=scored,
        issues=tuple(issues),
        threshold=threshold,
        claims=count,
    )


def _score(criterion: str, issues: Sequence[ReviewIssue], claims: int) -> float:
    own = [one for one in issues if one.serious and ISSUE_KINDS.get(one.kind, ("soul", ""))[0] == criterion]
    if not own:
        return 10.0
    share = min(1.0, len({issue.claim for issue in own}) / max(1, claims))
    return round(5.0 * (1.0 - share), 2)


_WORD_KINDS = frozenset({"words", "source", "name", "negation", "row"})
"""Kinds of issues that come from comparing words, which only works within one language."""


def _in_language_of_question(claim: str, question: str, lang: Language) -> bool:
    """Whether a claim is in the question's language, and that is not `lang`, the language of the passages.

    If a claim is too short to tell, it counts as written in the question's language.
    """
    asked = language_of(question, lang)
    return asked is not lang and language_of(claim, asked) is asked


def _of_claim(
    claim: Claim, sources: Mapping[str, Passage], lang: Language, given: str, asked: str
) -> list[ReviewIssue]:
    marks = tuple(dict.fromkeys(claim.group))
    cited = {mark: sources[mark] for mark in marks if mark in sources}
    others = {mark: passage for mark, passage in sources.items() if mark not in cited}
    found = [] if claim.whole else [_unread(claim.text)]
    found += [_issue("invented_mark", claim.text, f"[{mark}]", marks, cited) for mark in marks if mark not in sources]
    if cited:
        names = list(others)
        other_language = _in_language_of_question(claim.text, asked, lang)
        for finding in findings(claim.text, list(cited.values()), lang, others=list(others.values()), given=given):
            if other_language and finding.kind in _WORD_KINDS:
                continue
            elsewhere = tuple(names[number] for number in finding.elsewhere)
            found.append(_issue(finding.kind, claim.text, finding.text, marks, cited, finding, elsewhere))
    return found


def _of_stale(claim: Claim, sources: Mapping[str, Passage], stale: Collection[str]) -> list[ReviewIssue]:
    cited = {mark: sources[mark] for mark in claim.group if mark in stale and mark in sources}
    return [_issue("stale", claim.text, claim.text, tuple(cited), cited)] if cited else []


def _of_unmarked(
    claim: Claim, sources: Mapping[str, Passage], lang: Language, given: str, asked: str
) -> list[ReviewIssue]:
    """Issues of a sentence without a citation: figures, dates and quotations that no passage contains."""
    kinds = ("figure", "date", "unit", "quote", "unread")
    wrong = [one for one in findings(claim.text, list(sources.values()), lang, given=given) if one.kind in kinds]
    return [_issue("unread" if one.kind == "unread" else "uncited", claim.text, one.text, (), {}, one) for one in wrong]


def _past(until: float | None) -> bool:
    return until is not None and time.monotonic() > until


def _unread(text: str) -> ReviewIssue:
    shown = text[:_SHOWN].strip()
    return _issue("unread", shown, shown, (), {})


def _issue(
    kind: str,
    claim: str,
    text: str,
    marks: tuple[str, ...],
    cited: Mapping[str, Passage],
    finding: Finding | None = None,
    elsewhere: tuple[str, ...] = (),
) -> ReviewIssue:
    return ReviewIssue(
        kind=kind,
        claim=claim,
        text=text,
        problem=ISSUE_KINDS[kind][1],
        marks=marks,
        lines=tuple(f"{passage.path}:{passage.start_line}-{passage.end_line}" for passage in cited.values()),
        nearest=finding.nearest if finding is not None else "",
        elsewhere=elsewhere,
    )


def _of_the_form(text: str, finish_reason: str) -> list[ReviewIssue]:
    if not strip_marks(text).strip():
        return [_issue("empty", "", "", (), {})]
    if finish_reason in ("length", "interrupted"):
        return [_issue("cut", text[-80:].strip(), text[-40:].strip(), (), {})]
    return []


def _unmarked(text: str, lang: Language, claims: Iterable[Claim], marks: Iterable[FoundMark]) -> list[str]:
    """The sentences of an answer that have no citation mark."""
    claimed = "\n".join({" ".join(claim.text.split()) for claim in claims})[:_MAX_SEARCHED]
    starts = sorted(mark.start for mark in marks)
    pieces = []
    for piece in quotables(text, lang):
        marked = bisect_left(starts, piece.start) < bisect_left(starts, piece.end)
        words = " ".join(strip_marks(text[piece.start : piece.end]).split())
        if not marked and piece.kind != "heading" and words not in claimed:
            pieces.append(words)
    return pieces
