"""Whether the base answers at all: what of the question it does not have, and how near its best chunk comes.

What a cosine means differs from embedder to embedder and from base to base. So each index is calibrated by itself: how
near do questions come that have nothing to do with it, and how near its own headings, with their own file left out?
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from cervella.knowledge.index.snapshot import Snapshot
from cervella.text.detection import language_of
from cervella.text.language import Language, words

if TYPE_CHECKING:
    import numpy as np

ABSTAIN_BELOW = 0.3
"""Lenient on purpose: a brain that is shown weak passages can still say that it does not know.

With vectors about one answerable question in twenty is lost, and of questions on quite other matters one in ten or
fewer is answered. A question on a matter that the base treats without saying just this is told apart in one case of
four, and by words alone hardly ever: docs/explanation/retrieval.md has the figures.
"""
_FEW = 8  # headings: fewer tell nothing
_OFFSET, _UNKNOWN = 0.3, 0.5
_AS_HEADINGS = 0.75
"""The confidence of a question that comes as near to the base as its own headings do to other files."""


def calibrated(
    lang: Language, headings: Sequence[tuple[str, str]], nearest: Callable[[str], Sequence[tuple[str, float]]]
) -> tuple[float, float] | None:
    """The usual best cosine of questions on other matters, and that of the base's own headings in other files.

    `headings` are heading and path; `nearest` gives path and cosine of the chunks nearest to a question, best first.
    None where the base is too small to tell, or its embedder does not tell the two apart.
    """
    own = [
        cosine
        for heading, path in headings
        if (cosine := next((near for other, near in nearest(heading) if other != path), None)) is not None
    ]
    others = [found[0][1] for question in lang.off_topic if (found := nearest(question))]
    if len(own) < _FEW or not others:
        return None
    low, high = median(others), median(own)
    return (low, high) if high > low else None


def confidence(loaded: Snapshot, query: str, lang: Language, cosines: Mapping[int, float], places: np.ndarray) -> float:
    """0 to 1, by the chunks at `places`: by vectors where it is known what their cosines mean, else by words."""
    if not len(places):
        return 0.0
    low, high = loaded.calibration or getattr(loaded.embedder, "cosine_range", None) or (0.0, 0.0)
    if cosines and high > low:
        near = (max(cosines.values()) - low) / (high - low)
        return min(max(_AS_HEADINGS * near, 0.0), 1.0)
    said, unknown = _words(loaded, query, lang, places)
    return min(max(_OFFSET + said - _UNKNOWN * unknown, 0.0), 1.0) if said else 0.0


def _words(loaded: Snapshot, query: str, lang: Language, places: np.ndarray) -> tuple[float, float]:
    """How much of the query the best chunk says, 0 to 1, and the share of its words that the base does not have.

    In a question of another language only what the languages share can be found, names, numbers and cognates: of the
    rest nothing can be said.
    """
    asked = language_of(query, lang)
    bare = " ".join(word for word in words(query) if word not in asked.stop_words)
    stems = list(dict.fromkeys(lang.stems(bare)))
    known = [stem for stem in stems if len(loaded.words.stems.holders(stem))]
    if asked is not lang:
        stems = [stem for stem in stems if stem in known or not stem.isalpha()]
    most = sum(map(loaded.words.stems.idf, stems))
    if not known or not most:
        return 0.0, 1.0
    return float(loaded.words.stems.scores(known)[places].max()) / most, 1 - len(known) / len(stems)
