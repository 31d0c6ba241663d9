"""Whether an answer holds the spellings that its question asks for, cites a right file, and abstains where it should.

Text is compared after folding (see `folded`), so that only what stands in the answer counts, not what it means.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace

from cervella.claims.citations import find_citations
from cervella.evaluation.suites.question_file import KnownQuestion
from cervella.evaluation.suites.spellings import PERSONA, Spellings, folded, place
from cervella.prompt.layout import strip_marks
from cervella.text.language import Language, known_languages, language
from cervella.types import Passage

CLEAN_WORDS, OFF_WORDS = 60, 40
"""Maximum number of words of a clean answer, and of an answer to a question off the subject."""
_WORD = re.compile(r"\w+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One citation of an answer, in the order of its marks."""

    mark: str
    path: str
    start_line: int
    end_line: int
    right_file: bool
    """Whether the cited file is one of the question's files."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpellingScore:
    """The score of one brain's answer to one question."""

    question: str
    """The question's id."""
    kind: str
    """The question's kind; empty if the file gives none."""
    answerable: bool
    failed: bool
    """Whether the engine gave no answer. Then nothing else counts."""
    abstained: bool
    words: int
    """Number of words of the answer, without its citation marks."""
    fact: bool
    """Whether the answer does not abstain and holds one spelling of every group of `must`."""
    clean: bool
    """Whether it holds the fact in at most `CLEAN_WORDS` words, and no spelling of `must_not`."""
    stale: bool
    """Whether a spelling of `must_not` stands without the right ones, or before them."""
    first: bool
    """Whether the first citation is of a right file."""
    cited: bool
    """Whether any citation is of a right file."""
    missing: tuple[str, ...]
    """The groups of `must` that the answer lacks, each by its first spelling."""
    wrong: tuple[str, ...]
    """The spellings of `must_not` in the answer."""
    sources: tuple[Source, ...]
    passed: bool
    """Whether the answer is as it should be. An answerable question: the fact, with a right file cited, and not stale.
    A question about the persona: a right file is cited first. `near_miss`: abstained, without a spelling of `must_not`.
    `off_topic` and `chat`: no citation, and at most `OFF_WORDS` words."""
    missed: tuple[str, ...]
    """The measures (see `MEASURES`) that count against this answer."""
    reasons: tuple[str, ...]
    """Sentences that say why the answer is not as it should be, or not clean."""

    @property
    def told(self) -> bool:
        """Whether the question has a fact as its answer: the base answers it, and it is not about the persona."""
        return self.answerable and self.kind != PERSONA

    @property
    def off_answered(self) -> bool:
        """Whether the answer cites the base or is long: wrong for a question off the subject."""
        return bool(self.sources) or self.words > OFF_WORDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Measure:
    """One share of a result: the questions that count, and the answers for which it holds."""

    name: str
    label: str
    counts: Callable[[SpellingScore], bool]
    holds: Callable[[SpellingScore], bool]
    wanted: bool
    """Whether it should hold; False if the best share is 0."""


MEASURES = tuple(
    Measure(name=name, label=label, counts=counts, holds=holds, wanted=wanted)
    for name, label, counts, holds, wanted in (
        ("fact", "the fact is in the answer", lambda one: one.told, lambda one: one.fact, True),
        (
            "clean",
            f"the fact in at most {CLEAN_WORDS} words, and nothing wrong",
            lambda one: one.told,
            lambda one: one.clean,
            True,
        ),
        ("first", "a right source is cited first", lambda one: one.told, lambda one: one.first, True),
        ("cited", "a right source is cited", lambda one: one.told, lambda one: one.cited, True),
        ("refused", "refused, and the base has it", lambda one: one.told, lambda one: one.abstained, False),
        (
            "near_miss",
            "answered, and the base does not say it",
            lambda one: one.kind == "near_miss",
            lambda one: not one.abstained or bool(one.wrong),
            False,
        ),
        (
            "off",
            "off the subject, and answered from the base or at length",
            lambda one: one.kind in ("off_topic", "chat"),
            lambda one: one.off_answered,
            False,
        ),
        ("stale", "outdated, of newest_wins", lambda one: one.kind == "newest_wins", lambda one: one.stale, False),
        ("persona", "about her: a right source first", lambda one: one.kind == PERSONA, lambda one: one.first, True),
    )
)
"""All shares, in the order in which they are shown. A share of an answer that failed is not counted."""


def score_spellings(
    question: KnownQuestion,
    text: str,
    passages: Mapping[str, Passage],
    lang: Language,
    *,
    abstained: bool | None = None,
    failed: bool = False,
) -> SpellingScore:
    """Score one answer to a question with spellings.

    `passages` maps each mark, such as F1, to its passage in the prompt. `abstained` is what the reply said of itself;
    None: it is found in the text. `failed` says that the engine gave no answer.
    """
    wanted = question.spellings or Spellings()
    citations = find_citations(text, passages, lang).citations
    said = strip_marks(text)
    if abstained is None:
        no = any(language(code).abstains(said) for code in known_languages())
        abstained = no and not any(one.supported for one in citations)
    answer = folded(said)
    right = [_place_of(answer, group) for group in wanted.must]
    wrong = {spelling: at for spelling in wanted.must_not if (at := place(answer, spelling)) is not None}
    found = [at for at in right if at is not None]
    words = len(_WORD.findall(said))
    fact = not abstained and len(found) == len(right)
    sources = tuple(
        Source(
            mark=one.mark,
            path=one.path,
            start_line=one.start_line,
            end_line=one.end_line,
            right_file=one.path in question.files,
        )
        for one in citations
    )
    score = SpellingScore(
        question=question.id,
        kind=question.kind,
        answerable=question.answerable,
        failed=failed,
        abstained=abstained,
        words=words,
        fact=fact,
        clean=fact and not wrong and words <= CLEAN_WORDS,
        stale=bool(wrong) and (len(found) < len(right) or not found or min(wrong.values()) < min(found)),
        first=bool(sources) and sources[0].right_file,
        cited=any(one.right_file for one in sources),
        missing=tuple(group[0] for group, at in zip(wanted.must, right, strict=True) if at is None),
        wrong=tuple(wrong),
        sources=sources,
        passed=False,
        missed=(),
        reasons=(),
    )
    if failed:
        return replace(score, reasons=("the engine gave no answer",))
    missed = tuple(one.name for one in MEASURES if one.counts(score) and one.holds(score) != one.wanted)
    return replace(score, passed=_passed(score), missed=missed, reasons=tuple(_reasons(score)))


def _place_of(answer: str, group: tuple[str, ...]) -> int | None:
    """The place of the spelling of a group that stands last; None if the answer has none of them."""
    return max((at for spelling in group if (at := place(answer, spelling)) is not None), default=None)


def _passed(score: SpellingScore) -> bool:
    if score.kind == PERSONA:
        return score.first
    if score.answerable:
        return score.fact and score.cited and not score.stale
    if score.kind == "near_miss":
        return score.abstained and not score.wrong
    return not score.off_answered


def _reasons(score: SpellingScore) -> Iterator[str]:
    if score.kind == PERSONA or score.told:
        if score.told and score.abstained:
            yield "says that it does not know, and the base does"
        elif score.told and score.missing:
            yield f"lacks {', '.join(score.missing)}"
        if score.told and score.wrong:
            yield f"says {', '.join(score.wrong)}" + (", which is outdated or wrong" if score.stale else " too")
        if score.told and score.fact and score.words > CLEAN_WORDS:
            yield f"has {score.words} words"
        if not score.sources:
            yield "cites nothing"
        elif not score.cited:
            yield "cites other files"
        elif not score.first:
            yield "cites another file first"
        return
    if score.kind == "near_miss":
        if not score.abstained:
            yield "answers what the base does not say"
        if score.wrong:
            yield f"says {', '.join(score.wrong)}"
        return
    if score.sources:
        yield "answers from the base what is off the subject"
    if score.words > OFF_WORDS:
        yield f"has {score.words} words"
