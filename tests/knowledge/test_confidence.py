from __future__ import annotations

from collections.abc import Sequence

from cervella.knowledge.index.confidence import calibrated
from cervella.text.language import known_languages, language

HEADINGS = [(f"Titolo {number}", f"{number}.md") for number in range(10)]


def nearest(question: str) -> Sequence[tuple[str, float]]:
    """A heading finds its own file first, then others less near; any other question finds little."""
    if question.startswith("Titolo"):
        return [(f"{question.split()[1]}.md", 0.95), ("x.md", 0.87)]
    return [("x.md", 0.81)]


def test_a_base_is_calibrated_by_questions_on_other_matters_and_by_its_own_headings_in_other_files() -> None:
    assert calibrated(language("it"), HEADINGS, nearest) == (0.81, 0.87)


def test_every_language_has_questions_on_other_matters() -> None:
    assert all(calibrated(language(code), HEADINGS, nearest) for code in known_languages())


def test_a_base_that_is_too_small_or_an_embedder_that_tells_nothing_apart_is_not_calibrated() -> None:
    assert calibrated(language("it"), HEADINGS[:3], nearest) is None
    assert calibrated(language("it"), HEADINGS, lambda question: [("x.md", 0.9), ("y.md", 0.9)]) is None
    assert calibrated(language("it"), HEADINGS, lambda question: []) is None
