"""Is an answer right, and does it stand on the right lines? Deterministic: figures, dates, words and citations.

An answer that says the right thing in wholly other words is missed, and one that holds the right figures in a wrong
sentence passes: both are rare where questions ask for facts, and the report shows every answer beside its checks.
Not knowing is held against the check `abstains`, where the language has rules.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from cervella.checks import MOST_CHARACTERS, Check, Context, run_check
from cervella.claims.citations import find_citations
from cervella.claims.grounding import numbers
from cervella.evaluation.suites.question_file import KnownQuestion
from cervella.prompt.layout import strip_marks
from cervella.text.language import Language, fold, known_languages, language, words
from cervella.types import Passage

__all__ = ["AnswerScore", "CitedPlace", "facts_of", "score_answer"]

_IDENTIFIER = re.compile(r"(?<!\w)\w*[^\W_]_[^\W_]\w*")
_FIRST_CLAUSE = re.compile(r"[^\w\n]*([^,.;:!?…—–\n*»”\")]*)")
_ABSTAINS = Check(kind="abstains")
_WORDS_SHARE = 0.5
"""Of the expected answer's content words that a right answer holds at least, in these or in the evidence's words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedPlace:
    """One citation, held against the question's files."""

    mark: str
    path: str
    start_line: int
    end_line: int
    quote: str
    supported: bool | None
    right_file: bool | None
    """None where the question names no files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AnswerScore:
    """What became of one question under one brain. A rate is None where there is nothing to divide by."""

    question: str
    """The question's id."""
    answerable: bool
    right: bool
    """The expected figures, dates and words are there; of an unanswerable question: she says that she does not know."""
    grounded: bool
    """Right, and at least one citation that its lines support, of a right file where files are named."""
    abstained: bool
    failed: bool
    """The engine gave no answer."""
    evidence_quoted: bool
    missing_facts: tuple[str, ...]
    """Figures and dates of the expected answer that the answer lacks, as they may be read."""
    words_found: float | None
    """Share of the expected content words and figures, 0 to 1."""
    precision: float | None
    """Of the citations, invented marks included, those that are supported and of a right file; None where there is
    none, and for a question without an answer."""
    recall: float | None
    """1 where a right file is cited with support, else 0; None where no files are named or none is answerable."""
    invented: int
    cited: tuple[CitedPlace, ...]
    reasons: tuple[str, ...]
    """Why it is not grounded and right, in words."""


def score_answer(
    question: KnownQuestion, text: str, passages: Mapping[str, Passage], lang: Language, *, failed: bool = False
) -> AnswerScore:
    """Score one answer. `passages` maps each mark to the passage that stood behind it in the prompt."""
    read = find_citations(text, passages, lang)
    said = strip_marks(text)
    cited = tuple(
        CitedPlace(
            mark=one.mark,
            path=one.path,
            start_line=one.start_line,
            end_line=one.end_line,
            quote=one.quote,
            supported=one.supported,
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
        abstained = _only_abstains(question, said, tuple(passages.values()), bool(good))
    quoted = any(_stands(evidence, said) for evidence in question.evidence)
    found = _words_found(question, said, lang)
    missing = _missing(question, said, lang)
    contrary = {_opening(question.answer), _opening(said)} == {"yes", "no"}
    enough = _says_the_same(question.answer, said) if found is None else found >= _WORDS_SHARE
    if failed:
        right = False
    elif question.answerable:
        right = not abstained and not contrary and (quoted or (not missing and enough))
    else:
        right = abstained
    grounded = right and (bool(good) or not question.answerable)
    marks = len(cited) + read.invented_marks
    return AnswerScore(
        question=question.id,
        answerable=question.answerable,
        right=right,
        grounded=grounded,
        abstained=abstained and not failed,
        failed=failed,
        evidence_quoted=quoted,
        missing_facts=missing if question.answerable else (),
        words_found=found if question.answerable else None,
        precision=len(good) / marks if marks and question.answerable else None,
        recall=float(bool(good)) if question.answerable and question.files else None,
        invented=read.invented_marks,
        cited=cited,
        reasons=tuple(
            _reasons(question, failed, abstained, contrary, quoted, missing, found, enough, cited, read.invented_marks)
        ),
    )


def _reasons(
    question: KnownQuestion,
    failed: bool,
    abstained: bool,
    contrary: bool,
    quoted: bool,
    missing: tuple[str, ...],
    found: float | None,
    enough: bool,
    cited: tuple[CitedPlace, ...],
    invented: int,
) -> Iterable[str]:
    if failed:
        yield "the engine gave no answer"
        return
    if not question.answerable:
        if not abstained:
            yield "answers what the base does not hold"
        return
    if abstained:
        yield "says that it does not know, and the base does"
        return
    if contrary:
        yield "says no where it is yes, or yes where it is no"
    if not quoted and missing:
        yield f"lacks {', '.join(missing)}"
    if not quoted and not enough and not contrary:
        yield f"does not say «{question.answer}»" if found is None else f"holds {found:.0%} of the expected words"
    if not cited and not invented:
        yield "cites nothing"
    elif not any(one.supported for one in cited):
        yield "no citation is supported by its lines"
    elif not any(one.supported and one.right_file is not False for one in cited):
        yield "cites other files"
    if invented:
        yield f"{invented} marks stand for no source"


def _only_abstains(question: KnownQuestion, said: str, shown: tuple[Passage, ...], cited: bool) -> bool:
    """Says that it does not know, and gives no figure that stands neither in the passages nor in the question."""
    base = " ".join([question.question, *(f"{one.path} {one.date or ''} {one.lead} {one.text}" for one in shown)])
    for lang in map(language, known_languages()):
        dates = (frozenset(str(int(part)) for part in iso.split("-")) for *_, iso in lang.find_dates(base))
        known = [*numbers(base), *dates]
        if not lang.abstains(said) or not all(_meets(figure, known) for figure in numbers(said)):
            continue
        checked = run_check(_ABSTAINS, said, Context(language=lang.code, passages=shown, question=question.question))
        # A language without rules has no check that reads what stands beside: a supported citation is an answer there.
        if len(said) <= MOST_CHARACTERS and (checked.passed or (checked.passed is None and not cited)):
            return True
    return False


def _opening(text: str) -> Literal["yes", "no"] | None:
    """Whether a text opens with a yes or a no, as a clause of its own or with its accent: «Sì è», not «si trova»."""
    match = _FIRST_CLAUSE.match(text)
    clause = unicodedata.normalize("NFC", match[1]).casefold().split() if match else []
    for traits in (language(code).traits for code in known_languages()):
        for opening in ("yes", "no"):
            whole = fold(" ".join(clause)) in traits[opening]
            if whole or (clause and fold(clause[0]) != clause[0] and fold(clause[0]) in traits[opening]):
                return opening
    return None


def _says_the_same(expected: str, said: str) -> bool:
    """Of an expected answer without a word or figure to look for: «No», «Lei»."""
    opening = _opening(expected)
    return _opening(said) == opening if opening else _stands(expected, said)


def facts_of(text: str, lang: Language) -> dict[frozenset[str], str]:
    """The figures, dates and names with underscores of a text, each as its possible readings, with a word for people.

    >>> from cervella.text.language import language
    >>> list(facts_of("Dal 21 gennaio alla porta 8010.", language("it")).values())
    ['01-21', '8010']
    """
    rest, found = list(text), dict[frozenset[str], str]()
    for start, end, iso in lang.find_dates(text):
        found[frozenset({iso, iso[5:]})] = iso
        rest[start:end] = " " * (end - start)
    left = "".join(rest)
    days = []
    for day, month in lang.find_months(left):
        if day is not None:
            found[frozenset({f"{month:02}-{day:02}"})] = f"{month:02}-{day:02}"
            days.append(frozenset({str(day)}))
    for readings in numbers(left):
        if readings in days:
            days.remove(readings)  # the day of a date that is counted already
        else:
            found[readings] = min(readings, key=lambda reading: (len(reading), reading))
    for name in _IDENTIFIER.findall(fold(left)):
        found[frozenset({name})] = name
    for word in words(left):
        if word in lang.numbers and word not in lang.stop_words:
            found.setdefault(frozenset({str(lang.numbers[word])}), str(lang.numbers[word]))
    return found


def _missing(question: KnownQuestion, said: str, lang: Language) -> tuple[str, ...]:
    """What the answer must give and does not: the expected answer's facts, where there is evidence only those that it
    gives too; what the question says itself is no answer."""
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
    """The share of the content words and figures, of the expected answer or of its evidence, whichever is better."""
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
    """Whether the evidence's words stand in the answer one after the other, whatever markup is between."""
    return f" {' '.join(words(fold(evidence)))} " in f" {' '.join(words(fold(said)))} "
