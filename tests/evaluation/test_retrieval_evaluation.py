"""The evaluation of the search: each figure against one reckoned by hand."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, strategies as st

import cervella
from cervella.cli.compare import compare_retrieval
from cervella.errors import EvaluationError
from cervella.evaluation.search.retrieval import auroc, evaluate_retrieval, plain
from cervella.evaluation.suites.question_file import load_questions
from cervella.testing import EchoBrain
from cervella.types import Filters, Retrieval
from tests.conftest import DATA, PlainSoul, make_passage

FOUND: dict[str, tuple[list[tuple[str, str]], float]] = {
    "Quando?": ([("a.md", "Il **lancio** è il\n20 gennaio."), ("b.md", "Altro.")], 0.9),
    "Quanto?": ([("b.md", "Altro."), ("c.md", "| Piano   | 12 € |")], 0.6),
    "Perché?": ([("b.md", "Altro.")], 0.2),
    "Adesso?": ([("old.md", "Era così."), ("new.md", "È così.")], 0.5),
    "Il calcio?": ([("b.md", "Altro.")], 0.4),
    "Il tempo?": ([], 0.0),
}
ROWS: list[dict[str, Any]] = [
    {"question": "Quando?", "kind": "fact", "lang": "it", "files": ["a.md"], "evidence": "lancio è il 20 gennaio"},
    {"question": "Quanto?", "kind": "table", "lang": "it", "files": ["c.md"], "evidence": "| Piano | 12 € |"},
    {"question": "Perché?", "kind": "fact", "lang": "en", "files": ["a.md"], "evidence": "mai detto"},
    {"question": "Adesso?", "kind": "newest_wins", "lang": "it", "files": ["new.md"], "superseded": ["old.md"]},
    {"question": "Il calcio?", "kind": "unanswerable", "lang": "it", "files": []},
    {"question": "Il tempo?", "kind": "unanswerable", "lang": "it", "draft": True},
]
for _number, _row in enumerate(ROWS, 1):
    _row["id"] = str(_number)


class Scripted:
    """Gives what is written for a question."""

    def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval:
        found, sure = FOUND.get(query, ([], 0.0))
        passages = [make_passage(text, id=path, path=path) for path, text in found[:top_k]]
        return Retrieval(query=query, passages=tuple(passages), confidence=sure, abstain=sure < 0.3)


@pytest.fixture
def agent() -> cervella.Agent:
    return cervella.Agent(brain=EchoBrain(), retriever=Scripted(), soul=PlainSoul())


@pytest.fixture
def page(tmp_path: Path) -> Any:
    def write(*rows: Mapping[str, Any] | str) -> Path:
        path = tmp_path / "questions.jsonl"
        lines = [row if isinstance(row, str) else json.dumps(row, ensure_ascii=False) for row in rows]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    return write


def share(estimate: Any) -> tuple[float, int]:
    return round(estimate.estimate, 4), estimate.n


def test_every_figure_is_the_one_reckoned_by_hand(agent: cervella.Agent, page: Any) -> None:
    report = evaluate_retrieval(agent, load_questions(page(*ROWS), for_retrieval=True))
    assert (report.answerable, report.unanswerable, report.drafts) == (4, 2, 1)
    assert [row.file_rank for row in report.rows] == [1, 2, None, 2, None, None]
    assert {depth: share(one) for depth, one in report.overall.hit.items()} == {
        1: (0.25, 4), 3: (0.75, 4), 5: (0.75, 4), 6: (0.75, 4), 10: (0.75, 4),
    }  # fmt: skip
    assert {depth: share(one) for depth, one in report.overall.evidence.items()} == {
        1: (0.3333, 3), 3: (0.6667, 3), 5: (0.6667, 3), 6: (0.6667, 3), 10: (0.6667, 3),
    }  # fmt: skip
    assert share(report.by_kind["fact"].hit[1]) == (0.5, 2)
    assert report.by_kind["newest_wins"].evidence[1] is None, "no evidence was named: unknown, not 0"
    assert share(report.by_language["en"].hit[10]) == (0.0, 1)
    assert share(report.newest_hit) == (1.0, 1)
    assert share(report.current_first) == (0.0, 1), "the superseded file stands above the current one"
    # 0.9 0.6 0.2 0.5 against 0.4 0.0: seven of eight pairs
    assert share(report.auroc) == (0.875, 6)
    assert share(report.as_it_decides.false_answer) == (0.5, 2)
    assert share(report.as_it_decides.false_abstain) == (0.25, 4)
    points = {point.threshold: point for point in report.curve}
    assert (share(points[0.0].false_answer), share(points[0.0].false_abstain)) == ((1.0, 2), (0.0, 4))
    assert (share(points[0.55].false_answer), share(points[0.55].false_abstain)) == ((0.0, 2), (0.5, 4))
    assert [row.question.id for row in report.missed] == ["3"]
    assert report.unknown_files is None, "another's retriever has no list of files"
    data = report.as_dict()
    assert json.loads(json.dumps(data)) == data
    assert data["hit"]["1"]["low"] < 0.25 < data["hit"]["1"]["high"]


def test_a_search_without_a_confidence_has_no_curve_and_decides_all_the_same(page: Any) -> None:
    class Unsure(Scripted):
        def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval:
            return replace(super().retrieve(query, top_k=top_k, filters=filters), confidence=None)

    agent = cervella.Agent(brain=EchoBrain(), retriever=Unsure(), soul=PlainSoul())
    report = evaluate_retrieval(agent, load_questions(page(*ROWS), for_retrieval=True))
    assert (report.auroc, report.curve) == (None, ())
    assert share(report.as_it_decides.false_answer) == (0.5, 2)
    assert report.as_dict()["rows"][0]["confidence"] is None


def test_a_question_gets_as_many_passages_as_it_is_told(agent: cervella.Agent, page: Any) -> None:
    report = evaluate_retrieval(agent, load_questions(page(*ROWS), for_retrieval=True), top_k=1)
    assert list(report.overall.hit) == [1, 3, 5, 10]
    assert [row.question.id for row in report.missed] == ["2", "3", "4"]


def test_where_nothing_can_be_told_nothing_is(agent: cervella.Agent, page: Any) -> None:
    only = evaluate_retrieval(agent, load_questions(page(ROWS[4]), for_retrieval=True))
    assert (only.overall.hit[1], only.auroc, only.as_it_decides.false_abstain, only.newest_hit) == (None,) * 4
    known = evaluate_retrieval(agent, load_questions(page(ROWS[0]), for_retrieval=True))
    assert (known.auroc, known.as_it_decides.false_answer, known.by_kind) == (None, None, {})


def test_all_of_the_evidence_has_to_be_seen(agent: cervella.Agent, page: Any) -> None:
    row = {"question": "Quanto?", "files": ["b.md"], "evidence": ["Altro", "Piano"]}
    both = evaluate_retrieval(agent, load_questions(page(row), for_retrieval=True))
    assert (both.rows[0].file_rank, both.rows[0].evidence_rank) == (1, 2)
    row["evidence"] = ["Altro", "manca"]
    assert evaluate_retrieval(agent, load_questions(page(row), for_retrieval=True)).rows[0].evidence_rank is None


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("| Pro     | **$20** |", "«Pro | $20» [F1]."),
        ("### La _decisione_:\n\n- `status NOT IN`", "La decisione:  \nstatus NOT IN"),
        ("L’unica", "l'unica"),
    ],
)
def test_white_space_and_markup_do_not_decide(one: str, other: str) -> None:
    assert plain(one) == plain(other)


numbers = st.lists(st.sampled_from([0.0, 0.2, 0.5, 0.9]), min_size=1, max_size=8)


@given(numbers, numbers)
def test_the_auroc_is_the_share_of_pairs(higher: list[float], lower: list[float]) -> None:
    pairs = [(a > b) + (a == b) / 2 for a in higher for b in lower]
    found = auroc(higher, lower, draws=50)
    assert found is not None
    assert found.estimate == pytest.approx(sum(pairs) / len(pairs))
    assert 0 <= found.low <= found.estimate <= found.high <= 1
    assert auroc(higher, lower, draws=50) == found


# The file


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("{", "is not JSON"),
        ("[]", "is not an object"),
        ('{"files": ["a.md"]}', "no `question`"),
        ('{"question": "Quando?", "answer": "Domani."}', "neither `files` nor `evidence`"),
        ('{"question": "Quando?", "files": 3}', "`files` that is neither"),
        ('{"question": "Quando?", "kind": "unanswerable", "evidence": "x"}', "unanswerable and has evidence"),
        ('{"question": "Altro?", "id": "1", "files": ["a.md"]}', "id '1' of line 1"),
    ],
)
def test_a_bad_row_is_an_error_that_names_its_line(page: Any, line: str, words: str) -> None:
    with pytest.raises(EvaluationError, match=words) as caught:
        load_questions(page(ROWS[0], "", line), for_retrieval=True)
    assert "Line 3 of" in str(caught.value)
    assert caught.value.remedy


def test_pairs_of_current_and_superseded_are_questions(page: Any) -> None:
    [question] = load_questions(
        page({"question": "Dove?", "current": "nuovo/caffè.md", "superseded": "vecchio.md"}), for_retrieval=True
    ).questions
    assert (question.files, question.superseded, question.answerable) == (("nuovo/caffè.md",), ("vecchio.md",), True)
    with pytest.raises(EvaluationError):
        load_questions(page({"question": "Dove?", "current": "a.md", "superseded": "b.md"}))


# Over a real index


@pytest.fixture
def base(tmp_path: Path) -> Path:
    (tmp_path / "notes").mkdir()
    (tmp_path / "notes" / "lancio.md").write_text(
        "# Lancio\n\n> **Data:** 9 gennaio 2026\n\nIl lancio è rinviato al 20 gennaio.\n", encoding="utf-8"
    )
    (tmp_path / "notes" / "pane.md").write_text("# Pane\n\nFarina, acqua, lievito madre.\n", encoding="utf-8")
    config = tmp_path / "cervella.toml"
    config.write_text('brain = "echo"\n[knowledge]\nfolder = "notes"\nembedder = "none"\n', encoding="utf-8")
    with cervella.Agent(config=config) as agent:
        agent.index()
    return config


def test_the_report_is_printed_with_what_an_owner_must_know(
    base: Path, page: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [
        {"id": "a", "question": "Quando è il lancio?", "files": ["lancio.md"], "evidence": "20 gennaio", "draft": True},
        {"id": "b", "question": "Che cosa serve per il pane?", "files": ["forno.md"]},
        {"id": "c", "question": "Chi ha vinto il campionato?", "files": []},
    ]
    compare_retrieval(page(*rows), config=base)
    said = capsys.readouterr()
    assert "hit: the right file" in said.out
    assert "@6 (given)" in said.out
    assert "embedder none" in said.out
    assert "b: Che cosa serve per il pane? (not found; first: pane.md:" in said.out
    assert "the search has no confidence here" in said.out
    assert "as it decides" in said.out
    assert "AUROC" not in said.out
    assert "1 question of questions.jsonl is a draft" in said.err
    assert "Line 2 of questions.jsonl names 'forno.md'" in said.err
    compare_retrieval(page(*rows), config=base, as_json=True)
    data = json.loads(capsys.readouterr().out)
    assert data["unknown_files"] == [{"line": 2, "path": "forno.md"}]
    assert (data["hit"]["1"]["estimate"], data["hit"]["1"]["n"]) == (0.5, 2)


def test_the_shared_questions_are_read(corpora: Path) -> None:
    questions = load_questions(corpora / "questions-sncp-20260111.jsonl", for_retrieval=True).questions
    assert (len(questions), sum(question.answerable for question in questions)) == (120, 102)


def test_the_shipped_questions_are_read() -> None:
    questions = load_questions(DATA / "questions-knowledge.jsonl", for_retrieval=True).questions
    assert (len(questions), sum(question.answerable for question in questions)) == (60, 51)
    assert all(pair.superseded for pair in load_questions(DATA / "newest-pairs.jsonl", for_retrieval=True).questions)
