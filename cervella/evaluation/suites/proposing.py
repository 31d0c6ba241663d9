"""Drafts a question file from the base itself, for a person to correct. No model is needed.

A draft uses the words of the text that answers it, so that text is easier to find than for real questions: results on
drafts are too good. No part of a local-only document and no secret goes into a draft.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from cervella.agent.agent import Agent
from cervella.agent.faces import AnyBrain
from cervella.errors import EvaluationError, IndexMissingError, refused
from cervella.evaluation.search.indexed import manifest_of
from cervella.evaluation.suites.drafting import Draft, Origin, candidates
from cervella.knowledge.documents.local_only import local_only_of
from cervella.knowledge.index.marks import marks_of
from cervella.privacy.redaction import find_secrets
from cervella.process.files import make_private_folder, open_private
from cervella.prompt.layout import strip_marks
from cervella.text.language import known_languages, language
from cervella.text.quotations import strip_quotes
from cervella.types import Passage, Progress, Prompt

__all__ = ["Proposal", "phrased", "propose_questions", "write_drafts"]

_SHARES: dict[Origin, int] = {"replaced": 4, "decision": 4, "table": 7, "heading": 9, "crossed": 3, "elsewhere": 3}
"""The number of drafts of each origin among thirty, if the base has enough texts for them. A sentence that two origins
could use goes to the one that is named first here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Drafts, spread over the files of the base."""

    drafts: tuple[Draft, ...]
    language: str
    """The language of the questions, ISO 639-1."""
    local_only: int
    """Number of documents that were left out because they are local-only."""

    def rows(self) -> list[dict[str, Any]]:
        """The drafts as lines of a question file."""
        return [draft.as_row(number, self.language) for number, draft in enumerate(self.drafts, 1)]


def propose_questions(agent: Agent, *, limit: int = 30, seed: int = 0) -> Proposal:
    """Draft questions from the index: the same ones for the same index, limit and seed.

    Raises IndexMissingError if there is no index of Cervella's, EvaluationError if no question can be drafted from it.
    """
    own = agent.config.knowledge
    with manifest_of(agent) as manifest:
        if manifest is None:
            raise IndexMissingError(
                f"There is no index at {str(own.index)!r} to draft questions from.",
                remedy="Build it with `cervella index`.",
            )
        files = manifest.files()
        hidden = marks_of(files, local_only_of(files, own.folder, own.local_only)).paths
        chunks = [chunk for chunk in manifest.chunks() if chunk.path not in hidden]
    shown = {path: file for path, file in files.items() if path not in hidden}
    drafts = _chosen([draft for draft in candidates(shown, chunks, agent.language) if _is_clean(draft)], limit, seed)
    if not any(draft.file for draft in drafts):
        raise EvaluationError(
            "The base has nothing that a question could be drafted from.",
            remedy="Write the questions by hand: one JSON object a line, with `question`, `files` and `evidence`.",
        )
    return Proposal(drafts=tuple(drafts), language=agent.language.code, local_only=len(hidden))


def _chosen(drafts: Sequence[Draft], limit: int, seed: int) -> list[Draft]:
    """Choose drafts of each origin by its share in `_SHARES`, from as many files as possible.

    If an origin has too few, drafts from sections and tables take their place, and then any others.
    """
    total = sum(_SHARES.values())
    used: Counter[str] = Counter()
    chosen: list[Draft] = []
    for origin, share in _SHARES.items():
        taken = set(map(_place, chosen))
        own = [draft for draft in drafts if draft.origin == origin and _place(draft) not in taken]
        chosen += _spread(own, round(limit * share / total), seed, used)
    for more in ({"heading", "table"}, set(_SHARES)):
        taken = set(map(_place, chosen))
        rest = [draft for draft in drafts if draft.origin in more and _place(draft) not in taken]
        chosen += _spread(rest, limit - len(chosen), seed, used)
    order = list(_SHARES)
    return sorted(chosen[:limit], key=lambda one: (order.index(one.origin), one.file.path if one.file else ""))


def _spread(drafts: Sequence[Draft], count: int, seed: int, used: Counter[str]) -> list[Draft]:
    """Choose `count` drafts, each from the file that was used least so far; among equals, at random by the seed.

    `used` counts the drafts of each file and is updated.
    """

    def drawn(draft: Draft) -> str:
        return hashlib.sha256(f"{seed}\0{draft.question}\0{draft.evidence}".encode()).hexdigest()

    left, chosen = sorted(drafts, key=drawn), list[Draft]()
    while left and len(chosen) < count:
        best = min(left, key=lambda draft: used[draft.file.path] if draft.file else 0)
        left.remove(best)
        chosen.append(best)
        if best.file:
            used[best.file.path] += 1
            left = [draft for draft in left if _place(draft) != _place(best)]  # a sentence or row is used once
    return chosen


def _place(draft: Draft) -> tuple[str, str]:
    """The file and the sentence that answer a draft.

    Two drafts with the same place would ask the same thing. A draft without an answer has its question as its place.
    """
    return (draft.file.path, draft.evidence) if draft.file else ("", draft.question)


def _is_clean(draft: Draft) -> bool:
    """Whether a draft's texts contain neither a secret nor the placeholder of a masked one."""
    texts = (draft.question, draft.heading, draft.evidence, draft.answer, draft.file.path if draft.file else "")
    marks = [language(code).redaction["mark"].partition("{")[0] for code in known_languages()]
    return not any(mark in text for text in texts for mark in marks) and not find_secrets("\n".join(texts))


def phrased(agent: Agent, proposal: Proposal, brain: AnyBrain, *, progress: Progress | None = None) -> Proposal:
    """Let a brain reword those drafts that the base can answer.

    The brain sees the text that answers a draft, unless its shield withholds it. If its reply has no question, the
    draft stays as it is. Raises BrainError, BudgetError.
    """
    drafts = []
    for number, draft in enumerate(proposal.drafts, 1):
        if draft.file is not None:
            reply = agent.complete(_about(draft, proposal.language), brain=brain)
            why = f"{draft.why} Worded by {reply.brain} ({reply.model})."
            question = "" if reply.finish_reason == "refusal" else _question_in(reply.text)
            worded = replace(draft, question=question, why=why)
            draft = worded if worded.question and _is_clean(worded) else draft
        drafts.append(draft)
        if progress is not None:
            progress("questions", number, len(proposal.drafts))
    return replace(proposal, drafts=tuple(drafts))


def _about(draft: Draft, lang: str) -> Prompt:
    assert draft.file is not None
    passage = Passage(
        id="draft",
        path=draft.file.path,
        text=draft.evidence,
        start_line=1,
        end_line=draft.evidence.count("\n") + 1,
        heading=draft.heading,
        lead=draft.heading,
        date=draft.file.date,
        local_only=draft.file.local_only,
    )
    wording = language(lang).file("questions.toml")["phrase"]
    return Prompt(system="", question=wording, passages=(passage,), hints={"language": lang}, max_output_tokens=80)


def _question_in(text: str) -> str:
    """The first line of a reply that is a question; empty if there is none."""
    for line in strip_marks(text).split("\n"):
        line = strip_quotes(line.strip().strip("*- "))
        if line.endswith("?") and 2 < len(line.split()) <= 60:
            return line
    return ""


def write_drafts(path: Path, proposal: Proposal) -> None:
    """Write the drafts to a new file. Raises EvaluationError if the file exists: it is never overwritten."""
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in proposal.rows())
    with refused(EvaluationError, f"{str(path)!r} can't be written", remedy="Name a file that you may write."):
        make_private_folder(path.parent)
        try:
            with open_private(path, "x", encoding="utf-8", newline="\n") as file:
                file.write(text)
        except FileExistsError as error:
            raise EvaluationError(
                f"{str(path)!r} exists and is not overwritten: somebody may have corrected it.",
                remedy="Name another file.",
                code="file_exists",
            ) from error
