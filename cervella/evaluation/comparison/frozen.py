"""What a question file's retrieval gave, once, frozen in the run's folder: every brain is shown the same passages."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from cervella.agent.agent import Agent
from cervella.errors import EvaluationError
from cervella.evaluation.records import unwritable
from cervella.evaluation.suites.question_file import QuestionFile, load_questions
from cervella.evaluation.suites.suite import Probe
from cervella.process.files import replace_file
from cervella.types import Passage, Retrieval

__all__ = ["DIMENSION", "Frozen", "freeze", "probes_of", "thaw"]

DIMENSION = "answers"
"""What the questions are called where probes have a dimension."""
_RETRIEVALS, _QUESTIONS = "retrievals.json", "questions.jsonl"


@dataclass(frozen=True, slots=True, kw_only=True)
class Frozen:
    """A question file and what was found for each of its questions."""

    file: QuestionFile
    retrievals: Mapping[str, Retrieval]
    """By the question's id."""
    withheld: int
    """Local-only passages that no brain was shown, because one of the brains is in the cloud."""


def freeze(
    agent: Agent,
    path: Path,
    folder: Path,
    *,
    top_k: int | None = None,
    cloud: bool = False,
    progress: Callable[[str, int, int], None] | None = None,
) -> Frozen:
    """Retrieve once for each question and keep it in `folder`, with a copy of the file; what is there is read back.

    With `cloud`, passages that are local-only are shown to no brain at all: the brains would not see the same.
    """
    if (folder / _RETRIEVALS).exists():
        return thaw(folder)
    file = load_questions(path)
    kept, withheld = {}, 0
    for number, one in enumerate(file.questions, 1):
        found = agent.search(one.question, top_k=top_k)
        allowed = tuple(passage for passage in found.passages if not (cloud and passage.local_only))
        withheld += len(found) - len(allowed)
        # How far the folder has gone on is no part of what was found, and differs from one run to the next.
        kept[one.id] = replace(found, passages=allowed, abstain=found.abstain or not allowed, behind=0, unchecked=0)
        if progress is not None:
            progress("retrieval", number, len(file.questions))
    asked = path.read_bytes()
    rows = {id: {**asdict(found), "passages": [asdict(one) for one in found.passages]} for id, found in kept.items()}
    data = {"source": file.source, "withheld": withheld, "retrievals": rows}
    with unwritable(folder):
        replace_file(folder / _QUESTIONS, asked)
        replace_file(folder / _RETRIEVALS, json.dumps(data, ensure_ascii=False, indent=1) + "\n")
    return Frozen(file=file, retrievals=kept, withheld=withheld)


def thaw(folder: Path, questions: Path | None = None) -> Frozen:
    """What a run's folder keeps; with `questions`, the expected answers of that file for the same questions."""
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
            remedy="Name the file that was asked, corrected or not.",
        )
    return Frozen(file=file, retrievals=retrievals, withheld=withheld)


def probes_of(frozen: Frozen) -> tuple[Probe, ...]:
    """The questions as probes without checks: asked, kept and gone on with as those of a soul test are."""
    return tuple(
        Probe(
            id=one.id,
            dimension=DIMENSION,
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
