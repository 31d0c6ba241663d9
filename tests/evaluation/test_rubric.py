"""The owner's rubric: its formulas, with the figures of their own worked examples."""

from __future__ import annotations

import json

import pytest

from cervella.errors import EvaluationError
from cervella.evaluation.comparison.rubric import (
    TIERS,
    Grades,
    blind_share,
    grades_agreement,
    load_grades,
    task_score,
    tier_scores,
)
from cervella.evaluation.statistics.intervals import wilson
from cervella.evaluation.suites.suite import RubricTask


def test_a_tie_counts_half_in_the_blind_share():
    assert blind_share(7, 4, 20) == pytest.approx(0.45)
    assert blind_share(0, 0, 0) is None


def marks(*values):
    return dict(zip(("correttezza", "completezza", "stile", "utility"), values, strict=True))


def test_a_task_is_passed_from_its_tiers_threshold_on():
    assert task_score("T01", TIERS[0], marks(4, 4, 4, 4)).passed
    assert not task_score("T01", TIERS[0], marks(4, 4, 4, 3)).passed
    assert task_score("T11", TIERS[1], marks(4, 4, 4, 3)).passed
    assert task_score("T19", TIERS[2], marks(4, 3, 4, 3)).passed
    assert task_score("T19", TIERS[2], marks(5, 5, 4, 4)).score == pytest.approx(0.90)


def test_a_task_without_marks_is_not_scored():
    score = task_score("T01", TIERS[0], None)
    assert (score.score, score.passed) == (None, None)
    tier = tier_scores([score, task_score("T02", TIERS[0], marks(5, 5, 5, 5))])[0]
    assert (tier.tasks, tier.scored, tier.passed, tier.mean, tier.go) == (2, 1, 1, 1.0, None)


@pytest.mark.parametrize("mark", [0, 6, float("nan"), True, "5"])
def test_a_mark_outside_the_scale_is_refused(mark):
    with pytest.raises(EvaluationError, match="T01"):
        task_score("T01", TIERS[0], {"stile": mark})


def test_the_first_two_tiers_of_the_teams_run_are_17_of_18():
    scores = [
        task_score(f"T{n:02}", TIERS[0 if n <= 10 else 1], marks(5, 5, 5, 5) if n != 8 else marks(3, 3, 4, 4))
        for n in range(1, 19)
    ]
    assert sum(bool(score.passed) for score in scores) == 17
    first, second = tier_scores(scores)
    assert (first.passed, first.tasks, second.passed, second.tasks) == (9, 10, 8, 8)
    assert first.go
    assert second.go
    share = wilson(17, 18)
    assert f"{share.low:.0%}–{share.high:.0%}" == "74%–99%"


def test_a_marks_file_is_read_and_a_bad_line_named(tmp_path):
    path = tmp_path / "marks.jsonl"
    row = {"brain": "a", "task": "T01", "marks": marks(5, 4, 4, 5), "by": "Anna"}
    path.write_text(json.dumps(row) + "\n\n", encoding="utf-8")
    assert load_grades(path) == (Grades(brain="a", task="T01", by="Anna", how="human", grades=marks(5, 4, 4, 5)),)
    for bad in ('{"brain": "a"}', "nothing", '{"brain": "a", "task": "T", "marks": {"stile": 9}}', "[]"):
        path.write_text(json.dumps(row) + "\n" + bad + "\n", encoding="utf-8")
        with pytest.raises(EvaluationError, match="Line 2") as caught:
            load_grades(path)
        assert caught.value.remedy


@pytest.mark.parametrize(
    ("row", "words"),
    [
        ({"brain": "b"}, "'b' is no brain"),
        ({"task": "T1"}, "'T1' is no task"),
        ({"marks": {"correteza": 5}}, "'correteza' is no criterion of T01"),
        ({"marks": {"correttezza": True}}, "is True"),
        ({"marks": {"correttezza": "5"}}, "is '5'"),
    ],
)
def test_marks_of_nobody_and_of_nothing_are_errors(tmp_path, row, words):
    path = tmp_path / "marks.jsonl"
    path.write_text(json.dumps({"brain": "a", "task": "T01", "marks": marks(5, 4, 4, 5)} | row), encoding="utf-8")
    task = RubricTask(id="T01", tier="1", input="x", criteria=dict.fromkeys(marks(1, 1, 1, 1), ""))
    with pytest.raises(EvaluationError, match="Line 1") as caught:
        load_grades(path, brains=["a"], tasks=[task])
    assert words in caught.value.message
    assert caught.value.remedy


def test_marks_nested_too_deep_are_no_marks(tmp_path):
    path = tmp_path / "marks.jsonl"
    path.write_text("[" * 200_000)
    with pytest.raises(EvaluationError, match="Line 1"):
        load_grades(path)


def test_agreement_needs_answers_that_both_marked():
    def given(how, task, mark):
        return Grades(brain="a", task=task, by=how, how=how, grades={"stile": mark})

    human = [given("human", f"T{n}", 5 if n % 2 else 2) for n in range(8)]
    judge = [given("judge", f"T{n}", 5 if n % 2 else 2) for n in range(8)]
    assert grades_agreement(human, {}) is None
    assert grades_agreement([*human, *judge], {f"T{n}": TIERS[0] for n in range(8)}).estimate == 1
