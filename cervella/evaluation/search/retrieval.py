"""Does the search find what answers, what holds today, and that nothing answers? Over an owner's own questions.

No brain is asked. Shares come with Wilson's interval, the AUROC with that of a bootstrap.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from cervella.agent.agent import Agent
from cervella.evaluation.search.indexed import manifest_of
from cervella.evaluation.search.results import CurvePoint, Measures, RetrievalReport, Retrieved
from cervella.evaluation.statistics.intervals import (
    CONFIDENCE,
    DRAWS,
    SEED,
    Estimate,
    bootstrapped,
    scipy_stats,
    wilson,
)
from cervella.evaluation.suites.question_file import KnownQuestion, QuestionFile
from cervella.records.ledger.statistics import percentile
from cervella.types import Passage

__all__ = ["DEPTHS", "NEWEST_WINS", "auroc", "evaluate_retrieval", "plain"]

DEPTHS = (1, 3, 5, 10)
"""How many passages are looked through, besides as many as a question gets."""
NEWEST_WINS = "newest_wins"
"""The kind of a question whose answer changed with time."""
_NEWEST_DEPTH = 3
_DEEP = 200
"""Passages among which the superseded file is looked for, where the current one stands above it or not."""
_THRESHOLDS = tuple(number / 20 for number in range(21))

_MARK = re.compile(r"\[F\d+(?:, ?F\d+)*\]")
_QUOTES = str.maketrans(dict.fromkeys("«»“”\"'’│┃║", " "))
_ITEM = re.compile(r"^[^\S\n]*(?:#{1,6}|[-*+>]|\d{1,3}[.)])\s+", re.MULTILINE)

Progress = Callable[[str, int, int], None]


def evaluate_retrieval(
    agent: Agent,
    questions: QuestionFile,
    *,
    top_k: int | None = None,
    draws: int = DRAWS,
    seed: int = SEED,
    progress: Progress | None = None,
) -> RetrievalReport:
    """Search for every question of a file and say what was found. `top_k` is by default the configured one.

    Read the file with `load_questions(path, for_retrieval=True)`. Raises KnowledgeError where the base can't be
    searched, EvaluationError where scipy is not installed.
    """
    scipy_stats()
    given = agent.config.knowledge.top_k if top_k is None else top_k
    depths = tuple(sorted({*DEPTHS, given}))
    embedder, known = _base(agent)
    rows = []
    agent.search("a")  # the first search loads the index: it is no question's time
    for number, question in enumerate(questions.questions, 1):
        rows.append(_retrieved(agent, question, depths[-1]))
        if progress is not None:
            progress("questions", number, len(questions.questions))
    answerable = [row for row in rows if row.question.answerable]
    others = [row for row in rows if not row.question.answerable]
    named = [(question, path) for question in questions.questions for path in (*question.files, *question.superseded)]
    times = [row.seconds for row in rows]
    return RetrievalReport(
        source=questions.source,
        sha256=questions.sha256,
        embedder=embedder,
        top_k=given,
        answerable=len(answerable),
        unanswerable=len(others),
        drafts=sum(question.draft for question in questions.questions),
        overall=_measures(answerable, depths),
        by_kind=_grouped(answerable, depths, lambda row: row.question.kind),
        by_language=_grouped(answerable, depths, lambda row: row.question.language),
        newest_hit=_share(
            _within(row.file_rank, _NEWEST_DEPTH)
            for row in answerable
            if row.question.kind == NEWEST_WINS and row.question.files
        ),
        current_first=_share(row.current_first for row in rows if row.current_first is not None),
        auroc=auroc([row.confidence for row in answerable], [row.confidence for row in others], draws=draws, seed=seed),
        as_it_decides=CurvePoint(
            threshold=None,
            false_answer=_share(not row.abstains for row in others),
            false_abstain=_share(row.abstains for row in answerable),
        ),
        curve=tuple(
            CurvePoint(
                threshold=threshold,
                false_answer=_share(row.confidence >= threshold for row in others),
                false_abstain=_share(row.confidence < threshold for row in answerable),
            )
            for threshold in _THRESHOLDS
        ),
        unknown_files=None
        if known is None
        else tuple(dict.fromkeys((question.line, path) for question, path in named if path not in known)),
        seconds_p50=percentile(times, 0.5),
        seconds_p95=percentile(times, 0.95),
        rows=tuple(rows),
    )


def plain(text: str) -> str:
    """A text without marks, quotation marks, emphasis, list markers and the padding of tables, in lower case.

    >>> plain("| Pro     | **$20** |") == plain("«Pro | $20» [F1].")
    True
    """
    text = _ITEM.sub("", _MARK.sub(" ", text).translate(_QUOTES).replace("**", "").replace("`", ""))
    text = re.sub(r"(?<!\w)[*_]+|[*_]+(?!\w)", "", text).replace("|", " | ")
    text = re.sub(r" ([.,;:!?])", r"\1", " ".join(text.split()))
    return text.strip(" .|;,").casefold()


def auroc(higher: Sequence[float], lower: Sequence[float], *, draws: int = DRAWS, seed: int = SEED) -> Estimate | None:
    """How often a value of the first is above one of the second, ties counting half; None where either is empty.

    Both groups are drawn from in each draw of its bootstrap.

    >>> found = auroc([0.9, 0.8, 0.4], [0.5, 0.4], draws=200)
    >>> found.estimate, found.n
    (0.75, 5)
    """
    if not len(higher) or not len(lower):
        return None
    return bootstrapped([higher, lower], _area, bounds=(0.0, 1.0), confidence=CONFIDENCE, draws=draws, seed=seed)


def _area(higher: Any, lower: Any, axis: int = -1) -> Any:
    """By the ranks of all values together (Mann and Whitney): the same number, and no product of both groups."""
    import numpy as np

    shape = np.broadcast_shapes(higher.shape[:-1], lower.shape[:-1])
    n, m = higher.shape[-1], lower.shape[-1]
    both = np.concatenate([np.broadcast_to(higher, (*shape, n)), np.broadcast_to(lower, (*shape, m))], axis=axis)
    ranks = scipy_stats().rankdata(both, axis=axis)[..., :n].sum(axis=axis)
    return (ranks - n * (n + 1) / 2) / (n * m)


# One question


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
    texts = [plain(f"{passage.lead}\n\n{passage.text}") for passage in passages]
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


# Many


def _measures(rows: Sequence[Retrieved], depths: Sequence[int]) -> Measures:
    by_file = [row for row in rows if row.question.files]
    by_words = [row for row in rows if any(map(plain, row.question.evidence))]
    return Measures(
        questions=len(rows),
        hit={depth: _share(_within(row.file_rank, depth) for row in by_file) for depth in depths},
        evidence={depth: _share(_within(row.evidence_rank, depth) for row in by_words) for depth in depths},
    )


def _grouped(
    rows: Sequence[Retrieved], depths: Sequence[int], label: Callable[[Retrieved], str]
) -> dict[str, Measures]:
    """By label, in the file's order; where there is but one there is nothing to tell apart."""
    labels = list(dict.fromkeys(map(label, rows)))
    if len(labels) < 2:
        return {}
    return {name: _measures([row for row in rows if label(row) == name], depths) for name in labels}


def _within(rank: int | None, depth: int) -> bool:
    return rank is not None and rank <= depth


def _share(hits: Iterable[bool | None]) -> Estimate | None:
    told = [bool(hit) for hit in hits]
    return wilson(sum(told), len(told))


def _base(agent: Agent) -> tuple[str | None, frozenset[str] | None]:
    """What the index was built with, and its files; None where it is not ours."""
    with manifest_of(agent) as manifest:
        if manifest is None:
            return None, None
        built = manifest.built_with
        return (built.name if built else None), frozenset(manifest.files())
