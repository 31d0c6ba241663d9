"""Notes as people keep them: small bases with what is right, most written by somebody who had not seen the rules."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.fixtures.notes import failing, faults, rows


@pytest.mark.parametrize("row", rows("reports.jsonl"), ids=lambda row: row["id"])
def test_what_others_reported_of_other_programs_is_right_here(row: Mapping[str, Any], tmp_path: Path) -> None:
    assert not faults(row, tmp_path)


SECOND = {
    "no word of the note but one is in the question": {"i5-deflist"},
}
"""Rows that are not right, by the reason."""


def test_a_later_set_of_cases_is_right_but_for_the_known_rows(tmp_path: Path) -> None:
    found = failing("second.jsonl", tmp_path)
    assert found.keys() == set().union(*SECOND.values()), found
