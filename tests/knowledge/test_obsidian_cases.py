"""The frozen cases of Obsidian: questions, searches and readings, written by somebody who has not seen the code."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.conftest import DATA
from tests.fixtures.notes import faults

KNOWN = {
    "a question of few words of the note is taken for one that the base does not answer": {14},
    "a line of another note, day or column is quoted too, or first": {4, 22, 25, 27, 34, 51},
    "the script looks for the end of a telephone number, and finds it only after a sign": {23, 32},
    "a .canvas file is not read": {39},
    "a passage of several sections has the heading of its first one": {42, 48, 49},
}
"""The numbers of the rows that are wrong, by the reason. A row that becomes right has to be taken out."""


def test_the_frozen_cases_are_right_but_the_known_ones(tmp_path: Path) -> None:
    lines = (DATA / "notes" / "obsidian.jsonl").read_text(encoding="utf-8").splitlines()
    rows: list[dict[str, Any]] = [json.loads(line) for line in lines]
    with ThreadPoolExecutor(4) as threads:  # most of the time, a row waits for the disk
        found = threads.map(lambda row: faults(row, tmp_path / row["id"], embedder="none"), rows)
        wrong = {int(row["id"].removeprefix("ob-")): some for row, some in zip(rows, found, strict=True) if some}
    known = set().union(*KNOWN.values())
    assert {number: some for number, some in wrong.items() if number not in known} == {}
    assert known - wrong.keys() == set()
