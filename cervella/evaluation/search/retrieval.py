"""Measures retrieval on an owner's questions: the right file, the evidence, the newest version, and abstention.

No brain is asked. Shares have Wilson's interval, the AUROC a bootstrap interval.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from cervella.agent.agent import Agent
from cervella.evaluation.search.indexed import manifest_of
from cervella.evaluation.statistics.intervals import DRAWS, SEED, Estimate, bootstrapped, scipy_stats, wilson
from cervella.evaluation.suites.question_file import KnownQuestion, QuestionFile
from cervella.records.ledger.statistics import percentile
from cervella.types import Passage, Progress

DEPTHS = (1, 3, 5, 10)
"""A question counts as found if a right file is among its first 1, 3, 5 or 10 passages. The configured number of
passages is counted too."""
NEWEST_WINS = "newest_wins"
"""The kind of question whose answer changed with time, so that the newest document must be found."""
_NEWEST_DEPTH = 3
_DEEP = 200
"""Number of passages that are searched for the first current and the first superseded file of a question."""
_THRESHOLDS = tuple(number / 20 for number in range(21))

_MARK = re.compile(r"\[F\d+(?:, ?F\d+)*\]")
_QUOTES = str.maketrans(dict.fromkeys("«»“”\"'’│┃║", " "))
_ITEM = re.compile(r"^[^\S\n]*(?:#{1,6}|[-*+>]|\d{1,3}[.)])\s+", re.MULTILINE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """The passages found for one question. Ranks start at 1; a rank is None if no passage that was looked at fits."""

    question: KnownQuestion
    file_rank: int | None
    """The rank of the first passage from one of the question's files."""
    evidence_rank: int | None
    """The number of first passages that together have all pieces of the question's evidence."""
    current_first: bool | None
    """Whether a current file ranks above the superseded ones; None if the question names no superseded file."""
    confidence: float | None
    """The retrieval's confidence, 0 to 1; None if it has none."""
    abstains: bool
    """Whether the retrieval says that the base does not have the answer."""
    first: str
    """Path and lines of the first passage; empty if there is none."""
    seconds: float
    """Wall time of the search."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundShares:
    """The shares of answerable questions whose file or evidence is found.

    The keys say among how many first passages.
    """

    questions: int
    hit: Mapping[int, Estimate | None]
    """Share of the questions with a right file among the first passages. None if no question names a file."""
    evidence: Mapping[int, Estimate | None]
    """Share of the questions all of whose evidence is found word for word, apart from white space and markup. None if
    no question has evidence."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """The errors that would be made if every question with a confidence below a threshold were left unanswered."""

    threshold: float | None
    """The threshold, 0 to 1; None if the retriever decided itself which questions to leave unanswered."""
    false_answer: Estimate | None
    """Share of the unanswerable questions that would be answered; None if there are none."""
    false_abstain: Estimate | None
    """Share of the answerable questions that would not be answered; None if there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalReport:
    """The retrieval results of a question file. `as_dict` is its JSON."""

    source: str
    sha256: str
    embedder: str | None
    top_k: int
    """Number of passages that a question gets."""
    answerable: int
    unanswerable: int
    drafts: int
    """Questions that no person has corrected yet."""
    overall: FoundShares
    by_kind: Mapping[str, FoundShares]
    by_language: Mapping[str, FoundShares]
    newest_hit: Estimate | None
    """Share of the `newest_wins` questions with a right file among the first three passages."""
    current_first: Estimate | None
    """Share of the questions with superseded files for which a current file ranks above the superseded ones."""
    auroc: Estimate | None
    """Probability that an answerable question has a higher confidence than an unanswerable one, a tie counting half.
    Questions without a confidence are left out. None if none is left of one of the two."""
    as_it_decides: CurvePoint
    curve: tuple[CurvePoint, ...]
    """Only of the questions that have a confidence; empty if none has."""
    unknown_files: tuple[tuple[int, str], ...] | None
    """Files that the question file names but the index does not have: the line of the question and the path. None if
    the retriever does not use Cervella's index."""
    seconds_p50: float | None
    seconds_p95: float | None
    rows: tuple[Retrieved, ...]

    @property
    def missed(self) -> tuple[Retrieved, ...]:
        """The questions whose files are not among the passages that a brain would get."""
        return tuple(
            row for row in self.rows if row.question.files and (row.file_rank is None or row.file_rank > self.top_k)
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON. An interval is `{estimate, low, high, n}`; unknown is null."""
        return {
            **_fields(self, "source", "sha256", "embedder", "top_k"),
            "questions": len(self.rows),
            **_fields(self, "answerable", "unanswerable", "drafts"),
            **_shares_data(self.overall),
            "by_kind": {kind: _shares_data(one) for kind, one in self.by_kind.items()},
            "by_language": {code: _shares_data(one) for code, one in self.by_language.items()},
            "newest_wins": {"hit@3": _data(self.newest_hit), "current_first": _data(self.current_first)},
            "abstention": {
                "auroc": _data(self.auroc),
                "as_it_decides": _point_data(self.as_it_decides),
                "curve": [_point_data(point) for point in self.curve],
            },
            "unknown_files": None
            if self.unknown_files is None
            else [{"line": line, "path": path} for line, path in self.unknown_files],
            "seconds": {"p50": self.seconds_p50, "p95": self.seconds_p95},
            "rows": [
                {
                    **_fields(row.question, "id", "line", "question", "kind"),
                    "lang": row.question.language,
                    "answerable": row.question.answerable,
                    **_fields(row, "file_rank", "evidence_rank", "current_first", "confidence", "abstains", "first"),
                }
                for row in self.rows
            ],
        }


def _fields(value: object, *names: str) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _data(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else _fields(estimate, "estimate", "low", "high", "n")


def _shares_data(found: FoundShares) -> dict[str, Any]:
    return {
        "hit": {str(depth): _data(one) for depth, one in found.hit.items()},
        "evidence": {str(depth): _data(one) for depth, one in found.evidence.items()},
    }


def _point_data(point: CurvePoint) -> dict[str, Any]:
    threshold = {} if point.threshold is None else {"threshold": point.threshold}
    return {**threshold, "false_answer": _data(point.false_answer), "false_abstain": _data(point.false_abstain)}


def evaluate_retrieval(
    agent: Agent,
    questions: QuestionFile,
    *,
    top_k: int | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
    progress: Progress | None = None,
) -> RetrievalReport:
    """Search for every question of a file. `top_k` is by default the configured one.

    Read the file with `load_questions(path, for_retrieval=True)`. Raises KnowledgeError if the base can't be searched,
    EvaluationError if scipy is not installed.
    """
    scipy_stats()
    given = agent.config.knowledge.top_k if top_k is None else top_k
    depths = tuple(sorted({*DEPTHS, given}))
    embedder, known = _base(agent)
    rows = []
    agent.search("a")  # loads the index, which is not part of a question's time
    for number, question in enumerate(questions.questions, 1):
        rows.append(_retrieved(agent, question, depths[-1]))
        if progress is not None:
            progress("questions", number, len(questions.questions))
    answerable = [row for row in rows if row.question.answerable]
    others = [row for row in rows if not row.question.answerable]
    named = [(question, path) for question in questions.questions for path in (*question.files, *question.superseded)]
    times = [row.seconds for row in rows]
    estimates = any(row.confidence is not None for row in rows if row.first)  # without passages it is always 0
    return RetrievalReport(
        source=questions.source,
        sha256=questions.sha256,
        embedder=embedder,
        top_k=given,
        answerable=len(answerable),
        unanswerable=len(others),
        drafts=sum(question.draft for question in questions.questions),
        overall=_found_shares(answerable, depths),
        by_kind=_grouped(answerable, depths, lambda row: row.question.kind),
        by_language=_grouped(answerable, depths, lambda row: row.question.language),
        newest_hit=_share(
            _within(row.file_rank, _NEWEST_DEPTH)
            for row in answerable
            if row.question.kind == NEWEST_WINS and row.question.files
        ),
        current_first=_share(row.current_first for row in rows if row.current_first is not None),
        auroc=auroc(_confidences(answerable), _confidences(others), draws=draws, seed=seed) if estimates else None,
        as_it_decides=CurvePoint(
            threshold=None,
            false_answer=_share(not row.abstains for row in others),
            false_abstain=_share(row.abstains for row in answerable),
        ),
        curve=tuple(
            CurvePoint(
                threshold=threshold,
                false_answer=_share(sure >= threshold for sure in _confidences(others)),
                false_abstain=_share(sure < threshold for sure in _confidences(answerable)),
            )
            for threshold in (_THRESHOLDS if estimates else ())
        ),
        unknown_files=None
        if known is None
        else tuple(dict.fromkeys((question.line, path) for question, path in named if path not in known)),
        seconds_p50=percentile(times, 0.5),
        seconds_p95=percentile(times, 0.95),
        rows=tuple(rows),
    )


def _confidences(rows: Sequence[Retrieved]) -> list[float]:
    return [row.confidence for row in rows if row.confidence is not None]


def plain(text: str) -> str:
    """A text in lower case without citation marks, quotation marks, emphasis, list markers and padding of tables.

    >>> plain("| Pro     | **$20** |") == plain("«Pro | $20» [F1].")
    True
    """
    text = _ITEM.sub("", _MARK.sub(" ", text).translate(_QUOTES).replace("**", "").replace("`", ""))
    text = re.sub(r"(?<!\w)[*_]+|[*_]+(?!\w)", "", text).replace("|", " | ")
    text = re.sub(r" ([.,;:!?])", r"\1", " ".join(text.split()))
    return text.strip(" .|;,").casefold()


def auroc(higher: Sequence[float], lower: Sequence[float], *, draws: int = DRAWS, seed: int = SEED) -> Estimate | None:
    """Probability that a value of the first group is above one of the second, ties counting half.

    None if a group is empty. The bootstrap resamples both groups.

    >>> found = auroc([0.9, 0.8, 0.4], [0.5, 0.4], draws=200)
    >>> found.estimate, found.n
    (0.75, 5)
    """
    if not len(higher) or not len(lower):
        return None
    return bootstrapped([higher, lower], _area, bounds=(0.0, 1.0), draws=draws, seed=seed)


def _area(higher: Any, lower: Any, axis: int = -1) -> Any:
    """The share of pairs in which the value of `higher` exceeds that of `lower`, a tie counting half.

    It is computed from the ranks of all values together (Mann and Whitney 1947), which needs no table of all pairs.
    """
    import numpy as np

    shape = np.broadcast_shapes(higher.shape[:-1], lower.shape[:-1])
    n, m = higher.shape[-1], lower.shape[-1]
    both = np.concatenate([np.broadcast_to(higher, (*shape, n)), np.broadcast_to(lower, (*shape, m))], axis=axis)
    ranks = scipy_stats().rankdata(both, axis=axis)[..., :n].sum(axis=axis)
    return (ranks - n * (n + 1) / 2) / (n * m)


def _retrieved(agent: Agent, question: KnownQuestion, depth: int) -> Retrieved:
    before = time.perf_counter()
    found = agent.search(question.question, top_k=depth)
    seconds = time.perf_counter() - before
    first = next(iter(found), None)
    return Retrieved(
        question=question,
        file_rank=next((rank for rank, passage in enumerate(found, 1) if passage.path in question.files), None),
        evidence_rank=_evidence_rank(question, found.passages),
        current_first=_current_first(agent, question) if question.files and question.superseded else None,
        confidence=found.confidence,
        abstains=found.abstain,
        first="" if first is None else f"{first.path}:{first.start_line}-{first.end_line}",
        seconds=seconds,
    )


def _evidence_rank(question: KnownQuestion, passages: Sequence[Passage]) -> int | None:
    texts = [plain(f"{passage.lead}\n\n{passage.reading}") for passage in passages]
    ranks = [
        next((rank for rank, text in enumerate(texts, 1) if wanted in text), None)
        for wanted in filter(None, map(plain, question.evidence))
    ]
    found = [rank for rank in ranks if rank is not None]
    return max(found) if found and len(found) == len(ranks) else None


def _current_first(agent: Agent, question: KnownQuestion) -> bool:
    paths = [passage.path for passage in agent.search(question.question, top_k=_DEEP)]

    def place(files: Iterable[str]) -> int:
        return min((paths.index(path) for path in files if path in paths), default=len(paths))

    return place(question.files) < place(question.superseded)


def _found_shares(rows: Sequence[Retrieved], depths: Sequence[int]) -> FoundShares:
    by_file = [row for row in rows if row.question.files]
    by_words = [row for row in rows if any(map(plain, row.question.evidence))]
    return FoundShares(
        questions=len(rows),
        hit={depth: _share(_within(row.file_rank, depth) for row in by_file) for depth in depths},
        evidence={depth: _share(_within(row.evidence_rank, depth) for row in by_words) for depth in depths},
    )


def _grouped(
    rows: Sequence[Retrieved], depths: Sequence[int], label: Callable[[Retrieved], str]
) -> dict[str, FoundShares]:
    """The shares of the rows with each label, in the order of the file; empty if all rows have the same label."""
    labels = list(dict.fromkeys(map(label, rows)))
    if len(labels) < 2:
        return {}
    return {name: _found_shares([row for row in rows if label(row) == name], depths) for name in labels}


def _within(rank: int | None, depth: int) -> bool:
    return rank is not None and rank <= depth


def _share(hits: Iterable[bool | None]) -> Estimate | None:
    known = [bool(hit) for hit in hits]
    return wilson(sum(known), len(known))


def _base(agent: Agent) -> tuple[str | None, frozenset[str] | None]:
    """The embedder that the index was built with, and its files; None if there is no index of Cervella's."""
    with manifest_of(agent) as manifest:
        if manifest is None:
            return None, None
        built = manifest.built_with
        return (built.name if built else None), frozenset(manifest.files())
