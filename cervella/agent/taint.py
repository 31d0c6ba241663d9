"""Judges what an agent is about to send by today's local-only marks: passages, earlier answers, images.

Marks change: a folder may become local-only after its passages were shown, and a caller may hand in passages and turns
that never had a mark. So nothing is taken as it comes. An earlier answer may go to a cloud brain only if it is known:
what it was made from was recorded, and none of it is local-only today.
"""

from __future__ import annotations

import functools
import hashlib
import os
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cervella.errors import ConversationError, KnowledgeError
from cervella.knowledge.documents.local_only import LocalOnly, local_only_of
from cervella.privacy.redaction import mask_secrets
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
)

_MOST_ANSWERS = 2_000
"""Number of answers, the newest ones, that an agent remembers."""
_MOST_NAMES = 500_000
"""Maximum number of files that are compared with an image."""
_MOST_PATHS = 50_000
"""Paths whose judgement is kept, until all are forgotten."""
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class _Known:
    """What is known of an answer with a certain text."""

    question: str
    """See `text_sha256`."""
    tainted: bool
    sources: tuple[ShownDocument, ...] | None


class Taint:
    """Today's local-only marks, and the answers that this process has given. Thread-safe.

    Without patterns of `[knowledge] local_only`, nothing that comes from outside is tainted.
    """

    def __init__(
        self,
        *,
        folder: Path,
        patterns: Sequence[str],
        retriever: Callable[[], Retriever],
        own_retriever: bool,
        conversations: Path,
        language: str = DEFAULT_LANGUAGE,
    ) -> None:
        """`own_retriever` says whether the retriever was made from the same configuration; it then marks its passages
        itself. Answers are looked up in the file `conversations`, whose masks are in `language`."""
        self._folder = folder
        self._configured = tuple(patterns)
        self._retriever = retriever
        self._own_retriever = own_retriever
        self._conversations = conversations
        self._language = language
        self._by_path: dict[str, bool] = {}
        self._answers: OrderedDict[str, list[_Known]] = OrderedDict()
        self._lock = ForkLock()

    @functools.cached_property
    def _patterns(self) -> tuple[str, ...]:
        """The patterns of the configuration, and those of a retriever that was made with its own."""
        own: Any = () if self._own_retriever else getattr(self._retriever(), "local_only", ())
        return tuple(dict.fromkeys((*self._configured, *own)))

    @functools.cached_property
    def _local_only(self) -> LocalOnly:
        return local_only_of((), self._folder, self._patterns)

    @property
    def active(self) -> bool:
        """Whether any file is declared local-only."""
        return bool(self._patterns)

    # Documents and passages

    def _judge(self) -> Callable[[Iterable[ShownDocument]], bool]:
        """A function that says whether any of some documents is local-only, by the marks of this moment."""
        if not self.active:
            return lambda documents: False
        paths: Mapping[str, str] = {}
        digests: Mapping[str, str] = {}
        marks: Any = getattr(self._retriever(), "local_only_files", None)
        if marks is not None:
            with suppress(KnowledgeError):  # without an index, the patterns still hold
                found = marks(self._patterns)
                paths, digests = found.paths, found.documents

        def is_local_only(documents: Iterable[ShownDocument]) -> bool:
            return any(
                one.path in paths or (one.document and one.document in digests) or self._is_covered(one.path)
                for one in documents
            )

        return is_local_only

    def _is_covered(self, path: str) -> bool:
        if path not in self._by_path:
            if len(self._by_path) >= _MOST_PATHS:
                self._by_path.clear()
            self._by_path[path] = self._local_only.may_cover(path)
        return self._by_path[path]

    def passages(self, passages: Iterable[Passage]) -> tuple[Passage, ...]:
        """The passages, each with today's mark. A mark that a passage has is never taken away."""
        judge = self._judge()
        return tuple(
            replace(one, local_only=True) if not one.local_only and judge(shown_documents([one])) else one
            for one in passages
        )

    def retrieval(self, found: Retrieval) -> Retrieval:
        """A result of the retriever, with today's marks."""
        return found if self._own_retriever or not self.active else replace(found, passages=self.passages(found))

    # Earlier answers

    def history(self, history: Sequence[Message]) -> tuple[Message, ...]:
        """The messages, tainted where they may not go to a cloud brain today.

        If files are declared local-only, a turn is tainted unless each answer in it is known, and untainted. Questions
        alone are not; a question that is the text of a tainted answer is.
        """
        if not history:
            return ()
        unknown = [message.content for message in history if message.sources is None]
        known = self._known(unknown) if unknown else {}
        judge = self._judge()
        return tuple(message for turn in turns(history) for message in self._turn(turn, known, judge))

    def _turn(
        self,
        turn: Sequence[Message],
        known: Mapping[str, Sequence[_Known]],
        judge: Callable[[Iterable[ShownDocument]], bool],
    ) -> Iterator[Message]:
        asked = next((message.content for message in turn if message.role == "user"), "")
        for message in turn:
            tainted, sources = message.tainted, message.sources
            if sources is None:
                found = _about(self._digests(asked), known.get(message.content, ()))
                tainted = tainted or any(one.tainted or judge(one.sources or ()) for one in found)
                if message.role == "user":
                    sources = ()  # it is judged, and made from nothing
                elif found:
                    sources = _united(one.sources for one in found)
                tainted = tainted or (self.active and sources is None)
            tainted = tainted or judge(sources or ()) or self.is_local_only(message.images)
            yield replace(message, tainted=tainted, sources=sources)

    def _digests(self, text: str) -> set[str]:
        """The digests of a text as it was said, and as a conversation keeps it: with its secrets masked."""
        return {text_sha256(text), text_sha256(mask_secrets(text, self._language)[0])}

    def _known(self, texts: Iterable[str]) -> dict[str, list[_Known]]:
        """What is known about answers with these texts: those of this process, and those of kept conversations."""
        digests = {text: self._digests(text) if self.active else {text_sha256(text)} for text in texts}
        with self._lock:
            found = {text: [self._answers.get(key, []) for key in keys] for text, keys in digests.items()}
        known = {text: [one for some in lists for one in some] for text, lists in found.items()}
        if self.active:
            with suppress(ConversationError):  # an answer that can't be looked up is not known
                kept = Conversations(self._conversations).known(key for keys in digests.values() for key in keys)
                for text, keys in digests.items():
                    known[text] += [_known(turn) for key in keys for turn in kept.get(key, ())]
        return known

    def remember(self, reply: Reply) -> None:
        """Remember an answer, so that its text is known when a caller hands it in as history."""
        own = _Known(question=text_sha256(reply.question), tainted=reply.tainted, sources=reply.sources)
        with self._lock:
            key = text_sha256(reply.text)
            before = self._answers.pop(key, [])
            self._answers[key] = [*(one for one in before if one != own), own][-_MOST_ANSWERS:]
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
        return _united([shown_documents(shown), *answers])

    def is_turn_tainted(self, turn: Turn) -> bool:
        """Whether a kept turn may not leave this machine today."""
        return turn.tainted or (self.active and (turn.sources is None or self._judge()(turn.sources)))

    def reply(self, reply: Reply) -> bool:
        """Whether an answer may not go to a cloud brain today."""
        return any(message.tainted for message in self.history(reply.as_turn()))

    def text(self, text: str, question: str, *, vouched: bool) -> bool:
        """Whether a text that a caller calls an answer may not go to a cloud brain today.

        `vouched`: the caller says that it was made without local-only text. It counts if nothing is known about it.
        """
        found = _about(self._digests(question), self._known([text])[text])
        if not found:
            return self.active and not vouched
        return any(message.tainted for message in self.history(Reply(text=text, question=question).as_turn()))

    # Prompts and images

    def prompt(self, prompt: Prompt) -> Prompt:
        """A complete prompt, with today's marks."""
        if not self.active:
            return replace(prompt, history=self.history(prompt.history)) if prompt.history else prompt
        return replace(
            prompt,
            passages=self.passages(prompt.passages),
            history=self.history(prompt.history),
            confidential=prompt.confidential or self.is_local_only(prompt.images),
        )

    def is_local_only(self, images: Iterable[Image]) -> bool:
        """Whether one of the images is, byte for byte, a file that is local-only."""
        wanted: dict[int, set[str]] = {}
        for image in images if self.active else ():
            wanted.setdefault(len(image.data), set()).add(hashlib.sha256(image.data).hexdigest())
        if not wanted:
            return False
        root, left = self._folder.resolve(), _MOST_NAMES
        for folder, _, names in os.walk(root):
            for name in names:
                left -= 1
                if left < 0:
                    return True  # not everything was compared, and what is not known is not approved
                with suppress(OSError):
                    place = Path(folder) / name
                    digests = wanted.get(place.stat().st_size, set())
                    covered = digests and self._local_only.may_cover(place.relative_to(root).as_posix())
                    if covered and _sha256(place) in digests:
                        return True
        return False


def _about(questions: Collection[str], answers: Sequence[_Known]) -> Sequence[_Known]:
    """Those of the answers that were given to one of the questions, if any were; else all of them."""
    return [one for one in answers if one.question in questions] or answers


def _known(turn: Turn) -> _Known:
    return _Known(question=text_sha256(turn.question), tainted=turn.tainted, sources=turn.sources)


def _united(sources: Iterable[Sequence[ShownDocument] | None]) -> tuple[ShownDocument, ...] | None:
    """All documents of these; None if some are not known."""
    every = list(sources)
    if any(one is None for one in every):
        return None
    return tuple(dict.fromkeys(document for one in every for document in one or ()))


def _sha256(path: Path) -> str:
    found = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_CHUNK):
            found.update(block)
    return found.hexdigest()
