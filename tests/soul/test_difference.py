"""The sentences that two versions of a soul do not share."""

from __future__ import annotations

from itertools import pairwise

import pytest

from cervella.soul.difference import _kept, changed_sentences
from cervella.text.language import language


def changes(before: str, after: str) -> list[tuple[tuple[str, ...], tuple[str, ...]]]:
    return [(one.removed, one.added) for one in changed_sentences(before, after, language("it"))]


def test_a_repeated_sentence_that_is_added_or_removed_is_the_only_change() -> None:
    before = "# Io\n\nSono calma. Sì. Parlo poco. Sì. Ascolto.\n"
    assert changes(before, before) == []
    assert changes(before, before.replace("Parlo poco. Sì.", "Parlo poco.")) == [(("Sì.",), ())]
    assert changes("# Io\n\nSì. Sì. Sì.\n", "# Io\n\nSì. Sì.\n") == [(("Sì.",), ())]


def test_a_sentence_that_moved_is_removed_and_added() -> None:
    moved = changes("# Io\n\nUno. Due. Tre. Quattro.\n", "# Io\n\nDue. Tre. Quattro. Uno.\n")
    assert moved == [(("Uno.",), ()), ((), ("Uno.",))]


@pytest.mark.parametrize(
    ("old", "new"),
    [("", "abc"), ("abc", ""), ("aaaa", "aa"), ("abab", "baba"), ("abcabc", "cbacba"), ("axbxc", "xaxcxb")],
)
def test_pairs_are_equal_and_rise_in_both(old: str, new: str) -> None:
    pairs = list(_kept(old, new))
    assert all(old[one] == new[other] for one, other in pairs)
    assert all(a < c and b < d for (a, b), (c, d) in pairwise(pairs))


class Counted(str):
    """A text that counts how often it is compared or hashed."""

    looks = 0
    __slots__ = ()

    def __eq__(self, other: object) -> bool:
        Counted.looks += 1
        return str.__eq__(self, other)

    def __hash__(self) -> int:
        Counted.looks += 1
        return str.__hash__(self)


@pytest.mark.parametrize("kind", ["one", "two", "reversed", "every second"])
def test_texts_that_repeat_take_a_bounded_number_of_steps(kind: str) -> None:
    count = 20_000
    texts = {
        "one": (["…"] * count, ["…"] * (count - 1)),
        "two": (["a", "b"] * (count // 2), ["b", "a"] * (count // 2)),
        "reversed": (list(map(str, range(count))), list(map(str, range(count, 0, -1)))),
        "every second": ([f"{n if n % 2 else 'x'}" for n in range(count)], [f"{n // 2 * 2 + 1}" for n in range(count)]),
    }
    old, new = ([Counted(one) for one in side] for side in texts[kind])
    Counted.looks = 0
    list(_kept(old, new))
    assert Counted.looks < 40 * count
