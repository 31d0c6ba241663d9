"""Scores chunks for a query by stems, character n-grams, vectors and facts about their files, and selects passages.

All scores have one unit of measure: the standard deviation of the centred cosines between questions and passages of
the index. The lexical score is a share of the highest score that the query could reach. So a query of rare words is
decided by words, and a query whose words the index lacks is decided by vectors. The constants were chosen on the
questions of docs/explanation/retrieval.md, which reports the effect of each.
"""

from __future__ import annotations

import heapq
import math
import posixpath
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

from cervella.knowledge.documents.linking import link_key
from cervella.knowledge.documents.naming import name_of
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.series import InSeries, Version, session_order
from cervella.knowledge.documents.vocabulary import every_language
from cervella.knowledge.index.manifest import FileRow
from cervella.knowledge.index.query import Query
from cervella.knowledge.index.snapshot import Snapshot
from cervella.text.language import Language, read_dates
from cervella.text.terms import Wanted

if TYPE_CHECKING:
    import numpy as np

_WORDS = 6.0
"""The highest score that a chunk can get for the query's stems, and as much again for the n-grams of these stems.

Values from 4 to 8 gave the best results on both test sets.
"""
_WORDS_ALONE = 20.0
"""The same maximum for an index without vectors. It is larger, so that role, status and date of a file count less."""
_SUBJECT = 0.5
"""The subject's share from which on it counts in place of the share of the query's stems, if it is higher.

It does not add to the score of the text: a note that is called like the query does not lead over a newer one whose text
has the query's words.
"""
_MIN_NGRAMS = 1 / 3
"""A chunk without any of the query's stems is a result only if it has at least this share of the query's n-grams.

A smaller overlap is chance.
"""
_UNCALIBRATED_RANGE = 3.0
"""The difference between the vector scores of the nearest and the farthest result in an index without `Centring`.

Such an index has too few vectors to estimate the standard deviation of their cosines.
"""
_LENGTH = 0.3
"""A file loses `_LENGTH` times the logarithm of its number of chunks: the best of many chunks is better by chance."""
_ROLE, _NOT_CURRENT = 2.5, {"archived": 0.25, "superseded": 1.0, "deprecated": 1.0, "draft": 1.0}
"""The parts of a file's score that do not depend on the query.

A file gets `_ROLE` times the logarithm of its role's weight, and loses a penalty for a status other than current. Its
date is not part of the score: a date decides only between files about one subject.
"""
_SCORE_TIE = 0.5
"""Files whose scores differ by at most this much count as equal, so the one that is more likely valid comes first."""
_TREATS, _REPLACED = 0.7, 0.4
"""If two files treat the same, the one that is more likely valid also comes first if its score is at least this share
of the other's: `_REPLACED` where the other one is superseded, deprecated or an earlier version, else `_TREATS`.
"""
_SHARED_TITLE = 0.5
"""Two files treat the same if they share at least this share of the stems in the longer one of their titles."""
_COVERED, _SHARED, _STATEMENT = 0.7, 0.9, 2
"""They also do if a sentence of each has at least `_COVERED` of the query's stems, by idf, and that of the one at least
`_SHARED` of those in the other one's; a query of fewer stems than `_STATEMENT` only names a subject.
"""
_FORM = "template"
"""The role of documents that state nothing until somebody fills them in: every other document comes first."""
_RIVALS = 10
"""Only this many of the best files are compared."""
_LIFT = 1e-3
"""The least difference between the scores of two files whose order is decided so."""
_ITSELF, _WHOLE = 1.5, 0.8
"""A file that mostly links can be asked for itself if its subject's share is so many times that of the file it links
to, and at least `_WHOLE`, so that the query asks for hardly anything else. See `linked_first`."""
_REPEATED_FILE = 0.25
"""Penalty of a passage for each passage of the same file that was already selected."""
_CANDIDATES = 40
"""Chunks examined for each requested passage, since several chunks may belong to one passage."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileFacts:
    """Facts about the files of a loaded index that do not depend on the query."""

    file_of: np.ndarray
    """The number of each chunk's file, shape (chunks,). The chunks of one file are adjacent."""
    prior: np.ndarray
    """The part of each chunk's score that does not depend on the query, shape (chunks,).

    It follows from the role, status and number of chunks of the chunk's file.
    """
    files: Sequence[FileRow]
    """The files by their number in `file_of`."""
    replaced: Sequence[bool]
    """For each file, whether another file replaces it: it says so, or it is a later version, as `plan_v2.md` is of
    `plan.md` in the same folder."""
    roles: Roles
    places: Sequence[InSeries]
    """For each file, its place in its series."""
    language: Language
    targets: Mapping[int, Sequence[int]] = field(default_factory=dict)
    """For each file that mostly links to others, such as an index note: the numbers of these files."""
    _subjects: dict[int, frozenset[str]] = field(default_factory=dict, repr=False)

    def prefers(self, file: int, other: int) -> bool:
        """Whether the file numbered `file` is more likely to be valid today than the one numbered `other`.

        The first difference decides: which replaces the other, status, date, number in a series, session, weight of the
        role. A file without a date comes after one with a date, and a template after all others.
        """
        one, two = self.files[file], self.files[other]
        if (stronger := self.replaces(file, other)) is not None:
            return stronger
        if one.date != two.date:
            return (one.date or "") > (two.date or "")
        place, rival = self.places[file], self.places[other]
        if place.series == rival.series and place.numbers != rival.numbers:
            return place.numbers > rival.numbers
        sessions = session_order(one.session), session_order(two.session)
        if _is_same_work(one, two) and None not in sessions and sessions[0] != sessions[1]:
            return sessions > sessions[::-1]
        return self.roles.weight(one.role) > self.roles.weight(two.role)

    def replaces(self, file: int, other: int) -> bool | None:
        """Whether the file replaces the other one, or holds where the other one does not; None if that is not known."""
        one, two = self.files[file], self.files[other]
        if (one.path in two.successors) != (two.path in one.successors):
            return one.path in two.successors
        place, rival = self.places[file], self.places[other]
        if place.document == rival.document and place.version != rival.version:
            return place.version > rival.version
        if one.status != two.status and "current" in (one.status, two.status):
            return one.status == "current"
        if (one.role == _FORM) != (two.role == _FORM):
            return two.role == _FORM
        return None

    def same_subject(self, file: int, other: int) -> bool:
        """Whether two files are about one subject: one supersedes the other, or their names or titles are alike."""
        one, two = self.files[file], self.files[other]
        if one.path in two.successors or two.path in one.successors:
            return True
        place, rival = self.places[file], self.places[other]
        if place.document == rival.document and place.version != rival.version:
            return True
        stems, others = self._subject(file), self._subject(other)
        if any(" " in stem for stem in stems & others):
            return True
        longer = max(len({stem for stem in some if " " not in stem}) for some in (stems, others))
        return len(stems & others) >= _SHARED_TITLE * max(1, longer)

    def stems_of_name(self, file: int) -> list[str]:
        """The stems of a file's name, then those of its title."""
        row = self.files[file]
        return self.language.stems(f"{name_of(row.path)}\n{row.title}")

    def _subject(self, file: int) -> frozenset[str]:
        """The stems of a file's name and title without words for a document; such a word with a number: `circol 52`."""
        if file not in self._subjects:
            stems = self.stems_of_name(file)
            general = _stems_of(every_language("document_words"), self.language)
            numbered = {f"{a} {b}" for a, b in pairwise(stems) if a in general and b.isdigit() and len(b) < len("2026")}
            self._subjects[file] = frozenset(stem for stem in stems if stem.isalpha()) - general | numbered
        return self._subjects[file]


@lru_cache(maxsize=16)
def _stems_of(words: tuple[str, ...], language: Language) -> frozenset[str]:
    return frozenset(language.stems(" ".join(words)))


def _is_same_work(one: FileRow, two: FileRow) -> bool:
    """Whether the session numbers of two files count the same sessions: other folders and projects have their own."""
    folders = one.path.rpartition("/")[0], two.path.rpartition("/")[0]
    return folders[0] == folders[1] and one.role == two.role and one.project == two.project


def file_facts(loaded: Snapshot, roles: Roles, language: Language) -> FileFacts:
    """Collect the facts that a search needs about the files of a loaded index.

    `roles` has the weight of each role. `language` is that of the stems.
    """
    import numpy as np

    paths = np.asarray(loaded.paths)
    starts = np.flatnonzero(np.r_[True, paths[1:] != paths[:-1]]) if len(paths) else np.zeros(0, dtype=int)
    lengths = np.diff(np.r_[starts, len(paths)])
    files = [loaded.files[loaded.paths[int(start)]] for start in starts]

    def prior(file: FileRow, length: int) -> float:
        role = _ROLE * math.log(roles.weight(file.role))
        return role - _NOT_CURRENT.get(file.status, 0.0) - _LENGTH * math.log(length)

    each = np.asarray(list(map(prior, files, lengths.tolist())), dtype=np.float32)
    places = [roles.in_series(file.path) for file in files]
    last: dict[str, Version] = {}
    for place in places:
        last[place.document] = max(place.version, last.get(place.document, place.version))
    return FileFacts(
        file_of=np.repeat(np.arange(len(starts)), lengths),
        prior=np.repeat(each, lengths),
        files=files,
        replaced=[
            bool(file.successors) or place.version < last[place.document]
            for file, place in zip(files, places, strict=True)
        ],
        roles=roles,
        places=places,
        language=language,
        targets=link_targets(files),
    )


def link_targets(files: Sequence[FileRow]) -> dict[int, list[int]]:
    """For each file that mostly links, by its number, the numbers of the files that it links to.

    A link is a path, from the file's folder or from the top, or the name or an alias of a file.
    """
    pointing = [number for number, file in enumerate(files) if file.points]
    if not pointing:
        return {}
    paths = [link_key(file.path) for file in files]
    by_path = {path: number for number, path in enumerate(paths)}
    by_name: dict[str, list[int]] = {}
    for number, file in enumerate(files):
        for name in dict.fromkeys((paths[number].rpartition("/")[2], *map(link_key, file.aliases))):
            by_name.setdefault(name, []).append(number)

    def named(link: str, folder: str) -> Sequence[int]:
        key = link_key(link)
        for path in (posixpath.normpath(posixpath.join(folder, key)), posixpath.normpath(key).lstrip("/")):
            if path in by_path:
                return [by_path[path]]
        tail = f"/{key}"
        return [n for n in by_name.get(key.rpartition("/")[2], ()) if "/" not in key or paths[n].endswith(tail)]

    found = {}
    for number in pointing:
        folder = paths[number].rpartition("/")[0]
        found[number] = [one for link in files[number].links for one in named(link, folder) if one != number]
    return {number: list(dict.fromkeys(some)) for number, some in found.items() if some}


def by_words(
    loaded: Snapshot, wanted: Sequence[Wanted], subject: np.ndarray, *, vectors: float
) -> tuple[np.ndarray, np.ndarray]:
    """The lexical score of each chunk for the terms of a query, and whether the chunk is a result by its words alone.

    Both arrays have the shape (chunks,). A chunk is a result if it has one of the terms, or enough of their n-grams.
    `subject` has the subject's share of each chunk, see `LexicalIndex.subject_shares`. `vectors` is the share of chunks
    that have a vector, 0 to 1: the fewer have one, the more a word counts.
    """
    import numpy as np

    weight = vectors * _WORDS + (1 - vectors) * _WORDS_ALONE
    whole = loaded.words.stem_shares(wanted)
    ngrams, overlap = loaded.words.ngram_shares(wanted)
    score = weight * (np.maximum(whole, np.where(subject >= _SUBJECT, subject, 0.0)) + ngrams)
    return score, (whole > 0) | (overlap >= _MIN_NGRAMS) | (subject > 0)


def by_vectors(loaded: Snapshot, query: np.ndarray, found: dict[int, float]) -> np.ndarray:
    """The vector score of each chunk for a query, shape (chunks,).

    `query` is the query's vector. `found` maps the positions of the chunks nearest to it to their cosines; all other
    chunks get the lowest score among these.
    """
    import numpy as np

    out = np.zeros(len(loaded.ids), dtype=np.float32)
    if not found:
        return out
    places = np.fromiter(found, dtype=np.int64, count=len(found))
    cosines = np.fromiter(found.values(), dtype=np.float32, count=len(found))
    if loaded.centring is not None:
        near = loaded.centring.centred(query, cosines, loaded.common_components[places])
    else:  # too few vectors to compute their mean
        near = (cosines - cosines.min()) * (_UNCALIBRATED_RANGE / max(float(cosines.max() - cosines.min()), 1e-6))
    out += near.min()
    out[places] = near
    return out


def _by_file(scores: np.ndarray, base: FileFacts) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Group the chunks that have a finite score by file. Returns three arrays.

    The first has the positions of these chunks. The second has the number of the file for each of them, counted from 0
    among the files with such a chunk. The third has, for each file, the index of its first chunk in the first array.
    """
    import numpy as np

    places = np.flatnonzero(np.isfinite(scores))
    files = base.file_of[places]
    starts = np.flatnonzero(np.r_[True, files[1:] != files[:-1]]) if len(places) else places
    return places, np.repeat(np.arange(len(starts)), np.diff(np.r_[starts, len(places)])), starts


@dataclass(frozen=True, slots=True, kw_only=True)
class _Ranked:
    """A file among the best ones of a query."""

    file: int
    """Its number in `FileFacts`."""
    chunk: int
    """The position of its best chunk."""
    best: float
    """The score of that chunk."""
    by_query: float
    """The part of that score that depends on the query."""


class _Order:
    """Decides the order of two files for one query."""

    def __init__(self, loaded: Snapshot, base: FileFacts, query: str) -> None:
        self._loaded = loaded
        self._base = base
        stems = base.language.stems(query)
        self._days = {f"{one.month:02}-{one.day:02}" for one in read_dates(query, base.language) if one.day}
        self._idf = {stem: loaded.words.stems.idf(stem) for stem in stems if len(loaded.words.stems.holders(stem))}
        self._sentences: dict[int, list[frozenset[str]]] = {}

    def rises(self, one: _Ranked, other: _Ranked) -> bool:
        """Whether a file comes before a better-ranked one: it is more likely valid, and treats the same."""
        if not self._base.prefers(one.file, other.file):
            return False
        if other.by_query - one.by_query <= _SCORE_TIE:
            return True
        # An archived document is old, and often the only one that says a thing: nothing replaces it.
        replaced = self._base.replaces(one.file, other.file) and self._base.files[other.file].status != "archived"
        share = _REPLACED if replaced else _TREATS
        if one.by_query < share * other.by_query or self._is_asked_for(other, one):
            return False
        return self._base.same_subject(one.file, other.file) or self._say_the_same(one, other)

    def _is_asked_for(self, one: _Ranked, other: _Ranked) -> bool:
        """Whether the query has a number, such as a year, or a day that only the first of the two files has."""
        day, others = ((self._base.files[some.file].date or "")[5:] for some in (one, other))
        if day in self._days and others not in self._days:
            return True
        holders = (self._loaded.words.stems.holders(stem) for stem in self._idf if not stem.isalpha())
        return any(_has(some, one.chunk) and not _has(some, other.chunk) for some in holders)

    def _say_the_same(self, one: _Ranked, other: _Ranked) -> bool:
        """Whether a sentence of each file has most of the query, and that of the first file what the other one has."""
        if len(self._idf) < _STATEMENT:
            return False
        enough = _COVERED * sum(self._idf.values())
        fullest = max(self._in_sentences(other.chunk), key=self._sum, default=frozenset[str]())
        if not 0 < enough <= self._sum(fullest):
            return False
        return any(
            self._sum(said) >= enough and self._sum(said & fullest) >= _SHARED * self._sum(fullest)
            for said in self._in_sentences(one.chunk)
        )

    def _in_sentences(self, chunk: int) -> list[frozenset[str]]:
        """The query's stems in each sentence of a chunk."""
        if chunk not in self._sentences:
            lang, reading = self._base.language, self._loaded.reading(range(chunk, chunk + 1))
            # A row of a table states nothing without its header.
            lines = (line for line in reading.split("\n") if not line.lstrip().startswith("|"))
            said = (line[start:end] for line in lines for start, end in lang.sentences(line))
            self._sentences[chunk] = [frozenset(lang.stems(one)) & self._idf.keys() for one in said]
        return self._sentences[chunk]

    def _sum(self, stems: Set[str]) -> float:
        return sum(self._idf[stem] for stem in stems)


def _has(places: np.ndarray, place: int) -> bool:
    at = int(places.searchsorted(place))
    return at < len(places) and int(places[at]) == place


def current_first(scores: np.ndarray, loaded: Snapshot, base: FileFacts, query: str) -> np.ndarray:
    """The scores of the chunks, raised so that the file that is more likely to be valid today comes first.

    All chunks of a file rise by as much as its best one.
    """
    import numpy as np

    places, homes, starts = _by_file(scores, base)
    if not len(places):
        return scores
    best = np.maximum.reduceat(scores[places], starts)
    decided, order = _Order(loaded, base, query), list[tuple[int, _Ranked]]()
    for number in np.argsort(-best, kind="stable")[:_RIVALS].tolist():
        own = places[homes == number]
        chunk = int(own[np.argmax(scores[own])])
        one = _Ranked(
            file=int(base.file_of[chunk]),
            chunk=chunk,
            best=float(best[number]),
            by_query=float(best[number] - base.prior[chunk]),
        )
        above = (place for place, (_, rival) in enumerate(order) if decided.rises(one, rival))
        order.insert(next(above, len(order)), (number, one))
    lift, least = np.zeros(len(best), dtype=scores.dtype), -math.inf
    for number, one in reversed(order):
        lift[number] = max(0.0, least + _LIFT - one.best)
        least = one.best + float(lift[number])
    out = scores.copy()
    out[places] += lift[homes]
    return out


def linked_first(
    scores: np.ndarray, loaded: Snapshot, base: FileFacts, subject: np.ndarray, query: Query
) -> np.ndarray:
    """The scores of the chunks, changed so that a file that mostly links stands below the best file that it links to.

    The two exchange their best scores. A file is left where it is if the query asks for it itself, and so is one whose
    linked files are no results. The query does so if `subject`, the subject's share of each chunk (see `LexicalIndex`),
    is so high, and the query is nothing but the file's name or title, or has a word of them that the linked file lacks.
    """
    import numpy as np

    places, homes, starts = _by_file(scores, base)
    if not base.targets or not len(places):
        return scores
    best = np.maximum.reduceat(scores[places], starts)
    named = np.maximum.reduceat(subject[places], starts)
    local = {file: number for number, file in enumerate(base.file_of[places[starts]].tolist())}
    shift = np.zeros(len(best), dtype=scores.dtype)
    asked = frozenset(query.stems)
    for file in sorted(base.targets.keys() & local.keys(), key=lambda file: -best[local[file]]):
        own = local[file]
        there = [local[one] for one in base.targets[file] if one in local and one not in base.targets]
        target = max(there, key=lambda one: best[one] + shift[one], default=None)
        if target is None or best[target] + shift[target] > best[own]:
            continue
        if named[own] >= _WHOLE and named[own] > _ITSELF * named[target]:
            called, chunks = asked.intersection(base.stems_of_name(file)), places[homes == target]
            held = (np.isin(chunks, loaded.words.stems.holders(stem)).any() for stem in called)
            if called == asked or not all(held):
                continue
        shift[target] = best[own] - best[target]
        shift[own] = -1e-3
    out = scores.copy()
    out[places] += shift[homes]
    return out


def selected(loaded: Snapshot, base: FileFacts, scores: np.ndarray, count: int, *, in_order: bool = False) -> list[int]:
    """The position of the best chunk of each of the `count` best passages, best first.

    Chunks without a finite score are ignored. Of passages with equal text only one is selected. `in_order` turns off
    the penalty for several passages of one file. `scores` is changed: a returned chunk gets the score by which it was
    selected, so that the scores never rise from one returned chunk to the next.
    """
    import numpy as np

    candidates = np.flatnonzero(np.isfinite(scores))
    against = -scores[candidates]
    enough = _CANDIDATES * (count + 10)
    if len(candidates) > enough:  # sorting all chunks of a large index would take most of the search time
        near = against <= np.partition(against, enough)[enough]
        candidates, against = candidates[near], against[near]
    order = np.argsort(against, kind="stable")[:enough]
    waiting = list(zip(against[order].tolist(), candidates[order].tolist(), strict=True))  # a heap: sorted
    chosen: list[int] = []
    texts: dict[str, int] = {}
    done: set[range] = set()
    shown: dict[int, int] = {}
    while waiting and len(chosen) < count:
        held, place = heapq.heappop(waiting)
        passage, home = loaded.passages[place], int(base.file_of[place])
        if passage in done:
            continue
        now = float(scores[place]) - (0.0 if in_order else _REPEATED_FILE * shown.get(home, 0))
        if now < -held:
            heapq.heappush(waiting, (-now, place))
            continue
        done.add(passage)
        text = " ".join(loaded.reading(passage).split())
        if (twin := texts.get(text)) is not None:
            if base.prefers(home, int(base.file_of[chosen[twin]])):
                scores[place] = scores[chosen[twin]]
                chosen[twin] = place
            continue
        scores[place] = now
        texts[text] = len(chosen)
        shown[home] = shown.get(home, 0) + 1
        chosen.append(place)
    return chosen
