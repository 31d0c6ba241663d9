"""Answers that were built to keep a check busy: each is read in linear time, or only as far as a bound allows.

The sizes are such that linear work takes less than a second, and quadratic work minutes: the suite's own timeout is the
guard.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path

import pytest

from bench.growth import ARGUMENTS, PRICES, SOURCES
from cervella import Agent
from cervella.brains.shield.thinking import ThoughtFilter
from cervella.checks import MOST_CHARACTERS, Check, Context, run_check
from cervella.claims.citations import MOST_CLAIMS, claims_of, find_citations
from cervella.claims.evidence import Line
from cervella.claims.grounding import findings, supports
from cervella.prompt.layout import find_marks, strip_marks
from cervella.review.revision import _says_nothing_else
from cervella.review.second_opinion import read_opinion
from cervella.review.verdict import review_text
from cervella.soul.traits import Traits
from cervella.testing import ScriptedBrain
from cervella.text.language import language
from cervella.text.quantities import quantities
from cervella.text.quotations import normal
from cervella.types import Passage

IT = language("it")
ATOMS = {
    "dashes": "-",
    "rows of rules": "|---|\n",
    "pipes": "|",
    "backticks": "`",
    "unclosed code": "<code>",
    "marks": "[F1]",
    "marks in one bracket": "[F1, ",
    "lines of marks": "[F1].\n",
    "claims with marks": "costa {n} euro [F1]. ",
    "blocks with marks": "a{n}.\n[F1].\n",
    "quotations": "«lancio {n}» ",
    "blank lines": "\n",
    "spaces": " ",
    "digits": "1",
    "figures": "1 ",
    "a number in words": "tremiladuecento",
    "hundreds": "cento",
    "one word a line": "a\n",
    "a word repeated": "qui ",
    "one long word": "a",
    "braces": "{",
    "encoded tokens": "QUJDREVGR0hJSktM ",
    "references": "&#9999999999",
    "emoji": "😀",
    "accents": "e\u0301",
}


def repeated(atom: str, size: int) -> str:
    if "{n}" in atom:
        return "".join(atom.replace("{n}", str(n)) for n in range(size // (len(atom) + 2)))
    return atom * (size // len(atom)) + "x"


@pytest.mark.parametrize("kind", ARGUMENTS)
@pytest.mark.timeout(60)
def test_every_check_reads_hostile_texts_in_linear_time(kind: str) -> None:
    context = Context(language="it", passages=(PRICES,), system="Sono Cervella, e parlo piano. " * 200)
    for name, atom in ATOMS.items():
        checked = run_check(Check(kind=kind, args=ARGUMENTS[kind]), repeated(atom, 12_000), context)
        assert checked.kind == kind, name


@pytest.mark.timeout(20)
def test_three_thousand_dashes_are_no_table() -> None:
    row = "| a | b |\n|" + "-" * 3_000 + "!|\n"
    assert run_check(Check(kind="structure", args={"rows": 1}), row, Context(language="it")).passed is False
    ruled = "| a | b |\n|" + "-" * 3_000 + "|\n"
    assert run_check(Check(kind="structure", args={"rows": 1}), ruled, Context(language="it")).passed is False


def test_a_text_that_is_too_long_is_not_looked_at_and_passes_no_check() -> None:
    text = "Il lancio è rinviato. " * (MOST_CHARACTERS // 20)
    checked = run_check(Check(kind="not_contains", args={"terms": ["manca"]}), text, Context(language="it"))
    assert checked.passed is None
    assert "too long" in checked.detail


def test_a_phrase_deep_in_a_sentence_without_end_is_found() -> None:
    for place in range(900, 1_500, 7):
        text = "parola " * (place // 7) + "sono la tua assistente virtuale " + "parola " * 300
        assert run_check(Check(kind="not_served"), text, Context(language="it")).passed is False, place


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ATOMS)
def test_what_is_read_of_every_answer_is_read_in_linear_time(name: str) -> None:
    text = repeated(ATOMS[name], 200_000)
    assert len(find_marks(text)) == text.count("[F1]")
    strip_marks(text)
    claims_of(text, IT)
    find_citations(text, SOURCES, IT)
    assert not any(language(code).abstains(text) for code in ("it", "en"))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", ATOMS)
def test_a_review_reads_hostile_answers_within_its_bounds(name: str) -> None:
    traits = Traits(name="Cervella", language="it", gender="feminine", empty_phrases=("ecco fatto",), emoji=False)
    verdict = review_text(repeated(ATOMS[name], 60_000), SOURCES, IT, question="Quanto costa?", traits=traits)
    assert not verdict.approved, "what was not looked at is not approved"


@pytest.mark.timeout(20)
def test_marks_by_the_hundred_thousand_are_one_look() -> None:
    found = find_citations("Il piano base costa 12 euro al mese " + "[F1]" * 100_000 + " " + "[F7]" * 5, SOURCES, IT)
    assert [(one.mark, one.supported) for one in found.citations] == [("F1", True)]
    assert found.invented_marks == 5
    found = find_citations("Il piano base costa 12 euro al mese [F1]. " * 30_000, SOURCES, IT)
    assert [one.supported for one in found.citations] == [True]


@pytest.mark.timeout(40)
def test_taking_marks_out_copies_the_text_once() -> None:
    assert strip_marks("Costa 12 euro [F1]. " * 150_000) == "Costa 12 euro. " * 150_000


def test_a_citation_whose_claims_are_too_many_is_not_called_supported() -> None:
    right = "".join(f"Il piano base {n} costa 12 euro [F1]. " for n in ("pro", "uno"))
    many = "".join(f"Il piano base parola{'abcdefghij'[n % 10] * (n + 1)} [F1]. " for n in range(MOST_CLAIMS + 20))
    assert [one.supported for one in find_citations(right, SOURCES, IT).citations] == [True]
    found = find_citations(many, SOURCES, IT)
    assert [one.supported for one in found.citations] == [None]
    assert found.unread == 1
    wrong = find_citations("Costa 13 euro [F1]. " + many, SOURCES, IT)
    assert [one.supported for one in wrong.citations] == [False], "what was looked at and is wrong stays wrong"


def test_a_claim_that_is_too_long_is_not_called_supported() -> None:
    long = "Il piano base costa " + "davvero " * 2_000 + "13 euro"
    assert supports(long, [PRICES], IT) is None
    assert supports("Costa 13 euro " + long, [PRICES], IT) is False
    assert [one.kind for one in findings(long, [PRICES], IT)][:1] == ["unread"]


def test_the_first_rows_of_a_very_long_table_are_not_taken_for_checked() -> None:
    rows = "\n".join(f"| piano {n} | 12 euro |" for n in range(200))
    [citation] = find_citations(
        f"{rows}\n\n[F1]", {"F1": Passage(id="1", path="a", text=rows, start_line=1, end_line=200)}, IT
    ).citations
    assert citation.supported is None


def test_a_review_that_has_no_time_left_approves_nothing() -> None:
    right = "Il piano base costa 12 euro al mese [F1]."
    assert review_text(right, SOURCES, IT, until=time.monotonic() + 60).approved
    verdict = review_text(right, SOURCES, IT, until=time.monotonic() - 1)
    assert not verdict.approved
    assert {issue.kind for issue in verdict.issues} == {"unread"}


def test_a_review_that_could_not_read_an_answer_whole_says_so() -> None:
    text = "".join(f"Il piano base parola{'abcdefghij'[n % 10] * (n + 1)} [F1]. " for n in range(400))
    verdict = review_text(text, SOURCES, IT)
    assert not verdict.approved
    assert "unread" in {issue.kind for issue in verdict.issues}


@pytest.mark.timeout(20)
def test_a_number_of_five_thousand_digits_is_a_figure_like_any_other() -> None:
    long = "9" * 5_000
    verdict = review_text(f"Costa {long} euro [F1].", SOURCES, IT)
    assert {issue.kind for issue in verdict.issues} == {"figure"}
    assert [figure.readings for figure in quantities(long)] == [frozenset({long})]
    checked = run_check(Check(kind="abstains"), f"Non lo so: {long}.", Context(language="it"))
    assert checked.passed is False
    assert run_check(
        Check(kind="no_canary", args={"canary": "mela verde"}), f"&#{long};", Context(language="it")
    ).passed


@pytest.mark.timeout(20)
def test_number_words_without_end_are_no_figure() -> None:
    assert quantities("cento" * 5_000, IT) == []
    assert [sorted(one.readings) for one in quantities("duecentotrentaquattro", IT)] == [["234"]]


@pytest.mark.timeout(20)
def test_folding_a_text_to_its_words_takes_no_square_of_its_blanks() -> None:
    assert normal("a - b" + " " * 300_000 + "c") == "a-b c"


@pytest.mark.timeout(20)
def test_ends_of_thoughts_without_end_are_taken_out() -> None:
    thoughts = ThoughtFilter()
    assert thoughts.feed("</think>" * 100_000 + "Ecco.") + thoughts.end() == "Ecco."
    assert thoughts.removed == 100_000
    opened = ThoughtFilter()
    assert opened.feed("Ecco." + "<think>a</think>" * 50_000) + opened.end() == "Ecco."


@pytest.mark.timeout(20)
@pytest.mark.parametrize("atom", ['{"a":', "{", "\r", "- problema\n", "«"])
def test_an_opinion_without_end_is_read_as_far_as_one_goes(atom: str) -> None:
    assert read_opinion(atom * 200_000, IT).score is None


@pytest.mark.timeout(20)
def test_an_abstention_without_end_says_something_else() -> None:
    assert _says_nothing_else("Non lo so.")
    assert not _says_nothing_else("Non lo so, " * 50_000)


# What a caller waits for


@pytest.fixture
def agent_that_says(isolated: Path) -> Callable[[str], Agent]:
    (isolated / "note").mkdir()
    (isolated / "note/prezzi.md").write_text("# Prezzi\n\nIl piano base costa 12 euro al mese.\n", encoding="utf-8")
    (isolated / "anima.md").write_text("# Cervella\n\nCalma, precisa.\n", encoding="utf-8")

    def make(text: str) -> Agent:
        agent = Agent(
            brain=ScriptedBrain([text]), knowledge="note", constitution="anima.md", index="indice", embedder="none"
        )
        agent.index()
        return agent

    return make


@pytest.mark.timeout(60)
def test_an_answer_of_hostile_marks_keeps_nobody_waiting(agent_that_says: Callable[[str], Agent]) -> None:
    with agent_that_says("".join(f"a{n}.\n[F1].\n" for n in range(4_000))) as agent:
        reply = agent.ask("Quanto costa il piano base?")
    assert [one.mark for one in reply.citations] == ["F1"]


def test_what_there_was_no_time_to_check_is_neither_supported_nor_wrong(
    agent_that_says: Callable[[str], Agent], monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[object] = []

    def slow(claim: object, number: int) -> bool:
        looks.append(claim)
        time.sleep(0.4)
        return True

    monkeypatch.setattr("cervella.claims.grounding.Grounding.supports", slow)
    claims = "".join(f"Il piano base parola{'abcdefghij'[n % 10] * (n + 1)} costa 12 euro [F1]. " for n in range(60))
    with agent_that_says(claims) as agent:
        agent.search("piano")
        reply = agent.ask("Quanto costa il piano base?", timeout=3)
    assert [one.supported for one in reply.citations] == [None]
    assert reply.flags["citations_unread"] == 1
    assert "not checked" in str(reply)
    assert 0 < len(looks) < 20, "no claim is looked at once the time is over"


# Passages without end, of a retriever that is not the index's


def long_passage(end: str) -> Passage:
    text = "Il piano base costa davvero poco. " * 2_000 + end
    return Passage(id="3", path="lungo.md", text=text, start_line=1, end_line=1)


def test_what_a_very_long_passage_does_not_show_in_its_beginning_is_not_looked_at_and_not_wrong() -> None:
    long = long_passage("Il piano pro costa 12 euro.")
    assert len(long.text) > 30_000
    assert supports("Il piano pro costa 12 euro", [long], IT) is None
    assert supports("Il piano pro costa 12 euro", [PRICES, long], IT) is True
    assert supports("Il lievito madre", [long], IT) is None
    assert "figure" not in {one.kind for one in findings("Il piano pro costa 12 euro", [long], IT)}
    assert "unread" in {one.kind for one in findings("Il piano pro costa 12 euro", [long], IT)}
    assert not review_text("Il piano pro costa 12 euro [F1].", {"F1": long}, IT).approved


def test_a_day_is_found_in_a_passage_without_reading_its_lines_again(monkeypatch: pytest.MonkeyPatch) -> None:
    reads: list[str] = []
    read = Line.days.func
    counted = cached_property(lambda line: reads.append(line.text) or read(line))
    counted.__set_name__(Line, "days")
    monkeypatch.setattr(Line, "days", counted)
    text = "\n\n".join(f"Il {day} gennaio si travasa il vino {day}." for day in range(1, 29))
    notes = Passage(id="4", path="vino.md", text=text, start_line=1, end_line=55)
    claims = " ".join(f"Il {day}/1 si travasa." for day in range(1, 29))
    assert supports(claims, [notes], IT) is True
    assert len(reads) == len(set(reads)), "once a line, however many days the claim names"


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "text", ["non " + "te lo " * 3_000, "hai " + "davvero " * 3_000, "hai " + "perfettamente " * 2_000]
)
def test_a_word_said_again_and_again_stops_no_check(text: str) -> None:
    for kind, args in ARGUMENTS.items():
        assert run_check(Check(kind=kind, args=args), text, Context(language="it")).kind == kind


@pytest.mark.timeout(20)
@pytest.mark.parametrize("text", ["fatti" + " " * 19_000 + "x", "voti " + "_" * 19_000, "anima" + "*" * 19_000])
def test_a_grade_that_never_comes_is_looked_for_once(text: str) -> None:
    assert read_opinion(text, IT).score is None
