"""Answers scored by spellings: what counts as right, the shares, and a file that is wrong."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.configuration.settings import EvaluationConfig
from cervella.errors import BrainTimeoutError, EvaluationError
from cervella.evaluation.comparison.comparison import compare, rescore_comparison
from cervella.evaluation.comparison.document import document
from cervella.evaluation.comparison.spelling_scores import MEASURES, SpellingScore, score_spellings
from cervella.evaluation.records import Run
from cervella.evaluation.reports.report import report_html
from cervella.evaluation.suites.question_file import KnownQuestion, load_questions
from cervella.evaluation.suites.spellings import Spellings, folded, place
from cervella.prompt.layout import render
from cervella.testing import FixedRetriever
from cervella.text.language import language
from tests.conftest import ROOT, PlainSoul, make_passage
from tests.evaluation.test_comparison import Speaker, without_measured

CASES = ROOT.parent / "shared" / "cases"
EXAMPLE = ROOT / "examples" / "questions.jsonl"
PRICE = make_passage("La camera costa 90 € a notte. Il cane paga 8 €.", path="listino.md")
OLD = make_passage("La camera costa 80 € a notte.", id="p2", path="listino_2024.md")
HOUSE = make_passage("Sono Bea.", id="p3", path="COSTITUZIONE.md")
ROWS: tuple[dict[str, Any], ...] = (
    {
        "id": "room", "question": "Quanto costa la camera?", "kind": "newest_wins", "answerable": True,
        "answer": "90 €", "must": [["90 €", "90 euro"]], "must_not": ["80 €"], "files": ["listino.md"],
    },
    {
        "id": "dog", "question": "Quanto paga il cane?", "kind": "number", "answerable": True, "answer": "8 €",
        "must": [["8 €"]], "must_not": [], "files": ["listino.md"],
    },
    {
        "id": "who", "question": "Chi è Bea?", "kind": "persona", "answerable": True, "must": [],
        "files": ["COSTITUZIONE.md"],
    },
    {
        "id": "pool", "question": "Quanto costa la piscina?", "kind": "near_miss", "answerable": False,
        "must_not": ["90 €"],
    },
    {"id": "moon", "question": "Chi è andato sulla Luna?", "kind": "off_topic", "answerable": False, "must": []},
    {"id": "ciao", "question": "Ciao", "kind": "chat", "answerable": False},
)  # fmt: skip
NO = "Non lo so."
GOOD = {
    "Quanto costa la camera?": "La camera costa 90 € a notte [F1].",
    "Quanto paga il cane?": "Il cane paga 8 € [F1].",
    "Chi è Bea?": "Sono Bea [F3].",
    "Ciao": "Ciao!",
}


def good(prompt: Any) -> str:
    return GOOD.get(prompt.question, NO)


def poor(prompt: Any) -> str:
    return "La camera costa 80 € a notte [F2], poi 90 € [F1]. " + "E altro ancora. " * 20


def counts(result: Any) -> dict[str, tuple[int, int] | None]:
    return {name: share and (share.count, share.n) for name, share in result.measures.items()}


def write(folder: Path, rows: Any = ROWS) -> Path:
    path = folder / "questions.jsonl"
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture
def agent(isolated: Path, soul: PlainSoul) -> Iterator[Agent]:
    (isolated / "cervella.toml").write_text("[evaluation]\ndraws = 500\n")
    with Agent(brain="echo", soul=soul, retriever=FixedRetriever((PRICE, OLD, HOUSE))) as made:
        yield made


# One answer


@pytest.mark.parametrize(
    ("text", "spelling", "stands"),
    [
        ("Costa 690 €", "90 €", False),
        ("Costa 90 €", "90€", True),
        ("alle 8.30", "8", False),
        ("alle 8.30", "8.30", True),
        ("1.090 euro", "090", False),
        ("costa 8, non 9", "8", True),
        ("nel 20265", "2026", False),
        ("Dall’ALTRO lato, perché", "dall'altro lato, perche", True),
        ("30 %", "30%", True),
        ("30\u202f%", "30 %", True),
        ("codice A7", "7", True),
    ],
)
def test_a_figure_is_whole_and_accents_capitals_and_spaces_do_not_count(text, spelling, stands):
    assert (place(folded(text), spelling) is not None) == stands


def scored(text: str, row: int = 0, **changes: Any) -> SpellingScore:
    data = {**ROWS[row], **changes}
    question = KnownQuestion(
        id=data["id"],
        line=1,
        question=data["question"],
        files=tuple(data.get("files", ())),
        answerable=data["answerable"],
        kind=data["kind"],
        spellings=Spellings(must=tuple(map(tuple, data.get("must", ()))), must_not=tuple(data.get("must_not", ()))),
    )
    return score_spellings(question, text, {"F1": PRICE, "F2": OLD, "F3": HOUSE}, language("it"))


def test_a_right_answer_is_right():
    found = scored("Costa 90 € a notte [F1].")
    assert (found.fact, found.clean, found.first, found.cited, found.stale, found.passed) == (True,) * 4 + (False, True)
    assert found.missed == found.reasons == ()
    assert found.words == 4  # the mark is none


@pytest.mark.parametrize(
    ("text", "missed"),
    [
        ("Costa 80 €, poi 90 € [F1].", {"clean", "stale"}),
        ("Costa 90 €; nel 2024 era 80 € [F1].", {"clean"}),
        ("Costa 80 € [F2].", {"fact", "clean", "first", "cited", "stale"}),
        ("Costa 90 € [F2], come sta scritto [F1].", {"first"}),
        ("Costa 90 €.", {"first", "cited"}),
        (NO, {"fact", "clean", "first", "cited", "refused"}),
        ("Costa 90 € [F1]. " + "Bella davvero. " * 30, {"clean"}),
        ("", {"fact", "clean", "first", "cited"}),
    ],
)
def test_what_is_missed_is_named(text, missed):
    found = scored(text)
    assert set(found.missed) == missed
    assert bool(found.reasons)


def test_an_outdated_figure_after_the_right_one_is_not_clean_and_passes():
    assert scored("Costa 90 €; nel 2024 era 80 € [F1].").passed
    assert not scored("Costa 80 €, poi 90 € [F1].").passed


@pytest.mark.parametrize(
    ("row", "text", "passed"),
    [
        (3, NO, True),
        (3, "Costa 90 € [F1].", False),
        (3, "Non lo so, ma forse 90 €.", False),
        (4, "Non lo so.", True),
        (4, "La camera costa 90 € [F1].", False),
        (4, "Parola " * 41, False),
        (5, "Parola " * 40, True),
        (2, "Sono Bea [F3].", True),
        (2, "Sono Bea [F1][F3].", False),
    ],
)
def test_each_kind_has_its_own_right_answer(row, text, passed):
    assert scored(text, row).passed is passed


# The shares


def test_shares_are_counts_with_wilsons_interval(agent, tmp_path):
    found = compare(agent, [Speaker("good", good), Speaker("poor", poor)], questions=write(tmp_path))
    assert found.answers == found.answer_pairs == found.scores == {}
    assert counts(found.spellings["good"]) == {
        "fact": (2, 2), "clean": (2, 2), "first": (2, 2), "cited": (2, 2), "refused": (0, 2), "near_miss": (0, 1),
        "off": (0, 2), "stale": (0, 1), "persona": (1, 1),
    }  # fmt: skip
    assert counts(found.spellings["poor"]) == {
        "fact": (1, 2), "clean": (0, 2), "first": (0, 2), "cited": (2, 2), "refused": (0, 2), "near_miss": (1, 1),
        "off": (2, 2), "stale": (1, 1), "persona": (0, 1),
    }  # fmt: skip
    assert found.spellings["good"].passed.count == len(ROWS)
    fact = found.spellings["poor"].measures["fact"]
    assert (round(fact.low, 2), round(fact.high, 2), fact.method) == (0.09, 0.91, "wilson")
    kinds = {one.kind: one for one in found.spellings["poor"].kinds}
    assert list(kinds) == ["newest_wins", "number", "persona", "near_miss", "off_topic", "chat"]
    assert kinds["number"].measures["stale"] is None
    assert kinds["number"].measures["fact"].count == 0
    assert found.spellings["good"].median_words == 6
    assert found.decisions["good"].word == "GO"
    assert found.decisions["poor"].word == "NO-GO"


def test_two_brains_differ_by_a_paired_interval_and_an_exact_test(agent, tmp_path):
    found = compare(agent, [Speaker("good", good), Speaker("poor", poor)], questions=write(tmp_path))
    pairs = found.spelling_pairs["poor"]
    assert set(pairs) == {"passed", *(one.name for one in MEASURES)}
    assert pairs["clean"].difference.estimate == -1
    assert pairs["off"].difference.estimate == 1
    assert (pairs["passed"].mcnemar.only_a, pairs["passed"].mcnemar.only_b) == (0, 6)
    assert pairs["passed"].mcnemar.p == pytest.approx(2 / 2**6)
    assert "good" not in found.spelling_pairs


def test_a_call_that_failed_is_no_answer_and_is_told(agent, tmp_path):
    def falters(prompt: Any) -> str | Exception:
        return BrainTimeoutError("too slow") if prompt.question in ("Ciao", "Quanto paga il cane?") else good(prompt)

    found = compare(agent, [Speaker("one", falters)], questions=write(tmp_path))
    result = found.spellings["one"]
    assert (result.questions, result.answered, result.missing) == (6, 4, 2)
    assert counts(result)["fact"] == (1, 1)
    assert counts(result)["off"] == (0, 1)
    assert found.decisions["one"].word == "INCOMPLETE"
    data = document(found)["spellings"]
    assert [(one["id"], one["error"]) for one in data["unanswered"]["one"]] == [
        ("dog", "brain_timeout"), ("ciao", "brain_timeout"),
    ]  # fmt: skip
    assert data["misses"]["one"] == []
    assert "brain_timeout" in report_html(document(found))


def test_a_brain_is_shown_neither_the_answer_nor_the_spellings(agent, tmp_path):
    rows = [{**ROWS[0], "answer": "SEGRETA", "must": [["SEGRETA"]], "must_not": ["VECCHIA"]}]
    brain = Speaker("one", good)
    compare(agent, [brain], questions=write(tmp_path, rows))
    shown = "".join(message.content for prompt in brain.prompts for message in render(prompt))
    assert "SEGRETA" not in shown
    assert "VECCHIA" not in shown


def test_a_question_is_asked_as_ask_does(agent, tmp_path):
    rows = [{**ROWS[5], "id": "who", "question": "Chi sei?"}, {**ROWS[1], "question": "Grazie! Quanto paga il cane?"}]
    brain = Speaker("one", good)
    found = compare(agent, [brain], questions=write(tmp_path, [ROWS[5], *rows]))
    *talk, dog = brain.prompts
    for prompt in talk:
        own = agent.preview(prompt.question).prompt
        assert prompt.passages == own.passages == ()
        assert prompt.hints["small_talk"] == own.hints["small_talk"] != ""
        assert prompt.hints["abstain"] is own.hints["abstain"] is False
        assert prompt.instructions.partition(".")[2] == own.instructions.partition(".")[2]  # but for the date
    assert "small_talk" not in dog.hints
    kept = json.loads((found.folder / "retrievals.json").read_text(encoding="utf-8"))["retrievals"]
    assert [kept[id]["query"] for id in ("ciao", "who", "dog")] == ["", "", "Quanto paga il cane?"]


def test_a_secret_in_a_spelling_is_not_kept(agent, tmp_path):
    key = "sk-ant-" + "api03-" + "Ab1" * 30
    found = compare(agent, [Speaker("one", good)], questions=write(tmp_path, [{**ROWS[0], "must": [[key], ["90 €"]]}]))
    for path in found.folder.rglob("*.json*"):
        assert key not in path.read_text(encoding="utf-8")
    assert key not in json.dumps(document(found))


def test_every_share_is_derived_again_and_a_corrected_spelling_counts(agent, tmp_path):
    found = compare(agent, [Speaker("poor", poor), Speaker("good", good)], questions=write(tmp_path))
    rules = EvaluationConfig(draws=500)
    again = rescore_comparison(Run.open(found.folder), rules=rules)
    assert without_measured(document(again)) == without_measured(document(found))
    corrected = [{**ROWS[0], "must": [["80 €"]], "must_not": []}, *ROWS[1:]]
    mended = rescore_comparison(Run.open(found.folder), rules=rules, questions=write(tmp_path, corrected))
    assert counts(mended.spellings["good"])["fact"] == (1, 2)


def test_the_report_lists_what_to_look_at(agent, tmp_path):
    found = compare(agent, [Speaker("good", good), Speaker("poor", poor)], questions=write(tmp_path))
    data = document(found)
    assert data["answers"] == {}
    misses = data["spellings"]["misses"]
    assert misses["good"] == []
    assert {one["id"] for one in misses["poor"]} == {row["id"] for row in ROWS}
    room = next(one for one in misses["poor"] if one["id"] == "room")
    assert room["expected"] == "90 €"
    assert room["said"].startswith("La camera costa 80 €")
    assert [(one["path"], one["right_file"]) for one in room["sources"]] == [
        ("listino_2024.md", False), ("listino.md", True),
    ]  # fmt: skip
    page = report_html(data)
    assert "To look at" in page
    assert "listino_2024.md:" in page
    assert "says 80 €, which is outdated or wrong" in page


# A file that is wrong


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"must": "90 €"}, "`must` that is not a list"),
        ({"must": [90]}, "`must` that holds something else than texts"),
        ({"must": [[90]]}, "`must` that holds something else than texts"),
        ({"must": [[]]}, "empty list in `must`"),
        ({"must": [[" "]]}, "empty spelling in `must`"),
        ({"must": [["x" * 501]]}, "spelling of 501 characters"),
        ({"must": []}, "has no `must`"),
        ({"must": None}, "has no `must`"),
        ({"must_not": "80 €"}, "`must_not` that is not a list"),
        ({"must_not": [""]}, "empty spelling in `must_not`"),
        ({"files": []}, "names no `files`"),
        ({"answerable": "yes"}, "neither true nor false"),
        ({"answerable": False}, "no figure would count it"),
        ({"kind": "near_miss"}, "which the base does not answer"),
        ({"mustnot": ["80 €"]}, "the key 'mustnot'"),
        ({"kind": 3}, "`kind` that is not a text"),
        ({"question": ""}, "has no `question`"),
        ({"id": "dog"}, "has the id 'dog' of line 1"),
    ],
)
def test_a_wrong_row_is_told_with_its_line_and_its_cure_before_a_brain_is_asked(agent, tmp_path, changes, words):
    brain = Speaker("one", good)
    path = write(tmp_path, [ROWS[1], {**ROWS[0], **changes}])
    with pytest.raises(EvaluationError) as caught:
        compare(agent, [brain], questions=path)
    assert words in caught.value.message
    assert caught.value.message.startswith(f"Line 2 of {str(path)!r} ")
    assert caught.value.remedy
    assert brain.prompts == []


@pytest.mark.parametrize("kind", ["near_miss", "off_topic", "chat"])
def test_a_question_that_the_base_does_not_answer_has_no_must(tmp_path, kind):
    row = {"id": "pool", "question": "Quanto costa la piscina?", "kind": kind, "answerable": False, "must": [["9 €"]]}
    with pytest.raises(EvaluationError, match=r"^Line 2 of .* is not answerable and has a `must`") as caught:
        load_questions(write(tmp_path, [ROWS[0], row]))
    assert "must_not" in caught.value.remedy


def test_a_persona_question_needs_its_file(tmp_path):
    with pytest.raises(EvaluationError, match="about the persona and names no `files`"):
        load_questions(write(tmp_path, [{**ROWS[2], "files": []}]))


def test_a_file_without_spellings_is_scored_by_words(tmp_path):
    path = write(tmp_path, [{"question": "Quanto?", "answer": "8 €", "answerable": True}])
    assert not load_questions(path).spelled
    assert load_questions(ROOT / "tests" / "data" / "questions-knowledge.jsonl").spelled is False


def test_the_search_is_measured_with_either_format(tmp_path):
    file = load_questions(write(tmp_path), for_retrieval=True)
    assert [one.answerable for one in file.questions] == [True] * 3 + [False] * 3


# The example


def test_the_spellings_of_the_example_stand_in_the_files_that_it_names():
    file = load_questions(EXAMPLE)
    assert file.spelled
    assert {"near_miss", "off_topic", "chat", "persona", "newest_wins"} <= {one.kind for one in file.questions}
    for one in file.questions:
        for path in one.files:
            assert (ROOT / "knowledge" / path).exists()
        text = folded("\n".join((ROOT / "knowledge" / path).read_text(encoding="utf-8") for path in one.files))
        for group in one.spellings.must:
            assert any(place(text, spelling) is not None for spelling in group), (one.id, group)


# The same figures as the script beside the cases


@pytest.mark.parametrize("vault", ["agriturismo", "dentista"])
def test_the_figures_are_those_of_the_script_to_the_count(isolated, vault):
    script = CASES / "score_answers.py"
    if not script.exists():
        pytest.skip("the cases ../shared/cases are not on this machine")
    run: Callable[..., Any] = subprocess.run
    told = run(
        [sys.executable, str(script), str(CASES / vault), "--embedder", "none"],
        capture_output=True,
        text=True,
        check=True,
    )
    expected = json.loads(told.stdout)
    run(["cp", "-rp", str(CASES / vault / "kb"), "kb"], check=True)
    (isolated / "cervella.toml").write_text(
        'brain = "extractive"\n[soul]\nconstitution = "kb/COSTITUZIONE.md"\nlanguage = "it"\n'
        '[knowledge]\nfolder = "kb"\nembedder = "none"\n[evaluation]\ndraws = 500\n'
    )
    with Agent() as agent:
        agent.index()
        result = compare(agent, ["extractive"], questions=CASES / vault / "questions.jsonl").spellings["extractive"]
    for name, share in result.measures.items():
        words = f"{share.estimate:.2f} ({share.count} of {share.n}; {share.low:.2f} to {share.high:.2f})"
        assert words == expected[name], name
    assert result.median_words == expected["median_words"]
