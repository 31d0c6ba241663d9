"""`cervella ask --batch`: a file of questions in, a file of answers out."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from cervella.agent.agent import Agent
from cervella.agent.batch import Asked, Question, answered_rows, questions_in
from cervella.cli.output import as_json_value, note, print_json, progress_bar, reply_data, warn_of_index
from cervella.errors import CervellaError, ConfigError
from cervella.process.files import append_line, make_private_folder, open_private
from cervella.types import Reply

__all__ = ["run_batch"]


def run_batch(agent: Agent, questions: Path, out: Path, *, concurrency: int, as_json: bool, **options: Any) -> None:
    """Ask what is not answered in `out` yet, and write each answer there as it comes, in the order of the questions."""
    if out.exists() and questions.exists() and out.samefile(questions):
        raise ConfigError("--batch and --out are one file.", remedy="Name another file for the answers.")
    rows = list(questions_in(questions))
    done = answered_rows(out)
    todo: list[Question] = []
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
            append_line(file, json.dumps(data, ensure_ascii=False, default=as_json_value))
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


def _asked(rows: list[Question]) -> Iterator[Asked]:
    return (row.asked for row in rows if row.asked is not None)


def _answered(row: Question, answer: Reply | CervellaError) -> dict[str, Any]:
    if isinstance(answer, Reply):
        return {"id": row.id, **reply_data(answer)}
    asked = row.asked["question"] if isinstance(row.asked, dict) else row.asked
    error = {"code": answer.code, "message": answer.message, "help": answer.remedy}
    return {"id": row.id, "question": asked, "error": error}


def _unreadable(row: Question) -> dict[str, Any]:
    message = f"The line {row.line} can't be asked: {row.problem}."
    cure = 'A line is a text, as "Perché?", or an object, as {"id": 7, "question": "Perché?"}.'
    return {"id": row.id, "question": None, "error": {"code": "bad_row", "message": message, "help": cure}}


def _tell_what_is_left_out(rows: list[Question]) -> None:
    left_out = sorted({key for row in rows for key in row.left_out})
    if left_out:
        note(f"note: These keys of the questions mean nothing here: {', '.join(left_out)}.")


def _check(agent: Agent) -> None:
    """What would fail every question fails once, before the first."""
    _ = agent.soul
    _ = agent.brain
    warn_of_index(agent.search("?", top_k=1).index_flags())
