"""A due mani without a model: what is wrong with an answer is found, and a right one is left alone."""

from __future__ import annotations

import json
import pickle
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, strategies as st

from cervella.claims.grounding import findings, supports
from cervella.claims.names import names
from cervella.review.verdict import ISSUE_KINDS, THRESHOLD, WEIGHTS, review_text
from cervella.soul import Traits
from cervella.text.language import language
from cervella.types import Passage
from tests.conftest import CORPORA, DATA, make_passage

IT = language("it")
ROWS = [json.loads(line) for line in (DATA / "review-it.jsonl").read_text("utf-8").splitlines()]
PASSAGES = {
    row["passage"]: make_passage(**{key: value for key, value in row.items() if key != "passage"}, id=row["passage"])
    for row in ROWS
    if "passage" in row
}
CASES = [row for row in ROWS if "answer" in row]
LAUNCH = make_passage("Il lancio è rinviato al 20 gennaio 2026: mancano i test di carico.", date="2026-01-09")
PRICES = make_passage(
    "| Piano | Canone | Postazioni |\n|---|---|---|\n| Piccolo | 12,50 € | 3 |\n| Grande | 99 € | 40 |",
    id="b",
    path="b.md",
)
SOURCES = {"F1": LAUNCH, "F2": PRICES}
TRAITS = Traits(
    name="Cervella", language="it", gender="feminine", emoji=False, role="partner", empty_phrases=("Ottima domanda!",)
)


def kinds(text: str, **options: Any) -> list[str]:
    return [issue.kind for issue in review_text(text, SOURCES, IT, **options).issues]


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_answers_written_by_hand_are_judged_as_a_person_judges_them(case: dict[str, Any]) -> None:
    sources = {f"F{n}": PASSAGES[name] for n, name in enumerate(case["passages"], 1)}
    verdict = review_text(case["answer"], sources, IT, question=case.get("question", ""))
    assert verdict.approved is (case["fault"] is None), verdict.issues
    if case["fault"]:
        # A figure with the wrong multiple is told as a wrong figure: both name the same words.
        assert {issue.kind for issue in verdict.issues} & {case["fault"], "figure"}


def test_there_are_cases_of_every_kind() -> None:
    assert len(CASES) >= 60
    assert {case["fault"] for case in CASES} >= {
        "figure",
        "unit",
        "date",
        "quote",
        "source",
        "row",
        "name",
        "negation",
        None,
    }


@pytest.mark.skipif(not CORPORA.exists(), reason="the shared corpora are not there")
@pytest.mark.parametrize("seed", [20260111])
def test_planted_faults_are_found_and_clean_answers_let_pass(seed: int) -> None:
    from bench.review import corpora, generated

    clean, faulty = generated(seed, corpora())
    found = sum(not answer.review().approved for answer in faulty)
    alarms = sum(not answer.review().approved for answer in clean)
    assert (len(clean), len(faulty)) == (60, 60)
    assert found / len(faulty) >= 0.95
    assert alarms / len(clean) <= 0.05


BASINS = "| Vasca | Capienza |\n|---|---|\n| V1 | 50 |\n| V2 | 75 |\n| V3 | 30 |"


@pytest.mark.parametrize(
    ("lines", "claim", "stands"),
    [
        ("Il canone è di 49 euro al mese.", "Il canone è di 49 euro l'anno", False),
        ("Il canone è di 49 euro al mese.", "Il canone è di 49 euro annui", False),
        ("Il canone è di 49 euro al mese.", "Il canone è di 49 euro la settimana", False),
        ("Il canone è di 49 euro al mese.", "Il canone è di 49 euro mensili", True),
        ("Il canone è di 49 euro al mese.", "Il canone è di 49 euro il mese", True),
        ("La cella lavora a 220 °C.", "La cella lavora a -220 °C", False),
        ("Il saldo è di 220 euro.", "Il saldo è di -220 euro", False),
        ("La cella lavora a -18 °C.", "La cella lavora a 18 °C", False),
        ("La cella lavora a -18 °C.", "La cella lavora a 18 gradi sotto zero", True),
        ("La cella lavora a -18 °C.", "La cella lavora a meno 18 gradi", True),
        ("La cella lavora a 18 °C.", "La cella lavora a più o meno 18 gradi", True),
        ("La cella lavora a -18 °C.", "La cella lavora a −18 gradi", True),
        ("La cella lavora tra -20 e -18 °C.", "La cella lavora tra -20 e -18 gradi", True),
        ("La cella lavora tra 2-8 °C.", "La cella lavora tra 2 e 8 °C", True),
        (BASINS, "La vasca V3 tiene 50", False),
        (BASINS, "La vasca V3 tiene 30", True),
        (BASINS, "La vasca V1 tiene 50 e la vasca V2 75", True),
        ("L'82 % dei soci ha votato a favore.", "Oltre l'85 % dei soci ha votato a favore", False),
        ("Il corso va dal 3 al 14 agosto 2026.", "Il corso va dal 3 al 14/8", True),
        ("Il corso va dal 3 al 14 agosto.", "Il corso va dal 3 al 15/8", False),
        ("Il corso va dal 3 al 14 agosto.", "Il corso va dal 3 al 14/9", False),
        ("Il corso comincia il 3 febbraio 2026.", "Il corso comincia il 3/2/26", True),
        ("Il corso comincia il 3/2/26.", "Il corso comincia il 3 febbraio 2026", True),
        ("Il corso comincia il 3 febbraio 2026.", "Il corso comincia il 4/2/26", False),
        ("Il giro dura 5 minuti e 30 secondi.", "Il giro dura circa 5-6 minuti", True),
        ("Il giro dura 330 secondi.", "Il giro dura circa 5-6 minuti", True),
        ("Il giro dura 5,5 minuti.", "Il giro dura circa 5-6 minuti", True),
        ("Il giro dura 8 minuti.", "Il giro dura circa 5-6 minuti", False),
        ("Il pane costa 1,12 euro.", "Il pane costa 1 euro e 12 centesimi", True),
        ("Il pane costa 1 euro e 12 centesimi.", "Il pane costa 1,12 €", True),
        ("Il pane costa 1,12 euro.", "Il pane costa 1 euro e 21 centesimi", False),
        ("Il corso ha 40 ore e 10 lezioni.", "Ogni lezione dura 4 ore (40 ore diviso 10 lezioni)", True),
        ("Il corso ha 40 ore e 10 lezioni.", "Ogni lezione dura 5 ore (40 ore diviso 10 lezioni)", False),
        ("Il forno va a 350 °F.", "Il forno va a 350 °C", False),
        ("Il forno va a 350 °F.", "Il forno va a 350 gradi Fahrenheit", True),
        ("La cisterna tiene 50 litri.", "La cisterna tiene 50 ettolitri", False),
        ("La cisterna tiene 50 litri.", "La cisterna tiene 50 l", True),
        ("La cisterna tiene 500 litri.", "La cisterna tiene 5 hl", True),
        ("Il raccolto è di 50 quintali.", "Il raccolto è di 50 tonnellate", False),
        ("Il raccolto è di 50 quintali.", "Il raccolto è di 5 tonnellate", True),
        ("Il canone è di 80 euro l'ora.", "Il canone è di 80 l'ora", True),
        ("L'82 % dei soci ha votato a favore.", "Oltre l'80 % dei soci ha votato a favore", True),
        ("L'82 % dei soci ha votato a favore.", "Circa l'80 % dei soci ha votato a favore", True),
        ("L'82 % dei soci ha votato a favore.", "Più dell'80 % dei soci ha votato a favore", True),
        ("L'82 % dei soci ha votato a favore.", "Intorno all'80 % dei soci ha votato a favore", True),
    ],
)
def test_a_figure_is_read_with_its_rate_its_sign_its_name_and_its_spelling(
    lines: str, claim: str, stands: bool
) -> None:
    verdict = review_text(f"{claim} [F1].", {"F1": make_passage(lines)}, IT)
    assert verdict.approved is stands, verdict.issues


# The score


def test_the_weights_are_one_and_one_serious_issue_is_below_the_threshold() -> None:
    assert sum(WEIGHTS.values()) == pytest.approx(1)
    for criterion, weight in WEIGHTS.items():
        if criterion != "form":
            assert 10 - weight * 5 <= THRESHOLD


def test_a_clean_answer_has_ten_and_its_criteria_are_named() -> None:
    verdict = review_text(
        "Il lancio è il 20 gennaio 2026 [F1]. Il piano Grande costa 99 € [F2].", SOURCES, IT, traits=TRAITS
    )
    assert (verdict.approved, verdict.score, verdict.issues, verdict.claims) == (True, 10.0, (), 2)
    assert dict(verdict.criteria) == {"facts": 10.0, "sources": 10.0, "soul": 10.0, "form": 10.0}
    assert "soul" not in review_text("Sì.", SOURCES, IT).criteria


def test_more_broken_claims_mean_a_lower_score() -> None:
    one = review_text("Il lancio è il 21 gennaio 2026 [F1]. Il piano Grande costa 99 € [F2].", SOURCES, IT)
    two = review_text("Il lancio è il 21 gennaio 2026 [F1]. Il piano Grande costa 98 € [F2].", SOURCES, IT)
    assert 10 > one.score > two.score >= 0
    assert not one.approved


def test_what_rests_on_a_stale_source_is_not_approved() -> None:
    answer = "Il lancio è il 20 gennaio 2026 [F1]. Il piano Grande costa 99 € [F2]."
    assert review_text(answer, SOURCES, IT).approved
    verdict = review_text(answer, SOURCES, IT, stale=["F2", "F9"])
    assert not verdict.approved
    assert [(issue.kind, issue.marks, issue.serious) for issue in verdict.issues] == [("stale", ("F2",), True)]
    assert dict(verdict.criteria) == {"facts": 10.0, "sources": 2.5, "form": 10.0}


def test_an_issue_says_the_claim_the_lines_and_what_is_wrong() -> None:
    (issue,) = review_text("Il lancio è il 21 gennaio 2026 [F1].", SOURCES, IT).issues
    assert (issue.kind, issue.text, issue.marks) == ("date", "21 gennaio 2026", ("F1",))
    assert issue.lines == ("decisioni/20260109_rinvio.md:12-12",)
    assert issue.nearest == LAUNCH.text
    assert issue.problem == ISSUE_KINDS["date"][1]
    assert issue.by == "checks"


def test_a_verdict_is_frozen_pickles_and_is_plain_data() -> None:
    verdict = review_text("Il lancio è il 21 gennaio 2026 [F1].", SOURCES, IT)
    assert pickle.loads(pickle.dumps(verdict)) == verdict
    assert json.loads(json.dumps(verdict.as_dict()))["issues"][0]["kind"] == "date"
    with pytest.raises(AttributeError):
        verdict.approved = True  # type: ignore[misc]


# Sources


def test_a_swapped_mark_names_the_passage_that_says_it() -> None:
    (issue,) = review_text("Il lancio è rinviato perché mancano i test di carico [F2].", SOURCES, IT).issues
    assert (issue.kind, issue.elsewhere) == ("source", ("F1",))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Il lancio è rinviato [F7].", ["invented_mark"]),
        ("Il lancio è rinviato, e ci costa 4.000 €.", ["uncited"]),
        ("Il lancio è il 20 gennaio 2026.", []),  # without a mark, but it stands
        ("Il piano Piccolo costa 99 € [F2].", ["row"]),
        ("Il piano Piccolo ha 40 postazioni [F2].", ["row"]),
        ("Il canone del Grande è 99 e le sue postazioni 40 [F2].", []),
        ("I due piani insieme costano 111,50 € [F2].", []),
        ("I due piani insieme costano 112,50 € [F2].", ["figure"]),
        ("", ["empty"]),
        ("Ciao, dimmi.", []),
    ],
)
def test_marks_and_figures(text: str, found: list[str]) -> None:
    assert kinds(text) == found


@pytest.mark.parametrize(
    "text",
    [
        "Non lo so: la base di conoscenza non lo dice.",
        "Non lo so: gli appunti parlano del lancio, non di questo.",
        "Non ho trovato informazioni sui costi.",
    ],
)
def test_an_honest_i_do_not_know_is_never_blocked(text: str) -> None:
    verdict = review_text(text, SOURCES, IT, traits=TRAITS)
    assert (verdict.approved, verdict.score) == (True, 10.0)
    assert review_text(text, {}, IT, traits=TRAITS).approved


def test_an_i_do_not_know_that_goes_on_to_invent_is_not_honest() -> None:
    assert kinds("Non lo so, ma costa 4.000 €.") == ["uncited"]


def test_what_the_question_says_may_be_repeated() -> None:
    assert kinds("No, non costa 4.000 € [F2].", question="Il piano Grande costa 4.000 €?") == []


def test_an_answer_that_breaks_off_is_told_but_its_facts_are_not_blamed() -> None:
    verdict = review_text("Il lancio è il 20 gennaio 2026 [F1]. Poi", SOURCES, IT, finish_reason="length")
    assert [issue.kind for issue in verdict.issues] == ["cut"]
    assert verdict.criteria["facts"] == 10.0


def test_an_answer_in_another_language_is_held_to_its_figures() -> None:
    assert kinds("The launch was postponed to 20 January 2026, for the load tests are missing [F1].") == []
    assert kinds("The launch was postponed to 21 January 2026, for the load tests are missing [F1].") == ["date"]


# The soul


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Ottima domanda! Il lancio è il 20 gennaio 2026 [F1].", ["empty_phrase"]),
        ("Il lancio è il 20 gennaio 2026 [F1] 🎉", ["emoji"]),
        ("Sono pronto: il lancio è il 20 gennaio 2026 [F1].", ["gender"]),
        ("Sono pronta: il lancio è il 20 gennaio 2026 [F1].", []),
        ("The launch was postponed because the load tests are still missing, so we have to wait [F1].", ["language"]),
    ],
)
def test_the_souls_rules_are_kept(text: str, found: list[str]) -> None:
    verdict = review_text(text, SOURCES, IT, traits=TRAITS)
    assert [issue.kind for issue in verdict.issues] == found
    assert verdict.approved is (not found)


def test_she_may_answer_in_the_language_of_the_question() -> None:
    text = "The launch was postponed because the load tests are still missing, so we have to wait [F1]."
    assert not kinds(text, traits=TRAITS, question="Why was the launch postponed, and what are we waiting for?")


def test_what_a_source_says_is_not_her_own_word() -> None:
    source = replace(LAUNCH, reading="✅ Sarà stata un'ottima domanda! Sono pronto a partire.")
    text = "✅ Sarà stata un'ottima domanda! Sono pronto a partire. [F1]"
    assert review_text(text, {"F1": source}, IT, traits=TRAITS).approved


def test_a_phrase_that_a_passage_only_lists_is_her_own() -> None:
    source = replace(LAUNCH, reading="Evito le frasi vuote: «Fantastico!», «Ottima domanda!».")
    verdict = review_text("Ottima domanda! Evito le frasi vuote. [F1]", {"F1": source}, IT, traits=TRAITS)
    assert [issue.kind for issue in verdict.issues] == ["empty_phrase"]


def test_what_nobody_declared_is_not_asked_for() -> None:
    bare = Traits(name="Ada", language="it")
    assert review_text("Ottima domanda! Sono pronto 🎉", {}, IT, traits=bare).approved


# Findings


def test_supports_and_findings_agree_on_what_stands() -> None:
    for case in CASES:
        for name in case["passages"]:
            wrong = {finding.kind for finding in findings(case["answer"], [PASSAGES[name]], IT)}
            if supports(case["answer"], [PASSAGES[name]], IT):
                assert not wrong & {"figure", "date", "quote", "unit"}


@given(st.text(max_size=120), st.text(max_size=120))
def test_no_text_makes_a_review_fail(answer: str, source: str) -> None:
    passage = Passage(id="1", path="a.md", text=source, start_line=1, end_line=1)
    verdict = review_text(f"{answer} [F1]", {"F1": passage, "F2": LAUNCH}, IT, traits=TRAITS)
    assert 0 <= verdict.score <= 10


def test_names_are_told_by_their_capitals() -> None:
    assert names("Secondo Giuseppe Verdi, Milano aspetta. Marta pure, da gennaio.", IT) == [
        "Giuseppe",
        "Verdi",
        "Milano",
    ]
