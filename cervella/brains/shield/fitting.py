"""Removes from a prompt the parts that a brain may not see, and cuts it to the brain's window."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from cervella.errors import BrainError, BrainResponseError, PromptTooLongError
from cervella.privacy.masks import PersonalMasks
from cervella.privacy.redaction import mask_secrets
from cervella.privacy.remembered import MaskedTexts
from cervella.prompt.history import turns
from cervella.prompt.layout import estimate_tokens, render, without
from cervella.protocols import Brain, optional_members
from cervella.text.language import is_blank, language_in
from cervella.types import Location, Passage, Prompt

_SHOWN_OF_A_PASSAGE = ("reading", "lead", "heading", "path")
_NOT_SHOWN: dict[str, Any] = {"document": "", "tags": (), "aliases": (), "meta": {}, "links": ()}
"""What a prompt does not show of a passage, and a brain does not need. A cloud brain does not get it."""
_TEMPLATE_TOKENS = 64
"""Upper limit of the tokens that a chat template adds to one message."""


def location_of(brain: Brain, configured: Location | None = None) -> Location:
    """The location of a brain: `configured` (the one that the owner set), else the brain's own, else `cloud`.

    A brain with `remote` set is always `cloud`.
    """
    if optional_members(brain).remote:
        return "cloud"
    location = configured or optional_members(brain).location
    return location if location in ("local", "private") else "cloud"


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """A prompt with only the parts that a brain may see, cut to its window."""

    prompt: Prompt
    prompt_tokens: int
    limit_tokens: int | None
    """The maximum for `prompt_tokens`: the window less the tokens reserved for the answer. None if the brain names no
    window."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """Counts of the removed parts: `passages_withheld`, `turns_withheld`, `secrets_masked` and `personal_masked` for
    privacy, `passages_dropped` and `turns_dropped` to fit the window.

    `no_source_fits` is 1 where no passage is left.
    """
    personal: PersonalMasks | None = None
    """The masks of the prompt's personal data, to put the data back into the answer. None if none are masked."""


def admit(
    prompt: Prompt,
    location: Location,
    personal: PersonalMasks | None = None,
    masks: MaskedTexts | None = None,
) -> tuple[Prompt, dict[str, int]]:
    """The prompt without the parts that a brain at this location may not see, and the counts of the removed parts.

    For a cloud brain, local-only passages and tainted turns are removed, and all secrets are masked; if `personal` is
    given, personal data too. The soul (the system prompt), the instructions and images stay as they are.

    `masks` remembers the earlier turns, so that each is masked once.
    """
    if location != "cloud":
        return prompt, {}
    secrets = 0

    def masked(text: str, *, source: bool = False, mask: Callable[[str, str], tuple[str, int]] = mask_secrets) -> str:
        nonlocal secrets
        text, found = mask(text, language_in(prompt.hints).code)
        secrets += found
        return text if personal is None else personal.mask(text, source=source)

    def cleaned(passage: Passage) -> Passage:
        shown: dict[str, Any] = {name: masked(getattr(passage, name), source=True) for name in _SHOWN_OF_A_PASSAGE}
        text = mask_secrets(passage.text, language_in(prompt.hints).code)[0]  # counted where it is shown
        text = text if personal is None else personal.mask(text, counted=False)
        return replace(passage, text=text, **shown, **_NOT_SHOWN)

    if personal is not None:
        for text in _texts(prompt):
            personal.reserve(text)
    withheld = [mark for mark, passage in prompt.sources.items() if passage.local_only]
    shown = without(prompt, withheld)
    all_turns = turns(prompt.history)
    kept = [turn for turn in all_turns if not any(message.tainted for message in turn)]
    again = mask_secrets if masks is None else masks.mask
    # In the order of the messages, so that personal data of the history keep their masks in the next question.
    history = tuple(
        replace(message, content=masked(message.content, mask=again), sources=None) for turn in kept for message in turn
    )
    passages = tuple(cleaned(passage) for passage in shown.passages)
    admitted = replace(shown, question=masked(shown.question), history=history, passages=passages)
    flags = {
        "passages_withheld": len(withheld),
        "turns_withheld": len(all_turns) - len(kept),
        "secrets_masked": secrets,
        "personal_masked": 0 if personal is None else personal.count,
    }
    return admitted, {key: count for key, count in flags.items() if count}


def _texts(prompt: Prompt) -> Iterator[str]:
    """The texts of a prompt, each of which may contain a mask that is no datum's."""
    yield from (prompt.system, prompt.instructions, prompt.question)
    yield from (message.content for message in prompt.history)
    for passage in prompt.passages:
        yield from (getattr(passage, name) for name in (*_SHOWN_OF_A_PASSAGE, "text"))


async def fit(
    prompt: Prompt,
    brain: Brain,
    location: Location,
    *,
    exact: bool = True,
    remind_every: int | None = None,
    mask_personal: str | None = None,
    masks: MaskedTexts | None = None,
) -> Fitted:
    """Remove from the prompt the parts that the brain may not see, then cut it to the brain's window.

    The lowest-ranked passages are left out first, then the oldest turns. The soul (the system prompt) is never cut.
    Raises PromptTooLongError if soul, instructions and question alone do not fit.

    If `exact` is false, the tokens of a prompt that certainly fits are estimated, because counting may be a request to
    the engine. Every `remind_every` turns the soul is repeated in the last user turn, if it fits; with None it never
    is. `mask_personal` is the language of the base if personal data are masked too, for a cloud brain. `masks` is as in
    `admit`.
    """
    if prompt.images and "images" not in optional_members(brain).capabilities:
        cure = "Ask without images, or ask a brain that accepts images."
        raise _refused(brain, "can't see images", cure, code="images_unsupported")
    if is_blank(prompt.question) and not prompt.images:
        raise _refused(brain, "got an empty question", "Ask a question that is not empty.", code="empty_question")
    if prompt.confidential and location == "cloud":
        cure = "Ask a brain that is local or private."
        raise _refused(brain, "may not see this prompt, because it contains local-only text", cure, code="withheld")
    personal = PersonalMasks(mask_personal) if mask_personal and location == "cloud" else None
    prompt, flags = admit(prompt, location, personal, masks)
    window = optional_members(brain).context_tokens
    limit = None if window is None else window - _room(prompt, brain, window)
    reminded = _reminded(prompt, remind_every)
    if reminded is not None:
        tokens = await _tokens(reminded, brain, limit, exact=exact)
        if limit is None or tokens <= limit:
            flags = {**flags, "soul_reminded": 1}
            return Fitted(prompt=reminded, prompt_tokens=tokens, limit_tokens=limit, flags=flags, personal=personal)
    tokens = await _tokens(prompt, brain, limit, exact=exact)
    if window is None or limit is None or tokens <= limit:
        return Fitted(prompt=prompt, prompt_tokens=tokens, limit_tokens=limit, flags=flags, personal=personal)
    # A binary search, because counting may be a request to the engine.
    low, high = 1, len(prompt.passages) + len(turns(prompt.history))
    fitted: Fitted | None = None
    while low <= high:
        middle = (low + high) // 2
        shorter, gone = _less(prompt, middle)
        count = await count_tokens(shorter, brain)
        if count <= limit:
            counts = {**flags, **gone}
            fitted = Fitted(prompt=shorter, prompt_tokens=count, limit_tokens=limit, flags=counts, personal=personal)
            high = middle - 1
        else:
            low, tokens = middle + 1, count
    if fitted is not None:
        return fitted
    raise PromptTooLongError(
        f"The soul, the instructions and the question have {tokens} tokens, but {brain.name!r} accepts {limit}: "
        f"its window of {window}, less {window - limit} for the answer.",
        brain=brain.name,
        model=brain.model,
        prompt_tokens=tokens,
        limit_tokens=limit,
        remedy="Ask a shorter question, shorten the Constitution, or use a brain with a larger window.",
    )


async def _tokens(prompt: Prompt, brain: Brain, limit: int | None, *, exact: bool) -> int:
    if exact or prompt.images:
        return await count_tokens(prompt, brain)
    messages = render(prompt)
    # In every vocabulary a text has at most as many tokens as bytes; a template adds some to each message.
    most = sum(len(message.content.encode("utf-8", "replace")) + _TEMPLATE_TOKENS for message in messages)
    return estimate_tokens(messages) if limit is None or most <= limit else await count_tokens(prompt, brain)


def _reminded(prompt: Prompt, every: int | None) -> Prompt | None:
    """The prompt with the soul repeated before the instructions; None if the number of past turns requires no
    reminder."""
    past = len(turns(prompt.history))
    if not every or not past or past % every or not prompt.system:
        return None
    lead = language_in(prompt.hints).prompt.get("reminder", "")
    soul = f"{lead}\n\n{prompt.system.strip()}".strip()
    hints = dict(prompt.hints)
    if "instructions_without_passages" in hints:
        hints["instructions_without_passages"] = f"{soul}\n\n{hints['instructions_without_passages']}"
    return replace(prompt, instructions=f"{soul}\n\n{prompt.instructions}".strip(), hints=hints)


async def count_tokens(prompt: Prompt, brain: Brain) -> int:
    """The prompt's tokens, counted by the brain; ceil(characters / 3) if the brain can't count."""
    count = optional_members(brain).count_tokens
    if count is None:
        return estimate_tokens(render(prompt))
    try:
        return int(await count(prompt))
    except BrainError:
        raise
    except Exception as error:
        what = f"can't count a prompt's tokens: {type(error).__name__}: {mask_secrets(str(error))[0]}"
        raise _refused(brain, what, "Test the brain with cervella.testing.check_brain.") from error


def _refused(brain: Brain, what: str, remedy: str, *, code: str | None = None) -> BrainResponseError:
    message = f"The brain {brain.name!r} {what}."
    return BrainResponseError(message, brain=brain.name, model=brain.model, remedy=remedy, code=code)


def _room(prompt: Prompt, brain: Brain, window: int) -> int:
    """Tokens of the window reserved for the answer: the prompt's maximum, else the brain's, else 1024 or a quarter."""
    asked = prompt.max_output_tokens or optional_members(brain).max_output_tokens
    return int(asked) if asked else min(1024, window // 4)


def _less(prompt: Prompt, count: int) -> tuple[Prompt, dict[str, int]]:
    """The prompt without `count` of its parts: first the lowest-ranked passages, then the oldest turns.

    The second value has the numbers of removed passages and turns, and whether no passage is left, without zeros.
    """
    passages = min(count, len(prompt.passages))
    older = count - passages
    shorter = without(prompt, prompt.marks[len(prompt.marks) - passages :])
    history = tuple(message for turn in turns(prompt.history)[older:] for message in turn)
    none_left = int(passages > 0 and passages == len(prompt.passages))
    gone = {"passages_dropped": passages, "turns_dropped": older, "no_source_fits": none_left}
    return replace(shorter, history=history), {key: number for key, number in gone.items() if number}
