"""Asks the probes: builds the prompts, keeps their order, and records each answer.

Every brain is sent the same bytes: one system prompt for each condition, the fixed passages of the probe, instructions
with a fixed date, temperature 0 and a seed. Each probe starts with an empty history, and an engine with a prefix cache
may reuse only the system prompt.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from functools import partial
from typing import Any, TypeAlias

from cervella.agent.agent import Agent
from cervella.agent.small_talk import TalkPrompt
from cervella.errors import BrainError, BrainResponseError, BudgetError, CervellaError, StreamInterruptedError
from cervella.evaluation.records import Condition, Key, Output, canonical_sha256
from cervella.evaluation.suites.suite import Probe
from cervella.prompt.layout import instructions_for, render
from cervella.protocols import Brain
from cervella.text.language import language
from cervella.types import Message, Passage, Prompt, Reply, Retrieval, shown_documents

SESSION = "soul-test"
"""The name under which the ledger records the questions of a soul test."""
_TODAY = "2026-01-15"
"""The date that every prompt gives as today's. It is fixed, so that a run on another day sends the same prompts."""
MAX_OUTPUT_TOKENS = 700
"""The token limit of one answer. It is higher than an ordinary answer needs, so that an answer that is too long is
seen."""
_FATAL = frozenset({"brain_auth", "brain_not_installed", "budget"})
"""Codes of errors after which a brain is asked no more, because every further call would raise them too."""
_MOST_FAILURES = 3
"""Number of failures in a row after which a brain is asked no more."""

AnyOne: TypeAlias = str | Brain | Sequence[str]
"""A brain as a caller names it: by its name, as an object, or by several names, of which the first that answers is
used."""
Ask = Callable[[Prompt], Reply]
Talk = Callable[[str], TalkPrompt | None]
"""What the prompt of an utterance has if it is small talk, else None."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The settings by which the probes are asked."""

    conditions: tuple[Condition, ...] = ("soul", "none", "scrambled")
    """The system prompts that are tried (see `Condition`). `none` and `scrambled` are controls: with them each probe is
    asked once, as written."""
    repeats: int = 1
    paraphrases: int = 1
    """How many paraphrases of a probe are asked, besides the probe as written."""
    seed: int = 0
    """The seed of the first repeat; each further repeat adds 1. It also chooses the probes and scrambles the soul."""
    temperature: float = 0.0
    max_output_tokens: int = MAX_OUTPUT_TOKENS
    """The token limit of one answer."""
    max_turn: int | None = None
    """The last turn of a conversation, 1-based; None: all its turns."""
    today: str = _TODAY
    """The date in every prompt, ISO 8601."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Conversation:
    """One probe, asked once from its first to its last turn."""

    condition: Condition
    probe: Probe
    variant: int
    """0: the probe as written; n: its nth paraphrase."""
    repeat: int
    """Number of the repeat, counted from 0."""

    def key(self, brain: str, turn: int) -> Key:
        return (brain, self.condition, self.probe.id, self.variant, self.repeat, turn)


def scored_turns(probe: Probe, max_turn: int | None = None) -> tuple[int, ...]:
    """The turns whose answers are scored, 1-based, up to `max_turn`."""
    turns = probe.at_turns or (len(probe.turns),)
    return tuple(turn for turn in turns if turn <= min(len(probe.turns), max_turn or len(probe.turns)))


def asked_sha256(probe: Probe, variant: int, turn: int) -> str:
    """A digest of the words and passages of a probe up to a turn. Its checks are not part of it."""
    # `document` came later; with it, earlier answers would count as answers to another question.
    names = [item.name for item in fields(Passage) if item.name != "document"]
    passages = [{name: getattr(one, name) for name in names} for one in probe.passages]
    scored = [one for one in scored_turns(probe) if one <= turn]
    return canonical_sha256([probe.variant(variant)[:turn], scored, passages])


def sha256_of(text: str) -> str:
    """The digest of a system prompt's UTF-8 bytes; empty if there is none."""
    return hashlib.sha256(text.encode()).hexdigest() if text else ""


def scrambled(text: str, seed: int = 0) -> str:
    """The text with its words in random order, the same order for the same seed.

    White space and line ends stay in their places.
    """
    words = re.findall(r"\S+", text)
    random.Random(seed).shuffle(words)
    shuffled = iter(words)
    return re.sub(r"\S+", lambda _: next(shuffled), text)


def conversations(probes: Sequence[Probe], plan: Plan) -> Iterator[Conversation]:
    """The conversations with one brain, in order: a probe under every condition, then the next probe.

    By this order a run that was interrupted has asked the same probes with the soul and without it.
    """
    for repeat in range(plan.repeats):
        for probe in probes:
            for condition in plan.conditions:
                if condition == "soul" or not repeat:
                    for variant in range(_variants(probe, plan) if condition == "soul" else 1):
                        yield Conversation(condition=condition, probe=probe, variant=variant, repeat=repeat)


def _variants(probe: Probe, plan: Plan) -> int:
    """The number of wordings of a probe that are asked: the probe as written, and some paraphrases.

    A paraphrase replaces the last turn. If the plan ends before that turn, no paraphrase is asked.
    """
    if plan.max_turn is not None and plan.max_turn < len(probe.turns):
        return 1
    return min(plan.paraphrases + 1, probe.variants)


def interview_all(
    agent: Agent,
    brains: Mapping[str, AnyOne],
    probes: Sequence[Probe],
    plan: Plan,
    *,
    session: str,
    progress: Callable[[str, int], None] | None,
    **options: Any,
) -> dict[str, str]:
    """Interview each brain.

    Returns, by the name of the brain, the code of the error after which it was asked no more; other brains are not in
    it. `progress` is called with a brain's name and its number of answers so far; `options` go to `interview`.
    """
    stopped: dict[str, str] = {}
    for name, brain in brains.items():
        count = 0

        def advance(number: int, name: str = name) -> None:
            nonlocal count
            count += number
            if progress is not None:
                progress(name, count)

        ask = partial(agent.complete, brain=brain, session=session, repeatable=True)
        error = interview(name, ask, probes, plan, progress=advance, **options)
        if error is not None:
            stopped[name] = error
    return stopped


def interview(
    brain: str,
    ask: Ask,
    probes: Sequence[Probe],
    plan: Plan,
    *,
    systems: Mapping[Condition, str],
    lang: str,
    done: dict[Key, Output],
    append: Callable[[Output], None],
    progress: Callable[[int], None] | None = None,
    retrievals: Mapping[str, Retrieval] | None = None,
    persona: str | None = None,
    talk: Talk | None = None,
) -> str | None:
    """Ask one brain for the answers that `done` lacks; put each into `done` and `append` it to the run.

    A conversation ends with its first error. Returns the code of the error after which the brain is asked no more: one
    that every call would raise, or the last of several in a row. `retrievals` maps a probe's id to the search that gave
    its passages: the prompt then says how confident it was, as the agent's own prompts do. `persona` is the persona's
    name, which these prompts have too; None: no prompt has it. `talk` makes the prompt of small talk as the agent does.
    Probes have none: a greeting of theirs has their own passages and checks.
    """
    failures = 0
    for conversation in conversations(probes, plan):
        history: tuple[Message, ...] = ()
        last = max(scored_turns(conversation.probe, plan.max_turn), default=0)
        fresh = True
        for turn in range(1, last + 1):
            key = conversation.key(brain, turn)
            output = done.get(key)
            if output is None or output.failed:
                system, retrieval = systems[conversation.condition], (retrievals or {}).get(conversation.probe.id)
                prompt = prompt_of(
                    conversation,
                    turn,
                    plan,
                    system,
                    lang,
                    history=history,
                    fresh=fresh,
                    retrieval=retrieval,
                    persona=persona,
                    talk=talk,
                )
                fresh = False  # the next turns may reuse the cache of this one
                output = done[key] = _answer(ask, prompt, conversation, brain, turn)
                append(output)
                failures = failures + 1 if output.failed else 0
                if output.error in _FATAL or failures >= _MOST_FAILURES:
                    return output.error
            if progress is not None:
                progress(last - turn + 1 if output.failed else 1)
            if output.failed:
                break
            if output.empty:
                continue  # an empty or refused answer is not part of the history
            question = conversation.probe.variant(conversation.variant)[turn - 1]
            sources = shown_documents(conversation.probe.passages)  # an answer of an earlier run is known by them too
            history += (
                Message(role="user", content=question, tainted=output.tainted, sources=sources),
                Message(role="assistant", content=output.text, tainted=output.tainted, sources=sources),
            )
    return None


def prompt_of(
    conversation: Conversation,
    turn: int,
    plan: Plan,
    system: str,
    lang: str,
    *,
    history: tuple[Message, ...] = (),
    fresh: bool = True,
    retrieval: Retrieval | None = None,
    persona: str | None = None,
    talk: Talk | None = None,
) -> Prompt:
    """The prompt of one turn of a conversation.

    `history` has the earlier turns. `fresh` is False if the engine may reuse its cache of them. `retrieval` is the
    search that found the passages; the prompt then says how confident the search was. `persona` is the persona's name.
    `talk` tells small talk, whose prompt has no passages.
    """
    probe = conversation.probe
    question = probe.variant(conversation.variant)[turn - 1]
    said = None if talk is None else talk(question)
    passages = probe.passages if said is None and turn in scored_turns(probe) else ()
    words = language(lang)
    abstain = retrieval is not None and retrieval.abstain
    bare = instructions_for(words, today=plan.today, passages=0) if said is None else said.instructions
    return Prompt(
        system=system,
        history=history,
        passages=passages,
        question=question,
        instructions=instructions_for(words, today=plan.today, passages=len(passages), abstain=abstain)
        if passages
        else bare,
        max_output_tokens=plan.max_output_tokens,
        temperature=plan.temperature,
        hints={
            "language": lang,
            "abstain": not passages if retrieval is None else abstain,
            "batch": True,
            "seed": plan.seed + conversation.repeat,
            "fresh": fresh,
            "instructions_without_passages": bare,
            **({} if retrieval is None else {"confidence": retrieval.confidence}),
            **({} if persona is None else {"persona": persona}),
            **({} if said is None else said.hints),
        },
    )


def _answer(ask: Ask, prompt: Prompt, conversation: Conversation, brain: str, turn: int) -> Output:
    asked = Output(
        brain=brain,
        model="",
        condition=conversation.condition,
        probe=conversation.probe.id,
        variant=conversation.variant,
        repeat=conversation.repeat,
        turn=turn,
        asked_sha256=asked_sha256(conversation.probe, conversation.variant, turn),
        prompt_sha256=canonical_sha256([[message.role, message.content] for message in render(prompt)]),
        system_sha256=sha256_of(prompt.system),
        text="",
    )
    started = time.monotonic()
    try:
        reply, flags = _asked(ask, prompt)
    except (BrainError, BudgetError) as error:
        return replace(asked, **_failure(error), seconds=time.monotonic() - started)
    refused = reply.finish_reason == "refusal"
    return replace(
        asked,
        model=reply.model,
        text="" if refused else reply.text,
        finish_reason=reply.finish_reason,
        input_tokens=reply.usage.input_tokens,
        cache_read_tokens=reply.usage.cache_read_tokens,
        output_tokens=reply.usage.output_tokens,
        cost_usd=reply.cost_usd,
        tainted=reply.tainted,
        abstained=reply.abstained,
        flags={**reply.flags, **flags},
        error="refusal" if refused else None if reply.text.strip() else "empty_answer",
        seconds=reply.timings.total_seconds,
        first_token_seconds=reply.timings.first_token_seconds,
    )


def _asked(ask: Ask, prompt: Prompt) -> tuple[Reply, dict[str, int]]:
    """The reply to a prompt, and the flags of what was not sent.

    Some reasoning engines refuse every temperature but their own: the prompt is then sent again without a temperature.
    """
    try:
        return ask(prompt), {}
    except BrainResponseError as error:
        if prompt.temperature is None or "temperature" not in error.message.casefold():
            raise
    return ask(replace(prompt, temperature=None)), {"temperature_not_sent": 1}


def _failure(error: CervellaError) -> dict[str, Any]:
    partial = error.partial if isinstance(error, StreamInterruptedError) else None
    return {
        "model": getattr(error, "model", "") or "",
        "text": partial or "",
        "finish_reason": "error" if partial is None else "interrupted",
        "error": error.code,
        "message": error.message,
    }
