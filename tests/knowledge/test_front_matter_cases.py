"""The rows of tests/data/notes/front-matter.jsonl, which were written by somebody who had not seen the rules."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conftest import DATA
from tests.fixtures.notes import faults

OTHER_WORD = {"fm-02", "fm-03", "fm-07", "fm-25", "fm-29", "fm-37"}
"""They say superseded of documents that call themselves deprecated or obsolete, which is a status of its own here."""
SHORT_QUESTIONS = {
    "fm-10": "the note that the title names is quoted first, and others of the same words after it",
    "fm-11": "the same in English",
    "fm-14": "the note that an alias names is quoted first, and another of the same words after it",
    "fm-33": "the answer shares one word with the question",
    "fm-43": "the answer shares one word with the question",
}
"""Rows that the brain that only quotes gets wrong, with the reason. Their metadata is right."""


def test_front_matter_is_understood_as_people_write_it(tmp_path: Path) -> None:
    found = {}
    for line in (DATA / "notes" / "front-matter.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if told := faults(row, tmp_path / row["id"], embedder="none"):
            found[row["id"]] = told
    assert found.keys() == OTHER_WORD | SHORT_QUESTIONS.keys()
    for one, told in found.items():
        wanted = "status 'deprecated', not 'superseded'" if one in OTHER_WORD else "ask "
        assert all(wanted in fault for fault in told), told
