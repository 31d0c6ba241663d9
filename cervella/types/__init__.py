"""The values that pass between soul, knowledge and brain. All are frozen; unknown is `None`, never 0."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from decimal import Decimal
from typing import Any, Literal, TypeAlias, overload

from cervella.types.display import html_answer, html_details, html_passage, html_table, markdown_table, short_repr
from cervella.types.filters import Filters as Filters
from cervella.types.verdict import ReviewIssue as ReviewIssue
from cervella.types.verdict import ReviewVerdict as ReviewVerdict
from cervella.types.verdict import SecondOpinion as SecondOpinion

Role: TypeAlias = Literal["system", "user", "assistant"]
Progress: TypeAlias = Callable[[str, int, int], None]
"""Called with a stage (of an index: `read`, `index`, `embed`, `verify`), how much is done, and how much there is."""
Location: TypeAlias = Literal["local", "private", "cloud"]
"""Where a brain's weights run: this machine, a machine of the owner's, or somebody else's."""
Status: TypeAlias = Literal["current", "superseded", "deprecated", "archived"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Image:
    """A picture that goes with a question."""

    media_type: str
    """As in HTTP: `image/png`."""
    data: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """One message of a conversation, as chat engines take them."""

    role: Role
    content: str
    images: tuple[Image, ...] = ()
    tainted: bool = False
    """Written with a local-only passage in sight: it reaches only brains that are local or private."""

    def __repr__(self) -> str:
        return short_repr(self, "role", "content")


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A piece of the knowledge base that was retrieved."""

    id: str
    path: str
    """Relative to the knowledge folder, POSIX, NFC."""
    text: str
    """Exactly the lines `start_line` to `end_line` of the file, joined by \\n, the last without; redactions aside."""
    start_line: int
    """1-based, inclusive."""
    end_line: int
    """1-based, inclusive."""
    heading: str = ""
    """The heading that the passage stands under; empty before the first."""
    lead: str = ""
    """What is embedded and shown with the text, but never quoted: the heading path, a split table's header."""
    score: float = 0.0
    """Higher is better; the scores of two queries are not comparable."""
    date: str | None = None
    """The document's date, ISO 8601."""
    role: str | None = None
    """What kind of document it is: `decision`, `lesson`, `research`, `state`, …"""
    project: str | None = None
    status: Status = "current"
    local_only: bool = False
    """Reaches only brains that are local or private."""

    def __repr__(self) -> str:
        return short_repr(self, "path", "start_line", "end_line", "heading", "text")


_MOST_NAMED = 10
_RETRIEVAL_HEADER = ("", "score", "lines", "heading", "date", "status")


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieval(Sequence[Passage]):
    """What the knowledge base gave for one query: a sequence of passages, best first."""

    query: str
    passages: tuple[Passage, ...]
    confidence: float = 1.0
    """0 to 1: how likely these passages answer the query."""
    abstain: bool = False
    """The base does not seem to hold an answer. The passages are there all the same."""
    coverage: float = 1.0
    """Chunks with vectors / chunks; 1.0 where no vectors are wanted."""
    behind: int = 0
    """Files added, changed or removed since the index was built, as `cervella index` counts them: a renamed one is two.
    A file that was only touched is none. The folder is looked at every five seconds at most."""
    unchecked: int = 0
    """Indexed files of which that is not known: their time of modification is new and there was no time to compare
    what is in them, or their folder can't be listed or is not there."""
    local_only_unmatched: int = 0
    """Patterns of `[knowledge] local_only` that name nothing: what they were to protect is not protected."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "passages", tuple(self.passages))

    def __len__(self) -> int:
        return len(self.passages)

    def index_flags(self) -> dict[str, int]:
        """What `Reply.flags` says of the index, each where it is not 0: `index_behind`, `index_unchecked` and
        `local_only_unmatched`."""
        counts = {
            "index_behind": self.behind,
            "index_unchecked": self.unchecked,
            "local_only_unmatched": self.local_only_unmatched,
        }
        return {name: count for name, count in counts.items() if count}

    def __repr__(self) -> str:
        return short_repr(self, "query", "passages", "confidence", "abstain")

    def __str__(self) -> str:
        places = (f"{n}. {p.path}:{p.start_line}-{p.end_line}" for n, p in enumerate(self.passages, 1))
        return "\n".join(places) or "no passages"

    def _rows(self) -> list[tuple[object, ...]]:
        return [
            (n, f"{p.score:.2f}", f"{p.path}:{p.start_line}-{p.end_line}", p.heading, p.date or "", p.status)
            for n, p in enumerate(self.passages, 1)
        ]

    def _repr_markdown_(self) -> str:
        return markdown_table(_RETRIEVAL_HEADER, self._rows())

    def _repr_html_(self) -> str:
        return html_table(_RETRIEVAL_HEADER, self._rows())

    @overload
    def __getitem__(self, index: int) -> Passage: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Passage, ...]: ...
    def __getitem__(self, index: int | slice) -> Passage | tuple[Passage, ...]:
        return self.passages[index]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """One question in parts, never one laid-out string: each brain renders it with `cervella.prompt.render`."""

    system: str
    """The soul and nothing else: the same bytes for every question and every brain."""
    question: str
    history: tuple[Message, ...] = ()
    """Earlier questions and answers, oldest first; never old passages."""
    passages: tuple[Passage, ...] = ()
    """Best first."""
    marks: tuple[str, ...] = ()
    """The mark of each passage, in the same order. Empty: F1, F2, … A passage that is dropped takes its mark along."""
    images: tuple[Image, ...] = ()
    instructions: str = ""
    """How to cite, today's date, how to abstain: in the base's language, at the head of the last user turn."""
    max_output_tokens: int | None = None
    """None leaves it to the brain."""
    temperature: float | None = None
    """None is not sent."""
    hints: Mapping[str, Any] = field(default_factory=dict)
    """What the agent knows and a brain may use: `abstain` (bool), `confidence` (float), `language` (str),
    `persona` (str: her name), `instructions_without_passages` (str: for when none of the passages can be shown),
    `batch` (bool: nobody waits), `seed` (int: for engines that draw with one), `fresh` (bool: nothing that an earlier
    prompt left in the engine's cache may be used, so that an answer does not depend on what was asked before). What
    chooses a brain adds `route` (str: the rule) and `reason` (str): they end up on the Attempt."""
    confidential: bool = False
    """The question itself holds something local-only, as a review's does that shows such an answer."""
    reply: str = field(default="", repr=False, compare=False)
    """The id of the reply that it is for: a name for the books, no part of what is asked."""

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
        """The passages by mark, best first."""
        return dict(zip(self.marks, self.passages, strict=True))

    @property
    def tainted(self) -> bool:
        """Whether it holds anything that must not reach a cloud brain."""
        return self.confidential or any(p.local_only for p in self.passages) or any(m.tainted for m in self.history)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """What one answer consumed. A count that the engine does not report is `None`, never 0."""

    input_tokens: int | None = None
    """Prompt tokens, cached ones included."""
    cache_read_tokens: int | None = None
    """Prompt tokens that the engine served from its prefix cache."""
    cache_write_tokens: int | None = None
    """Prompt tokens written to the engine's prefix cache."""
    cache_write_1h_tokens: int | None = None
    """Those of them that are kept for an hour, which costs more; None where the engine has one kind only."""
    output_tokens: int | None = None
    """Generated tokens, reasoning included."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One call of one engine, reported the moment it ends, however it ends."""

    brain: str
    model: str
    location: Location
    outcome: Literal["ok", "refused", "error", "interrupted", "cancelled"]
    """`refused`: the model would not answer, and said so; `error`: before the first token, or no answer at all;
    `interrupted`: after it; `cancelled`: the caller left."""
    usage: Usage = field(default_factory=Usage)
    estimated: bool = False
    """The call broke off before the engine reported its counts: those that are missing are estimated from the text."""
    seconds: float = 0.0
    """Wall time of the call."""
    first_token_seconds: float | None = None
    load_seconds: float | None = None
    """What of `seconds` the engine took to load the model; None where it does not say."""
    shown: tuple[str, ...] = ()
    """The marks of the passages that this engine was given."""
    tainted: bool = False
    """Whether it was given anything local-only."""
    error: str | None = None
    """The error's `code`."""
    reply: str = ""
    """The id of the reply that this call was for; empty where no agent asked."""
    route: str | None = None
    """The rule that chose this brain: a router's, `fallback`, or `explicit`; None where there was no choice."""
    reason: str | None = None
    """Why, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """What a brain made of a prompt."""

    text: str
    finish_reason: str = "stop"
    """`stop`, `length` (cut at max_output_tokens) or `refusal`. An engine's own word for these will do; any other word
    says that the answer is not whole, and the shield raises StreamInterruptedError or `empty_answer` for it."""
    refusal: str | None = None
    """Why the model refused, in its engine's words; None where it did not say. The shield puts it behind the text."""
    usage: Usage = field(default_factory=Usage)
    model: str = ""
    """The weights that answered, as the engine reports them."""
    load_seconds: float | None = None
    """What the engine took to load the model; None where it does not say."""
    attempts: tuple[Attempt, ...] = ()
    """Put in by the shield; a brain leaves it empty."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """What a reader should know, with a count: `{"secrets_masked": 2, "passages_dropped": 1, "test_size": 1}`."""

    def __repr__(self) -> str:
        return short_repr(self, "text", "finish_reason", "model", "attempts", "flags")


@dataclass(frozen=True, slots=True, kw_only=True)
class CitedLines:
    """The lines of a citation as they stand on disk now."""

    text: str | None
    """None where the file or the lines are gone."""
    changed: bool
    """Whether they differ from what was cited."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Citation:
    """One source of an answer, checked without a model."""

    mark: str
    """As the answer has it, without brackets: `F1`."""
    path: str
    heading: str
    start_line: int
    end_line: int
    quote: str
    """The sentence or row of the passage that fits the answer best, verbatim."""
    supported: bool | None
    """The numbers and the quoted words that the answer gives with this mark stand in these lines, and the file has not
    changed since. None: not looked at, or not whole, because the answer is too long or its time was over."""
    changed: bool | None = None
    """The cited file differs from what was indexed, or is gone. None where nobody looked: the retriever can't tell, or
    the folder is not there."""
    reader: Callable[[], CitedLines] | None = field(default=None, repr=False, compare=False)
    """Put in by the agent; not pickled."""

    @property
    def doubt(self) -> str:
        """Why not to rely on it, in a few words; empty where it is supported."""
        if self.changed:
            return "changed or gone since it was indexed"
        if self.supported is None:
            return "not checked against these lines"
        return "" if self.supported else "not supported by these lines"

    def read(self) -> CitedLines:
        """The cited lines as on disk now, redacted as at ingest, and whether they changed since.

        Raises RuntimeError where the citation was unpickled or built by hand: it has no reader then.
        """
        if self.reader is None:
            raise RuntimeError("This citation has no reader: it was unpickled, or built without an agent.")
        return self.reader()

    def __reduce__(self) -> tuple[Any, ...]:  # not __getstate__: early releases of Python 3.11 put their own over it
        state = {item.name: getattr(self, item.name) for item in fields(self) if item.name != "reader"}
        return _citation, (state,)


def _citation(state: dict[str, Any]) -> Citation:
    return Citation(**state)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds of one answer; None where a stage did not happen."""

    retrieval_seconds: float | None = None
    first_token_seconds: float | None = None
    """From the question to the first text of the answer, retrieval included."""
    total_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """An answer, its sources and what it took."""

    text: str
    question: str = ""
    retrieval_query: str = ""
    """What was searched for: the question, or for a follow-up («e quanto costa?») the one before it too."""
    citations: tuple[Citation, ...] = ()
    """One for each mark in the text that stands for a passage shown to the brain, in order of first appearance."""
    passages: tuple[Passage, ...] = ()
    """All that were retrieved, cited or not."""
    usage: Usage = field(default_factory=Usage)
    """Of the attempt that answered."""
    cost_usd: Decimal | None = None
    """All attempts together; None where a price is not known."""
    brain: str = ""
    """The brain that answered: with a fallback, the member."""
    model: str = ""
    soul: str = ""
    """The soul's fingerprint."""
    timings: Timings = field(default_factory=Timings)
    finish_reason: str = "stop"
    """`stop`, `length`, `interrupted` (broke off), or `refusal`: the text says that the model refused, and why, behind
    what came before it, if anything did."""
    abstained: bool = False
    """The answer says that the base does not know, and cites nothing that holds."""
    tainted: bool = False
    """The brain that answered was shown something local-only: the text may go to local and private brains only."""
    invented_marks: int = 0
    """Marks in the text that stand for no passage shown to the brain."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """As on `Completion`; what the Retrieval says where it is not 0, `index_behind`, `index_unchecked` and
    `local_only_unmatched`; and `citations_unread`: citations of which `supported` is None."""
    attempts: tuple[Attempt, ...] = ()
    """Every call of an engine that this answer took, in order; those of a review too."""
    review: ReviewVerdict | None = None
    """What a review came to; None where there was none."""
    id: str = ""

    def __repr__(self) -> str:
        return short_repr(self, "text", "citations", "passages", "brain", "model", "abstained", "flags", "id")

    def __str__(self) -> str:
        sources = [
            f"[{one.mark}] {one.path}:{one.start_line}-{one.end_line}{f'  ({one.doubt})' if one.doubt else ''}"
            for one in self.citations
        ]
        return "\n".join([self.text, *([""] if sources else []), *sources])

    def _repr_markdown_(self) -> str:
        lines = [self.text, ""]
        for citation in self.citations:
            warning = f" *({citation.doubt})*" if citation.doubt else ""
            lines.append(
                f"- **[{citation.mark}]** `{citation.path}:{citation.start_line}-{citation.end_line}`{warning}"
            )
        if self.review is not None:
            lines += ["", f"**{self.review.headline()}**"]
            lines += [f"- «{issue.text}»: {issue.problem}" for issue in self.review.issues]
        return "\n".join([*lines, "", f"*{self.brain} ({self.model})*"])

    def _repr_html_(self) -> str:
        shown = {(p.path, p.start_line): p for p in self.passages}
        parts = [html_answer(self.text)]
        for citation in self.citations:
            passage = shown.get((citation.path, citation.start_line))
            warning = f" ({citation.doubt})" if citation.doubt else ""
            title = f"[{citation.mark}] {citation.path}:{citation.start_line}-{citation.end_line}{warning}"
            text = passage.text if passage else citation.quote
            parts.append(html_details(title, html_passage(text, citation.start_line, citation.quote)))
        if self.review is not None:
            rows = [(issue.kind, issue.text, issue.problem, issue.by) for issue in self.review.issues]
            parts.append(html_details(self.review.headline(), html_table(("", "claim", "problem", "by"), rows)))
        return "".join(parts)

    def as_turn(self) -> tuple[Message, ...]:
        """The question and the answer as history for the next question, the taint kept; nothing of a refusal."""
        if self.finish_reason == "refusal":
            return ()
        return (
            Message(role="user", content=self.question, tainted=self.tainted),
            Message(role="assistant", content=self.text, tainted=self.tainted),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Preview:
    """A prompt as it would be sent; nobody was called."""

    prompt: Prompt
    """With what this brain may see, fitted to its window."""
    messages: tuple[Message, ...]
    prompt_tokens: int
    """As the brain counts; where it can't, ceil(characters / 3)."""
    limit_tokens: int | None
    """The brain's window; None where it names none."""
    brain: str
    retrieval: Retrieval
    flags: Mapping[str, int] = field(default_factory=dict)

    def __repr__(self) -> str:
        return short_repr(self, "brain", "prompt_tokens", "limit_tokens", "messages")


@dataclass(frozen=True, slots=True, kw_only=True)
class SkippedFile:
    """A file that is not in the index."""

    path: str
    reason: str
    """From a closed list: `cervella.knowledge.SKIP_REASONS`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redaction:
    """A secret that was masked in a file before it was indexed. Never the secret itself."""

    path: str
    line: int
    """1-based, of its first character."""
    kind: str
    """`api_key`, `token`, `password`, `private_key` or `card`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexReport:
    """What one run of the indexer did. `files_seen` = `files_indexed` + the skipped."""

    files_seen: int
    """Regular files under the folder; what lies in `.git`, in `.cervella` or in the index is not counted."""
    files_indexed: int
    """In the index after the run."""
    files_skipped: tuple[SkippedFile, ...]
    added: int
    changed: int
    removed: int
    unchanged: int
    chunks_total: int
    pending_embeddings: int
    """Chunks that have no vector yet."""
    seconds: float
    embedder: str = "none"
    warnings: tuple[str, ...] = ()
    redactions: tuple[Redaction, ...] = ()
    """The secrets that are masked in the index, by path and line."""

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
        if len(self.files_skipped) <= _MOST_NAMED:
            return [*rows, *((f"skipped: {one.path}", one.reason) for one in self.files_skipped)]
        reasons = Counter(one.reason for one in self.files_skipped)
        return [*rows, *((f"skipped: {reason}", count) for reason, count in reasons.most_common())]

    def _repr_markdown_(self) -> str:
        return markdown_table(("", ""), self._rows())

    def _repr_html_(self) -> str:
        return html_table(("", ""), self._rows())


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The passages are found; the brain is about to be asked."""

    retrieval: Retrieval


@dataclass(frozen=True, slots=True, kw_only=True)
class TextDelta:
    """A piece of the answer."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageUpdate:
    """What the call consumed so far, as the engine reports it: what is billed where the answer breaks off."""

    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """A brain's last event."""

    completion: Completion


@dataclass(frozen=True, slots=True, kw_only=True)
class Reviewed:
    """The answer was reviewed: comes after its text, before `Answered`, and only where a review was asked for."""

    verdict: ReviewVerdict
    text: str
    """The answer that stands. Where `verdict.revised` it replaces all text that came before; else it is that text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """The agent's last event."""

    reply: Reply


@dataclass(frozen=True, slots=True, kw_only=True)
class Interrupted:
    """The answer broke off after its first token; the error follows."""

    reply: Reply


BrainEvent: TypeAlias = TextDelta | UsageUpdate | Finished
AnswerEvent: TypeAlias = TextDelta | Finished
"""What a shield lets through of a brain's events."""
Event: TypeAlias = Retrieved | TextDelta | Reviewed | Answered | Interrupted
