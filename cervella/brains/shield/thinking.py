"""Removes a model's thoughts (`<think>…</think>`) from its answer while the answer streams."""

from __future__ import annotations

import re

_NAMES = ("think", "thinking", "thought")
# A tag in backticks is a mention of the tag, not the beginning of a thought.
_TAG = re.compile(
    rf"(?<!`)(?:(?P<opener><(?:{'|'.join(_NAMES)})>|\[THINK\])|(?P<closer></(?:{'|'.join(_NAMES)})>|\[/THINK\]))"
)
_TAGS = [f"<{slash}{name}>" for name in _NAMES for slash in ("", "/")] + ["[THINK]", "[/THINK]"]
_BEGINNINGS = {f"{tick}{tag[:n]}" for tag in _TAGS for n in range(1, len(tag)) for tick in ("", "`")} | {"`"}
_LONGEST = max(map(len, _BEGINNINGS))


class ThoughtLeakedError(Exception):
    """A closing tag came without an opening one: the text that was already returned as the answer was a thought."""


class ThoughtFilter:
    """Removes `<think>…</think>` from a text that arrives in chunks. A tag may be split between two chunks.

    Some templates write the opening tag themselves, so that the text only contains the closing one. `feed` raises
    ThoughtLeakedError at such a closing tag if it has already returned text. Set `inside` if the text begins inside a
    thought: then nothing is returned before its end. A thought that never ends is removed.

    >>> thoughts = ThoughtFilter()
    >>> [thoughts.feed(chunk) for chunk in ("<thi", "nk>mm", "</think>\\n\\nEc", "co.")], thoughts.end()
    (['', '', 'Ec', 'co.'], '')
    """

    def __init__(self, *, inside: bool = False) -> None:
        self.inside = inside
        """Whether the text so far ends inside a thought."""
        self.removed = 0
        """The number of thoughts that were removed."""
        self._held = ""
        self._returned = False

    def feed(self, chunk: str) -> str:
        """Add a chunk. Returns the new text that is certainly outside a thought; a possible beginning of a tag is held
        back."""
        text, out, start = self._held + chunk, "", 0
        for tag in _TAG.finditer(text):
            if tag["opener"] and not self.inside:
                out += text[start : tag.start()]
                start, self.inside = tag.end(), True
            elif tag["closer"]:
                if not self.inside and (self._returned or out.strip()):
                    raise ThoughtLeakedError
                start, out = tag.end(), out if self.inside else ""
                self.inside, self.removed = False, self.removed + 1
        text = text[start:]
        # A possible beginning of a tag is held until the next chunk. Text inside a thought is dropped.
        self._held = next((text[-n:] for n in range(min(_LONGEST, len(text)), 0, -1) if text[-n:] in _BEGINNINGS), "")
        if not self.inside:
            out += text[: len(text) - len(self._held)]
        return self._shown(out)

    def end(self) -> str:
        """End the answer. Returns the text that was held back; empty if the answer ends inside a thought."""
        held, self._held = self._held, ""
        if self.inside:
            self.removed += 1
            return ""
        return self._shown(held)

    def _shown(self, out: str) -> str:
        if not self._returned and self.removed:
            out = out.lstrip()  # the blank lines after a thought
        self._returned = self._returned or bool(out.strip())
        return out
