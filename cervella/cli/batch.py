"""`cervella ask --batch`: a file of questions in, a file of answers out."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import typer

from cervella.agent.agent import Agent
from cervella.agent.faces import BATCH_OPTIONS, BatchQuestion
from cervella.cli.output import counted, json_text, note, print_json, progress_bar, reply_data, warn_of_index
from cervella.errors import CervellaError, ConfigError, refused
from cervella.process.files import append_line, make_private_folder, open_private
from cervella.types import Reply

__all__ = ["run_batch"]


def run_batch(agent: Agent, questions: Path, out: Path, *, concurrency: int, as_json: bool, **options: Any) -> None:
    """Ask what is not answered in `out` yet, and write each answer there as it comes, in the order of the questions."""
    if out.exists() and questions.exists() and out.samefile(questions):
        raise ConfigError("--batch and --out are one file.", remedy="Name another file for the answers.")
    rows = list(questions_in(questions))
    done = answered_rows(out)
    todo: list[QuestionLine] = []
    for row in rows:
        if done[row.key] > 0:
            done[row.key] -= 1
        else:
            todo.append(row)
    _tell_what_is_left_out(todo)
    if todo:
        _check(agent)
    failed = refused = 0
    make_private_folder(out.parent)
    with (
        progress_bar() as progress,
        open_private(out, "ab", buffering=0) as file,
        closing(agent.batch(_asked(todo), concurrency=concurrency, **options)) as answers,
    ):
        for number, row in enumerate(todo, 1):
            data = _unreadable(row) if row.asked is None else _answered(row, next(answers))
            failed += "error" in data
            refused += data.get("finish_reason") == "refusal"
            # Row by row on the disk: what is cut off by a crash is the last row at most, and is asked again.
            append_line(file, json_text(data, indent=None).rstrip("\n"))
            if progress is not None:
                progress("questions", number, len(todo))
    answered = len(todo) - failed - refused
    summary = {
        "rows": len(rows),
        "skipped": len(rows) - len(todo),
        "answered": answered,
        "refused": refused,
        "failed": failed,
    }
    if as_json:
        print_json({**summary, "out": str(out)})
    else:
        skipped = f", {summary['skipped']} were answered already" if summary["skipped"] else ""
        note(f"{answered} answered, {f'{refused} refused, ' if refused else ''}{failed} failed{skipped}: {out}")
    if failed:
        note(f"error: {failed} of {counted(len(todo), 'question')} failed: their rows in {str(out)!r} say why.")
        note("help: Remove the rows that have an `error` from that file, then run the same command again.")
        raise typer.Exit(1)


def _asked(rows: list[QuestionLine]) -> Iterator[BatchQuestion]:
    return (row.asked for row in rows if row.asked is not None)


def _answered(row: QuestionLine, answer: Reply | CervellaError) -> dict[str, Any]:
    if isinstance(answer, Reply):
        return {"id": row.id, **reply_data(answer)}
    asked = row.asked["question"] if isinstance(row.asked, dict) else row.asked
    error = {"code": answer.code, "message": answer.message, "help": answer.remedy}
    return {"id": row.id, "question": asked, "error": error}


def _unreadable(row: QuestionLine) -> dict[str, Any]:
    message = f"The line {row.line} can't be asked: {row.problem}."
    cure = 'A line is a text, as "Perché?", or an object, as {"id": 7, "question": "Perché?"}.'
    return {"id": row.id, "question": None, "error": {"code": "bad_row", "message": message, "help": cure}}


def _tell_what_is_left_out(rows: list[QuestionLine]) -> None:
    left_out = sorted({key for row in rows for key in row.left_out})
    if left_out:
        note(f"note: These keys of the questions mean nothing here: {', '.join(left_out)}.")


def _check(agent: Agent) -> None:
    """What would fail every question fails once, before the first."""
    _ = agent.soul
    _ = agent.brain
    warn_of_index(agent.search("?", top_k=1).index_flags())


# The files


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionLine:
    """A line of a file of questions."""

    line: int
    """1-based."""
    id: Any
    """As the line gives it; without one, a hash of the line."""
    asked: BatchQuestion | None = None
    """None where the line can't be read."""
    problem: str = ""
    """Why it can't be read."""
    left_out: tuple[str, ...] = field(default=())
    """Keys that are no options of a question."""

    @property
    def key(self) -> str:
        """The id as text, by which a row is found again."""
        return json.dumps(self.id, sort_keys=True)


def questions_in(path: Path) -> Iterator[QuestionLine]:
    """The questions of a file in JSON Lines, each a text or an object with `question`; raises ConfigError.

    A line that can't be read is a QuestionLine with its problem; an empty one is none.
    """
    for number, line in enumerate(_lines(path), 1):
        if not line.strip():
            continue
        own = hashlib.sha256(line.strip()).hexdigest()[:16]
        try:
            data = json.loads(line)
        except ValueError:  # not UTF-8, or not JSON
            yield QuestionLine(line=number, id=own, problem="it is no JSON")
            continue
        if isinstance(data, str):
            yield QuestionLine(line=number, id=own, asked=data)
        elif isinstance(data, dict):
            id = own if data.get("id") is None else data["id"]
            if "question" not in data:
                yield QuestionLine(line=number, id=id, problem="it has no `question`")
                continue
            asked = {key: value for key, value in data.items() if key in (*BATCH_OPTIONS, "question")}
            left_out = tuple(key for key in data if key not in asked and key != "id")
            yield QuestionLine(line=number, id=id, asked=asked, left_out=left_out)
        else:
            yield QuestionLine(line=number, id=own, problem="it is neither a text nor an object")


def answered_rows(path: Path) -> Counter[str]:
    """How often each key is in a file of answers. A last row that was cut off is taken out of the file."""
    if not path.exists():
        return Counter()
    lines = _lines(path)
    whole = lines if lines and lines[-1].endswith(b"\n") else lines[:-1]
    done: Counter[str] = Counter()
    for number, line in enumerate(whole, 1):
        try:
            done[json.dumps(json.loads(line)["id"], sort_keys=True)] += 1
        except (KeyError, TypeError, ValueError) as error:
            raise ConfigError(
                f"The line {number} of {str(path)!r} is no row of a batch.",
                remedy="Name another file with --out, or take that line out.",
            ) from error
    if len(whole) < len(lines):
        with path.open("r+b") as file:
            file.truncate(sum(map(len, whole)))
    return done


def _lines(path: Path) -> list[bytes]:
    with refused(ConfigError, f"The file {str(path)!r} can't be read", remedy="Correct its path."):
        return path.read_bytes().removeprefix(b"\xef\xbb\xbf").splitlines(keepends=True)
