"""The verdict of the checks, which ask no model: an answer compared with its sources and with the soul's own rules.

The score, 0 to 10, is the weighted mean of four criteria, `WEIGHTS`. A criterion without a serious issue gets 10; with
one, at most 5, and less the larger the share of claims that have one. With the default threshold of 9, one serious
issue of `facts`, `sources` or `soul` is enough to refuse an answer.
"""

from __future__ import annotations

import time
from bisect import bisect_left
from collections.abc import Collection, Iterable, Mapping, Sequence

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
from cervella.types.verdict import ReviewIssue, ReviewVerdict

THRESHOLD = 9.0
_MOST_CLAIMS, _MOST_CHARACTERS = 250, 30_000
"""So many claims with a mark, and as many without, and so many characters of each, are compared with the passages."""
_SHOWN, _MOST_SEARCHED = 80, 200_000
WEIGHTS = {"facts": 0.4, "sources": 0.3, "soul": 0.2, "form": 0.1}
"""The weight of each criterion in the score."""
ISSUE_KINDS = {
    # Kind: criterion, and what is wrong.
    "figure": ("facts", "The cited lines do not give this figure."),
    "date": ("facts", "The cited lines do not give this date."),
    "unit": ("facts", "The cited lines give this figure with another unit."),
    "quote": ("facts", "These words do not stand in the cited lines as they are quoted."),
    "row": ("facts", "The cited lines give this for something else."),
    "name": ("facts", "This name does not stand in the cited lines."),
    "negation": ("facts", "The cited line says the contrary."),
    "words": ("sources", "The claim and its lines have no word in common."),
    "source": ("sources", "Another passage says this, the cited lines do not."),
    "invented_mark": ("sources", "This mark stands for no passage."),
    "stale": ("sources", "The cited file has changed, or is gone, since it was indexed."),
    "uncited": ("sources", "This figure has no source, and stands in no passage."),
    "unread": ("facts", "The answer is too long to be looked at whole: this and what follows was not."),
    "empty": ("form", "There is no answer."),
    "cut": ("form", "The answer breaks off."),
    "opinion": ("facts", "The second opinion finds this wrong."),
}
"""By kind of issue, the criterion that it lowers and its meaning. Those of the soul's rules are `SOUL_KINDS`."""


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
    """Compare an answer with the passages that it was written from, by mark. No model is asked, nothing is loaded.

    The answer may repeat `question` and `given` (today's date, earlier turns) without a source. `traits` are what the
    soul declares; without them its rules are not checked. `stale` are the marks of sources whose file has changed, or
    is gone, since it was indexed. A refusal is no answer, whatever text came before it. The checks stop once
    `time.monotonic()` is past `until`; a claim that was not checked is an issue, `unread`.
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
        read = looked_at(several, most=_MOST_CLAIMS, characters=_MOST_CHARACTERS)
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


_OF_WORDS = frozenset({"words", "source", "name", "negation", "row"})
"""Kinds that compare words, which two languages do not share."""


def _in_the_questions(claim: str, question: str, lang: Language) -> bool:
    """Whether a claim too short to tell is in the language of the question, which is another than the base's."""
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
        other_tongue = _in_the_questions(claim.text, asked, lang)
        for finding in findings(claim.text, list(cited.values()), lang, others=list(others.values()), given=given):
            if other_tongue and finding.kind in _OF_WORDS:
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
    """A sentence without a mark may say what it likes, but give no figure, date or quotation that stands nowhere."""
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
    """The sentences of an answer that no mark belongs to."""
    claimed = "\n".join({" ".join(claim.text.split()) for claim in claims})[:_MOST_SEARCHED]
    starts = sorted(mark.start for mark in marks)
    pieces = []
    for piece in quotables(text, lang):
        marked = bisect_left(starts, piece.start) < bisect_left(starts, piece.end)
        words = " ".join(strip_marks(text[piece.start : piece.end]).split())
        if not marked and piece.kind != "heading" and words not in claimed:
            pieces.append(words)
    return pieces
