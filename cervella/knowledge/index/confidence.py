"""Estimates, from 0 to 1, whether the index can answer a question.

Cosines differ between embedders and between indexes, so each index is calibrated: by the best cosine of off-topic
questions, and by the best cosine of the index's own headings with chunks of other files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TYPE_CHECKING

from cervella.knowledge.index.query import Query
from cervella.knowledge.index.snapshot import Snapshot
from cervella.text.language import Language
from cervella.text.terms import FIGURE, Wanted

if TYPE_CHECKING:
    import numpy as np

ABSTAIN_BELOW = 0.3
"""Confidence below which the search abstains: it returns no passages.

The value is low, because a brain that gets weak passages can still say that it does not know. With vectors, about one
answerable question in twenty is lost, and at most one off-topic question in ten is answered. Of the questions that are
on a topic of the index but have no answer in it, only one in four is refused; docs/explanation/retrieval.md has the
figures.
"""
_FEW = 8  # minimum number of headings for a calibration
_OFFSET, _MISSING = 0.3, 0.5  # confidence by words: offset, and penalty if all words are missing
_NAMED = 0.35
"""Least confidence of a question that names a heading or a name, and asks little besides."""
_SAME = 0.5
"""Share of a subject from which on it counts as what is asked, however far the vectors are."""
_AS_HEADINGS = 0.75
"""Confidence of a question whose best cosine with a chunk equals the high median of `calibrated`.

At the low median the confidence is 0; between and above the two it grows linearly with the cosine, up to 1.
"""


def calibrated(
    lang: Language, headings: Sequence[tuple[str, str]], nearest: Callable[[str], Sequence[tuple[str, float]]]
) -> tuple[float, float] | None:
    """Calibrate the confidence of an index. Returns two medians, a low and a high one.

    The low one is the median of the best cosines of off-topic questions with a chunk. The high one is that of the
    index's headings, each with the chunks of other files. None if the index is too small, or the high median is not
    higher than the low one.

    `headings` are pairs of heading and path. `nearest` takes a question and returns path and cosine of the chunks
    nearest to it, best first. `lang` has the list of off-topic questions.
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


def confidence(
    loaded: Snapshot,
    query: Query,
    cosines: Mapping[int, float],
    places: np.ndarray,
    subject: np.ndarray,
) -> float:
    """The confidence, 0 to 1, that the chunks at the positions `places` answer the query.

    `cosines` maps the positions of the nearest chunks to their cosines. The confidence is computed from the highest of
    them, if the index or its embedder is calibrated; else from the query's words in these chunks and in the index.

    While chunks still have no vector, no cosine can say that the answer is in one of them. So if the chunk with the
    best words is one of these, the higher of the two confidences counts, that of words taken from these chunks alone.

    `subject` has the subject's share of every chunk, see `LexicalIndex.subject_shares`: where a heading or a name is
    what the query asks, the confidence is at least this share, and where the query names one and asks little besides,
    it is at least `_NAMED`.
    """
    if not len(places):
        return 0.0
    low, high = loaded.calibration or getattr(loaded.embedder, "cosine_range", None) or (0.0, 0.0)
    same = float(subject[places].max())
    least = max(same if same >= _SAME else 0.0, _NAMED if _names_subject(loaded, query, places) else 0.0)
    if not cosines or high <= low:
        return max(_by_words(loaded, query, places, same), least)
    near = (max(cosines.values()) - low) / (high - low)
    sure = min(max(_AS_HEADINGS * near, least), 1.0)
    without = places[~loaded.has_vector[places]]
    if len(without):
        scores = loaded.words.stem_shares(query.wanted) + loaded.words.ngram_shares(query.wanted)[0]
        if scores[without].max() >= scores[places].max():
            sure = max(sure, _by_words(loaded, query, without))
    return sure


def _by_words(loaded: Snapshot, query: Query, places: np.ndarray, same: float = 0.0) -> float:
    """The confidence by the query's words. `same` is the highest share of a subject that the query asks for."""
    share, missing = _words(loaded, query, places)
    return min(max(_OFFSET + max(share, same) - _MISSING * missing, 0.0), 1.0) if share else 0.0


def _names_subject(loaded: Snapshot, query: Query, places: np.ndarray) -> bool:
    """Whether the query names all of a heading or name of a chunk at `places`, and asks little besides.

    At least half of its words must be in that heading. Words that carry little and those that ask for a figure, a date
    or a reason are not counted.
    """
    if not query.content:
        return False
    named = loaded.words.subjects.named(query.stems, query.content, len(loaded.ids))
    return 2 * int(named[places].max()) >= len(query.content)


def _words(loaded: Snapshot, query: Query, places: np.ndarray) -> tuple[float, float]:
    """Two shares, 0 to 1: of the query's words in the best chunk, and of the query's stems that the index lacks.

    The first is the highest BM25 score of the chunks at `places`, divided by the sum of the idf of the query's stems.
    A word that the index lacks weighs as much there as one that a single chunk has: in an index of few chunks its own
    idf is twice as high.

    Missing words that only ask, such as "costs", don't count. If the query is in another language than the index,
    missing words count only if they contain a digit or a sign.
    """
    lang, asked, index = query.language, query.spoken, loaded.words.stems
    foreign = frozenset(lang.stems(" ".join(asked.stop_words))) if asked is not lang else frozenset()
    wanted = [one for one in query.wanted if foreign.isdisjoint(one)]
    known = [one for one in wanted if any(len(index.holders(term)) for term in one)]
    content = query.content if asked is lang else frozenset()
    wanted = [one for one in wanted if one in known or not (first := next(iter(one))).isalpha() or first in content]
    if not known:
        return 0.0, 1.0
    scores, _, most = index.wanted([*known, *(one for one in known if next(iter(one)).startswith(FIGURE))])
    missing = _count(wanted) - _count(known)
    return float(scores[places].max()) / (most + missing * index.idf_of(1)), missing / _count(wanted)


def _count(wanted: Sequence[Wanted]) -> int:
    """The number of words, where a figure counts as two: what is asked with its value is seldom asked by chance."""
    return sum(1 + next(iter(one)).startswith(FIGURE) for one in wanted)
