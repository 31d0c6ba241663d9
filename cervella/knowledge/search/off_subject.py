"""Decides whether a question is off the subject of an index: about something that its files do not treat.

Words and vectors vote together. A question that the files treat and do not answer is not recognised here: its cosines
and its words are like those of an answered one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from cervella.knowledge.index.query import ASKS, Query
from cervella.knowledge.index.snapshot import Snapshot
from cervella.knowledge.index.words import LexicalIndex, ngrams_of
from cervella.text.folder import known_languages
from cervella.text.folding import fold
from cervella.text.language import Language, language
from cervella.text.terms import FIGURE, Wanted

if TYPE_CHECKING:
    import numpy as np

_UNKNOWN_WORDS = 2.8
"""How near the best chunk of a question must be if the index has none of its words. The unit is the standard deviation
of the best cosines of off-topic questions, counted from their median."""
_KNOWN_WORDS = 3.5
"""How much less near it may be if the best chunk has all of its words."""
_UNTOLD = 0.6
"""The share of words that counts where words say nothing: there are none, or they are of another language."""
_FEWEST_WORDS, _FEWEST_FOREIGN_WORDS = 0.3, 0.15
"""Least share of words by which a question is on the subject, where there are no vectors; and of one in another
language, most of whose words can't be there."""
_FEWEST_UNSEEN_WORDS = 0.45
"""The same where vectors agree, but do not see all chunks."""
_YOUNG = 0.75
"""Share of chunks with a vector below which the vectors alone refuse nothing."""
_SAME_NGRAMS, _FEWEST_NGRAMS = 0.8, 4
"""Least share of its n-grams by which a chunk has a word in another form, and the number of them that a word needs."""
_SAME_SUBJECT = 0.5
"""Share of a heading or name from which on it counts as what is asked."""
_EXACT = 3
"""Digits from which on a figure is hardly ever in a question by chance."""
_YEAR = re.compile(rf"{FIGURE}y\d{{4}}$")
_ASKS_STATE = ("asks_open", "asks_done")


@dataclass(frozen=True, slots=True, kw_only=True)
class Vote:
    """What words and vectors say about one question."""

    off_subject: bool
    """Whether they agree that the index does not treat it."""
    unseen: bool
    """Whether the chunk with the best words has no vector, or most chunks have none: cosines do not judge the index."""


def vote(loaded: Snapshot, query: Query, cosines: Mapping[int, float], places: np.ndarray, subject: np.ndarray) -> Vote:
    """Whether a question is off the subject of the chunks at the positions `places`.

    `cosines` maps the positions of the nearest chunks to their cosines; it is empty without vectors. `subject` has the
    subject's share of every chunk, see `LexicalIndex.subject_shares`: a question that names a heading or name, and asks
    little besides, is on the subject.

    No calibration by the index's own headings is needed, so the vote is the same for an index of a few files.
    """
    if not len(places):
        return Vote(off_subject=True, unseen=False)
    share, best = word_share(loaded.words, query, places)
    young = bool(cosines) and loaded.coverage() < _YOUNG
    unseen = young or (bool(cosines) and best is not None and not loaded.has_vector[best])
    if float(subject[places].max()) >= _SAME_SUBJECT or _names_subject(loaded, query, places):
        return Vote(off_subject=False, unseen=unseen)
    foreign = query.spoken is not query.language
    fewest = _FEWEST_FOREIGN_WORDS if foreign else _FEWEST_WORDS
    by_words = not asks_state(query) if share is None else share < fewest
    near = _nearness(loaded, cosines)
    if near is None:
        return Vote(off_subject=by_words, unseen=unseen)
    counted = max(share or 0.0, _UNTOLD) if share is None or foreign else share
    by_both = near + _KNOWN_WORDS * counted < _UNKNOWN_WORDS
    there = by_words if share is None or foreign else share < _FEWEST_UNSEEN_WORDS
    return Vote(off_subject=by_both and (there or not unseen), unseen=unseen)


def _nearness(loaded: Snapshot, cosines: Mapping[int, float]) -> float | None:
    """The highest cosine, in standard deviations above the median of off-topic questions; None if unknown."""
    if not cosines or loaded.calibration is None:
        return None
    return (max(cosines.values()) - loaded.calibration.off_topic) / loaded.calibration.deviation


def word_share(index: LexicalIndex, query: Query, places: np.ndarray) -> tuple[float | None, int | None]:
    """The share of the question's words, 0 to 1, that the index has, and the position of the chunk that has most.

    It is the mean of two shares: of the words that the best chunk has, and of those that any chunk has; each word
    weighs as much as its idf. In a small index the second tells more, in a large one, which has most words somewhere,
    the first. A word that the index lacks weighs as much as one of a single chunk.

    A figure that the index has, or that is long enough to be asked for by its value, counts as a word. Short figures
    that it lacks, years, months and days of the week tell little: they count only where there are no words, and all of
    them must then be in one chunk. Both values are None if there are neither words nor figures.
    """
    import numpy as np

    told, figures, dates = _told(index, query)
    if not told:
        if not (figures or dates):
            return None, None
        there = np.min([_presence(index, one) for one in (*figures, *dates)], axis=0)[places]
        return float(there.max()), int(places[there.argmax()])
    total, known, best = 0.0, 0.0, np.zeros(len(places), dtype=np.float32)
    for one in (*told, *(figure for figure in figures if _is_exact(figure) or _is_known(index, figure))):
        idf = index.stems.idf_of(max(1, *(len(index.stems.holders(term)) for term in one)))
        there = _presence(index, one)[places]
        total += idf
        known += idf * float(there.max())
        best += np.float32(idf) * there
    return (float(best.max()) + known) / (2 * total), int(places[best.argmax()])


def _told(index: LexicalIndex, query: Query) -> tuple[list[Wanted], list[Wanted], list[Wanted]]:
    """The words of a question that tell what it is about, its figures, and its years, months and days of the week.

    A word that any language has as a stop word tells nothing if the index lacks it: the language of a short question is
    not certain.
    """
    asks, idle, calendar = _idle_words(query.language, query.spoken)
    bare = fold(query.text)
    content = frozenset(query.language.stems(asks.sub(" ", bare))) - idle
    told, figures, dates = [], [], []
    for one in query.wanted:
        stem = next(iter(one))
        if stem in calendar or any(map(_YEAR.match, one)):
            dates.append(one)
        elif stem.startswith(FIGURE):
            figures.append(one)
        elif stem in content and (_is_known(index, one) or stem not in _stop_stems(query.language)):
            told.append(one)
    return told, figures, dates


def _is_exact(figure: Wanted) -> bool:
    return min(sum(map(str.isdigit, term)) for term in figure) >= _EXACT


def _is_known(index: LexicalIndex, one: Wanted) -> bool:
    return any(len(index.stems.holders(term)) for term in one)


def _presence(index: LexicalIndex, one: Wanted) -> np.ndarray:
    """How far each chunk has a word, 0 to 1, shape (chunks,). A word that no chunk has may occur in another form."""
    import numpy as np

    out = np.zeros(index.stems.size, dtype=np.float32)
    if _is_known(index, one):
        for term, weight in one.items():
            places = index.stems.holders(term)
            out[places] = np.maximum(out[places], weight)
        return out
    ngrams = ngrams_of(next(iter(one)))
    if len(ngrams) >= _FEWEST_NGRAMS:
        shares = index.ngrams.sums(ngrams)[1] / len(ngrams)
        out = np.where(shares >= _SAME_NGRAMS, shares, 0.0).astype(np.float32)
    return out


@lru_cache(maxsize=32)
def _idle_words(lang: Language, spoken: Language) -> tuple[re.Pattern[str], frozenset[str], frozenset[str]]:
    """What tells little in a question in `spoken` about texts in `lang`.

    A pattern, for folded text, of the words that ask for a figure, a date or a reason; the stems of words that carry
    little; and those of months and days of the week.
    """
    both = (lang,) if spoken is lang else (lang, spoken)
    asks = [one.phrases[name] for one in both for name in ASKS if one.phrases.get(name)]
    light = " ".join(one.phrases["light"] for one in both)
    stop = " ".join(word for one in both for word in one.stop_words)
    dates = " ".join(name for one in both for name in one.calendar_names)
    idle = frozenset(lang.stems(light)) | frozenset(lang.stems(stop))
    return re.compile("|".join(asks) or "(?!)"), idle, frozenset(lang.stems(dates))


@lru_cache(maxsize=16)
def _stop_stems(lang: Language) -> frozenset[str]:
    """The stems, as those of `lang`, of the stop words of all languages."""
    return frozenset(lang.stems(" ".join(word for code in known_languages() for word in language(code).stop_words)))


@lru_cache(maxsize=16)
def _state_patterns(spoken: Language) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(spoken.phrases[name]) for name in _ASKS_STATE if spoken.phrases.get(name))


def asks_state(query: Query) -> bool:
    """Whether a question asks what is still to do or already done: a base of notes has such tasks."""
    folded = fold(query.text)
    return any(pattern.search(folded) for pattern in _state_patterns(query.spoken))


def _names_subject(loaded: Snapshot, query: Query, places: np.ndarray) -> bool:
    """Whether the question names all of a heading or name of a chunk at `places`, and asks little besides.

    At least half of its words must be in that heading. Words that carry little and those that ask for a figure, a date
    or a reason are not counted.
    """
    if not query.content:
        return False
    named = loaded.words.subjects.named(query.stems, query.content, len(loaded.ids))
    return 2 * int(named[places].max()) >= len(query.content)
