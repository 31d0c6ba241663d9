"""Finds the sentences that differ between two versions of a soul."""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from cervella.soul.constitution import sections_of
from cervella.text.language import Language
from cervella.text.markdown import blocks


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """Removed sentences and the sentences that replace them, in one section."""

    section: str
    """Title of the section. Empty before the first heading."""
    removed: tuple[str, ...]
    added: tuple[str, ...]


def changed_sentences(before: str, after: str, language: Language) -> tuple[Change, ...]:
    """The sentences that were removed from the text `before` or added in the text `after`, in the order of `after`.

    White space and line breaks are ignored. In the example, "I speak little" has become "I speak much".

    >>> from cervella.text.language import language
    >>> old, new = "# Io\\n\\nSono calma. Parlo\\npoco.\\n", "# Io\\n\\nSono calma. Parlo molto.\\n"
    >>> changed_sentences(old, new, language("it"))
    (Change(section='Io', removed=('Parlo poco.',), added=('Parlo molto.',)),)
    """
    old, new = list(_sentences(before, language)), list(_sentences(after, language))
    changes, old_start, new_start = [], 0, 0
    for old_end, new_end in (*_kept([text for _, text in old], [text for _, text in new]), (len(old), len(new))):
        gone, come = old[old_start:old_end], new[new_start:new_end]
        if gone or come:
            changes.append(
                Change(
                    section=(come or gone)[0][0],
                    removed=tuple(text for _, text in gone),
                    added=tuple(text for _, text in come),
                )
            )
        old_start, new_start = old_end + 1, new_end + 1
    return tuple(changes)


def _kept(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
    """Pairs of indices of equal texts, rising in both, in n log n steps: difflib takes n² for texts that repeat.

    The texts that either version has once hold the rest in place; between two of them, the first occurrence of a text
    belongs to the first, the second to the second, and so on.
    """
    counts, others = Counter(old), Counter(new)
    once = [text for text in old if counts[text] == others[text] == 1]
    place = {text: index for index, text in enumerate(new)}
    at = {text: index for index, text in enumerate(old)}
    fixed = _rising([(at[text], place[text]) for text in once])
    old_start, new_start = 0, 0
    for old_end, new_end in (*fixed, (len(old), len(new))):
        for one, other in _kept_between(old[old_start:old_end], new[new_start:new_end]):
            yield old_start + one, new_start + other
        if old_end < len(old):
            yield old_end, new_end
        old_start, new_start = old_end + 1, new_end + 1


def _kept_between(old: Sequence[str], new: Sequence[str]) -> Iterator[tuple[int, int]]:
    most = min(len(old), len(new))
    head = next((n for n in range(most) if old[n] != new[n]), most)
    tail = next((n for n in range(most - head) if old[-1 - n] != new[-1 - n]), most - head)
    yield from ((n, n) for n in range(head))
    places = {one: index for index, one in enumerate(_numbered(new[head : len(new) - tail]))}
    pairs = [(n, places[one]) for n, one in enumerate(_numbered(old[head : len(old) - tail])) if one in places]
    yield from ((head + one, head + other) for one, other in _rising(pairs))
    yield from ((len(old) - n, len(new) - n) for n in range(tail, 0, -1))


def _numbered(texts: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Each text with the number of its occurrence."""
    seen = Counter[str]()
    for text in texts:
        seen[text] += 1
        yield text, seen[text]


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The longest part of pairs, which rise in the first number, that rises in the second too."""
    ends, lasts, before = list[int](), list[int](), list[int]()
    for number, (_, value) in enumerate(pairs):
        length = bisect_left(ends, value)
        before.append(lasts[length - 1] if length else -1)
        ends[length : length + 1] = [value]
        lasts[length : length + 1] = [number]
    found, number = list[tuple[int, int]](), lasts[-1] if lasts else -1
    while number >= 0:
        found.append(pairs[number])
        number = before[number]
    return found[::-1]


def _sentences(text: str, language: Language) -> Iterator[tuple[str, str]]:
    """Each sentence with the title of its section. A heading, a list item and a table row count as one sentence."""
    for section in sections_of(text):
        lines = section.text.split("\n")
        done = 0
        for block in blocks(section.text):
            if block.kind != "paragraph":
                continue
            yield from ((section.title, line) for line in _written(lines[done : block.start_line]))
            done = block.end_line
            whole = " ".join(" ".join(lines[block.start_line : done]).split())
            spans = [(0, len(whole))] if block.depth else language.sentences(whole)
            yield from ((section.title, whole[start:end]) for start, end in spans)
        yield from ((section.title, line) for line in _written(lines[done:]))


def _written(lines: Sequence[str]) -> Iterator[str]:
    return (" ".join(line.split()) for line in lines if line.strip())
