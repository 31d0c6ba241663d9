"""Fences opened inside fences: people write them, and CommonMark closes the outer one at the end of the inner.

From there on text and code would be exchanged up to the end of the file. The reading that fits the blank lines around
the fences best is found instead, and written so that a CommonMark parser reads the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FENCE = re.compile(r"[ \t]*(?P<mark>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)")
_LANGUAGE = re.compile(r"[^\W\d_][\w+#.-]*(?:[ {:].*)?")
_MOST_FENCES = 2000  # more in one file are no writing of people's; they are read as CommonMark does
_DEEPEST = 3
# What speaks against a reading, in one unit: how much worse it makes a file look.
_ODD_PLACE = 2.0  # an opening fence that follows its text at once, before a blank line; a closing one the other way
_INSIDE, _INSIDE_UNNAMED = 0.1, 0.2  # opened inside another: with a language, without
_NOT_A_FENCE = 4.0
_CLOSED_WITH_TEXT = 0.5  # ```" as the end of a quoted block
_NEVER_CLOSED = 6.0


@dataclass(frozen=True, slots=True)
class _Fence:
    line: int
    """From 0."""
    mark: str
    info: str
    opens_oddly: float
    closes_oddly: float


_State = tuple[str, ...]
"""The marks of the open fences, outermost first."""
_Step = tuple[float, _State, str]
"""The cost so far, the state before, and what the fence does: `open`, `close` or `text`."""


def opens_inside(lines: Sequence[str]) -> bool:
    """Whether a fence, given by its lines, seems to hold the start of another that CommonMark takes for text."""
    outer = _FENCE.match(lines[0]) if lines else None
    if not outer:
        return False
    inner = (_FENCE.match(line) for line in lines[1:])
    return any(
        match and match["mark"].startswith(outer["mark"]) and _LANGUAGE.fullmatch(match["info"].strip())
        for match in inner
    )


def without_inner_fences(lines: Sequence[str]) -> list[str]:
    """The lines, as many as before, with the marks of inner fences taken out, for a parser; the outer ones stay."""
    out = list(lines)
    for fence, deed, depth in _read(lines):
        indent = lines[fence.line][: len(lines[fence.line]) - len(lines[fence.line].lstrip())]
        if deed == "close" and depth == 0:
            out[fence.line] = f"{indent}{fence.mark}"
        elif deed != "open" or depth > 1:
            out[fence.line] = f"{indent}."
    return out


def inner_fences(lines: Sequence[str]) -> list[tuple[int, int]]:
    """The fences in the lines of a longer one, its own first and last line left out: first and last place, from 0."""
    found, start = [], 0
    for fence, deed, depth in _read(lines):
        if deed == "open" and depth == 1:
            start = fence.line
        elif deed == "close" and depth == 0:
            found.append((start, fence.line))
    return found


def _read(lines: Sequence[str]) -> Iterator[tuple[_Fence, str, int]]:
    """Each fence with what it does and how many are open after it."""
    fences = list(_fences(lines))
    if len(fences) > _MOST_FENCES:
        return
    depth = 0
    for fence, deed in zip(fences, _best_reading(fences), strict=True):
        depth += {"open": 1, "close": -1, "text": 0}[deed]
        yield fence, deed, depth


def _fences(lines: Sequence[str]) -> Iterator[_Fence]:
    for number, line in enumerate(lines):
        match = _FENCE.match(line)
        if match:
            after_text = number > 0 and bool(lines[number - 1].strip())
            before_text = number + 1 < len(lines) and bool(lines[number + 1].strip())
            yield _Fence(
                number,
                match["mark"],
                match["info"].strip(),
                opens_oddly=_ODD_PLACE if after_text and not before_text else 0.0,
                closes_oddly=_ODD_PLACE if before_text and not after_text else 0.0,
            )


def _best_reading(fences: Sequence[_Fence]) -> list[str]:
    """What each fence does, in the cheapest of all readings."""
    steps: list[dict[_State, _Step]] = [{(): (0.0, (), "")}]
    for fence in fences:
        following: dict[_State, _Step] = {}
        for state, (cost, _, _) in steps[-1].items():
            for more, then, deed in _readings(fence, state):
                if then not in following or cost + more < following[then][0]:
                    following[then] = (cost + more, state, deed)
        steps.append(following)
    end = min(steps[-1], key=lambda state: steps[-1][state][0] + _NEVER_CLOSED * len(state))
    deeds = []
    for step in reversed(steps[1:]):
        _, end, deed = step[end]
        deeds.append(deed)
    return deeds[::-1]


def _readings(fence: _Fence, state: _State) -> Iterator[tuple[float, _State, str]]:
    if not state:
        yield fence.opens_oddly, (fence.mark,), "open"
        return
    if not fence.mark.startswith(state[-1]):  # another mark, or a shorter one: text, by CommonMark's rule
        yield 0.0, state, "text"
        return
    named = bool(_LANGUAGE.fullmatch(fence.info))
    if not named:
        yield fence.closes_oddly + (_CLOSED_WITH_TEXT if fence.info else 0.0), state[:-1], "close"
    if len(state) < _DEEPEST and (named or not fence.info):
        yield fence.opens_oddly + (_INSIDE if named else _INSIDE_UNNAMED), (*state, fence.mark), "open"
    yield _NOT_A_FENCE, state, "text"
