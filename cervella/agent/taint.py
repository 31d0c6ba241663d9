"""Judges what an agent is about to send by today's local-only marks: passages, earlier answers, images.

Marks change: a folder may become local-only after its passages were shown, and a caller may hand in passages and turns
that never had a mark. So nothing is taken as it comes. A turn that is known to be tainted never goes to a cloud brain.
Where files are local-only, an earlier answer may go there only if it is known: what it was made from was recorded, and
none of it is local-only today.
"""

from __future__ import annotations

import functools
import hashlib
import logging
import os
import re
import unicodedata
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from cervella.errors import ConversationError, KnowledgeError
from cervella.knowledge.documents.local_only import LocalOnly, files_below, local_only_of, names_of, sha256_of
from cervella.knowledge.index.marks import Marks, RecordedMarks
from cervella.privacy.remembered import MaskedTexts
from cervella.process.forks import ForkLock
from cervella.prompt.history import turns
from cervella.protocols import Retriever
from cervella.records.conversations import Conversations, Turn
from cervella.text.folding import text_sha256
from cervella.text.language import DEFAULT_LANGUAGE
from cervella.types import (
    Image,
    Location,
    Message,
    Passage,
    Prompt,
    Reply,
    Retrieval,
    ShownDocument,
    shown_documents,
    united_sources,
)

_MOST_ANSWERS = 2_000
"""Number of answers, the newest ones, that an agent remembers."""
_MOST_OF_A_TEXT = 8
"""Number of answers with one text, such as «Non lo so.», that are remembered apart."""
_MOST_PATHS = 50_000
"""Paths whose judgement is kept, until all are forgotten."""
_LONGEST_PATH = 4096  # characters
_MARKS = re.compile("[?&=#:]+")
_MOST_PARTS = 40
"""Parts of a path, the last ones, that are compared with the patterns."""
_logger = logging.getLogger("cervella.agent.taint")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """What is known of how an answer was made. Its text is the key under which this is kept."""

    question: str
    """See `text_sha256`."""
    tainted: bool
    sources: tuple[ShownDocument, ...] | None


class Taint:
    """Today's local-only marks, and the answers that this process has given. Thread-safe.

    Without patterns of `[knowledge] local_only` and without marks in the index, what comes from outside is tainted only
    if a conversation has it as tainted.
    """

    def __init__(
        self,
        *,
        folder: Path,
        patterns: Sequence[str],
        index: Path,
        retriever: Callable[[], Retriever],
        own_retriever: bool,
        conversations: Path,
        language: str = DEFAULT_LANGUAGE,
    ) -> None:
        """`index` is the folder of the configured index. `own_retriever` says whether the retriever was made from the
        same configuration; it then marks its passages itself. Answers are looked up in the file `conversations`, whose
        masks are in `language`."""
        self._folder = folder
        self._configured = tuple(patterns)
        self._retriever = retriever
        self._own_retriever = own_retriever
        self._conversations = conversations
        self._language = language
        self._recorded = RecordedMarks(index)
        self._rules: _Rules | None = None
        self._masks = MaskedTexts()
        self._answers: OrderedDict[str, list[_Origin]] = OrderedDict()
        self._warned: set[str] = set()
        self._lock = ForkLock()

    @functools.cached_property
    def _declared(self) -> tuple[str, ...]:
        """The patterns of the configuration, and those of a retriever that was made with its own."""
        own: Any = () if self._own_retriever else getattr(self._retriever(), "local_only", ())
        return tuple(dict.fromkeys((*self._configured, *own)))

    @property
    def active(self) -> bool:
        """Whether any file is local-only: declared, or marked in the index. A pattern that was removed from the
        configuration stays in force until the index is updated."""
        return self._today() is not None

    def _today(self) -> _Today | None:
        """The marks of this moment; None if no file is local-only."""
        recorded = self._recorded.current()
        patterns = tuple(dict.fromkeys((*self._declared, *recorded.patterns)))
        marks = [recorded.marks]
        if self._declared or not self._own_retriever:
            look: Any = getattr(self._retriever(), "local_only_files", None)
            if look is not None:
                with suppress(KnowledgeError):  # without an index, the patterns still hold
                    marks.append(look(self._declared))
        if not patterns and not any(one.paths or one.documents for one in marks):
            return None
        rules = self._rules
        if rules is None or rules.patterns != patterns or rules.files is not recorded.files:
            local_only = local_only_of(recorded.files, self._folder, patterns)
            rules = self._rules = _Rules(local_only, recorded.files)
        marks_itself = not self._own_retriever and hasattr(self._retriever(), "local_only")
        return _Today(rules, marks, marks_itself)

    # Documents and passages

    def passages(self, passages: Iterable[Passage]) -> tuple[Passage, ...]:
        """The passages, each with today's mark. A mark that a passage has is never taken away."""
        today = self._today()
        return tuple(passages) if today is None else tuple(self._passage(one, today) for one in passages)

    def _passage(self, passage: Passage, today: _Today) -> Passage:
        if passage.local_only:
            return passage
        unnamed = not today.knows(passage)
        if unnamed:
            self._warn(
                "A passage names no file of the knowledge folder or its index. While files are local-only, a cloud "
                "brain does not get such passages. Give Passage.path as the path relative to that folder, or give the "
                "retriever an attribute local_only if it marks its passages itself."
            )
        return replace(passage, local_only=True) if unnamed or today.covers(shown_documents([passage])) else passage

    def _warn(self, text: str) -> None:
        """Log a warning, once for each agent."""
        with self._lock:
            if text in self._warned:
                return
            self._warned.add(text)
        _logger.warning("%s", text)

    def retrieval(self, found: Retrieval) -> Retrieval:
        """A result of the retriever, with today's marks."""
        return found if self._own_retriever else replace(found, passages=self.passages(found))

    # Earlier answers

    def history(self, history: Sequence[Message]) -> tuple[Message, ...]:
        """The messages, tainted where they may not go to a cloud brain today.

        If files are local-only, a turn is tainted unless each answer in it is known, and untainted. Else it is tainted
        only if it is known to be. Questions alone are not; a question that is the text of a tainted answer is.
        """
        return self._history(history, self._today()) if history else ()

    def _history(self, history: Sequence[Message], today: _Today | None) -> tuple[Message, ...]:
        unknown = [message.content for message in history if message.sources is None]
        origins = self._origins(unknown) if unknown else {}
        return tuple(message for turn in turns(history) for message in self._turn(turn, origins, today))

    def _turn(
        self,
        turn: Sequence[Message],
        origins: Mapping[str, Sequence[_Origin]],
        today: _Today | None,
    ) -> Iterator[Message]:
        def judge(documents: Iterable[ShownDocument] | None) -> bool:
            return today is not None and today.covers(documents or ())

        asked = next((message.content for message in turn if message.role == "user"), "")
        for message in turn:
            tainted, sources = message.tainted, message.sources
            if sources is None:
                found = _about(self._digests(asked), origins.get(message.content, ()))
                tainted = tainted or any(one.tainted or judge(one.sources) for one in found)
                if message.role == "user":
                    sources = ()  # it is judged, and made from nothing
                elif found:
                    sources = united_sources(one.sources for one in found)
                tainted = tainted or (today is not None and sources is None)
            tainted = tainted or judge(sources) or (today is not None and today.covers_images(message.images))
            yield replace(message, tainted=tainted, sources=sources)

    def _digests(self, text: str) -> set[str]:
        """The digests of a text as it was said, and as a conversation keeps it: with its secrets masked."""
        said = text_sha256(text)
        if not self._conversations.exists():
            return {said}
        return {said, text_sha256(self._masks.mask(text, self._language)[0])}

    def _origins(self, texts: Iterable[str]) -> dict[str, list[_Origin]]:
        """What is known about answers with these texts: those of this process, and those of kept conversations."""
        digests = {text: self._digests(text) for text in texts}
        with self._lock:
            found = {text: [self._answers.get(key, []) for key in keys] for text, keys in digests.items()}
        known = {text: [one for some in lists for one in some] for text, lists in found.items()}
        with suppress(ConversationError):  # an answer that can't be looked up is not known
            kept = Conversations(self._conversations).known(key for keys in digests.values() for key in keys)
            for text, keys in digests.items():
                known[text] += [_origin_of(turn) for key in keys for turn in kept.get(key, ())]
        return known

    def remember(self, reply: Reply) -> None:
        """Remember an answer, so that its text is known when a caller hands it in as history."""
        own = _Origin(question=text_sha256(reply.question), tainted=reply.tainted, sources=reply.sources)
        with self._lock:
            key = text_sha256(reply.text)
            before = self._answers.pop(key, [])
            variants = [*(one for one in before if one != own), own]
            if len(variants) > _MOST_OF_A_TEXT:
                variants = [_strictest(variants[:2]), *variants[2:]]
            self._answers[key] = variants
            while len(self._answers) > _MOST_ANSWERS:
                self._answers.popitem(last=False)

    def sources(
        self, shown: Iterable[Passage], history: Sequence[Message], location: Location
    ) -> tuple[ShownDocument, ...] | None:
        """The documents that an answer was made from: see `Reply.sources`.

        `shown` are the passages that the brain was sent. It was sent the turns of `history`, too, except the tainted
        ones if its location is `cloud`.
        """
        if not history:
            return shown_documents(shown)
        read = [turn for turn in turns(history) if location != "cloud" or not any(one.tainted for one in turn)]
        answers = [message.sources for turn in read for message in turn if message.role == "assistant"]
        return united_sources([shown_documents(shown), *answers])

    def is_turn_tainted(self, turn: Turn) -> bool:
        """Whether a kept turn may not leave this machine today."""
        if turn.tainted:
            return True
        today = self._today()
        return today is not None and (turn.sources is None or today.covers(turn.sources))

    def reply(self, reply: Reply) -> bool:
        """Whether an answer may not go to a cloud brain today."""
        return any(message.tainted for message in self.history(reply.as_turn()))

    def text(self, text: str, question: str, *, vouched: bool) -> bool:
        """Whether a text that a caller calls an answer may not go to a cloud brain today.

        `vouched`: the caller says that it was made without local-only text. It counts if nothing is known about it.
        """
        found = _about(self._digests(question), self._origins([text])[text])
        if not found:
            return self.active and not vouched
        return any(message.tainted for message in self.history(Reply(text=text, question=question).as_turn()))

    # Prompts and images

    def prompt(self, prompt: Prompt) -> Prompt:
        """A complete prompt for a cloud brain, with today's marks."""
        today = self._today()
        prompt = replace(prompt, history=self._history(prompt.history, today)) if prompt.history else prompt
        if today is None:
            return prompt
        if any(one.tainted and one.sources is None and one.role == "assistant" for one in prompt.history):
            self._warn(
                "Turns of the history are withheld from cloud brains: while files are local-only, only turns whose "
                "origin is known are sent. Hand in the Reply objects instead of texts, or ask in a session."
            )
        return replace(
            prompt,
            passages=tuple(self._passage(one, today) for one in prompt.passages),
            confidential=prompt.confidential or today.covers_images(prompt.images),
        )

    def is_local_only(self, images: Sequence[Image]) -> bool:
        """Whether one of the images is a file that is local-only, or was when the index was made."""
        today = self._today() if images else None
        return today is not None and today.covers_images(images)


@dataclass(frozen=True, slots=True)
class _Place:
    """What a path may mean."""

    names: tuple[str, ...]
    """Paths relative to the folder."""
    covered: bool
    """Whether a pattern covers it."""


class _Rules:
    """The patterns in force, with what they say of the paths that they were asked about."""

    def __init__(self, local_only: LocalOnly, files: Collection[str]) -> None:
        """`files` are the paths of the index."""
        self.patterns = local_only.patterns
        self.folder = local_only.folder
        self._local_only = local_only
        self.files = files
        self._places: dict[str, _Place] = {}

    def place(self, path: str) -> _Place:
        if path not in self._places:
            if len(self._places) >= _MOST_PATHS:
                self._places.clear()
            self._places[path] = self._place(path)
        return self._places[path]

    def _place(self, path: str) -> _Place:
        written = _spellings(path)
        names = tuple(dict.fromkeys(name for one in written for name in names_of(one, self.folder) if name))
        if not self._exists(names):  # an address may end in the path of a local-only file
            written = [*written, *(end for one in written for end in _ends(one))]
        return _Place(names, any(map(self._local_only.may_cover, written)))

    def names_file(self, path: str) -> bool:
        """Whether a path names a file of the index or of the folder. If there is neither, it need not."""
        return not (self.files or self.folder.is_dir()) or self._exists(self.place(path).names)

    def _exists(self, names: Iterable[str]) -> bool:
        inside = (name for name in names if ".." not in name.split("/"))
        forms = (form for name in inside for form in (name, unicodedata.normalize("NFD", name)))
        with suppress(OSError, ValueError):
            return any(form in self.files or (self.folder / form).is_file() for form in forms)
        return False


@dataclass(frozen=True, slots=True)
class _Today:
    """The local-only marks of one moment."""

    rules: _Rules
    marks: Sequence[Marks]
    marks_itself: bool
    """Whether a custom retriever marks its passages itself, so that these need not name files of the folder."""

    def covers(self, documents: Iterable[ShownDocument]) -> bool:
        """Whether one of the documents is local-only."""
        return any((one.document and self.has_digest(one.document)) or self.covers_path(one.path) for one in documents)

    def covers_path(self, path: str) -> bool:
        place = self.rules.place(path)
        return place.covered or any(name in marks.paths for name in (path, *place.names) for marks in self.marks)

    def covers_images(self, images: Iterable[Image]) -> bool:
        """Whether one of the images is, byte for byte, a local-only file, or has a mark of the index."""
        wanted: dict[int, set[str]] = {}
        for image in images:
            wanted.setdefault(len(image.data), set()).add(hashlib.sha256(image.data).hexdigest())
        if any(self.has_digest(digest) for digests in wanted.values() for digest in digests):
            return True
        root = self.rules.folder.resolve()
        for place in files_below(root) if wanted else ():
            if place is None:
                return True  # not everything was compared, and what is not known is not approved
            with suppress(OSError):
                digests = wanted.get(place.stat().st_size, set())
                if digests and self.covers_path(place.relative_to(root).as_posix()) and sha256_of(place) in digests:
                    return True
        return False

    def has_digest(self, digest: str) -> bool:
        return any(digest in marks.documents for marks in self.marks)

    def knows(self, passage: Passage) -> bool:
        """Whether it can be said of a passage if it is local-only."""
        return bool(passage.document) or self.marks_itself or self.rules.names_file(passage.path)


def _spellings(path: str) -> list[str]:
    """A path as it is written, and with its escapes, wide letters, backslashes and home folder replaced."""
    written = path[:_LONGEST_PATH]
    plain = unicodedata.normalize("NFKC", unquote(written)).replace("\\", "/")
    with suppress(RuntimeError):
        plain = os.path.expanduser(plain)
    return list(dict.fromkeys((written, plain)))


def _ends(path: str) -> Iterator[str]:
    """What an address ends in, part by part: `privato/a.md` of `https://wiki/privato/a.md` and of `?file=privato/a.md`.
    The last 40 parts."""
    for text in dict.fromkeys((path, _MARKS.sub("/", path))):
        parts = [part for part in text.split("/") if part][-_MOST_PARTS:]
        yield from ("/".join(parts[start:]) for start in range(len(parts)))


def _about(questions: Collection[str], answers: Sequence[_Origin]) -> Sequence[_Origin]:
    """Those of the answers that were given to one of the questions, if any were; else all of them."""
    return [one for one in answers if one.question in questions] or answers


def _origin_of(turn: Turn) -> _Origin:
    return _Origin(question=text_sha256(turn.question), tainted=turn.tainted, sources=turn.sources)


def _strictest(answers: Sequence[_Origin]) -> _Origin:
    """One for several, which counts for any question: tainted if one is, and made from what is not known."""
    return _Origin(question="", tainted=any(one.tainted for one in answers), sources=None)
