"""What a run keeps: whole lines, the last word on an answer, one writer at a time."""

from __future__ import annotations

import json
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from cervella.errors import EvaluationError
from cervella.evaluation.records import Output, Run, canonical_sha256

ANSWER = Output(
    brain="echo",
    model="echo-1",
    condition="soul",
    probe="id-1",
    variant=0,
    repeat=0,
    turn=1,
    asked_sha256="a",
    prompt_sha256="b",
    system_sha256="c",
    text="Sono Cervella\u2028davvero.",
    input_tokens=12,
    cost_usd=Decimal("0.0012"),
    flags={"test_size": 1},
    seconds=0.5,
)
SETTINGS = {"suite": "x", "brains": ["echo"]}


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return Run.create(tmp_path / "runs", SETTINGS, system="Sono Cervella.")


def test_an_answer_comes_back_as_it_was(run: Run) -> None:
    with run.writing() as append:
        append(ANSWER)
    assert Run.open(run.folder).outputs() == {ANSWER.key: ANSWER}
    assert Run.open(run.folder).facts["system"] == "Sono Cervella."


def test_what_is_measured_is_kept_apart_from_what_is_answered() -> None:
    slower = replace(ANSWER, seconds=9.0, cost_usd=None, cache_read_tokens=7)
    one, other = ANSWER.as_dict(), slower.as_dict()
    assert one.pop("measured") != other.pop("measured")
    assert one == other


def test_of_an_error_and_a_later_answer_the_answer_counts(run: Run) -> None:
    failed = replace(ANSWER, text="", error="brain_timeout", message="troppo lento")
    with run.writing() as append:
        append(failed)
        append(ANSWER)
    assert run.outputs() == {ANSWER.key: ANSWER}
    assert failed.failed
    assert not replace(ANSWER, error="empty_answer").failed


def test_a_line_that_a_crash_cut_off_is_asked_again(run: Run) -> None:
    with run.writing() as append:
        append(ANSWER)
    path = run.folder / "outputs.jsonl"
    whole = path.read_bytes()
    path.write_bytes(whole + whole[:40])
    assert list(run.outputs()) == [ANSWER.key]
    other = replace(ANSWER, turn=2)
    with run.writing() as append:
        append(other)
    assert list(run.outputs()) == [ANSWER.key, other.key]
    assert all(json.loads(line) for line in path.read_text(encoding="utf-8").split("\n") if line)


@pytest.mark.parametrize("line", ["{}", "[1]", "niente", '{"measured": 1}'])
def test_a_line_that_is_no_answer_is_an_error_with_its_number(run: Run, line: str) -> None:
    (run.folder / "outputs.jsonl").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(EvaluationError, match="Line 1"):
        run.outputs()


def test_one_process_writes_at_a_time(run: Run) -> None:
    with run.writing(), pytest.raises(EvaluationError, match="another process"), Run.open(run.folder).writing():
        pass


def test_an_unfinished_run_of_the_same_settings_is_found_and_a_finished_one_is_not(run: Run) -> None:
    root = run.folder.parent
    found = Run.unfinished(root, dict(reversed(SETTINGS.items())))
    assert found is not None
    assert found.id == run.id
    assert Run.unfinished(root, {**SETTINGS, "seed": 1}) is None
    run.finish()
    assert Run.unfinished(root, SETTINGS) is None
    assert Run.create(root, SETTINGS).id != run.id


def test_a_folder_without_a_run_is_an_error_with_its_cure(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError) as told:
        Run.open(tmp_path)
    assert told.value.code == "run_missing"
    assert told.value.remedy


def test_a_digest_does_not_depend_on_the_order_of_keys() -> None:
    assert canonical_sha256({"a": 1, "b": [1, 2]}) == canonical_sha256({"b": [1, 2], "a": 1})
    assert canonical_sha256({"b": [1, 2]}) != canonical_sha256({"b": [2, 1]})
