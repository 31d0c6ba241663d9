"""Retrieves the passages of a question file once and keeps them in the run's folder: every brain is shown the same."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cervella.agent.agent import Agent
from cervella.agent.small_talk import small_talk_beside
from cervella.errors import EvaluationError
from cervella.evaluation.records import unwritable
from cervella.evaluation.suites.question_file import QuestionFile, load_questions, masked_lines
from cervella.evaluation.suites.suite import Probe
from cervella.privacy.stored import masked
from cervella.process.files import replace_file
from cervella.prompt.history import query_after
from cervella.types import Passage, Progress, Retrieval

_DIMENSION = "answers"
"""The dimension that the questions get when they are asked as probes."""
_RETRIEVALS, _QUESTIONS = "retrievals.json", "questions.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A question file and the passages found for each of its questions."""

    file: QuestionFile
    retrievals: Mapping[str, Retrieval]
    """The passages found for each question, by its id."""
    withheld: int
    """Number of local-only passages that no brain was shown, because one of the brains is in the cloud."""


def freeze(
    agent: Agent,
    path: Path,
    folder: Path,
    *,
    top_k: int | None = None,
    cloud: bool = False,
    progress: Progress | None = None,
) -> Frozen:
    """Retrieve once for each question and keep the passages in `folder`, with a copy of the question file.

    If the folder has them already, they are read back. `cloud` says whether one of the brains is in the cloud: then
    local-only passages are shown to no brain at all, so that all see the same passages.
    """
    if (folder / _RETRIEVALS).exists():
        return thaw(folder)
    file = load_questions(path)
    kept, withheld = {}, 0
    for number, one in enumerate(file.questions, 1):
        found = _searched(agent, one.question, top_k)
        allowed = tuple(passage for passage in found.passages if not (cloud and passage.local_only))
        withheld += len(found) - len(allowed)
        none = bool(found.query) and not allowed  # small talk has no query and nothing to abstain from
        # The state of the folder since the index was built is not part of the result, and differs between runs.
        kept[one.id] = replace(
            found,
            passages=allowed,
            abstain=found.abstain or none,
            behind=0,
            unchecked=0,
            pending=0,
        )
        if progress is not None:
            progress("retrieval", number, len(file.questions))
    asked = masked_lines(path.read_bytes())
    rows = {id: asdict(found) for id, found in kept.items()}
    data = {"source": file.source, "withheld": withheld, "retrievals": rows}
    with unwritable(folder):
        replace_file(folder / _QUESTIONS, asked)
        replace_file(folder / _RETRIEVALS, json.dumps(masked(data), ensure_ascii=False, indent=1) + "\n")
    return Frozen(file=file, retrievals=kept, withheld=withheld)


def _searched(agent: Agent, question: str, top_k: int | None) -> Retrieval:
    """What the agent finds for a question, as if it was asked: nothing for small talk, no courtesies in the query."""
    lang, persona = agent.language, agent.persona
    if small_talk_beside(agent.retriever, question, lang, persona) is not None:
        return Retrieval(query="", passages=())
    return agent.search(query_after(question, (), lang, persona) or question, top_k=top_k)


def thaw(folder: Path, questions: Path | None = None) -> Frozen:
    """Read the passages that a run's folder keeps. `questions` is a file with corrected answers to its questions."""
    try:
        data: Any = json.loads((folder / _RETRIEVALS).read_text(encoding="utf-8"))
        retrievals = {
            id: Retrieval(**{**row, "passages": tuple(Passage(**passage) for passage in row["passages"])})
            for id, row in data["retrievals"].items()
        }
        source, withheld = str(data["source"]), int(data["withheld"])
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise EvaluationError(
            f"The passages of the run at {str(folder)!r} can't be read: {error}.",
            remedy="Start another run with --fresh.",
            code="run_damaged",
        ) from error
    file = replace(load_questions(questions or folder / _QUESTIONS), source=questions.name if questions else source)
    if not any(one.id in retrievals for one in file.questions):
        raise EvaluationError(
            f"None of the questions of {file.source!r} was asked in the run at {str(folder)!r}.",
            remedy="Name the file that was asked, or a corrected copy of it.",
        )
    return Frozen(file=file, retrievals=retrievals, withheld=withheld)


def probes_of(frozen: Frozen) -> tuple[Probe, ...]:
    """The questions as probes without checks, so that they are asked and recorded like the probes of a soul test."""
    return tuple(
        Probe(
            id=one.id,
            dimension=_DIMENSION,
            severity="soft",
            turns=(one.question,),
            passages=frozen.retrievals[one.id].passages,
            checks=(),
            perfect=(),
            flatterer=(),
        )
        for one in frozen.file.questions
        if one.id in frozen.retrievals
    )
