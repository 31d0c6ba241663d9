"""From an answer's marks to checked sources."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, strategies as st

from cervella.claims.citations import claims_of, find_citations
from cervella.text.language import language
from cervella.types import CitedLines, Passage
from tests.conftest import PATIENCE, make_passage

IT = language("it")
SOURCES = {
    "F1": make_passage("Il lancio è rinviato al 20 gennaio 2026: mancano i test di carico.", heading="Perché"),
    "F2": make_passage(
        "| Piano | Canone |\n|---|---|\n| Piccolo | 12 € |\n| Grande | 40 € |", id="p2", path="prezzi.md"
    ),
}


def checked(text: str) -> dict[str, bool]:
    return {citation.mark: citation.supported for citation in find_citations(text, SOURCES, IT).citations}


@pytest.mark.parametrize(
    "text",
    [
        "Il lancio è il 20 gennaio 2026 [F1].",
        "Il lancio è il 20 gennaio 2026. [F1]",
        "Il lancio è il 20 gennaio 2026.[F1]",
        "Il lancio è il 20 gennaio 2026.[F1] Poi, nel 2031, si vedrà.",
        "Il lancio è il 20 gennaio 2026. [F1] Poi, nel 2031, si vedrà.",
        "Il lancio è il **20 gennaio 2026**.[F1] Poi, nel 2031, si vedrà.",
        "[F1] Il lancio è il 20 gennaio 2026.",
        "Secondo [F1] il lancio è il 20 gennaio 2026.",
        "- Il lancio è il 20 gennaio 2026 [F1]\n- Nel 2031 si vedrà",
        "1. Il lancio è il 20 gennaio 2026 [F1]\n2. Nel 2031 si vedrà",
        "> Il lancio è il 20 gennaio 2026 [F1]",
        "| Lancio | 20 gennaio 2026 [F1] |\n|---|---|\n| Altro | 2031 |",
        "Nel 2031 si vedrà.\n\nIl lancio è il 20 gennaio 2026.\n[F1]",
        "Mancano i «test di carico» [F1].",
        "È rinviato al 20 gennaio 2026 [f1].",
        "# Lancio il 20 gennaio 2026 [F1]",
    ],
)
def test_a_true_claim_is_supported_wherever_its_mark_stands(text: str) -> None:
    assert checked(text) == {"F1": True}


@pytest.mark.parametrize(
    "text",
    [
        "Il lancio è il 20 febbraio 2026 [F1].",
        "Il lancio è il 20 gennaio 2027. [F1]",
        "Il lancio è il 21 gennaio 2026.[F1]",
        "[F1] Il lancio è il 21 gennaio 2026.",
        "- Il lancio è il 21 gennaio 2026 [F1]",
        "> Il lancio è il 21 gennaio 2026 [F1]",
        "| Lancio | 21 gennaio 2026 [F1] |",
        "Il lancio è il 21 gennaio 2026.\n[F1]",
        "Mancano i «test di scarico» [F1].",
        "Il piano piccolo costa 12 € [F1].",
        "Il lancio è il 20 gennaio 2026 [F1]. Il costo è 7 € [F1].",
    ],
)
def test_a_false_claim_is_not_supported_wherever_its_mark_stands(text: str) -> None:
    assert checked(text) == {"F1": False}


def test_each_mark_of_a_sentence_stands_for_its_own_words() -> None:
    assert checked("Il lancio è il 20 gennaio 2026 [F1] e il piccolo costa 12 € [F2].") == {"F1": True, "F2": True}
    assert checked("Il piccolo costa 12 € [F1] e il lancio è il 20 gennaio 2026 [F2].") == {"F1": False, "F2": False}


@pytest.mark.parametrize("marks", ["[F1, F2]", "[F1][F2]", "[F1] [F2]", "[f2; f1]"])
def test_marks_side_by_side_stand_together(marks: str) -> None:
    assert checked(f"Il lancio è il 20 gennaio 2026 e il piccolo costa 12 € {marks}.") == {"F1": True, "F2": True}


def test_a_mark_without_a_passage_is_not_a_citation() -> None:
    found = find_citations("Sì [F1], no [F3], forse [F3][F0]. `[F9]`", SOURCES, IT)
    assert [citation.mark for citation in found.citations] == ["F1"]
    assert found.invented_marks == 3


def test_a_citation_whose_file_has_changed_is_not_supported() -> None:
    text = "Il lancio è il 20 gennaio 2026 [F1]. Il grande costa 40 € [F2]."
    for changed, supported in ((True, False), (False, True), (None, True)):
        one, other = find_citations(text, SOURCES, IT, changed={"F1": changed}).citations
        assert (one.changed, one.supported) == (changed, supported)
        assert (other.changed, other.supported) == (None, True)
        assert bool(one.doubt) is (not supported)


def test_citations_come_once_each_in_order_of_appearance() -> None:
    found = find_citations("B [F2]. A [F1]. C [F2].", SOURCES, IT)
    assert [citation.mark for citation in found.citations] == ["F2", "F1"]


def test_a_citation_names_its_place_and_quotes_its_best_line() -> None:
    [citation] = find_citations("Il grande costa 40 € [F2].", SOURCES, IT).citations
    assert (citation.path, citation.start_line, citation.end_line) == ("prezzi.md", 12, 15)
    assert citation.quote == "| Grande | 40 € |"


def test_a_reader_is_put_into_each_citation() -> None:
    def reader(passage: Passage):  # type: ignore[no-untyped-def]
        return lambda: CitedLines(text=passage.path, changed=False)

    found = find_citations("A [F1], B [F2].", SOURCES, IT, reader=reader)
    assert [citation.read().text for citation in found.citations] == [SOURCES["F1"].path, "prezzi.md"]


@pytest.mark.parametrize(
    "text", ["", "[F1]", "[F1][F2]", "\n\n[F1]\n\n", "|[F1]|", "```\nx\n```\n[F1]", "> [F1]", "#\n[F1]", "---\n[F1]"]
)
def test_marks_with_nothing_to_stand_for_are_no_failure(text: str) -> None:
    find_citations(text, SOURCES, IT)
    assert find_citations(text, {}, IT).citations == ()


answers = st.lists(
    st.sampled_from(
        [
            "Il lancio ",
            "12 € ",
            "[F1]",
            "[F2, F1]",
            "[F7]",
            ". ",
            ".",
            "\n",
            "\n\n",
            "- ",
            "> ",
            "| ",
            "`",
            "```\n",
            "«test» ",
            "1. ",
            "# ",
        ]
    ),
    max_size=25,
).map("".join)


@given(answers, st.text(alphabet="ab1 .|-#>`\n│«»", max_size=80))
def test_a_quote_is_verbatim_and_every_mark_is_counted(text: str, body: str) -> None:
    sources = {"F1": make_passage(body), "F2": SOURCES["F2"]}
    found = find_citations(text, sources, IT)
    for citation in found.citations:
        assert citation.quote in sources[citation.mark].text
    marks = [mark for claim in claims_of(text, IT) for mark in claim.group]
    assert {citation.mark for citation in found.citations} == set(marks) & set(sources)
    assert found.invented_marks == sum(mark not in sources for mark in marks)


@pytest.mark.parametrize("piece", ["Costa 3 [F1]. ", "[F1]", "[F1]\n\n", "a\n[F1]\n", "| 3 [F1] |\n", "x [F1] "])
def test_an_answer_full_of_marks_takes_linear_time(piece: str) -> None:
    started = time.perf_counter()
    find_citations(piece * 1500, SOURCES, IT)
    assert time.perf_counter() - started < PATIENCE
