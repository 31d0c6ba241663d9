"""Reads a file of questions with their known answers, in JSON Lines."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cervella.errors import EvaluationError, refused
from cervella.evaluation.suites.spellings import (
    Spellings,
    WrongRowError,
    has_spellings,
    read_answerable,
    read_spellings,
)
from cervella.privacy.stored import masked

__all__ = ["KnownQuestion", "QuestionFile", "load_questions", "masked_lines"]


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownQuestion:
    """One question with its known answer."""

    id: str
    line: int
    """The line of the file, counted from 1."""
    question: str
    answer: str = ""
    """The expected answer in a person's words; a right answer has its figures, dates and words. Empty if only the
    evidence is known."""
    evidence: tuple[str, ...] = ()
    """Passages of the base that contain the answer, verbatim."""
    files: tuple[str, ...] = ()
    """Paths in the base, any of which contains the answer; NFC."""
    answerable: bool = True
    """False if the base does not contain the answer: then only «non lo so» ("I don't know") is right."""
    kind: str = ""
    language: str = ""
    """The question's language, ISO 639-1; empty if the file does not say."""
    superseded: tuple[str, ...] = ()
    """Paths of files in the base with an earlier answer. The search must rank one of `files` above them."""
    draft: bool = False
    """Proposed by a program, and not yet corrected by a person."""
    spellings: Spellings | None = None
    """What a right answer holds, and a wrong one; None if the file names no spellings."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionFile:
    """The questions of a file."""

    source: str
    """The file's name."""
    sha256: str
    """A digest of the file's bytes, its secrets masked."""
    questions: tuple[KnownQuestion, ...]

    @property
    def spelled(self) -> bool:
        """Whether the answers are scored by spellings (`must`, `must_not`), and not by the words of `answer`."""
        return any(one.spellings is not None for one in self.questions)


def load_questions(path: Path, *, for_retrieval: bool = False) -> QuestionFile:
    """Read the questions of a file. Raises EvaluationError, which names the line.

    Each line is an object with `question`, and with `answer`, `evidence` (one text or several) or both; `files`, `id`
    and `kind` are optional. A question that the base can't answer has an empty `files` and no evidence, or
    `"kind": "unanswerable"`. `current` is another name of `files`, and `superseded` names the files that they replace;
    `lang` is the question's language, `draft` is true if nobody has corrected it yet. Other keys are ignored.

    A file with `must` or `must_not` in some line is scored by spellings, which each line then has: `must` is a list of
    groups of accepted spellings, `must_not` a list of spellings of a wrong answer, and `answerable` says whether the
    base has the answer. Without it, the kinds `near_miss`, `off_topic` and `chat` are those that it has not.

    Secrets are masked, as in the index: the questions are shown to brains, and all lines are kept with a run.

    With `for_retrieval` each line needs `files`, `evidence` or both, and no answer and no spellings.
    """
    with refused(EvaluationError, f"The question file {str(path)!r} can't be read", remedy="Correct its path."):
        data = masked_lines(path.read_bytes())
    lines = data.removeprefix(b"\xef\xbb\xbf").splitlines()
    rows = {number: _row(line, number, path) for number, line in enumerate(lines, 1) if line.strip()}
    spelled = any(map(has_spellings, rows.values()))
    questions: list[KnownQuestion] = []
    seen: dict[str, int] = {}
    for number, row in rows.items():
        identity = row.get("id", hashlib.sha256(lines[number - 1].strip()).hexdigest()[:12])
        question = _question(row, str(identity), number, path, for_retrieval=for_retrieval, spelled=spelled)
        if question.id in seen:
            raise _bad(path, number, f"has the id {question.id!r} of line {seen[question.id]}", "Give each its own id.")
        seen[question.id] = number
        questions.append(question)
    if not questions:
        raise EvaluationError(
            f"The question file {str(path)!r} holds no question.", remedy="Write one question a line."
        )
    return QuestionFile(source=path.name, sha256=hashlib.sha256(data).hexdigest(), questions=tuple(questions))


def masked_lines(data: bytes) -> bytes:
    """The lines of a question file with the secrets in their texts masked. Other lines keep their bytes."""
    return b"".join(map(_masked_line, data.splitlines(keepends=True)))


def _masked_line(line: bytes) -> bytes:
    try:
        row = json.loads(line.removeprefix(b"\xef\xbb\xbf"))
    except (ValueError, RecursionError):
        return line  # `load_questions` reports it
    clean = masked(row)
    end = line[len(line.rstrip(b"\r\n")) :]
    return line if clean == row else json.dumps(clean, ensure_ascii=False).encode("utf-8", "replace") + end


def _row(line: bytes, number: int, path: Path) -> Mapping[str, Any]:
    try:
        row = json.loads(line)
    except (ValueError, RecursionError) as error:  # RecursionError: nested too deep
        raise _bad(path, number, f"is not JSON ({error})", "Write one JSON object a line.") from error
    if not isinstance(row, dict):
        raise _bad(path, number, "is not an object", 'Write it as {"question": "…", "answer": "…"}.')
    return row


def _question(
    row: Mapping[str, Any], identity: str, number: int, path: Path, *, for_retrieval: bool, spelled: bool
) -> KnownQuestion:
    question = _text(row, "question", number, path)
    if not question:
        raise _bad(path, number, "has no `question`", 'Write it as {"question": "…", "answer": "…"}.')
    answer = _text(row, "answer", number, path)
    kind = _text(row, "kind", number, path)
    evidence = _texts(row, "evidence", number, path)
    files = _texts(row, "files" if "files" in row else "current", number, path)
    superseded = _texts(row, "superseded", number, path)
    spellings = None
    if spelled:
        try:
            unanswerable = not read_answerable(row)
            if not for_retrieval:
                spellings = read_spellings(row, answerable=not unanswerable)
        except WrongRowError as error:
            raise _bad(path, number, error.what, error.remedy) from error
    else:
        unanswerable = kind == "unanswerable" or ("files" in row and not files and not evidence)
    if unanswerable and evidence:
        raise _bad(path, number, "is unanswerable and has evidence", "Take one of the two out.")
    if for_retrieval and not unanswerable and not files and not evidence:
        cure = 'Name the files that answer, or add "kind": "unanswerable".'
        raise _bad(path, number, "has neither `files` nor `evidence`", cure)
    if not for_retrieval and not spelled and not unanswerable and not answer and not evidence:
        cure = 'Give the right answer, or add "kind": "unanswerable".'
        raise _bad(path, number, "has neither `answer` nor `evidence`", cure)
    return KnownQuestion(
        id=identity,
        line=number,
        question=question,
        answer=answer,
        evidence=evidence,
        files=_paths(files),
        answerable=not unanswerable,
        kind=kind,
        language=_text(row, "lang", number, path),
        superseded=_paths(superseded),
        draft=row.get("draft") is True,
        spellings=spellings,
    )


def _paths(files: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(unicodedata.normalize("NFC", file) for file in files)


def _text(row: Mapping[str, Any], key: str, number: int, path: Path) -> str:
    value = row.get(key)
    if value is not None and not isinstance(value, str):
        raise _bad(path, number, f"has a `{key}` that is not a text", "Put it in quotation marks.")
    return (value or "").strip()


def _texts(row: Mapping[str, Any], key: str, number: int, path: Path) -> tuple[str, ...]:
    value = row.get(key)
    values = [] if value is None else [value] if isinstance(value, str) else value
    if not isinstance(values, list) or not all(isinstance(one, str) for one in values):
        raise _bad(path, number, f"has a `{key}` that is neither a text nor a list of texts", "Correct that line.")
    return tuple(one.strip() for one in values if one.strip())


def _bad(path: Path, number: int, what: str, remedy: str) -> EvaluationError:
    return EvaluationError(f"Line {number} of {str(path)!r} {what}.", remedy=remedy, code="bad_question")
