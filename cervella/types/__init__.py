"""Defines the data types that soul, knowledge and brain exchange. All are frozen; an unknown value is `None`, never
0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal, TypeAlias, overload

from cervella.types.display import (
    code_span,
    html_answer,
    html_details,
    html_literal,
    html_passage,
    html_table,
    inert_line,
    inert_markdown,
    markdown_table,
    short_repr,
)
from cervella.types.filters import Filters as Filters
from cervella.types.verdict import (
    ReviewIssue as ReviewIssue,
    ReviewVerdict as ReviewVerdict,
    SecondOpinion as SecondOpinion,
)
from cervella.visible import visible

Role: TypeAlias = Literal["system", "user", "assistant"]
Progress: TypeAlias = Callable[[str, int, int], None]
"""A function that is called with the progress of a long job: the name of the stage, the items done, and the items in
total. The stages of an index run are `read`, `index`, `embed` and `verify`."""
Location: TypeAlias = Literal["local", "private", "cloud"]
"""Where a brain's model runs: on this machine, on another machine of the owner, or at a third party."""
Status: TypeAlias = Literal["current", "superseded", "deprecated", "archived", "draft"]
"""Whether a document holds. A `draft` holds only where nothing current says something else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """An image that is sent with a question."""

    media_type: str
    """The MIME type, for example `image/png`."""
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ShownDocument:
    """A document of which a brain was shown a passage."""

    path: str
    """As `Passage.path` was then."""
    document: str = ""
    """As `Passage.document`: it recognises the document after it was renamed. Empty if it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message in the format of chat engines."""

    role: Role
    content: str
    images: tuple[Image, ...] = ()
    tainted: bool = False
    """True if the message may contain text of a local-only passage. It is then sent to local and private brains
    only."""
    sources: tuple[ShownDocument, ...] | None = field(default=None, repr=False, compare=False)
    """The documents that an answer of a brain was made from, those of earlier answers included. None if they are not
    known. If one of them is local-only today, so is the message."""

    def __repr__(self) -> str:
        return short_repr(self, "role", "content")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A retrieved chunk of a document."""

    id: str
    path: str
    """Path relative to the knowledge folder, with `/` as separator, in Unicode form NFC."""
    text: str
    """The lines `start_line` to `end_line` of the file, joined by \\n, without a final \\n; secrets are masked."""
    start_line: int
    """1-based, inclusive."""
    end_line: int
    """1-based, inclusive."""
    heading: str = ""
    """The nearest heading above the passage. Empty before the first heading."""
    lead: str = ""
    """Context that the index stores with the passage: the headings above it, the document's other names in brackets
    and, if its table was split between chunks, the header row of the table. It is embedded and shown to the brain, but
    never quoted."""
    score: float = 0.0
    """Higher is better. Scores of different queries are not comparable."""
    date: str | None = None
    """The document's date, ISO 8601."""
    role: str | None = None
    """The kind of document: `decision`, `lesson`, `research`, `state`, …"""
    project: str | None = None
    status: Status = "current"
    local_only: bool = False
    """True if the passage may be sent to local and private brains only."""
    document: str = ""
    """A digest of the whole document, which all its copies have. Empty if it is not known."""
    reading: str = field(default=None)  # type: ignore[assignment]
    """What a reader of the note sees: `text` without front matter, comments and markup, with entities decoded, HTML
    tables as rows and tasks in words. It is what is indexed, sent to a brain and quoted. Of a line that is too long for
    one passage it is a part. Default: `text`."""
    tags: tuple[str, ...] = ()
    """The document's tags, from its front matter and its text, without `#`."""
    aliases: tuple[str, ...] = ()
    """Other names of the document, from its front matter."""
    meta: Mapping[str, str | tuple[str, ...]] = field(default_factory=dict, hash=False)
    """The fields of the document that have no attribute of their own, by the names they have there: from its front
    matter (`author.name` for nested ones) and from fields in its text such as `Prezzo:: 12`."""
    links: tuple[str, ...] = ()
    """The notes and paths in the knowledge folder that the document links to, as they are written."""

    def __post_init__(self) -> None:
        if self.reading is None:
            object.__setattr__(self, "reading", self.text)
        for name in ("tags", "aliases", "links"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        meta = {key: one if isinstance(one, str) else tuple(one) for key, one in self.meta.items()}
        object.__setattr__(self, "meta", meta)

    def __repr__(self) -> str:
        return short_repr(self, "path", "start_line", "end_line", "heading", "reading")


def shown_documents(passages: Iterable[Passage]) -> tuple[ShownDocument, ...]:
    """The documents of these passages, each once."""
    return tuple(dict.fromkeys(ShownDocument(path=one.path, document=one.document) for one in passages))


def united_sources(sources: Iterable[Sequence[ShownDocument] | None]) -> tuple[ShownDocument, ...] | None:
    """All documents of several answers, each once; None if those of one answer are not known."""
    united: dict[ShownDocument, None] = {}
    for documents in sources:
        if documents is None:
            return None
        united.update(dict.fromkeys(documents))
    return tuple(united)


_MAX_TOKENS = 10**9
"""Largest plausible token count of one answer; a larger one is a fault of the server that reports it."""
_MAX_SKIPPED_ROWS = 10
"""Skipped files that a table lists by path; above this number it counts them by reason."""
_RETRIEVAL_HEADER = ("", "score", "lines", "heading", "date", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval(Sequence[Passage]):
    """The result of one query: a sequence of passages, best first."""

    query: str
    passages: tuple[Passage, ...]
    confidence: float | None = None
    """How sure the search is, 0 to 1, that these passages answer the query. None if it has no calibrated estimate:
    without vectors, while most of them are being made, and in a base of a few headings."""
    abstain: bool = False
    """True if the query is off the subject of the knowledge base. The passages are returned all the same. It does not
    depend on `confidence`."""
    coverage: float = 1.0
    """Share of chunks that have a vector, 0 to 1. 1.0 if no embedder is configured."""
    behind: int | None = 0
    """Number of files added, changed or removed since the index was built. A renamed file counts twice; a file with a
    new modification time and the same content does not count. Updated at most every five seconds. None: the folder was
    not compared with the index (`[knowledge] refresh = "off"`)."""
    unchecked: int = 0
    """Number of indexed files that may have changed: their modification time is new and their content was not compared
    for lack of time, their folder can't be read, or no file was compared."""
    pending: int = 0
    """Number of chunks that have no vector and get none by themselves: they are found by their words only, until the
    next run of the index. 0 while their vectors are being made."""
    local_only_unmatched: int = 0
    """Number of patterns of `[knowledge] local_only` that match no file, so that they protect nothing."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "passages", tuple(self.passages))

    def __len__(self) -> int:
        return len(self.passages)

    def index_flags(self) -> dict[str, int]:
        """The counts for `Reply.flags` that are known and not 0.

        These are `index_behind`, `index_unchecked`, `index_pending` and `local_only_unmatched`.
        """
        counts = {
            "index_behind": self.behind,
            "index_unchecked": self.unchecked,
            "index_pending": self.pending,
            "local_only_unmatched": self.local_only_unmatched,
        }
        return {name: count for name, count in counts.items() if count}

    def __repr__(self) -> str:
        return short_repr(self, "query", "passages", "confidence", "abstain")

    def __str__(self) -> str:
        places = (f"{n}. {_place(p)}" for n, p in enumerate(self.passages, 1))
        return visible("\n".join(places)) or "no passages"

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (n, f"{p.score:.2f}", _place(p), p.heading, p.date or "", p.status) for n, p in enumerate(self.passages, 1)
        ]

    def _repr_markdown_(self) -> str:
        return markdown_table(_RETRIEVAL_HEADER, self._rows())

    def _repr_html_(self) -> str:
        return html_literal(html_table(_RETRIEVAL_HEADER, self._rows()))

    @overload
    def __getitem__(self, index: int) -> Passage: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Passage, ...]: ...
    def __getitem__(self, index: int | slice) -> Passage | tuple[Passage, ...]:
        return self.passages[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """The parts of a prompt. Each brain turns them into messages with `cervella.prompt.render`."""

    system: str
    """The text of the soul and nothing else: identical for every question and every brain."""
    question: str
    history: tuple[Message, ...] = ()
    """Earlier questions and answers, oldest first, without their passages."""
    passages: tuple[Passage, ...] = ()
    """The retrieved passages that the brain may cite, the best first."""
    marks: tuple[str, ...] = ()
    """The citation mark of each passage, in the same order. If empty, they become F1, F2, … Removing a passage does
    not change the marks of the others."""
    images: tuple[Image, ...] = ()
    instructions: str = ""
    """How to cite, today's date and how to abstain, in the language of the knowledge base. Placed at the start of the
    last user message."""
    max_output_tokens: int | None = None
    """Maximum length of the answer. None: the brain's default."""
    temperature: float | None = None
    """Sampling temperature. None: none is sent, so the engine uses its own default."""
    hints: Mapping[str, Any] = field(default_factory=dict)
    """Further values that a brain may use: `abstain` (bool), `confidence` (float or None), `language` (str), `persona`
    (str: her name), `small_talk` (str: what a brain that only quotes says to a greeting, thanks or a question about the
    persona, for which nothing was searched), `instructions_without_passages` (str: replaces `instructions` if all
    passages are removed), `batch` (bool: no person is waiting), `seed` (int: random seed for sampling), `fresh`
    (bool: the engine must not reuse its prompt cache). A router or fallback adds `route` (str: the rule that chose
    the brain) and `reason` (str), which are copied to the Attempt."""
    confidential: bool = False
    """True if the question itself contains local-only text, for example an answer to review."""
    reply: str = field(default="", repr=False, compare=False)
    """The id of the reply that this prompt is for. It is stored in the ledger and not sent to the engine."""

    def __post_init__(self) -> None:
        for name in ("history", "passages", "marks", "images"):
            object.__setattr__(self, name, tuple(getattr(self, name)))
        if not self.marks:
            object.__setattr__(self, "marks", tuple(f"F{n}" for n in range(1, len(self.passages) + 1)))
        if len(self.marks) != len(self.passages):
            raise ValueError(f"{len(self.passages)} passages, but {len(self.marks)} marks")

    def __repr__(self) -> str:
        return short_repr(self, "question", "history", "passages", "images", "system")

    @property
    def sources(self) -> dict[str, Passage]:
        """The passages by citation mark, best first."""
        return dict(zip(self.marks, self.passages, strict=True))

    @property
    def tainted(self) -> bool:
        """Whether the prompt contains anything that must not be sent to a cloud brain."""
        return self.confidential or any(p.local_only for p in self.passages) or any(m.tainted for m in self.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """The tokens of one call. A count that the engine does not report is `None`, never 0.

    An impossible count (below 0, above 10^9, or not a whole number) also becomes `None`.
    """

    input_tokens: int | None = None
    """Prompt tokens, including cached ones."""
    cache_read_tokens: int | None = None
    """Prompt tokens that the engine read from its prompt cache."""
    cache_write_tokens: int | None = None
    """Prompt tokens that the engine wrote to its prompt cache."""
    cache_write_1h_tokens: int | None = None
    """The part of `cache_write_tokens` that is cached for one hour, at a higher price. None if the engine does not
    distinguish."""
    output_tokens: int | None = None
    """Generated tokens, including reasoning."""

    def __post_init__(self) -> None:
        for name in self.__slots__:
            count: object = getattr(self, name)
            if not isinstance(count, int) or isinstance(count, bool) or not 0 <= count <= _MAX_TOKENS:
                object.__setattr__(self, name, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of one engine. It is reported as soon as the call ends, successfully or not."""

    brain: str
    model: str
    location: Location
    outcome: Literal["ok", "refused", "error", "interrupted", "cancelled"]
    """`refused`: the model declined to answer. `error`: the call failed before the first token, or gave no answer.
    `interrupted`: the call failed after the first token. `cancelled`: the caller stopped it."""
    usage: Usage = field(default_factory=Usage)
    estimated: bool = False
    """True if the call ended before the engine reported its token counts. They are then estimated from the text."""
    seconds: float = 0.0
    """Duration of the call, in seconds."""
    first_token_seconds: float | None = None
    """Seconds from the start of the call to the first token. None if there was none."""
    load_seconds: float | None = None
    """Seconds, within `seconds`, that the engine spent loading the model. None if it does not report them."""
    shown: tuple[str, ...] = ()
    """The citation marks of the passages that were sent to this engine."""
    tainted: bool = False
    """Whether anything local-only was sent to this engine."""
    error: str | None = None
    """The `code` of the error, if the call failed."""
    reply: str = ""
    """The id of the reply that this call was for. Empty if the call was not made by an Agent."""
    route: str | None = None
    """The rule that chose this brain: a rule of the router, `fallback` or `explicit`. None if there was no choice."""
    reason: str | None = None
    """Why the rule chose this brain, as a short text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """The complete answer of a brain to one prompt."""

    text: str
    finish_reason: str = "stop"
    """`stop`, `length` (cut at max_output_tokens) or `refusal`. The engine's own words for these are accepted. Any
    other word means that the answer is incomplete: the shield raises StreamInterruptedError, or BrainResponseError
    with the code `empty_answer` if there is no text."""
    refusal: str | None = None
    """The engine's reason for a refusal. None if it gives none. The shield appends it to the text."""
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    """The model that answered, as the engine reports it."""
    load_seconds: float | None = None
    """Seconds that the engine spent loading the model. None if it does not report them."""
    attempts: tuple[Attempt, ...] = ()
    """The calls that were made. Set by the shield; a brain leaves it empty."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """Notices about this answer, each with a count: `{"secrets_masked": 2, "passages_dropped": 1}`."""

    def __repr__(self) -> str:
        return short_repr(self, "text", "finish_reason", "model", "attempts", "flags")


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedLines:
    """The lines that a citation refers to, as the file contains them now."""

    text: str | None
    """The lines. None if the file or the lines no longer exist."""
    changed: bool
    """Whether the lines differ from those that the answer cited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """One cited passage of an answer, checked without a model."""

    mark: str
    """The citation mark, without brackets: `F1`."""
    path: str
    heading: str
    start_line: int
    end_line: int
    quote: str
    """The sentence or table row that is most similar to the cited claim: a part of the passage's `reading`."""
    supported: bool | None
    """True if the cited lines contain the numbers and the quoted words of the claim and the file has not changed. None
    if this was not checked completely, because the answer is too long or the timeout was reached."""
    changed: bool | None = None
    """True if the cited file differs from the indexed version or no longer exists. None if this was not checked: the
    retriever does not support it, or the folder does not exist."""
    reader: Callable[[], CitedLines] | None = field(default=None, repr=False, compare=False)
    """The function that `read` calls. Set by the agent; not pickled."""

    @property
    def doubt(self) -> str:
        """The reason not to rely on this citation, as a short text. Empty if the citation is supported."""
        if self.changed:
            return "changed or gone since it was indexed"
        if self.supported is None:
            return "not checked against these lines"
        return "" if self.supported else "not supported by these lines"

    def read(self) -> CitedLines:
        """The current lines of the cited file, with secrets masked, and whether they have changed.

        Raises RuntimeError if the citation has no reader, because it was unpickled or not made by an agent.
        """
        if self.reader is None:
            raise RuntimeError("This citation has no reader: it was unpickled, or built without an agent.")
        return self.reader()

    def __reduce__(self) -> tuple[Any, ...]:  # early releases of Python 3.11 overwrite __getstate__ of slotted classes
        state = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "reader"}
        return _citation, (state,)


def _citation(state: dict[str, Any]) -> Citation:
    return Citation(**state)


def _place(cited: Passage | Citation) -> str:
    return f"{cited.path}:{cited.start_line}-{cited.end_line}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Duration of the stages of one answer, in seconds. None if a stage did not happen."""

    retrieval_seconds: float | None = None
    first_token_seconds: float | None = None
    """From the question to the first text of the answer, including retrieval."""
    total_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer with its sources, its cost and its timings."""

    text: str
    question: str = ""
    retrieval_query: str = ""
    """The text that was searched for, which is the question; empty for small talk, which is not searched for. For a
    follow-up question («e quanto costa?», "and what does it cost?") it is the earlier question followed by the new
    one."""
    citations: tuple[Citation, ...] = ()
    """One for each citation mark in the text that belongs to a passage sent to the brain, in order of appearance."""
    passages: tuple[Passage, ...] = ()
    """All retrieved passages, cited or not."""
    usage: Usage = field(default_factory=Usage)
    """The tokens of the call that answered."""
    cost_usd: Decimal | None = None
    """The cost of all calls together, in US dollars. None if the price of one of them is not known."""
    brain: str = ""
    """The name of the brain that answered. With a fallback or router, the member that answered."""
    model: str = ""
    soul: str = ""
    """The fingerprint of the soul."""
    timings: Timings = field(default_factory=Timings)
    finish_reason: str = "stop"
    """`stop`, `length` (cut at max_output_tokens), `interrupted` (the answer broke off) or `refusal` (the model
    declined to answer; the text ends with its reason)."""
    abstained: bool = False
    """True if the answer says that the knowledge base has no answer, and none of its citations is supported."""
    tainted: bool = False
    """True if the brain was sent local-only text: the answer may then go to local and private brains only."""
    sources: tuple[ShownDocument, ...] | None = field(default=None, compare=False)
    """The documents of which the brain was sent a passage, now or for an earlier answer in the history. None if they
    are not known, because the history contains an answer that the agent does not know."""
    invented_marks: int = 0
    """Number of citation marks in the text that belong to no passage sent to the brain."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """The flags of the Completion; the counts of the Retrieval that are not 0 (`index_behind`, `index_unchecked`,
    `index_pending`, `local_only_unmatched`); and `citations_unread`, the number of citations whose `supported` is
    None."""
    attempts: tuple[Attempt, ...] = ()
    """Every call that was made for this answer, in order, including the calls of a review."""
    review: ReviewVerdict | None = None
    """The verdict of the review. None if the answer was not reviewed."""
    id: str = ""

    def __repr__(self) -> str:
        return short_repr(self, "text", "citations", "passages", "brain", "model", "abstained", "flags", "id")

    def __str__(self) -> str:
        sources = [f"[{one.mark}] {_place(one)}{f'  ({one.doubt})' if one.doubt else ''}" for one in self.citations]
        return visible("\n".join([self.text, *([""] if sources else []), *sources]))

    def _repr_markdown_(self) -> str:
        lines = [inert_markdown(self.text), ""]
        for citation in self.citations:
            warning = f" *({citation.doubt})*" if citation.doubt else ""
            lines.append(f"- **[{inert_line(citation.mark)}]** {code_span(_place(citation))}{warning}")
        if self.review is not None:
            lines += ["", f"**{inert_line(self.review.headline())}**"]
            lines += [f"- «{inert_line(issue.text)}»: {inert_line(issue.problem)}" for issue in self.review.issues]
        return "\n".join([*lines, "", f"*{inert_line(self.brain)} ({inert_line(self.model)})*"])

    def _repr_html_(self) -> str:
        shown = {(p.path, p.start_line): p for p in self.passages}
        parts = [html_answer(self.text)]
        for citation in self.citations:
            passage = shown.get((citation.path, citation.start_line))
            warning = f" ({citation.doubt})" if citation.doubt else ""
            title = f"[{citation.mark}] {_place(citation)}{warning}"
            text = passage.reading if passage else citation.quote
            same_lines = passage is not None and passage.reading.count("\n") == passage.text.count("\n")
            start = citation.start_line if same_lines else None
            parts.append(html_details(title, html_passage(text, start, citation.quote)))
        if self.review is not None:
            rows = [(issue.kind, issue.text, issue.problem, issue.by) for issue in self.review.issues]
            parts.append(html_details(self.review.headline(), html_table(("", "claim", "problem", "by"), rows)))
        return html_literal("".join(parts))

    def as_turn(self) -> tuple[Message, ...]:
        """The question and the answer as history for the next question. Empty if the answer is a refusal."""
        if self.finish_reason == "refusal":
            return ()
        sources, tainted = self.sources, self.tainted
        if sources is None and self.passages and not self.attempts:  # it was not made by an agent
            sources = shown_documents(self.passages)
            tainted = tainted or any(passage.local_only for passage in self.passages)
        return (
            Message(role="user", content=self.question, tainted=tainted, sources=sources),
            Message(role="assistant", content=self.text, tainted=tainted, sources=sources),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A prompt as it would be sent to a brain. The brain was not asked to answer."""

    prompt: Prompt
    """The prompt without what this brain may not see, cut to its context window."""
    messages: tuple[Message, ...]
    prompt_tokens: int
    """Tokens of the prompt, counted by the brain; ceil(characters / 3) if the brain can't count."""
    limit_tokens: int | None
    """The context window of the brain, in tokens. None if it declares none."""
    brain: str
    retrieval: Retrieval
    flags: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return short_repr(self, "brain", "prompt_tokens", "limit_tokens", "messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedFile:
    """A file that is not in the index."""

    path: str
    """A folder's path if the whole folder is `ignored`."""
    reason: str
    """From a closed list: `cervella.knowledge.SKIP_REASONS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """The position of a secret that was masked before its file was indexed. The secret itself is not kept."""

    path: str
    line: int
    """Line number of its first character, from 1."""
    kind: str
    """`api_key`, `token`, `password`, `private_key` or `card`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """The result of one run of the indexer.

    `files_seen` is `files_indexed` plus the number of skipped files that are not `ignored`.
    """

    files_seen: int
    """Number of regular files in the folder, without ignored ones, and without those in `.git`, in `.cervella` or in
    the index."""
    files_indexed: int
    """Number of files in the index after the run."""
    files_skipped: tuple[SkippedFile, ...]
    added: int
    changed: int
    removed: int
    unchanged: int
    chunks_total: int
    pending_embeddings: int
    """Number of chunks that have no vector yet."""
    seconds: float
    embedder: str = "none"
    warnings: tuple[str, ...] = ()
    redactions: tuple[Redaction, ...] = ()
    """The positions of the secrets that are masked in the index."""
    left_out: Mapping[str, int] = field(default_factory=dict)
    """How many parts of the indexed files are no text and were replaced by a placeholder, by kind: `drawing`, `image`,
    `data` and `code`."""
    encodings: Mapping[str, str] = field(default_factory=dict)
    """By path, the name of Python's codec for each indexed file that is not in UTF-8: `cp1252`, `utf-16`.

    `utf-8+cp1252` means UTF-8 with some bytes of the other encoding in it."""

    def __repr__(self) -> str:
        return short_repr(
            self, "files_seen", "files_indexed", "files_skipped", "chunks_total", "warnings", "redactions"
        )

    def __str__(self) -> str:
        return (
            f"{self.files_indexed} of {self.files_seen} files indexed: {self.added} added, {self.changed} changed, "
            f"{self.removed} removed, {self.unchanged} unchanged; {self.chunks_total} chunks"
        )

    def _rows(self) -> list[tuple[object, ...]]:
        counts = ("files_seen", "files_indexed", "added", "changed", "removed", "unchanged", "chunks_total")
        rows: list[tuple[object, ...]] = [(name, getattr(self, name)) for name in (*counts, "pending_embeddings")]
        rows += [("redactions", len(self.redactions)), ("seconds", f"{self.seconds:.1f}"), ("embedder", self.embedder)]
        if len(self.files_skipped) <= _MAX_SKIPPED_ROWS:
            return [*rows, *((f"skipped: {one.path}", one.reason) for one in self.files_skipped)]
        reasons = Counter(one.reason for one in self.files_skipped)
        return [*rows, *((f"skipped: {reason}", count) for reason, count in reasons.most_common())]

    def _repr_markdown_(self) -> str:
        return markdown_table(("", ""), self._rows())

    def _repr_html_(self) -> str:
        return html_literal(html_table(("", ""), self._rows()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """First event of an answer: the passages are retrieved and the brain is called next."""

    retrieval: Retrieval


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """The next part of the answer's text."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageUpdate:
    """The tokens of a call so far, as the engine reports them. Used for the cost if the answer breaks off."""

    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """Last event of a brain's stream: the complete answer."""

    completion: Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """The answer was reviewed. Comes after its text and before `Answered`, only if a review was requested."""

    verdict: ReviewVerdict
    text: str
    """The final answer. If `verdict.revised` is true, it replaces the streamed text; otherwise it is the same text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """Last event of an agent's stream: the complete answer with its sources, its cost and its timings."""

    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The answer broke off after its first text. StreamInterruptedError is raised next."""

    reply: Reply


BrainEvent: TypeAlias = TextDelta | UsageUpdate | Finished
AnswerEvent: TypeAlias = TextDelta | Finished
"""The events that a shield, the wrapper around each brain, passes on to its caller."""
Event: TypeAlias = Retrieved | TextDelta | Reviewed | Answered | Interrupted
