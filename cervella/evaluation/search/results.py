"""What an evaluation of the search found, as values: see retrieval.py."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cervella.evaluation.statistics.intervals import Estimate
from cervella.evaluation.suites.question_file import KnownQuestion

__all__ = ["CurvePoint", "Measures", "RetrievalReport", "Retrieved"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Retrieved:
    """What the search gave for one question. A rank is a place from 1; None: not among the passages looked through."""

    question: KnownQuestion
    file_rank: int | None
    """Of the first passage from one of the question's files."""
    evidence_rank: int | None
    """Of the passage with which all of the evidence has been seen."""
    current_first: bool | None
    """Whether a current file stands above the superseded ones; None where the question names none of those."""
    confidence: float
    """0 to 1, of the retrieval."""
    abstains: bool
    """Whether the retrieval says that the base does not hold it."""
    first: str
    """Path and lines of the first passage; empty where there is none."""
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Measures:
    """Of some answerable questions, the share that is found among the first so many passages, by that number."""

    questions: int
    hit: Mapping[int, Estimate | None]
    """By file. None where no question names one."""
    evidence: Mapping[int, Estimate | None]
    """By the words of the evidence, white space and markup aside. None where no question has any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """Who abstains below a confidence: what that gets wrong. None where there is no such question."""

    threshold: float | None
    """None: as the retriever itself decides."""
    false_answer: Estimate | None
    """Of the unanswerable questions, those that would be answered."""
    false_abstain: Estimate | None
    """Of the answerable ones, those that would not."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrievalReport:
    """A question file, searched for. `as_dict` is its JSON."""

    source: str
    sha256: str
    embedder: str | None
    top_k: int
    """Passages that a question gets."""
    answerable: int
    unanswerable: int
    drafts: int
    """Questions that nobody has corrected yet."""
    overall: Measures
    by_kind: Mapping[str, Measures]
    by_language: Mapping[str, Measures]
    newest_hit: Estimate | None
    """Of the questions of the kind `newest_wins`, those with a right file among the first three passages."""
    current_first: Estimate | None
    """Of those that name superseded files, those with a current one above them."""
    auroc: Estimate | None
    """How often an answerable question has more confidence than an unanswerable one, ties counting half."""
    as_it_decides: CurvePoint
    curve: tuple[CurvePoint, ...]
    unknown_files: tuple[tuple[int, str], ...] | None
    """Line and path of files that the index does not have; None where the retriever has no index of ours."""
    seconds_p50: float | None
    seconds_p95: float | None
    rows: tuple[Retrieved, ...]

    @property
    def missed(self) -> tuple[Retrieved, ...]:
        """The answerable questions of which not even the file is among the passages that a brain would get."""
        return tuple(
            row for row in self.rows if row.question.files and (row.file_rank is None or row.file_rank > self.top_k)
        )

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON; an interval is `{estimate, low, high, n}`, unknown is null."""
        return {
            "source": self.source,
            "sha256": self.sha256,
            "embedder": self.embedder,
            "top_k": self.top_k,
            "questions": len(self.rows),
            "answerable": self.answerable,
            "unanswerable": self.unanswerable,
            "drafts": self.drafts,
            **_measures_data(self.overall),
            "by_kind": {kind: _measures_data(one) for kind, one in self.by_kind.items()},
            "by_language": {code: _measures_data(one) for code, one in self.by_language.items()},
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
                    "id": row.question.id,
                    "line": row.question.line,
                    "question": row.question.question,
                    "kind": row.question.kind,
                    "lang": row.question.language,
                    "answerable": row.question.answerable,
                    "file_rank": row.file_rank,
                    "evidence_rank": row.evidence_rank,
                    "current_first": row.current_first,
                    "confidence": row.confidence,
                    "abstains": row.abstains,
                    "first": row.first,
                }
                for row in self.rows
            ],
        }


# As JSON


def _data(estimate: Estimate | None) -> dict[str, Any] | None:
    return None if estimate is None else {name: getattr(estimate, name) for name in ("estimate", "low", "high", "n")}


def _measures_data(measures: Measures) -> dict[str, Any]:
    return {
        "hit": {str(depth): _data(one) for depth, one in measures.hit.items()},
        "evidence": {str(depth): _data(one) for depth, one in measures.evidence.items()},
    }


def _point_data(point: CurvePoint) -> dict[str, Any]:
    told = {} if point.threshold is None else {"threshold": point.threshold}
    return {**told, "false_answer": _data(point.false_answer), "false_abstain": _data(point.false_abstain)}
