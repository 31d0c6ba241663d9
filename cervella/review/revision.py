"""The review of an answer: the checks, the second opinion, the revision, and the choice between answer and revision.

If a second opinion or a revision fails, the answer is kept and the verdict contains the reason.
"""

from __future__ import annotations

import logging
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from operator import attrgetter

import anyio.to_thread

from cervella.brains.routing.fallback import Fallback, Shielded, leaves
from cervella.checks.check import PersonaTraits
from cervella.errors import BrainError, CervellaError
from cervella.prompt.layout import strip_marks
from cervella.protocols import optional_members
from cervella.review.second_opinion import issues_of, read_opinion, review_prompt, revision_prompt
from cervella.review.verdict import review_text, unchecked
from cervella.text.language import Language, fold, known_languages, language
from cervella.types import Attempt, Completion, Finished, Passage, Prompt, Reply, united_sources
from cervella.types.deadline import Deadline
from cervella.types.verdict import UNEXPECTED_ERROR, ReviewVerdict, SecondOpinion

_logger = logging.getLogger("cervella")

_STALE = "stale"
Remade = Callable[[Completion], Awaitable[Reply]]
"""A function that makes a Reply from a Completion."""
_Reviewed = tuple[ReviewVerdict, tuple[Attempt, ...]]
"""A verdict, and the calls that were made for it."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Review:
    """Reviews answers, and has them revised, with the settings below.

    `lang` is the language of the knowledge base. `traits` are the persona's rules to check; None checks none. An answer
    with a score below `threshold` is refused. `rounds` is the maximum number of revisions. `second` is the brain that
    gives the second opinion; without it, only the checks decide. `is_tainted` says, before each call, whether an answer
    may not go to a cloud brain at that moment.
    """

    lang: Language
    traits: PersonaTraits | None
    threshold: float
    rounds: int
    second: Shielded | None = None
    is_tainted: Callable[[Reply], bool] = attrgetter("tainted")

    async def review(self, prompt: Prompt, reply: Reply, deadline: Deadline) -> _Reviewed:
        """Check an answer, ask the second brain for its opinion, and return the verdict with the calls that were made.

        The second brain is not asked about an empty answer, a refusal, or an answer that only says that it does not
        know. If the checks or the second brain fail, the verdict contains the error; nothing is raised.
        """
        left = deadline.left()
        checks = partial(
            review_text,
            reply.text,
            _shown(prompt, reply),
            self.lang,
            question=prompt.question,
            given="\n".join((prompt.instructions, *(message.content for message in prompt.history))),
            finish_reason=reply.finish_reason,
            threshold=self.threshold,
            traits=self.traits,
            stale=[citation.mark for citation in reply.citations if citation.changed],
            until=None if left is None else time.monotonic() + left,
        )
        try:
            verdict = await anyio.to_thread.run_sync(checks, abandon_on_cancel=True)
        except Exception as error:
            _code_of(error)
            return unchecked(reply.text, threshold=self.threshold), ()
        if self.second is None or reply.finish_reason == "refusal" or not reply.text.strip():
            return verdict, ()
        if reply.abstained and _says_nothing_else(reply.text):
            return verdict, ()  # an honest "I don't know" needs no second opinion
        return await self._with_second(verdict, self.second, prompt, reply, deadline)

    async def _with_second(
        self, verdict: ReviewVerdict, second: Shielded, prompt: Prompt, reply: Reply, deadline: Deadline
    ) -> _Reviewed:
        other = _another(second, reply)
        if other is None:
            return replace(verdict, second=SecondOpinion(brain=second.name, error="same_brain")), ()
        shown = _shown(prompt, reply)
        asked = review_prompt(
            replace(prompt, passages=tuple(shown.values()), marks=tuple(shown)),
            reply.text,
            self.lang,
            tainted=await self._judged(reply),
            reason=f"second opinion on the answer of {reply.brain}",
        )
        attempts: tuple[Attempt, ...] = ()
        try:
            done = await _answer(other, asked, deadline)
            attempts = done.attempts
            opinion = read_opinion(done.text, self.lang)
        except Exception as error:
            failed = SecondOpinion(brain=other.name, error=_code_of(error))
            return replace(verdict, second=failed), attempts or tuple(getattr(error, "attempts", ()))
        found = SecondOpinion(brain=done.attempts[-1].brain if done.attempts else other.name, model=done.model)
        if done.finish_reason == "refusal" or not opinion.readable:
            error_code = "refusal" if done.finish_reason == "refusal" else "unreadable"
            return replace(verdict, second=replace(found, error=error_code)), done.attempts
        refused = opinion.approved is False or (opinion.score is not None and opinion.score < self.threshold)
        verdict = replace(
            verdict,
            approved=verdict.approved and not refused,  # it can't approve an answer that the checks refuse
            issues=(*verdict.issues, *issues_of(opinion, found.brain, reply.text, serious=refused)),
            second=replace(found, score=opinion.score, grades=opinion.grades, approved=not refused),
        )
        return verdict, done.attempts

    async def _judged(self, reply: Reply) -> bool:
        return reply.tainted or await anyio.to_thread.run_sync(self.is_tainted, reply)

    async def revised(self, prompt: Prompt, reply: Reply, first: Shielded, deadline: Deadline, remade: Remade) -> Reply:
        """Review an answer and, while it is refused, have the brain `first` revise it, at most `rounds` times.

        Returns the best version with its verdict. `remade` turns each revision into a Reply.
        """
        verdict, calls = await self.review(prompt, reply, deadline)
        attempts = [*reply.attempts, *calls]
        kept, score = reply, verdict.score
        rounds, error = 0, verdict.error
        most = 0 if reply.finish_reason == "refusal" else self.rounds  # a refused question is not sent again
        while rounds < most and _can_be_improved(verdict) and not optional_members(first.brain).quotes_only:
            rounds += 1
            issues = [issue for issue in verdict.issues if issue.kind != _STALE]
            asked = revision_prompt(prompt, kept.text, issues, self.lang, tainted=await self._judged(kept))
            try:
                done = await _answer(first, asked, deadline)
                attempts += done.attempts
                new = None if done.finish_reason == "refusal" else await remade(done)
            except Exception as failure:
                attempts += getattr(failure, "attempts", ())
                error = _code_of(failure)
                break
            if new is None:
                error = "refusal"
                break
            sources = united_sources((new.sources, kept.sources))
            new = replace(new, tainted=new.tainted or kept.tainted, sources=sources)
            judged, calls = await self.review(prompt, new, deadline)
            attempts += calls
            error = judged.error
            judged = _still_refused(judged, verdict)
            if not _better(judged, new, verdict, kept):
                break
            kept, verdict = new, judged
        verdict = replace(verdict, rounds=rounds, error=error)
        if kept is not reply:
            verdict = replace(verdict, revised=True, draft=reply.text, draft_score=score)
        return replace(kept, review=verdict, attempts=tuple(attempts))


def _answering(reply: Reply) -> Sequence[Attempt]:
    """The call that produced the answer, in a list; the calls of a review do not count. Empty if there is none."""
    return [one for one in reply.attempts if one.outcome != "error" and one.route != "review"][-1:]


def _shown(prompt: Prompt, reply: Reply) -> Mapping[str, Passage]:
    """The passages that were sent to the brain that answered, by citation mark. All of the prompt if no call is
    recorded."""
    calls = _answering(reply)
    return {mark: passage for mark, passage in prompt.sources.items() if not calls or mark in calls[0].shown}


def _can_be_improved(verdict: ReviewVerdict) -> bool:
    """Whether a revision could be approved. It can't if the checks failed, or if only stale sources are the problem."""
    refused = verdict.second is not None and verdict.second.approved is False
    serious = {issue.kind for issue in verdict.issues if issue.serious}
    return not verdict.approved and verdict.error is None and (refused or serious != {_STALE})


def _another(second: Shielded, reply: Reply) -> Shielded | None:
    """The second brain, if neither its name nor its model is that of the answer; otherwise None.

    If the second brain is a fallback or a router, those of its brains that may have given the answer are left out.
    """
    calls = _answering(reply)
    names = {reply.brain, *(one.brain for one in calls)}
    weights = {reply.model, *(one.model for one in calls)} - {""}
    every = list(leaves(second))
    others = [leaf for leaf in every if leaf.name not in names and leaf.model not in weights]
    if len(others) == len(every):
        return second
    return Fallback(others) if len(others) > 1 else others[0] if others else None


def _code_of(error: Exception) -> str:
    """The reason that a verdict gives for an error. An error that is not one of this package is logged."""
    if isinstance(error, CervellaError):
        return error.code
    _logger.error("a review failed; the answer is kept", exc_info=error)
    return UNEXPECTED_ERROR


async def _answer(shielded: Shielded, prompt: Prompt, deadline: Deadline) -> Completion:
    """The complete answer of a brain."""
    async with aclosing(shielded.stream(prompt, timeout=deadline)) as events:
        async for event in events:
            if isinstance(event, Finished):
                return event.completion
    raise BrainError("The brain ended without an answer.", brain=shielded.name, model=shielded.model)


_MAX_ABSTENTION = 2_000
"""Maximum characters of an answer that is tested for saying only "I don't know": keeps the time of the test short."""


@lru_cache(maxsize=1)
def _clause() -> re.Pattern[str]:
    """The pattern of clause boundaries in all languages, for text in lower case and without accents."""
    joins, turns = ("|".join(language(code).review[key] for code in known_languages()) for key in ("joins", "turns"))
    return re.compile(rf"[.,;:!?…()\n]+(?:\s*(?:{joins})\s)?|\s[-–—]\s|{turns}")


def _says_nothing_else(text: str) -> bool:
    """Whether an answer says "I don't know" and every clause after that also only abstains."""
    folded = fold(strip_marks(text))
    if len(folded) > _MAX_ABSTENTION:
        return False
    ends = [*(match.start() for match in _clause().finditer(folded)), len(folded)]
    for code in known_languages():
        lang = language(code)
        first = next((end for end in ends if lang.abstains(folded[:end])), None)
        if first is not None:
            clauses = [clause.strip() for clause in _clause().split(folded[first:])]
            return all(lang.abstains(clause) for clause in clauses if re.search(r"\w", clause))
    return False


def _still_refused(new: ReviewVerdict, old: ReviewVerdict) -> ReviewVerdict:
    """The verdict `new` on a revision of an answer whose verdict was `old`.

    If the second brain refused the answer and could not give an opinion on the revision, the revision is refused too.
    """
    if old.second is None or old.second.approved is not False or new.second is None or new.second.error is None:
        return new
    opinion = tuple(issue for issue in old.issues if issue.by != "checks")
    return replace(new, approved=False, issues=(*new.issues, *opinion), second=replace(new.second, approved=False))


def _better(new: ReviewVerdict, revision: Reply, old: ReviewVerdict, kept: Reply) -> bool:
    """Whether a revision is better than the text `kept` that it revises.

    It is better if it is approved and the text was not, or has a higher score; the second opinion's score decides a
    tie. An empty revision is never better. Neither is one that only abstains, if the text has a supported citation and
    most of its claims are correct.
    """
    if not revision.text.strip():
        return False
    if revision.abstained and any(citation.supported for citation in kept.citations):
        broken = len({issue.claim for issue in old.issues if issue.serious and issue.by == "checks"})
        if 2 * broken < old.claims:
            return False  # most claims of the answer are correct, so an abstention is not better
    return _rank(new) > _rank(old)


def _rank(verdict: ReviewVerdict) -> tuple[bool, float, float]:
    second = verdict.second.score if verdict.second is not None else None
    return verdict.approved, verdict.score, second if second is not None else 0.0
