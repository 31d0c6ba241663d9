"""Reads languages as data: stems, stop words, sentences, dates, the words of abstention, small talk.

A language is one folder, `cervella/text/languages/CODE` or an owner's own. This module has no word of any language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping
from functools import cached_property, lru_cache
from itertools import islice
from types import MappingProxyType
from typing import Any

from cervella.text.dates import Calendar, FoundDate
from cervella.text.folder import LanguageFolder, folder_of, known_languages
from cervella.text.folding import fold, is_blank, words
from cervella.text.identity import Identity, once

__all__ = [
    "DEFAULT_LANGUAGE",
    "Language",
    "fold",
    "is_blank",
    "known_languages",
    "language",
    "language_in",
    "language_names",
    "read_dates",
    "says_refusal",
    "words",
]

DEFAULT_LANGUAGE = "it"
"""The code of the persona's language where none is given."""
_MANY_WORDS = 50_000  # whose stems are kept at hand
_SENTENCE_END = re.compile(r"(?<![.!?…])[.!?…]++[\"'»«”“’‘›‹)\]*_]*+(?=\s|$)")
_LAST_WORD = re.compile(r"[^\W\d_]+$")
_ORDINAL = re.compile(r"(?<![\w.,:])(\d{1,2}\.)?\d{1,3}$")
_WORD_AFTER = re.compile(r"[ \t\u00a0]*+(?:\n[ \t]*+)?+([^\W\d_]\w*)")
_LIST_NUMBER = re.compile(r"\s*\d{1,3}")
_SPACE = re.compile(r"\s*")
_LONGEST_REASON = 500
_ADDRESS = re.compile(r"\s*[^\W\d_]+\s*,(?=\s*[^\W\d_])")  # «Cervella, …»
_LONGEST_IDENTITY = 200  # characters of a question about herself
_LONGEST_ABBREVIATION = 24  # letters looked at before a full stop: a text is cut in linear time


def _file(name: str, key: str | None = None) -> Any:
    """A property for the values of a file of the language, or for one key of that file."""
    return property(lambda lang: lang.file(name) if key is None else lang.file(name)[key])


class Language:
    """One language: the contents of the files of its folder. Each file is read when it is first needed."""

    prompt: Mapping[str, str] = _file("prompt.toml")
    """The words that a prompt has around the passages, by key: see prompt/layout.py."""
    units: Mapping[str, str] = _file("units.toml")
    """The names of each unit of measure with spaces between them, by the unit's key in text/units.toml."""
    phrases: Mapping[str, str] = _file("quotes.toml")
    """The texts and the patterns for folded text of the extractive brain, which answers with quotations only."""
    redaction: Mapping[str, Any] = _file("secrets.toml")
    """The text in place of a masked secret, and the words that people write before a secret: see privacy/rules.py."""
    traits: Mapping[str, Any] = _file("traits.toml")
    """The names of the persona's traits in a Constitution, folded: see soul/traits.py."""
    off_topic: tuple[str, ...] = _file("off-topic.txt")
    """Questions that hardly any notes answer. The confidence of a search is calibrated with them."""
    name: str = _file("language.toml", "name")
    """The language's name in the language itself, such as `italiano`."""
    abstention: str = _file("abstention.toml", "text")
    """The sentence with which the persona says that the notes do not have the answer."""
    status: Mapping[str, str] = _file("prompt.toml", "status")
    """The word that a prompt shows for each status of a document, except `current`, which is not shown."""

    def __init__(self, code: str) -> None:
        self.code = code
        """ISO 639-1, or the name of an owner's folder."""
        self._folder = folder_of(code)
        # One dict, replaced by another and never emptied: who looks a word up in it finds what it put there.
        self._stems_at_hand: list[dict[str, str]] = [{}]

    def file(self, name: str) -> Any:
        """The values of the file `name` of its folder. languages/required.toml explains each file."""
        return self._folder.file(name)

    def has(self, name: str) -> bool:
        """Whether its folder has an optional file."""
        return self._folder.has(name)

    def __repr__(self) -> str:
        return f"Language({self.code!r})"

    @cached_property
    def stop_words(self) -> frozenset[str]:
        """Function words, which no index and no query contains; folded: lower case, without accents."""
        return frozenset(map(fold, self.file("stop-words.txt")))

    @cached_property
    def _calendar(self) -> Calendar:
        return Calendar(self.file("dates.toml"))

    @property
    def months(self) -> tuple[str, ...]:
        return self._calendar.months

    @property
    def weekdays(self) -> tuple[str, ...]:
        return self._calendar.weekdays

    @property
    def calendar_names(self) -> frozenset[str]:
        """The folded names of months and days of the week, with the abbreviations of months."""
        return self._calendar.names

    @cached_property
    def numbers(self) -> Mapping[str, int]:
        """The value of each number word that the language's own table has. The words are folded."""
        numbers = self.file("numbers.toml")["numbers"]
        return MappingProxyType({fold(word): number for word, number in numbers.items()})

    @cached_property
    def review(self) -> Mapping[str, Any]:
        """The values of claims.toml and review.toml: words that decide whether the sources support a claim, and the
        texts that a reviewing brain is given."""
        return MappingProxyType({**self.file("claims.toml"), **self.file("review.toml")})

    @cached_property
    def _abbreviations(self) -> frozenset[str]:
        return frozenset(map(fold, self.file("language.toml")["abbreviations"]))

    @cached_property
    def _identity(self) -> Identity:
        return Identity.of(self.file("identity.toml"))

    @cached_property
    def _abstains(self) -> re.Pattern[str]:
        data = self.file("abstention.toml")
        forms = data["forms"].replace("{source}", data["source"]).replace("{datum}", data["datum"])
        return re.compile(rf"(?:{data['openers']}[ ,:;.-]*)*{forms}")

    @cached_property
    def _stem(self) -> Callable[[list[str]], list[str]]:
        name = self.file("language.toml")["snowball"]
        if name == "none":
            return list
        import Stemmer  # a C extension: loaded when the first text is stemmed

        stemmer = Stemmer.Stemmer(name)

        # A PyStemmer object is not thread-safe with its cache on; without it, it is cheap and stateless per call.
        stemmer.maxCacheSize = 0
        stem: Callable[[list[str]], list[str]] = stemmer.stemWords
        return stem

    def stems(self, text: str, without: Collection[str] = ()) -> list[str]:
        """The stems of a text's words in order, stop words and the words in `without` left out.

        >>> language("it").stems("Le decisioni che abbiamo preso")
        ['decision', 'pres']
        """
        stop_words = self.stop_words
        wanted = [word for word in words(text) if word not in stop_words and word not in without]
        known = self._stems_at_hand[0]
        if len(known) > _MANY_WORDS:
            known = self._stems_at_hand[0] = {}
        try:
            return [known[word] for word in wanted]
        except KeyError:
            new = list({word for word in wanted if word not in known})
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
            if match.group() == "." and self._is_ordinal(text, start, match):
                continue
            first = _after_space(text, start)
            if first < match.end():
                yield first, match.end()
            start = match.end()
        tail = text[start:]
        if tail.strip():
            yield start + len(tail) - len(tail.lstrip()), start + len(tail.rstrip())

    def _is_ordinal(self, text: str, start: int, stop: re.Match[str]) -> bool:
        """Whether a full stop makes an ordinal of the number before it: "am 3. Mai", "am 3.5. um neun".

        Only in a language that writes ordinals so, and only where a word follows. A function word with a capital opens
        a sentence: "Es waren 12. Danach kam keiner."
        """
        before = _ORDINAL.search(text, max(start, stop.start() - _LONGEST_ABBREVIATION), stop.start())
        after = _WORD_AFTER.match(text, stop.end()) if "." in self._calendar.ordinals and before else None
        if before is None or after is None:
            return False
        return after[1][0].islower() or not (before[1] or fold(after[1]) in self.stop_words)

    def abstains(self, text: str) -> bool:
        """Whether an answer says that the notes do not have the answer. `text` has no citation marks.

        Its first sentence must be one of the forms of abstention.toml, and at most three sentences may follow. In this
        example the first answer begins with "I don't know", and the second is "It costs nothing":

        >>> language("it").abstains("Non lo so: le fonti non ne parlano."), language("it").abstains("Non costa nulla.")
        (True, False)
        """
        text = self._without_nearest(text)
        sentences = [text[start:end] for start, end in islice(self._sentences(text), 5)]
        if not sentences or len(sentences) > 4:
            return False
        first = " ".join(fold(sentences[0]).replace("*", "").strip(" .!?…_\"'«»“”„‚‘’‹›").split())
        return self._abstains.fullmatch(first) is not None and not self._goes_on(first)

    def _without_nearest(self, text: str) -> str:
        """The text without its last paragraph, if that only names the nearest point of the notes."""
        begins = str(self.file("abstention.toml").get("nearest", "")).split("{", 1)[0].strip()
        above, _, last = text.rstrip().rpartition("\n\n")
        return above if begins and above and last.startswith(begins) else text

    def _goes_on(self, sentence: str) -> bool:
        """Whether a figure follows a colon or a "but" in a folded sentence, and no negation: that part is an answer.

        After a colon a date is no answer: "I don't know: the note of 20 January is about parking only".
        """
        turn = re.search(rf":|(?<!\w){self.review['turns']}", sentence)
        after = sentence[turn.end() :] if turn else ""
        if turn and turn.group() == ":":
            for start, end, _ in reversed(list(self.find_dates(after))):
                after = after[:start] + after[end:]
        rest = words(after)
        denying = frozenset(map(fold, self.review["negations"]))
        figures = self.numbers.keys() - self.review["no_figures"].split()
        return any(word.isdigit() or word in figures for word in rest) and denying.isdisjoint(rest)

    def refused(self, reason: str | None = None) -> str:
        """One line that says that the model refused to answer, with its reason if it is given, cut to 500 characters.

        In this example the reason is "It is against the rules":

        >>> language("it").refused("È contro le regole.")
        'Il modello ha rifiutato di rispondere: È contro le regole.'
        """
        said = " ".join((reason or "").split())
        said = said if len(said) <= _LONGEST_REASON else f"{said[:_LONGEST_REASON].rstrip()}…"
        return f"{self.prompt['refusal']}: {said}" if said else f"{self.prompt['refusal']}."

    def says_refusal(self, text: str) -> bool:
        """Whether the last line of an answer is one that `refused` returns, with any reason or none."""
        last = text.rstrip().rpartition("\n")[2]
        return last == f"{self.prompt['refusal']}." or last.startswith(f"{self.prompt['refusal']}: ")

    def asks_identity(self, question: str, persona: str | None = None) -> str | None:
        """The name in a question about who somebody is; empty if it asks about the persona, None for other questions.

        `persona` is the persona's name. If it is given, no other name counts, and the question may address her by it,
        or have an article before it. A question that addresses her by a wrong name («Cervella, chi sei?», "Cervella,
        who are you?") asks about her as well.

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
        names = None if persona is None else self.names_of(persona)
        every = [self._identity, *(language(code)._identity for code in known_languages() if code != self.code)]
        readings = [(said, names), (once(said), None if names is None else tuple(map(once, names)))]
        found = (identity.asked(*reading) for reading in readings for identity in every)
        asked = next((name for name in found if name is not None), None)
        if asked is None and persona is not None and (address := _ADDRESS.match(question)):
            return "" if self.asks_identity(question[address.end() :], persona) == "" else None  # by a name not hers
        return asked

    def own_name(self, text: str) -> str | None:
        """The name that a persona gives herself in a text: «Mi chiamo Otto» ("my name is Otto"); None if there is none.

        >>> language("it").own_name("Sono qui per aiutare. Mi chiamo Otto, e leggo gli appunti.")
        'Otto'
        """
        return self._identity.name_in(text)

    def names_of(self, persona: str) -> tuple[str, ...]:
        """The folded names that a persona may be called by: her whole name, and its first word alone.

        >>> language("it").names_of("Costituzione di Ada Rossi")
        ('ada rossi', 'ada')
        """
        return self._identity.names(words(persona))

    @property
    def articles(self) -> frozenset[str]:
        """The folded articles that may stand before a name."""
        return self._identity.articles

    def names_somebody(self, title: str) -> bool:
        """Whether the title of a Constitution names a persona: «Costituzione di Otto» ("Constitution of Otto")."""
        return self._identity.names_somebody(words(title))

    def intents(self, question: str) -> frozenset[str]:
        """The tasks that a question asks for besides an answer from the sources: `code`, `reasoning`, `planning`.

        These questions ask for a function in Python, for a price and for a plan:

        >>> it = language("it")
        >>> [sorted(it.intents(q)) for q in ("Scrivi una funzione Python", "Quanto costa?", "Prepara un piano")]
        [['code'], [], ['planning']]
        """
        folded = " ".join(fold(question).split())
        found = self.file("intents.toml").items()
        return frozenset(intent for intent, pattern in found if pattern and re.search(pattern, folded))

    def follows_up(self, question: str, persona: str | None = None) -> bool:
        """Whether a question is understood only with the question before it: «e quanto costa?» ("and how much is it?").

        `persona` is the persona's name, as in `asks_identity`.

        >>> it = language("it")
        >>> [it.follows_up(q) for q in ("E quanto costa?", "e quello?", "Quanto costa la RTX 4090 di RunPod al mese?")]
        [True, True, False]
        """
        data = self.file("small-talk.toml")
        stems = len(set(self.stems(question)))
        if stems > data["most_stems"] or self.asks_identity(question, persona) is not None:
            return False
        folded = fold(question).strip(" ¿¡\"'«„")
        return stems == 0 or bool(re.match(data["starts"], folded) or re.search(data["points"], folded))

    def format_date(self, iso: str) -> str:
        """An ISO date in the words of this language. Any other text, such as a retriever may give, stays as it is.

        >>> language("it").format_date("2026-01-09")
        '9 gennaio 2026'
        """
        return self._calendar.write(iso)

    def find_months(self, text: str) -> list[tuple[int | None, int]]:
        """The months that a text names beside a day or a year, each with its day, or None.

        >>> language("it").find_months("dal 20 gennaio a febbraio 2027, poi marzo")
        [(20, 1), (None, 2)]
        """
        return [(found.day, found.month) for found in self._calendar.find(text)]

    def find_dates(self, text: str) -> list[tuple[int, int, str]]:
        """The full dates of a text, in any usual spelling: start, end and ISO form.

        >>> [iso for _, _, iso in language("it").find_dates("dal 10 Gennaio 2026 al 2026-01-12")]
        ['2026-01-10', '2026-01-12']
        """
        return [(found.start, found.end, found.iso) for found in self._calendar.find(text) if found.iso]

    def find_date(self, text: str) -> str | None:
        """The first date in a text, ISO; None where there is none.

        >>> it = language("it")
        >>> [it.find_date(t) for t in ("10 Gennaio 2026", "20260110_x.md", "10/01/2026", "9 Gen 2026", "boh")]
        ['2026-01-10', '2026-01-10', '2026-01-10', '2026-01-09', None]
        """
        return next((found.iso for found in self._calendar.find(text) if found.iso), None)


def _after_space(text: str, position: int) -> int:
    match = _SPACE.match(text, position)
    return match.end() if match else position


def read_dates(text: str, lang: Language, number_words: Collection[tuple[int, int, str]] = ()) -> list[FoundDate]:
    """The dates of a text, and the months beside a day or a year, in order.

    `number_words` are start, end and value of the text's number words: beside a month they are days.
    """
    return lang._calendar.find(text, number_words)


def language(code: str) -> Language:
    """The language with this code: ISO 639-1, or the name of an owner's folder. The same code gives the same object.

    Raises ConfigError where the language has no folder.
    """
    return _language(folder_of(code))


@lru_cache(maxsize=64)
def _language(folder: LanguageFolder) -> Language:
    return Language(folder.code)


@lru_cache(maxsize=1)
def language_names() -> Mapping[str, str]:
    """The code of each language by its folded names, in all known languages: `inglese` and `english` are `en`."""
    names = {fold(word): code for one in known_languages() for word, code in language(one).traits["languages"].items()}
    return names | {fold(language(code).name): code for code in known_languages()}


def language_in(hints: Mapping[str, Any]) -> Language:
    """The language that a prompt's hints name under the key `language`; the default language if they name none."""
    return language(str(hints.get("language", DEFAULT_LANGUAGE)))


def says_refusal(text: str) -> bool:
    """Whether the last line of an answer says, in any language, that the model refused."""
    return any(language(code).says_refusal(text) for code in known_languages())
