"""Turns the parts of a prompt into messages, and finds the citation marks in an answer.

The parts that change come last, because prompt caches reuse a common prefix:

1. the system message: the soul and nothing else, always the same text;
2. the history: questions and answers, without their passages, without refused or empty turns;
3. the last user message: instructions, then the passages, fenced and numbered, then the question.

```text
Oggi è 9 gennaio 2026. …                                 instructions

Fonti:

[F1] decisioni/20260109_rinvio.md, righe 12-19, 9 gennaio 2026
~~~~
Rinvio > Perché                                          lead: heading path, a split table's header

Il lancio è rinviato: mancano i test di carico.          the passage's lines
~~~~

Domanda: Perché abbiamo rimandato il lancio?
```

A passage can't end its fence, which is longer than any sequence of tildes in the passage. Text in a passage that looks
like a citation mark gets other brackets (`⟦F1⟧`), so a mark in an answer always means a passage of this prompt.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from cervella.prompt.history import sendable
from cervella.text.language import Language, is_blank, language_in
from cervella.text.markdown import fence_for, without_code
from cervella.types import Message, Passage, Prompt

LAYOUT_VERSION = 1
"""Version of the layout, stored in the lock file. It changes whenever the same parts would give other messages."""

_MARK = re.compile(r"\[\s*+(F\s*+\d{1,4}+(?:\s*+[,;]\s*+(?:F\s*+)?+\d{1,4}+)*+)\s*+\]", re.IGNORECASE)
_LIKE_CODE = re.compile(
    r"<code\b[^<>]{0,200}>(?:(?!<code\b).){0,4000}?</code>|^ {0,3}\[[^\]\n]{1,20}\]:\s*<?https?://\S+",
    re.DOTALL | re.MULTILINE,
)
_NUMBER = re.compile(r"\d+")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundMark:
    """One citation mark in an answer."""

    mark: str
    """The mark without brackets and spaces, with a capital letter: `F1`."""
    start: int
    """Offset in the text of the first bracket of its group."""
    end: int
    """Offset in the text after the last bracket of its group."""
    group: tuple[str, ...]
    """All marks of adjacent brackets: `[F1, F2]` and `[F1][F2]` are each one group."""


def find_marks(text: str) -> list[FoundMark]:
    """The citation marks of an answer, in order: `[F1]`, `[F1, F2]`, `[F1][F2]`, in upper or lower case.

    Marks in code are ignored.

    >>> [found.mark for found in find_marks("Sì [f1], forse [F2, F3]; `x[F4]`")]
    ['F1', 'F2', 'F3']
    """
    masked = without_code(text) if _MARK.search(text) else ""
    if "<code" in masked or "]:" in masked:
        masked = _LIKE_CODE.sub(lambda match: " " * len(match.group()), masked)
    runs: list[list[re.Match[str]]] = []
    for match in _MARK.finditer(masked):
        if runs and not masked[runs[-1][-1].end() : match.start()].strip(" \t"):
            runs[-1].append(match)
        else:
            runs.append([match])
    found = []
    for run in runs:
        group = tuple(f"F{int(number)}" for match in run for number in _NUMBER.findall(match[1]))
        found += [FoundMark(mark=mark, start=run[0].start(), end=run[-1].end(), group=group) for mark in group]
    return found


def strip_marks(text: str) -> str:
    """The text without its citation marks and the spaces before them.

    >>> strip_marks("Costa 3 euro [F1].")
    'Costa 3 euro.'
    """
    kept, done = [], 0
    for start, end in sorted({(found.start, found.end) for found in find_marks(text)}):
        kept.append(text[done:start].rstrip(" \t"))
        done = end
    return "".join([*kept, text[done:]])


def defuse_marks(text: str) -> str:
    """A passage's text with other brackets around everything that looks like a citation mark, so that none is taken for
    one.

    The length does not change.

    >>> defuse_marks("vedi [F1]")
    'vedi ⟦F1⟧'
    """
    return _MARK.sub(lambda match: f"⟦{match.group()[1:-1]}⟧", text)


def instructions_for(lang: Language, *, today: str, passages: int, abstain: bool = False) -> str:
    """The instructions of a prompt: today's date, how to cite, how to abstain.

    `today` is an ISO 8601 date. `passages` is the number of passages in the prompt; if it is 0, sources are not
    mentioned. `abstain` adds a warning that probably no passage answers the question.
    """
    text = lang.prompt["instructions" if passages else "without_passages"]
    text = text.format(today=lang.format_date(today), abstention=lang.abstention)
    return f"{text}\n{lang.prompt['doubtful']}" if abstain and passages else text


def instructions_for_small_talk(lang: Language, *, today: str) -> str:
    """The instructions of a prompt for small talk, which has no sources and nothing to abstain from.

    `today` is an ISO 8601 date. Empty if the language has no such text.
    """
    return lang.prompt["small_talk"].format(today=lang.format_date(today))


def render(prompt: Prompt) -> tuple[Message, ...]:
    """The messages of a prompt: system, history, and the last user message with instructions, passages and question.

    An empty system message and refused or empty turns are left out.
    """
    lang = language_in(prompt.hints)
    instructions = prompt.instructions
    if not prompt.passages:  # all were removed, so the instructions must not mention sources
        instructions = str(prompt.hints.get("instructions_without_passages", instructions))
    parts = [instructions.strip()] if instructions.strip() else []
    if prompt.passages:
        parts.append(lang.prompt["sources"])
        parts += [_source(mark, passage, lang) for mark, passage in prompt.sources.items()]
    parts.append(f"{lang.prompt['question']} {prompt.question}" if parts else prompt.question)
    last = Message(role="user", content="\n\n".join(parts), images=prompt.images, tainted=prompt.tainted)
    system = () if is_blank(prompt.system) else (Message(role="system", content=prompt.system),)
    return (*system, *sendable([_bare(message) for message in prompt.history]), last)


def _bare(message: Message) -> Message:
    """A message of the history without citation marks, because their passages are no longer in the prompt."""
    return replace(message, content=strip_marks(message.content)) if message.role == "assistant" else message


def _source(mark: str, passage: Passage, lang: Language) -> str:
    lines = lang.prompt["line" if passage.start_line == passage.end_line else "lines"]
    label = [_one_line(passage.path), lines.format(start=passage.start_line, end=passage.end_line)]
    if passage.date:
        label.append(_one_line(lang.format_date(passage.date)))
    if passage.status in lang.status:
        label.append(lang.status[passage.status])
    body = defuse_marks(f"{passage.lead}\n\n{passage.reading}" if passage.lead else passage.reading)
    # CommonMark also ends a line at \r, so a fence after a \r could end the block.
    body = body.replace("\r\n", "\n").replace("\r", "\n")
    fence = fence_for(body)
    return f"[{mark}] {', '.join(label)}\n{fence}\n{body}\n{fence}"


def _one_line(text: str) -> str:
    return defuse_marks(_CONTROL.sub(" ", text))


def without(prompt: Prompt, marks: Collection[str]) -> Prompt:
    """The prompt without the passages that have these citation marks. The other passages keep their marks."""
    kept = [(mark, passage) for mark, passage in prompt.sources.items() if mark not in marks]
    return replace(prompt, marks=tuple(mark for mark, _ in kept), passages=tuple(passage for _, passage in kept))


def estimate_tokens(messages: Iterable[Message] | str) -> int:
    """Estimate the tokens of messages or a text as ceil(characters / 3), which is a little too many for Italian."""
    texts = (messages,) if isinstance(messages, str) else (message.content for message in messages)
    return -(-sum(map(len, texts)) // 3)
