"""Repairs code fences that were written inside other code fences.

CommonMark closes the outer fence at the end of the inner one, so the rest of the file has text and code exchanged. This
module searches for the most plausible nesting, by the blank lines around fences and by language names.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

_FENCE = re.compile(r"[ \t]*(?P<mark>`{3,}(?=[^`]*$)|~{3,})(?P<info>.*)")
_LANGUAGE = re.compile(r"[^\W\d_][\w+#.-]*(?:[ {:].*)?")
_MOST_FENCES = 2000  # a file with more was not written by a person and is left as it is
_DEEPEST = 3  # maximum nesting
# The costs of an interpretation; the one with the lowest sum is chosen.
_ODD_PLACE = 2.0  # an opening fence between text and a blank line, or a closing one between a blank line and text
_INSIDE, _INSIDE_UNNAMED = 0.1, 0.2  # a fence opened inside another, with and without a language
_NOT_A_FENCE = 4.0  # a fence that is taken for text
_CLOSED_WITH_TEXT = 0.5  # a closing fence with text after it, such as ```"
_NEVER_CLOSED = 6.0  # a fence that is open at the end of the file


@dataclass(frozen=True, slots=True)
class _Fence:
    """A line that begins or ends a code fence, or looks like one."""

    line: int
    """The line's index in the text, from 0."""
    mark: str
    """The line's backticks or tildes."""
    info: str
    """The rest of the line, usually the name of a language; empty if there is none."""
    opens_oddly: float
    """The cost of reading the line as an opening fence, because of the blank lines around it; 0 if it looks normal."""
    closes_oddly: float
    """The same cost of reading it as a closing fence."""


_State = tuple[str, ...]
"""The backticks or tildes of the open fences, outermost first."""
_Step = tuple[float, _State, str]
"""The cost so far, the state before this fence, and the fence's action: `open`, `close`, or `text` for no fence."""


def fence_in(line: str) -> tuple[str, str] | None:
    """The mark and the rest of a line that opens or closes a fence, also in a quotation; None for any other line.

    >>> fence_in("> ```python"), fence_in("testo")
    (('```', 'python'), None)
    """
    match = _FENCE.match(line.lstrip(" \t>")) if "``" in line or "~~" in line else None
    return (match["mark"], match["info"].strip()) if match else None


def opens_inside(lines: Sequence[str]) -> bool:
    """Whether the lines of a fence, its first and last line included, seem to contain the start of another fence."""
    outer = _FENCE.match(lines[0]) if lines else None
    if not outer:
        return False
    inner = (_FENCE.match(line) for line in lines[1:])
    return any(
        match and match["mark"].startswith(outer["mark"]) and _LANGUAGE.fullmatch(match["info"].strip())
        for match in inner
    )


def without_inner_fences(lines: Sequence[str]) -> list[str]:
    """The lines of a text in which each line of backticks or tildes inside an outer fence is replaced by a dot.

    So a CommonMark parser finds only the outer fences. The number of lines stays the same.
    """
    out = list(lines)
    for fence, deed, depth in _read(lines):
        indent = lines[fence.line][: len(lines[fence.line]) - len(lines[fence.line].lstrip())]
        if deed == "close" and depth == 0:
            out[fence.line] = f"{indent}{fence.mark}"
        elif deed != "open" or depth > 1:
            out[fence.line] = f"{indent}."
    return out


def inner_fences(lines: Sequence[str]) -> list[tuple[int, int]]:
    """The first and the last line of each fence that lies inside an outer fence, as indices of `lines`.

    `lines` are the lines between the first and the last line of the outer fence.
    """
    found, start = [], 0
    for fence, deed, depth in _read(lines):
        if deed == "open" and depth == 1:
            start = fence.line
        elif deed == "close" and depth == 0:
            found.append((start, fence.line))
    return found


def _read(lines: Sequence[str]) -> Iterator[tuple[_Fence, str, int]]:
    """Yields each fence, its action, and the number of fences that are open after it."""
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
    """The action of each fence in the interpretation with the lowest cost."""
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
    if not fence.mark.startswith(state[-1]):  # other characters or fewer: text, by CommonMark's rule
        yield 0.0, state, "text"
        return
    named = bool(_LANGUAGE.fullmatch(fence.info))
    if not named:
        yield fence.closes_oddly + (_CLOSED_WITH_TEXT if fence.info else 0.0), state[:-1], "close"
    if len(state) < _DEEPEST and (named or not fence.info):
        yield fence.opens_oddly + (_INSIDE if named else _INSIDE_UNNAMED), (*state, fence.mark), "open"
    yield _NOT_A_FENCE, state, "text"
