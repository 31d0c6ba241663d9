"""Thoughts that a model writes into its answer, taken out as the text comes."""

from __future__ import annotations

import re

_NAMES = ("think", "thinking", "thought")
# A tag in backticks is one that the answer speaks of.
_TAG = re.compile(
    rf"(?<!`)(?:(?P<opener><(?:{'|'.join(_NAMES)})>|\[THINK\])|(?P<closer></(?:{'|'.join(_NAMES)})>|\[/THINK\]))"
)
_TAGS = [f"<{slash}{name}>" for name in _NAMES for slash in ("", "/")] + ["[THINK]", "[/THINK]"]
_BEGINNINGS = {f"{tick}{tag[:n]}" for tag in _TAGS for n in range(1, len(tag)) for tick in ("", "`")} | {"`"}
_LONGEST = max(map(len, _BEGINNINGS))


class ThoughtLeakedError(Exception):
    """A thought has ended whose beginning was taken for the answer, and given out."""


class ThoughtFilter:
    """Takes `<think>…</think>` out of a text that comes in pieces; a tag may be cut anywhere.

    Some templates open the thought before the model writes, so that only its end is seen. What was held back till then
    is dropped with it; once a text was given out, it raises ThoughtLeakedError, because that can't be taken back.
    `inside` says that the text begins within a thought: then nothing is given out before its end. A thought that never
    ends is dropped.

    >>> thoughts = ThoughtFilter()
    >>> [thoughts.feed(piece) for piece in ("<thi", "nk>mm", "</think>\\n\\nEc", "co.")], thoughts.end()
    (['', '', 'Ec', 'co.'], '')
    """

    def __init__(self, *, inside: bool = False) -> None:
        self.inside = inside
        """Whether the text so far ends within a thought."""
        self.removed = 0
        """Thoughts that were taken out."""
        self._held = ""
        self._given = False

    def feed(self, piece: str) -> str:
        """What of the text so far can be given out."""
        text, out, start = self._held + piece, "", 0
        for tag in _TAG.finditer(text):
            if tag["opener"] and not self.inside:
                out += text[start : tag.start()]
                start, self.inside = tag.end(), True
            elif tag["closer"]:
                if not self.inside and (self._given or out.strip()):
                    raise ThoughtLeakedError
                start, out = tag.end(), out if self.inside else ""
                self.inside, self.removed = False, self.removed + 1
        text = text[start:]
        # What may be the beginning of a tag waits for the rest; nobody needs what stands in a thought.
        self._held = next((text[-n:] for n in range(min(_LONGEST, len(text)), 0, -1) if text[-n:] in _BEGINNINGS), "")
        if not self.inside:
            out += text[: len(text) - len(self._held)]
        return self._shown(out)

    def end(self) -> str:
        """The rest, once the text has ended."""
        held, self._held = self._held, ""
        if self.inside:
            self.removed += 1
            return ""
        return self._shown(held)

    def _shown(self, out: str) -> str:
        if not self._given and self.removed:
            out = out.lstrip()  # the blank lines that follow a thought
        self._given = self._given or bool(out.strip())
        return out
