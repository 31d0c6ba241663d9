"""Whether the base answers at all: what of the question it does not have, and how near its best chunk comes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from cervella.knowledge.snapshot import Snapshot
from cervella.language import Language, known_languages, language, words

__all__ = ["ABSTAIN_BELOW", "confidence"]

ABSTAIN_BELOW = 0.3
"""Lenient on purpose: a brain that is shown weak passages can still say that it does not know.

Chosen so that about one answerable question in twenty-five is lost; of questions on quite other matters (SQuAD-it)
that leaves two in three unanswered by words, and nearly all by vectors. A question on a matter that the base treats
without saying just this is told apart hardly ever, by words or by vectors.
"""
_OFFSET, _UNKNOWN = 0.3, 0.5
_NEAR, _SAID = 0.5, 0.65


def confidence(
    loaded: Snapshot, query: str, lang: Language, cosines: Mapping[int, float], places: Sequence[int]
) -> float:
    """0 to 1, by the chunks at `places`: by words and vectors where the embedder tells what its cosines mean."""
    if not places:
        return 0.0
    said, unknown = _words(loaded, query, lang, places)
    low, high = getattr(loaded.embedder, "cosine_range", (0.0, 0.0))
    if cosines and high > low:
        near = min(max((max(cosines.values()) - low) / (high - low), 0.0), 1.0)
        return min(_NEAR * near + _SAID * said, 1.0)
    return min(max(_OFFSET + said - _UNKNOWN * unknown, 0.0), 1.0) if said else 0.0


def _words(loaded: Snapshot, query: str, lang: Language, places: Sequence[int]) -> tuple[float, float]:
    """How much of the query the best chunk says, 0 to 1, and the share of its words that the base does not have.

    In a question of another language only what the languages share can be found, names, numbers and cognates: of the
    rest nothing can be said.
    """
    asked = _spoken(query, lang)
    bare = " ".join(word for word in words(query) if word not in asked.stop_words)
    stems = list(dict.fromkeys(lang.stems(bare)))
    known = [stem for stem in stems if len(loaded.words.holders(stem))]
    if asked is not lang:
        stems = [stem for stem in stems if stem in known or not stem.isalpha()]
    most = sum(map(loaded.words.idf, stems))
    if not known or not most:
        return 0.0, 1.0
    return float(loaded.words.scores(known)[places].max()) / most, 1 - len(known) / len(stems)


def _spoken(query: str, lang: Language) -> Language:
    """The language that the query is in, by its stop words; that of the base where others do not have more."""
    said = words(query)
    others = (language(code) for code in known_languages())
    return max((lang, *others), key=lambda one: sum(word in one.stop_words for word in said))
