"""Drafts of a question file, from the base itself, for a person to correct. No model is needed.

A draft takes its words from the text that answers it, so the search finds it more easily than what people really ask:
figures over drafts flatter. Nothing of a local-only document and no secret goes into a draft.
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
from cervella.agent.question import AnyBrain
from cervella.errors import EvaluationError, IndexMissingError
from cervella.evaluation.search.indexed import manifest_of
from cervella.evaluation.suites.drafting import Draft, Origin, candidates
from cervella.knowledge.documents.local_only import local_only_of
from cervella.privacy.files import make_private_folder, open_private
from cervella.privacy.redaction import find_secrets
from cervella.prompt.layout import strip_marks
from cervella.text.language import known_languages, language
from cervella.types import Passage, Progress, Prompt

__all__ = ["Proposal", "phrased", "propose_questions", "write_drafts"]

_SHARES: dict[Origin, int] = {"replaced": 4, "decision": 4, "table": 7, "heading": 9, "crossed": 3, "elsewhere": 3}
"""What of thirty drafts comes from where, as far as the base has it. Of one sentence the first makes the draft."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proposal:
    """Drafts, spread over the base, and what was left aside."""

    drafts: tuple[Draft, ...]
    language: str
    """ISO 639-1."""
    local_only: int
    """Documents that were left out because only local and private brains may see them."""

    def rows(self) -> list[dict[str, Any]]:
        """The lines of a question file."""
        return [draft.as_row(number, self.language) for number, draft in enumerate(self.drafts, 1)]


def propose_questions(agent: Agent, *, limit: int = 30, seed: int = 0) -> Proposal:
    """Draft questions from the index: the same ones as long as index, limit and seed are the same.

    Raises IndexMissingError where there is no index of ours, EvaluationError where it holds nothing to ask about.
    """
    own = agent.config.knowledge
    with manifest_of(agent) as manifest:
        if manifest is None:
            raise IndexMissingError(
                f"There is no index at {str(own.index)!r} to draft questions from.",
                remedy="Build it with `cervella index`.",
            )
        files = manifest.files()
        marked = local_only_of(files, own.folder, own.local_only)
        hidden = {path for path, file in files.items() if file.local_only or marked.covers(path)}
        chunks = [chunk for chunk in manifest.chunks() if chunk.path not in hidden]
    shown = {path: file for path, file in files.items() if path not in hidden}
    drafts = _chosen([draft for draft in candidates(shown, chunks, agent.language) if _is_clean(draft)], limit, seed)
    if not any(draft.file for draft in drafts):
        raise EvaluationError(
            "The base holds nothing that a question could be drafted from.",
            remedy="Write the questions by hand: one JSON object a line, with `question`, `files` and `evidence`.",
        )
    return Proposal(drafts=tuple(drafts), language=agent.language.code, local_only=len(hidden))


def _chosen(drafts: Sequence[Draft], limit: int, seed: int) -> list[Draft]:
    """So many of each origin, from as many files as can be; what one lacks, sections and tables make up for."""
    total = sum(_SHARES.values())
    used: Counter[str] = Counter()
    chosen: list[Draft] = []
    for origin, share in _SHARES.items():
        taken = set(map(_place, chosen))
        own = [draft for draft in drafts if draft.origin == origin and _place(draft) not in taken]
        chosen += _spread(own, round(limit * share / total), seed, used)
    for more in ({"heading", "table"}, set(_SHARES)):  # what one lacks
        taken = set(map(_place, chosen))
        rest = [draft for draft in drafts if draft.origin in more and _place(draft) not in taken]
        chosen += _spread(rest, limit - len(chosen), seed, used)
    order = list(_SHARES)
    return sorted(chosen[:limit], key=lambda one: (order.index(one.origin), one.file.path if one.file else ""))


def _spread(drafts: Sequence[Draft], count: int, seed: int, used: Counter[str]) -> list[Draft]:
    """So many of them, always from the file that was used least so far; the rest is chance, the same for one seed."""

    def drawn(draft: Draft) -> str:
        return hashlib.sha256(f"{seed}\0{draft.question}\0{draft.evidence}".encode()).hexdigest()

    left, chosen = sorted(drafts, key=drawn), list[Draft]()
    while left and len(chosen) < count:
        best = min(left, key=lambda draft: used[draft.file.path] if draft.file else 0)
        left.remove(best)
        chosen.append(best)
        if best.file:
            used[best.file.path] += 1
            left = [draft for draft in left if _place(draft) != _place(best)]  # no two of one sentence, or row
    return chosen


def _place(draft: Draft) -> tuple[str, str]:
    """What answers it; of one that nothing answers, itself."""
    return (draft.file.path, draft.evidence) if draft.file else ("", draft.question)


def _is_clean(draft: Draft) -> bool:
    """Whether nothing in it is a secret, or stands in the place of one."""
    texts = (draft.question, draft.heading, draft.evidence, draft.answer, draft.file.path if draft.file else "")
    marks = [language(code).redaction["mark"].partition("{")[0] for code in known_languages()]
    return not any(mark in text for text in texts for mark in marks) and not find_secrets("\n".join(texts))


def phrased(agent: Agent, proposal: Proposal, brain: AnyBrain, *, progress: Progress | None = None) -> Proposal:
    """The answerable drafts as a brain words them, each asked about its own lines, through its shield.

    Where it gives no question the draft stays as it is. Raises BrainError, BudgetError.
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
    """The first line of an answer that is a question; empty where none is."""
    for line in strip_marks(text).split("\n"):
        line = line.strip().strip('"«»“”*- ').strip()
        if line.endswith("?") and 2 < len(line.split()) <= 60:
            return line
    return ""


def write_drafts(path: Path, proposal: Proposal) -> None:
    """Write the drafts as a new file; one that is there is never overwritten. Raises EvaluationError."""
    text = "".join(f"{json.dumps(row, ensure_ascii=False)}\n" for row in proposal.rows())
    try:
        make_private_folder(path.parent)
        with open_private(path, "x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except FileExistsError as error:
        raise EvaluationError(
            f"{str(path)!r} is there already, and is not overwritten: somebody may have corrected it.",
            remedy="Name another file.",
            code="file_exists",
        ) from error
    except OSError as error:
        raise EvaluationError(
            f"{str(path)!r} can't be written: {error.strerror or error}.", remedy="Name a file that you may write."
        ) from error
