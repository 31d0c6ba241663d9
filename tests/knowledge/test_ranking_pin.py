"""What the search is: the passages that it gives for 40 questions over chunks and vectors frozen in tests/data.

A change of the ranking that is meant is frozen anew with `python -m bench.freeze_ranking --answers`, and its
note gives the figures before and after.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from cervella.knowledge.index.matrix import VectorMatrix
from cervella.knowledge.index.vectors import VectorStore
from cervella.knowledge.search import off_subject, ranking
from tests.fixtures.frozen_ranking import (
    QUESTIONS,
    WAYS,
    Answer,
    build,
    differences,
    frozen_answers,
    rows,
    search,
)

MOST = 2
"""Of the 40 questions may be answered otherwise: cosines that are almost equal may change places on another machine."""


@pytest.fixture(scope="module")
def searched(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], list[Answer]]:
    """Searches the frozen base, with its vectors or by words alone."""
    scratch = tmp_path_factory.mktemp("frozen")
    embedders = {way: build(scratch / way / "index", way=way) for way in WAYS}
    return lambda way: search(scratch / way / "index", embedders[way])


@pytest.mark.parametrize("way", WAYS)
def test_the_frozen_questions_are_answered_as_they_were(searched: Callable[[str], list[Answer]], way: str) -> None:
    changed = differences(searched(way), frozen_answers(way))
    assert max(changed.values()) <= MOST, changed


def test_chroma_answers_the_frozen_questions_as_the_matrix_does(
    searched: Callable[[str], list[Answer]], monkeypatch: pytest.MonkeyPatch
) -> None:
    _without_matrix(monkeypatch)
    changed = differences(searched("vectors"), frozen_answers("vectors"))
    assert max(changed.values()) <= MOST, changed


def test_there_are_forty_questions_and_a_quarter_of_them_the_base_does_not_answer() -> None:
    questions = rows(QUESTIONS)
    assert len(questions) == 40
    assert sum(not row["files"] for row in questions) >= 10


def _without_matrix(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(VectorMatrix, "read", lambda *_: None)


def _turned(patch: pytest.MonkeyPatch, kind: type[VectorMatrix | VectorStore] = VectorMatrix) -> None:
    real: Callable[..., Any] = kind.query
    patch.setattr(kind, "query", lambda *of, **options: {one: -cosine for one, cosine in real(*of, **options).items()})


def _turned_in_chroma(patch: pytest.MonkeyPatch) -> None:
    _without_matrix(patch)
    _turned(patch, VectorStore)


def _set(module: Any, name: str, change: Callable[[float], float]) -> Callable[[pytest.MonkeyPatch], None]:
    return lambda patch: patch.setattr(module, name, change(getattr(module, name)))


BROKEN: dict[str, tuple[str, Callable[[pytest.MonkeyPatch], None]]] = {
    "the sign of the vectors": ("vectors", _turned),
    "the sign of the vectors in Chroma": ("vectors", _turned_in_chroma),
    "a tenth of the words": ("vectors", _set(ranking, "_WORDS", lambda weight: weight / 10)),
    "a tenth of the words alone": ("words", _set(ranking, "_WORDS_ALONE", lambda weight: weight / 10)),
    "twice the threshold of abstention": ("vectors", _set(off_subject, "_UNKNOWN_WORDS", lambda value: 2 * value)),
    "no role": ("vectors", _set(ranking, "_ROLE", lambda weight: 0.0)),
    "no length": ("vectors", _set(ranking, "_LENGTH", lambda weight: 0.0)),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_a_search_that_is_broken_answers_more_questions_otherwise(
    searched: Callable[[str], list[Answer]], broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    way, breaks = BROKEN[broken]
    breaks(monkeypatch)
    changed = differences(searched(way), frozen_answers(way))
    assert max(changed.values()) > 2 * MOST, "else the pin would not see it"


@pytest.mark.parametrize(
    ("part", "broken"), [("words", "a tenth of the words"), ("role", "no role"), ("length", "no length")]
)
def test_what_decides_a_question_changes_its_answer_when_it_is_gone(
    searched: Callable[[str], list[Answer]], part: str, broken: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    BROKEN[broken][1](monkeypatch)
    answers = zip(rows(QUESTIONS), searched("vectors"), frozen_answers("vectors"), strict=True)
    changed = [now != then for row, now, then in answers if part in row["decides"]]
    assert len(changed) >= 4
    assert changed.count(False) <= MOST


def test_what_the_vectors_decide_the_words_alone_do_not_find(searched: Callable[[str], list[Answer]]) -> None:
    answers = zip(rows(QUESTIONS), searched("vectors"), searched("words"), strict=True)
    found = [(both.found, words.found) for row, both, words in answers if "vectors" in row["decides"]]
    assert len(found) >= 4
    assert len(found) - found.count((True, False)) <= MOST
