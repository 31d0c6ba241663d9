"""What a question wants: its terms, its names, and the tasks in the state that it asks for."""

from __future__ import annotations

import math
import re
from collections.abc import Collection, Mapping, Sequence
from functools import lru_cache
from itertools import chain

from cervella.brains.extractive.excerpts import Excerpt
from cervella.text.capitals import capitalises_nouns
from cervella.text.language import Language
from cervella.text.terms import Wanted, asked_terms, terms

_RELATED = 0.6
"""Weight of a term that only begins like a word of the question."""
_NAMED = re.compile(r"(?<=[^\W_][ ,;:'’(-])(?:(?<=.)[ \"«“])*([^\W\d_a-zà-ÿ][^\W_]+)")


def wanted_terms(question: str, lang: Language, spoken: Language) -> dict[str, Wanted]:
    """The words and figures of the question by their first terms; all of them if it has only stop words."""
    asked = asked_terms(question, lang, spoken) or asked_terms(question, lang, spoken, ())
    return {next(iter(one)): one for one in asked}


def names_in(question: str, lang: Language, spoken: Language) -> frozenset[str]:
    """The stems of the words of a question that are written as names: with a capital inside a sentence.

    Empty for a question that is in capitals, for German, where every noun has one, and for a question in another
    language than the notes, which may write its names otherwise.
    """
    if spoken is not lang or question.isupper() or capitalises_nouns(lang):
        return frozenset()
    return frozenset(stem for name in _NAMED.findall(question) for stem in lang.stems(name))


def related_terms(wanted: Wanted, known: Collection[str]) -> dict[str, float]:
    """The terms in `known`, those of the passages, that match a word or figure of a question, each with its weight.

    They are the terms that satisfy it, and those that begin like its stem, with a lower weight.
    """
    related = {term: weight for term, weight in wanted.items() if term in known}
    stem = next(iter(wanted))
    if len(stem) < 4 or not stem.isalpha():
        return related
    for other in (other for other in known if other[:4] == stem[:4]):
        short, long = sorted((stem, other), key=len)
        alike = max(5, math.ceil(0.6 * len(long)))
        if long.startswith(short) or stem[:alike] == other[:alike]:
            related.setdefault(other, _RELATED)
    return related


@lru_cache(maxsize=8_192)
def terms_of(text: str, lang: Language) -> frozenset[str]:
    return frozenset(terms(text, lang)) if text else frozenset()


@lru_cache(maxsize=16)
def _told_states(lang: Language) -> Mapping[str, tuple[str, ...]]:
    """How the reading of a task begins that is `done`, `open`, or of `no` use as an answer about either."""
    tasks: Mapping[str, str] = lang.file("notes.toml")["tasks"]
    kinds = {"done": "done", "cancelled": "no"}
    told: dict[str, tuple[str, ...]] = {"done": (), "open": (), "no": ()}
    for state, words in tasks.items():
        # The title of a board's column may stand between the words and the colon.
        told[kinds.get(state, "open")] += (f"{words}:", f"{words},")
    return told


def in_the_state_asked(found: Sequence[Excerpt], asks: Collection[str], lang: Language) -> Sequence[Excerpt]:
    """The excerpts without the tasks in another state than the one that the question asks for.

    Of a passage with tasks in that state, only these stay. If the question asks for no state, or for both, or if no
    task is in that state, all excerpts stay.
    """
    if ("open" in asks) == ("done" in asks):
        return found
    told = _told_states(lang)
    wanted, others = ("open", "done") if "open" in asks else ("done", "open")
    tasks = {excerpt.mark for excerpt in found if excerpt.text.startswith(told[wanted])}
    if not tasks:
        return found
    kept = [excerpt for excerpt in found if not excerpt.text.startswith(told[others] + told["no"])]
    if wanted == "open":
        done: dict[str, str] = {}  # each task with the day of the newest document that has it as done
        for excerpt in found:
            if excerpt.text.startswith(told["done"]):
                done[_task(excerpt)] = max(done.get(_task(excerpt), ""), excerpt.passage.date or "")
        kept = [excerpt for excerpt in kept if (excerpt.passage.date or "") >= done.get(_task(excerpt), "")]
    return [excerpt for excerpt in kept if excerpt.mark not in tasks or excerpt.text.startswith(told[wanted])]


def _task(excerpt: Excerpt) -> str:
    """What a task is, without its state."""
    return " ".join(excerpt.text.partition(":")[2].casefold().split()).rstrip(".")


def task_states(lang: Language) -> tuple[str, ...]:
    """How the reading of a task begins, in any state."""
    return tuple(chain.from_iterable(_told_states(lang).values()))
