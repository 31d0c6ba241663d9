"""Answers with quotations from the passages, and generates nothing: the extractive brain.

It needs no key, no model and no network, and the same prompt always gives the same answer. One question gets one
answer: the sentence, list item or table row that says what is asked for, with its subject. If no excerpt does, it says
that it does not know, and quotes the nearest point.
"""

from __future__ import annotations

import functools
import math
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence

import anyio.to_thread

from cervella.brains.extractive.choice import Answer, answer, subject_of
from cervella.brains.extractive.excerpts import Excerpt, excerpts
from cervella.brains.extractive.match import Fit, Question, Similarity
from cervella.brains.extractive.quotes import quote
from cervella.text.language import Language, language_in
from cervella.types import BrainEvent, Completion, Finished, Location, Prompt, TextDelta


class ExtractiveBrain:
    """Answers with quotations: the sentences, rows and lines of the passages that fit the question best."""

    capabilities: frozenset[str] = frozenset()
    thinks_aloud = False
    quotes_only = True
    location: Location = "local"
    model = "extractive"

    def __init__(self, name: str = "extractive", similarity: Similarity | None = None) -> None:
        """`similarity` gives the cosines of a question with texts. None: excerpts are compared by words alone."""
        self.name = name
        self._similarity = similarity

    async def stream(self, prompt: Prompt, /) -> AsyncIterator[BrainEvent]:
        lang = language_in(prompt.hints)
        limit = math.inf if prompt.max_output_tokens is None else 3 * prompt.max_output_tokens
        text, finish_reason = "", "stop"
        for versions in await anyio.to_thread.run_sync(functools.partial(_blocks, prompt, lang, self._similarity)):
            for version in versions:
                delta = f"\n\n{version}" if text else version
                if len(text) + len(delta) <= limit:
                    text += delta
                    yield TextDelta(text=delta)
                    break
                finish_reason = "length"
        if not text and finish_reason == "stop":
            text = lang.abstention
            yield TextDelta(text=text)
        yield Finished(completion=Completion(text=text, finish_reason=finish_reason, model=self.model))


def _blocks(prompt: Prompt, lang: Language, similarity: Similarity | None) -> list[list[str]]:
    """The blocks of the answer: each quotes one paragraph, list, table or box of a passage.

    A block is a list of its versions: first complete, then with fewer and fewer excerpts, from which the caller takes
    the first that is short enough.
    """
    if said := prompt.hints.get("small_talk"):
        return [[str(said)]]
    if prompt.hints.get("abstain") or not prompt.question.strip():
        return []
    sources = enumerate(prompt.sources.items())
    found = [excerpt for rank, (mark, passage) in sources for excerpt in excerpts(mark, passage, rank, lang)]
    question = Question(prompt.question, found, lang, prompt.hints.get("persona"), similarity)
    chosen = answer(question)
    groups: dict[tuple[str, int], list[Excerpt]] = {}
    for excerpt in question.excerpts:
        groups.setdefault((excerpt.mark, excerpt.group), []).append(excerpt)
    if not chosen.blocks:
        nearest = _nearest(chosen, groups, lang)
        return [[f"{lang.abstention}\n\n{nearest}", lang.abstention]] if nearest else []
    parts = (part for block in chosen.blocks for part in _by_group(block))
    return [list(_versions(part, groups, lang, subject_of(question, part), _until(chosen, part))) for part in parts]


def _until(chosen: Answer, part: Sequence[Fit]) -> str:
    """For what no longer holds, the ISO date of the document that replaces it; empty if that is not known."""
    if chosen.before is None or chosen.before.excerpt.mark != part[0].excerpt.mark:
        return ""
    dates = (
        fit.excerpt.passage.date for block in chosen.blocks for fit in block if fit.excerpt.mark != part[0].excerpt.mark
    )
    newer = max((date for date in dates if date), default="")
    return newer if newer > (part[0].excerpt.passage.date or "") else ""


def _by_group(block: Sequence[Fit]) -> list[list[Fit]]:
    """The excerpts of a block by their paragraph, list or table."""
    parts: dict[tuple[str, int], list[Fit]] = {}
    for fit in block:
        parts.setdefault((fit.excerpt.mark, fit.excerpt.group), []).append(fit)
    return list(parts.values())


def _versions(
    fits: list[Fit], groups: Mapping[tuple[str, int], Sequence[Excerpt]], lang: Language, subject: str, until: str
) -> Iterator[str]:
    group = groups[fits[0].excerpt.mark, fits[0].excerpt.group]
    while fits:
        if block := quote([fit.excerpt for fit in fits], group, lang, subject, until):
            yield block
        weakest = min(fits, key=lambda fit: fit.score)
        fits = [fit for fit in fits if fit is not weakest]


def _nearest(chosen: Answer, groups: Mapping[tuple[str, int], Sequence[Excerpt]], lang: Language) -> str:
    if chosen.nearest is None or not (phrase := lang.file("abstention.toml").get("nearest")):
        return ""
    excerpt = chosen.nearest.excerpt
    said = quote([excerpt], groups[excerpt.mark, excerpt.group], lang)
    return phrase.format(quote=said.removeprefix("- ")) if said and "\n" not in said else ""
