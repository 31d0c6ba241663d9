"""Languages as data: folding of accents and apostrophes, stems, stop words, dates, numbers, the words of abstention.

A language is one file, `cervella/languages/CODE.toml`; nothing here knows Italian.
"""

from __future__ import annotations

import contextlib
import datetime
import re
import tomllib
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from importlib import resources
from itertools import filterfalse, islice
from types import MappingProxyType
from typing import Any

from cervella.errors import ConfigError, did_you_mean
from cervella.text.identity import Identity, once

__all__ = ["Language", "fold", "is_blank", "known_languages", "language", "says_refusal", "words"]

_APOSTROPHES = str.maketrans(dict.fromkeys("’‘ʼʹ′`´", "'"))
_MARKED = re.compile(r"[^\x00-\x5f\x61-\x7f]+")  # no ASCII, or a backtick; what is between has nothing to fold
_WORD = re.compile(r"[^\W_]+")
_MANY_WORDS = 50_000  # whose stems are kept at hand
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'»”’)\]*_]*+(?=\s|$)")
_LAST_WORD = re.compile(r"[^\W\d_]+$")
_LIST_NUMBER = re.compile(r"\s*\d{1,3}")
_SPACE = re.compile(r"\s*")
_LONGEST_REASON = 500
_ADDRESS = re.compile(r"\s*[^\W\d_]+\s*,(?=\s*[^\W\d_])")  # «Cervella, …»
_LONGEST_IDENTITY = 200  # characters of a question about herself
_LONGEST_ABBREVIATION = 24  # letters looked at before a full stop: a text is cut in linear time
_ISO_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)[-/.](\d{1,2})[-/.](\d{1,2})(?!\d)")
_COMPACT_DATE = re.compile(r"(?<!\d)((?:19|20)\d\d)(\d\d)(\d\d)(?!\d)")
_DAY_FIRST_DATE = re.compile(r"(?<!\d)(\d{1,2})[-/.](\d{1,2})[-/.]((?:19|20)\d\d)(?!\d)")
_SHORT_DATE = re.compile(r"(?<![\w/])(\d{1,2})/(\d{1,2})/(\d\d)(?![\w/])")


def fold(text: str) -> str:
    """Lower case without accents, and every apostrophe the same: `è`, `e'` and `e` give the same words.

    >>> fold("Perché"), words("Perche' è l’unica") == words("perché e' l'unica")
    ('perche', True)
    """
    return _MARKED.sub(_unmarked, text).casefold()


def _unmarked(match: re.Match[str]) -> str:
    return "".join(filterfalse(unicodedata.combining, unicodedata.normalize("NFKD", match[0].translate(_APOSTROPHES))))


def words(text: str) -> list[str]:
    """The folded words and numbers of a text, in order.

    >>> words("L'età è 3,5 anni: PROMPT_RIPRESA")
    ['l', 'eta', 'e', '3', '5', 'anni', 'prompt', 'ripresa']
    """
    return _WORD.findall(fold(text))


def is_blank(text: str) -> bool:
    """Whether nothing in a text can be seen: it is empty, or white space and invisible characters alone.

    >>> is_blank(" \\n\\u200b"), is_blank(" .")
    (True, False)
    """
    return not any(char.isprintable() and not char.isspace() for char in text)


@dataclass(frozen=True, eq=False)  # one object a language: identity is equality
class Language:
    """What Cervella knows of one language."""

    code: str
    """ISO 639-1."""
    name: str
    stop_words: frozenset[str]
    """Folded."""
    months: tuple[str, ...]
    abstention: str
    """What she says when the base does not know."""
    refusal: str
    """What is said where a model refuses to answer: without a full stop, its reason may follow."""
    prompt: Mapping[str, str]
    """The words around the passages: see prompt.py."""
    status: Mapping[str, str]
    numbers: Mapping[str, int]
    """Folded words that stand for figures."""
    number_parts: Mapping[str, int]
    """Folded parts of words that stand for figures, and what they multiply: `mila` in `tremila`."""
    units: Mapping[str, str]
    """The words for each unit of measure: see quantities.py."""
    review: Mapping[str, Any]
    """What a review knows of the language: words of negation, of rounding, of reckoning; what a reviewer is told."""
    phrases: Mapping[str, str]
    """What the extractive brain knows of the language: its few own words, and patterns over folded text."""
    redaction: Mapping[str, Any]
    """How a masked secret is shown, and the words that stand before one: see redaction_rules.py."""
    traits: Mapping[str, Any] = field(repr=False)
    """What a Constitution calls its traits, folded: see soul/traits.py."""
    _stemmer: str = field(repr=False)
    _date: str = field(repr=False)
    _abbreviations: frozenset[str] = field(repr=False)
    _forms: tuple[re.Pattern[str], ...] = field(repr=False)
    _identity: Identity = field(repr=False)
    _follow_up_start: re.Pattern[str] = field(repr=False)
    _follow_up_points: re.Pattern[str] = field(repr=False)
    _follow_up_stems: int = field(repr=False)
    _intents: Mapping[str, tuple[re.Pattern[str], ...]] = field(repr=False)
    starter: Mapping[str, str] = field(repr=False)
    """What `cervella init` writes: `constitution`, `note`."""
    _stems_at_hand: list[dict[str, str]] = field(default_factory=lambda: [{}], init=False, repr=False)
    """One dict, replaced by another and never emptied: who looks a word up in it finds what it put there."""

    @cached_property
    def _stem(self) -> Callable[[list[str]], list[str]]:
        import Stemmer  # a C extension: loaded when the first text is stemmed

        stemmer = Stemmer.Stemmer(self._stemmer)

        # A PyStemmer object is not thread-safe with its cache on; without it, it is cheap and stateless per call.
        stemmer.maxCacheSize = 0
        stem: Callable[[list[str]], list[str]] = stemmer.stemWords
        return stem

    def stems(self, text: str) -> list[str]:
        """The stems of a text's words in order, stop words left out.

        >>> language("it").stems("Le decisioni che abbiamo preso")
        ['decision', 'pres']
        """
        wanted = [word for word in words(text) if word not in self.stop_words]
        known = self._stems_at_hand[0]
        if len(known) > _MANY_WORDS:
            known = self._stems_at_hand[0] = {}
        new = list({word for word in wanted if word not in known})
        if new:
            known.update(zip(new, self._stem(new), strict=True))
        return [known[word] for word in wanted]

    def sentences(self, text: str) -> list[tuple[int, int]]:
        """Where each sentence of a running text starts and ends; white space between them belongs to none.

        >>> text = "Costa 3.5 euro, cfr. la tabella. Va bene?"
        >>> [text[a:b] for a, b in language("it").sentences(text)]
        ['Costa 3.5 euro, cfr. la tabella.', 'Va bene?']
        """
        return list(self._sentences(text))

    def _sentences(self, text: str) -> Iterator[tuple[int, int]]:
        start = 0
        for match in _SENTENCE_END.finditer(text):
            before = _LAST_WORD.search(text[max(0, match.start() - _LONGEST_ABBREVIATION) : match.start()])
            if match.group() == "." and before:
                word = fold(before.group())
                if word in self._abbreviations:
                    continue
            if match.group() == "." and _LIST_NUMBER.fullmatch(text, start, match.start()):
                continue  # "1. First item": the number of a list ends no sentence
            first = _after_space(text, start)
            if first < match.end():
                yield first, match.end()
            start = match.end()
        tail = text[start:]
        if tail.strip():
            yield start + len(tail) - len(tail.lstrip()), start + len(tail.rstrip())

    def abstains(self, text: str) -> bool:
        """Whether an answer, its marks taken out, says that the base does not know: a form first, and little after.

        >>> language("it").abstains("Non lo so: le fonti non ne parlano."), language("it").abstains("Non costa nulla.")
        (True, False)
        """
        sentences = [text[start:end] for start, end in islice(self._sentences(text), 5)]
        if not sentences or len(sentences) > 4:
            return False
        first = " ".join(fold(sentences[0]).replace("*", "").strip(" .!?…_\"'«»“”").split())
        return any(form.fullmatch(first) for form in self._forms)

    def refused(self, reason: str | None = None) -> str:
        """One line that says that the model refused, with its reason where it gave one.

        >>> language("it").refused("È contro le regole.")
        'Il modello ha rifiutato di rispondere: È contro le regole.'
        """
        said = " ".join((reason or "").split())
        said = said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON].rstrip()}…"
        return f"{self.refusal}: {said}" if said else f"{self.refusal}."

    def says_refusal(self, text: str) -> bool:
        """Whether the last line of an answer is what `refused` gives."""
        last = text.rstrip().rpartition("\n")[2]
        return last == f"{self.refusal}." or last.startswith(f"{self.refusal}: ")

    def asks_identity(self, question: str, persona: str | None = None) -> str | None:
        """The name in a question about who somebody is; empty in one about the persona herself, None in any other.

        With `persona`, her name, no other name counts, and the question may call her by it or give it an article. Who
        is spoken to by another name («Cervella, chi sei?») is still she.

        >>> it = language("it")
        >>> it.asks_identity("Chi sei?"), it.asks_identity("Chi è Cervella?"), it.asks_identity("Chi sei per dirlo?")
        ('', 'cervella', None)
        >>> it.asks_identity("Cervella, chi sei?", "Cervella"), it.asks_identity("Chi è Mistral?", "Cervella")
        ('', None)
        >>> it.asks_identity("Cervella, chi sei?", "Nina"), it.asks_identity("Nina, chi è Cervella?", "Otto")
        ('', None)
        """
        if len(question) > _LONGEST_IDENTITY:
            return None
        said = " ".join(words(question))
        names = None if persona is None else self._identity.names(words(persona))
        every = [self._identity, *(language(code)._identity for code in known_languages() if code != self.code)]
        readings = [(said, names), (once(said), None if names is None else tuple(map(once, names)))]
        found = (identity.asked(*reading) for reading in readings for identity in every)
        asked = next((name for name in found if name is not None), None)
        if asked is None and persona is not None and (address := _ADDRESS.match(question)):
            return "" if self.asks_identity(question[address.end() :], persona) == "" else None  # by a name not hers
        return asked

    def own_name(self, text: str) -> str | None:
        """The name that somebody gives herself in a text; None where it has none.

        >>> language("it").own_name("Sono qui per aiutare. Mi chiamo Otto, e leggo gli appunti.")
        'Otto'
        """
        return self._identity.name_in(text)

    def names_somebody(self, title: str) -> bool:
        """Whether the title of a Constitution has more words than those that any has: «Costituzione di Otto»."""
        return self._identity.names_somebody(words(title))

    def intents(self, question: str) -> frozenset[str]:
        """What a question wants done, beyond an answer from the sources: `code`, `reasoning`, `planning`.

        >>> it = language("it")
        >>> [sorted(it.intents(q)) for q in ("Scrivi una funzione Python", "Quanto costa?", "Prepara un piano")]
        [['code'], [], ['planning']]
        """
        folded = " ".join(fold(question).split())
        return frozenset(
            intent for intent, patterns in self._intents.items() if any(pattern.search(folded) for pattern in patterns)
        )

    def follows_up(self, question: str, persona: str | None = None) -> bool:
        """Whether only the question before explains this one: «e quanto costa?». `persona` is as in `asks_identity`.

        >>> it = language("it")
        >>> [it.follows_up(q) for q in ("E quanto costa?", "e quello?", "Quanto costa la RTX 4090 di RunPod al mese?")]
        [True, True, False]
        """
        stems = len(set(self.stems(question)))
        if stems > self._follow_up_stems or self.asks_identity(question, persona) is not None:
            return False
        folded = fold(question).strip(" ¿¡\"'«")
        return stems == 0 or bool(self._follow_up_start.match(folded) or self._follow_up_points.search(folded))

    def format_date(self, iso: str) -> str:
        """An ISO date as people write it.

        >>> language("it").format_date("2026-01-09")
        '9 gennaio 2026'
        """
        try:
            date = datetime.date.fromisoformat(iso)
        except ValueError:
            return iso  # a retriever's own idea of a date: shown as it came
        return self._date.format(day=date.day, month=self.months[date.month - 1], year=date.year)

    @cached_property
    def _month_starts(self) -> list[str]:
        return [fold(month)[:3] for month in self.months]

    @cached_property
    def _written_date(self) -> re.Pattern[str]:
        # Whole or by their first three letters, which tell them apart: "9 gennaio 2026", "9 Gen 2026".
        months = "|".join(f"{month[:3]}(?:{month[3:]}|\\.)?" for month in map(fold, self.months))
        return re.compile(
            rf"(?<!\d)(\d{{1,2}})[°º]?(?: +(?:de|di))? +({months})(?: +(?:de|di))? +((?:19|20)\d\d)(?!\d)"
        )

    @cached_property
    def _named_month(self) -> re.Pattern[str]:
        months = "|".join(fold(month) for month in self.months)
        return re.compile(rf"(?<!\w)(?:(\d{{1,2}})[°º]? +({months})(?!\w)|({months})(?= +(?:d\w+ +)?\d))")

    def find_months(self, text: str) -> list[tuple[int | None, int]]:
        """The months that a text names beside a day or a year, each with the day that stands before it, or None.

        >>> language("it").find_months("dal 20 gennaio a febbraio 2027, poi marzo")
        [(20, 1), (None, 2)]
        """
        months = [fold(month) for month in self.months]
        found = self._named_month.finditer(fold(text))
        return [(int(match[1]) if match[1] else None, months.index(match[2] or match[3]) + 1) for match in found]

    def find_dates(self, text: str) -> list[tuple[int, int, str]]:
        """The dates in a text, in any of the spellings that people use: where each starts and ends, and its ISO form.

        >>> [iso for _, _, iso in language("it").find_dates("dal 10 Gennaio 2026 al 2026-01-12")]
        ['2026-01-10', '2026-01-12']
        """
        found: list[tuple[int, int, str]] = []
        # Position by position what `fold` would make of it, where that keeps the length: the spans must fit `text`.
        folded = fold(text)
        if len(folded) != len(text):
            folded = text.translate(_APOSTROPHES).lower()
        months = self._month_starts
        for match in self._written_date.finditer(folded):
            _note(found, match, match[3], months.index(match[2][:3]) + 1, match[1])
        for pattern, order in ((_ISO_DATE, (1, 2, 3)), (_COMPACT_DATE, (1, 2, 3)), (_DAY_FIRST_DATE, (3, 2, 1))):
            for match in pattern.finditer(folded):
                _note(found, match, *(match[group] for group in order))
        for match in _SHORT_DATE.finditer(folded):
            _note(found, match, f"20{match[3]}", match[2], match[1])
        return sorted(found)

    def find_date(self, text: str) -> str | None:
        """The first date in a text, ISO; None where there is none.

        >>> it = language("it")
        >>> [it.find_date(t) for t in ("10 Gennaio 2026", "20260110_x.md", "10/01/2026", "9 Gen 2026", "boh")]
        ['2026-01-10', '2026-01-10', '2026-01-10', '2026-01-09', None]
        """
        found = self.find_dates(text)
        return found[0][2] if found else None


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def _note(found: list[tuple[int, int, str]], match: re.Match[str], year: Any, month: Any, day: Any) -> None:
    with contextlib.suppress(ValueError):  # 2026-13-40 is a number, not a date
        found.append((*match.span(), datetime.date(int(year), int(month), int(day)).isoformat()))


@lru_cache(maxsize=1)
def known_languages() -> list[str]:
    """The codes of the languages that have a file."""
    folder = resources.files("cervella.text") / "languages"
    return sorted(item.name.removesuffix(".toml") for item in folder.iterdir() if item.name.endswith(".toml"))


@lru_cache(maxsize=16)
def language(code: str) -> Language:
    """What Cervella knows of a language, by its ISO 639-1 code.

    Raises ConfigError where the language has no file.
    """
    file = resources.files("cervella.text") / "languages" / f"{code}.toml"
    if not code.isalpha() or not file.is_file():
        known = known_languages()
        raise ConfigError(
            f"The language {code!r} is not known.",
            remedy=f"{did_you_mean(code, known)}Known languages: {', '.join(known)}.",
            code="unknown_language",
        )
    data = tomllib.loads(file.read_text(encoding="utf-8"))
    return Language(
        code=code,
        name=data["name"],
        stop_words=frozenset(data["stop_words"].split()),
        months=tuple(data["months"]),
        abstention=data["abstention"]["text"],
        refusal=data["refusal"]["text"],
        prompt=MappingProxyType({key: value.strip() for key, value in data["prompt"].items()}),
        status=MappingProxyType(data["status"]),
        numbers=MappingProxyType({fold(word): number for word, number in data["numbers"].items()}),
        number_parts=MappingProxyType(data.get("number_parts", {})),
        units=MappingProxyType(data["units"]),
        review=MappingProxyType(data["review"]),
        phrases=MappingProxyType(data.get("extractive", {})),
        redaction=MappingProxyType(data["redaction"]),
        traits=MappingProxyType(data["traits"]),
        _stemmer=data["stemmer"],
        _date=data["date"],
        _abbreviations=frozenset(data["abbreviations"]),
        _forms=tuple(re.compile(form) for form in data["abstention"]["forms"]),
        _identity=Identity.of(data["identity"]),
        _follow_up_start=re.compile(data["follow_up"]["starts"]),
        _follow_up_points=re.compile(data["follow_up"]["points"]),
        _follow_up_stems=data["follow_up"]["most_stems"],
        _intents=MappingProxyType(
            {intent: tuple(map(re.compile, patterns)) for intent, patterns in data["intents"].items()}
        ),
        starter=MappingProxyType(data["starter"]),
    )


def says_refusal(text: str) -> bool:
    """Whether the last line of an answer says, in any language, that the model refused."""
    return any(language(code).says_refusal(text) for code in known_languages())
