"""Whether an answer is right and cites the right lines, by rules: figures, dates, words and citations.

A right answer in entirely different words is missed, and right figures in a wrong sentence pass. Both are rare where
questions ask for facts, and the report shows every answer with its checks. Whether an answer to an unanswerable
question abstains is decided by the check `abstains`.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from cervella.checks import Check, Context, run_check
from cervella.claims.citations import find_citations
from cervella.evaluation.suites.question_file import KnownQuestion
from cervella.prompt.layout import strip_marks
from cervella.text.language import Language, fold, known_languages, language, words
from cervella.text.reading import ReadText
from cervella.types import Passage

_IDENTIFIER = re.compile(r"(?<!\w)\w*[^\W_]_[^\W_]\w*")
_FIRST_CLAUSE = re.compile(r"[^\w\n]*([^,.;:!?…—–\n*»”\")]*)")
_ABSTAINS = Check(kind="abstains")
_WORDS_SHARE = 0.5
"""A right answer has at least this share of the content words of the expected answer, or of the evidence (the passages
that the question file quotes)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedPlace:
    """One citation, compared with the question's files."""

    mark: str
    path: str
    start_line: int
    end_line: int
    quote: str
    supported: bool | None
    right_file: bool | None
    """Whether the cited file is one of the question's files; None if the question names no files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerScore:
    """The score of one brain's answer to one question. A share is None if there is nothing to count."""

    question: str
    """The question's id."""
    answerable: bool
    right: bool
    """Whether the answer has the expected figures, dates and words. An answer to an unanswerable question is right if
    it says that she does not know."""
    grounded: bool
    """Whether the answer is right and at least one of its citations is supported by the cited lines. If the question
    names files, the citation must be of one of them."""
    abstained: bool
    failed: bool
    """Whether the engine gave no answer."""
    evidence_quoted: bool
    missing_facts: tuple[str, ...]
    """Figures and dates of the expected answer that the answer lacks."""
    words_found: float | None
    """Share of the expected content words and figures that the answer has, 0 to 1."""
    precision: float | None
    """Share of the citations, invented marks included, that are supported by their lines and of a right file. None if
    the answer cites nothing, or if the question is unanswerable."""
    recall: float | None
    """1 if a right file is cited with support, else 0. None if the question names no files, or is unanswerable."""
    invented: int
    """Number of citation marks in the answer, such as `[F1]`, that stand for no passage."""
    cited: tuple[CitedPlace, ...]
    reasons: tuple[str, ...]
    """Sentences that say why the answer is not right, or why it is not grounded."""


def score_answer(
    question: KnownQuestion, text: str, passages: Mapping[str, Passage], lang: Language, *, failed: bool = False
) -> AnswerScore:
    """Score one answer.

    `passages` maps each mark, such as F1, to its passage in the prompt; `failed` says that the engine gave no answer.
    """
    read = find_citations(text, passages, lang)
    said = strip_marks(text)
    cited = tuple(
        CitedPlace(
            **{name: getattr(one, name) for name in ("mark", "path", "start_line", "end_line", "quote", "supported")},
            right_file=one.path in question.files if question.files else None,
        )
        for one in read.citations
    )
    good = [one for one in cited if one.supported and one.right_file is not False]
    if question.answerable:
        abstained = any(language(code).abstains(said) for code in known_languages()) and not any(
            one.supported for one in cited
        )
    else:
        abstained = _only_abstains(question, said, tuple(passages.values()))
    quoted = any(_stands(evidence, said) for evidence in question.evidence)
    found = _words_found(question, said, lang)
    missing = _missing(question, said, lang)
    contrary = {_opening(question.answer), _opening(said)} == {"yes", "no"}
    enough = _says_the_same(question.answer, said) if found is None else found >= _WORDS_SHARE
    right = abstained
    if question.answerable:
        right = not abstained and not contrary and (quoted or (not missing and enough))
    marks = len(cited) + read.invented_marks
    score = AnswerScore(
        question=question.id,
        answerable=question.answerable,
        right=right and not failed,
        grounded=right and not failed and (bool(good) or not question.answerable),
        abstained=abstained and not failed,
        failed=failed,
        evidence_quoted=quoted,
        missing_facts=missing if question.answerable else (),
        words_found=found if question.answerable else None,
        precision=len(good) / marks if marks and question.answerable else None,
        recall=float(bool(good)) if question.answerable and question.files else None,
        invented=read.invented_marks,
        cited=cited,
        reasons=(),
    )
    return replace(score, reasons=tuple(_reasons(score, question.answer, contrary, enough)))


def _reasons(score: AnswerScore, expected: str, contrary: bool, enough: bool) -> Iterator[str]:
    if score.failed:
        yield "the engine gave no answer"
        return
    if not score.answerable:
        if not score.abstained:
            yield "answers what the base does not hold"
        return
    if score.abstained:
        yield "says that it does not know, and the base does"
        return
    if contrary:
        yield "says no where it is yes, or yes where it is no"
    if not score.evidence_quoted and score.missing_facts:
        yield f"lacks {', '.join(score.missing_facts)}"
    if not score.evidence_quoted and not enough and not contrary:
        found = score.words_found
        yield f"does not say «{expected}»" if found is None else f"holds {found:.0%} of the expected words"
    if not score.cited and not score.invented:
        yield "cites nothing"
    elif not any(one.supported for one in score.cited):
        yield "no citation is supported by its lines"
    elif not any(one.supported and one.right_file is not False for one in score.cited):
        yield "cites other files"
    if score.invented:
        yield f"{score.invented} marks stand for no source"


def _only_abstains(question: KnownQuestion, said: str, shown: tuple[Passage, ...]) -> bool:
    """Whether an answer to an unanswerable question says that she does not know, and nothing else.

    Every figure in it must also be in the question or in a passage.
    """
    base = " ".join([question.question, *(f"{one.path} {one.date or ''} {one.lead} {one.reading}" for one in shown)])
    for lang in map(language, known_languages()):
        offered = ReadText(base, lang).offered
        if not lang.abstains(said) or not all(one.readings & offered for one in ReadText(said, lang).figures):
            continue
        context = Context(language=lang.code, passages=shown, question=question.question)
        if run_check(_ABSTAINS, said, context).passed:
            return True
    return False


def _opening(text: str) -> Literal["yes", "no"] | None:
    """The word with which a text begins: "yes" or "no", or None for any other beginning.

    The word must be the whole first clause ("No, …"), or have an accent that other words lack: in Italian «Sì è» begins
    with yes, «si trova» does not.
    """
    match = _FIRST_CLAUSE.match(text)
    clause = unicodedata.normalize("NFC", match[1]).casefold().split() if match else []
    for traits in (language(code).traits for code in known_languages()):
        for opening in ("yes", "no"):
            whole = fold(" ".join(clause)) in traits[opening]
            if whole or (clause and fold(clause[0]) != clause[0] and fold(clause[0]) in traits[opening]):
                return opening
    return None


def _says_the_same(expected: str, said: str) -> bool:
    """Whether an answer says the same as an expected answer that has no content word and no figure, such as «No» or
    «Lei» ("she")."""
    opening = _opening(expected)
    return _opening(said) == opening if opening else _stands(expected, said)


def facts_of(text: str, lang: Language) -> dict[frozenset[str], str]:
    """The facts of a text: its figures, its dates, and its names with underscores.

    Each key is the set of possible readings of a fact, its value the text by which the fact is shown. The example says
    "From 21 January on port 8010":

    >>> from cervella.text.language import language
    >>> list(facts_of("Dal 21 gennaio alla porta 8010.", language("it")).values())
    ['01-21', '8010']
    """
    read, found = ReadText(text, lang), dict[frozenset[str], str]()
    for iso in read.dates:
        found[frozenset({iso, iso[5:]})] = iso
    days = [f"{month:02}-{day:02}" for day, month in read.months if day is not None]
    found |= {frozenset({day}): day for day in days}
    counted = [frozenset({str(int(day[3:]))}) for day in days]
    for readings in (figure.readings for figure in read.undated):
        if readings in counted:
            counted.remove(readings)  # the day of a date that is there already
        else:
            found[readings] = min(readings, key=lambda reading: (len(reading), reading))
    return found | {frozenset({name}): name for name in _IDENTIFIER.findall(read.folded)}


def _missing(question: KnownQuestion, said: str, lang: Language) -> tuple[str, ...]:
    """The facts (see `facts_of`) of the expected answer that the given answer `said` lacks.

    Facts of the question itself don't count. If the question has evidence, facts that are not in it don't count either.
    """
    asked = facts_of(question.question, lang)
    wanted = {fact: name for fact, name in facts_of(question.answer, lang).items() if not _meets(fact, asked)}
    if question.evidence:
        evident = facts_of(" ".join(question.evidence), lang)
        wanted = {fact: name for fact, name in wanted.items() if _meets(fact, evident)}
    given = facts_of(said, lang)
    return tuple(name for fact, name in wanted.items() if not _meets(fact, given))


def _meets(fact: frozenset[str], facts: Iterable[frozenset[str]]) -> bool:
    return any(fact & other for other in facts)


def _words_found(question: KnownQuestion, said: str, lang: Language) -> float | None:
    """Share of the expected content words and figures that the answer `said` has; None if nothing is expected.

    It is computed for the expected answer and for the evidence, and the higher share counts. Words of the question are
    left out if there are others.
    """
    words_said, words_asked = set(lang.stems(said)), set(lang.stems(question.question))
    facts_said, facts_asked = facts_of(said, lang), facts_of(question.question, lang)
    shares = []
    for text in (question.answer, " ".join(question.evidence)):
        stems = {stem for stem in lang.stems(text) if not stem.isdigit()}
        facts = facts_of(text, lang)
        wanted = [fact for fact in facts if not _meets(fact, facts_asked)] or list(facts)
        new = (stems - words_asked) or stems
        if wanted or new:
            found = len(new & words_said) + sum(_meets(fact, facts_said) for fact in wanted)
            shares.append(found / (len(new) + len(wanted)))
    return max(shares, default=None)


def _stands(evidence: str, said: str) -> bool:
    """Whether the evidence's words are in the answer in the same order without a gap, apart from markup."""
    return f" {' '.join(words(fold(evidence)))} " in f" {' '.join(words(fold(said)))} "
