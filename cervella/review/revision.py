"""A due mani, the whole of it: the checks, the second hand, the revision, and which of two answers is kept.

Whoever fails here, the answer is not lost: the checks ask nobody, and what a second hand or a revision could not do is
said in the verdict.
"""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from functools import lru_cache, partial

import anyio.to_thread

from cervella.brains.routing.fallback import Fallback, Shielded
from cervella.brains.shield.deadline import Clock
from cervella.checks.check import PersonaTraits
from cervella.errors import BrainError, CervellaError
from cervella.prompt.layout import strip_marks
from cervella.protocols import optional_members
from cervella.review.second_opinion import opinions, read_opinion, review_prompt, revision_prompt
from cervella.review.verdict import review_text
from cervella.text.language import Language, fold, known_languages, language
from cervella.types import Attempt, Completion, Finished, Passage, Prompt, Reply
from cervella.types.verdict import ReviewVerdict, SecondHand

__all__ = ["Reviewing", "sources_of"]

_STALE = "stale"
Remade = Callable[[Prompt, Completion], Awaitable[Reply]]
"""Makes a reply of what a brain answered."""


@dataclass(frozen=True, eq=False, kw_only=True)
class Reviewing:
    """How answers are reviewed. `second` is None where the checks alone decide."""

    lang: Language
    traits: PersonaTraits | None
    threshold: float
    rounds: int
    second: Shielded | None = None

    async def review(self, prompt: Prompt, reply: Reply, clock: Clock) -> tuple[ReviewVerdict, tuple[Attempt, ...]]:
        """The verdict on an answer as it is, and the calls that it took. Raises nothing but a cancellation."""
        left = clock.left()
        look = partial(
            review_text,
            reply.text,
            sources_of(prompt, reply),
            self.lang,
            question=prompt.question,
            given="\n".join((prompt.instructions, *(message.content for message in prompt.history))),
            finish_reason=reply.finish_reason,
            threshold=self.threshold,
            traits=self.traits,
            stale=[citation.mark for citation in reply.citations if citation.changed],
            until=None if left is None else time.monotonic() + left,
        )
        verdict = await anyio.to_thread.run_sync(look, abandon_on_cancel=True)
        if reply.finish_reason == "refusal" or not reply.text.strip():
            return verdict, ()
        if self.second is None or (reply.abstained and _says_nothing_else(reply.text)):
            return verdict, ()  # an honest "I don't know" needs no second hand
        return await self._with_second(verdict, self.second, prompt, reply, clock)

    async def _with_second(
        self, verdict: ReviewVerdict, second: Shielded, prompt: Prompt, reply: Reply, clock: Clock
    ) -> tuple[ReviewVerdict, tuple[Attempt, ...]]:
        other = _another(second, reply)
        if other is None:
            return replace(verdict, second=SecondHand(brain=second.name, error="same_brain")), ()
        shown = sources_of(prompt, reply)
        asked = review_prompt(
            replace(prompt, passages=tuple(shown.values()), marks=tuple(shown)),
            reply.text,
            self.lang,
            tainted=reply.tainted,
            reason=f"second hand of {reply.brain}",
        )
        try:
            done = await _answer(other, asked, clock)
        except CervellaError as error:
            failed = SecondHand(brain=other.name, error=error.code)
            return replace(verdict, second=failed), tuple(getattr(error, "attempts", ()))
        by = done.attempts[-1].brain if done.attempts else other.name
        if done.finish_reason == "refusal":
            return replace(verdict, second=SecondHand(brain=by, model=done.model, error="refusal")), done.attempts
        opinion = read_opinion(done.text, self.lang)
        if not opinion.readable:
            return replace(verdict, second=SecondHand(brain=by, model=done.model, error="unreadable")), done.attempts
        refused = opinion.approved is False or (opinion.score is not None and opinion.score < self.threshold)
        hand = SecondHand(brain=by, model=done.model, score=opinion.score, marks=opinion.marks, approved=not refused)
        return (
            replace(
                verdict,
                approved=verdict.approved and not refused,  # it can refuse what the checks approve, never the reverse
                issues=(*verdict.issues, *opinions(opinion, by, reply.text, serious=refused)),
                second=hand,
            ),
            done.attempts,
        )

    async def revised(self, prompt: Prompt, reply: Reply, first: Shielded, clock: Clock, remade: Remade) -> Reply:
        """The answer with its verdict: the first, or a revision of it where that is the better one."""
        verdict, calls = await self.review(prompt, reply, clock)
        attempts = [*reply.attempts, *calls]
        kept, score = reply, verdict.score
        rounds, error = 0, None
        if reply.finish_reason == "refusal":  # a refused question is not sent again
            return replace(kept, review=verdict, attempts=tuple(attempts), timings=clock.timings())
        while _can_be_mended(verdict) and rounds < self.rounds and not optional_members(first.brain).quotes_only:
            rounds += 1
            issues = [issue for issue in verdict.issues if issue.kind != _STALE]
            asked = revision_prompt(prompt, kept.text, issues, self.lang, tainted=kept.tainted)
            try:
                done = await _answer(first, asked, clock)
            except CervellaError as failure:
                attempts += getattr(failure, "attempts", ())
                error = failure.code
                break
            attempts += done.attempts
            if done.finish_reason == "refusal":
                error = "refusal"
                break
            new = await remade(prompt, done)
            new = replace(new, tainted=new.tainted or kept.tainted)
            judged, calls = await self.review(prompt, new, clock)
            attempts += calls
            judged = _still_refused(judged, verdict)
            if not _better(judged, new, verdict, kept):
                break
            kept, verdict = new, judged
        changed = kept is not reply
        verdict = replace(
            verdict,
            rounds=rounds,
            revised=changed,
            draft=reply.text if changed else None,
            draft_score=score if changed else None,
            error=error,
        )
        return replace(kept, review=verdict, attempts=tuple(attempts), timings=clock.timings())


def sources_of(prompt: Prompt, reply: Reply) -> Mapping[str, Passage]:
    """The passages that the brain which answered was shown, by mark."""
    answered = [one for one in reply.attempts if one.outcome != "error" and one.route != "review"]
    if not answered:
        return prompt.sources
    return {mark: passage for mark, passage in prompt.sources.items() if mark in answered[-1].shown}


def _can_be_mended(verdict: ReviewVerdict) -> bool:
    """Whether an answer is refused for something that another answer could better: a stale source stays stale."""
    refused = verdict.second is not None and verdict.second.approved is False
    serious = {issue.kind for issue in verdict.issues if issue.serious}
    return not verdict.approved and (refused or serious != {_STALE})


def _leaves(shielded: Shielded) -> Iterator[Shielded]:
    members: Sequence[Shielded] = getattr(shielded, "members", ())
    if not members:
        yield shielded
    for member in members:
        yield from _leaves(member)


def _another(second: Shielded, reply: Reply) -> Shielded | None:
    """The second hand without the brain that answered, by name or by weights; None where nobody is left."""
    wrote = [one for one in reply.attempts if one.outcome != "error" and one.route != "review"][-1:]
    names = {reply.brain, *(one.brain for one in wrote)}
    weights = {reply.model, *(one.model for one in wrote)} - {""}
    leaves = list(_leaves(second))
    others = [leaf for leaf in leaves if leaf.name not in names and leaf.model not in weights]
    if len(others) == len(leaves):
        return second
    return Fallback(others) if len(others) > 1 else others[0] if others else None


async def _answer(shielded: Shielded, prompt: Prompt, clock: Clock) -> Completion:
    """What a brain answers, whole."""
    async with aclosing(shielded.stream(prompt, timeout=clock.left())) as events:
        async for event in events:
            if isinstance(event, Finished):
                return event.completion
    raise BrainError("The brain ended without an answer.", brain=shielded.name, model=shielded.model)


_LONGEST_ABSTENTION = 2_000
"""Characters: an answer that is longer says something else too."""


@lru_cache(maxsize=1)
def _clause() -> re.Pattern[str]:
    """What parts a folded clause from the next, in any language: an answer may be in another than the base's."""
    joins, turns = ("|".join(language(code).review[key] for code in known_languages()) for key in ("joins", "turns"))
    return re.compile(rf"[.,;:!?…()\n]+(?:\s*(?:{joins})\s)?|\s[-–—]\s|{turns}")


def _says_nothing_else(text: str) -> bool:
    """Whether an answer that begins with "I don't know" goes on with nothing else, clause by clause."""
    said = fold(strip_marks(text))
    if len(said) > _LONGEST_ABSTENTION:
        return False
    ends = [*(match.start() for match in _clause().finditer(said)), len(said)]
    for code in known_languages():
        lang = language(code)
        first = next((end for end in ends if lang.abstains(said[:end])), None)
        if first is not None:
            clauses = [clause.strip() for clause in _clause().split(said[first:])]
            return all(lang.abstains(clause) for clause in clauses if re.search(r"\w", clause))
    return False


def _still_refused(new: ReviewVerdict, old: ReviewVerdict) -> ReviewVerdict:
    """The verdict on a revision: a refusal of the second hand stands where it gives no opinion on the new text."""
    if old.second is None or old.second.approved is not False or new.second is None or new.second.error is None:
        return new
    said = tuple(issue for issue in old.issues if issue.by != "checks")
    return replace(new, approved=False, issues=(*new.issues, *said), second=replace(new.second, approved=False))


def _better(new: ReviewVerdict, revision: Reply, old: ReviewVerdict, kept: Reply) -> bool:
    """Whether a revision is worth more than what it revises."""
    if not revision.text.strip():
        return False
    if revision.abstained and any(citation.supported for citation in kept.citations):
        broken = len({issue.claim for issue in old.issues if issue.serious and issue.by == "checks"})
        if 2 * broken < old.claims:
            return False  # most of what was said stands: saying nothing instead is no gain
    return _rank(new) > _rank(old)


def _rank(verdict: ReviewVerdict) -> tuple[bool, float, float]:
    second = verdict.second.score if verdict.second is not None else None
    return verdict.approved, verdict.score, second if second is not None else 0.0
