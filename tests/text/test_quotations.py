"""One reading of quotation marks, for every rule that asks what is said and what is only quoted."""

from __future__ import annotations

import time

import pytest

from cervella.soul.traits import _split
from cervella.text.detection import foreign_language
from cervella.text.quotations import quotations, strip_quotes, without_quotations


@pytest.mark.parametrize(
    ("text", "quoted"),
    [
        ("Dice «sì» e “no”.", ["«sì»", "“no”"]),
        ("Er sagt „ja“ und „nein”.", ["„ja“", "„nein”"]),
        ("Dice \"sì\", 'forse' e ‘mai’.", ['"sì"', "'forse'", "‘mai’"]),
        ("»nie wieder« und »sofort«", ["»nie wieder«", "»sofort«"]),
        ("Er sagte ›nie wieder‹ und ‚sofort‘.", ["›nie wieder‹", "‚sofort‘"]),
        ("„Er rief ‚Halt‘ und ging.“ Dann ‹Schluss›.", ["„Er rief ‚Halt‘ und ging.“", "‹Schluss›"]),
        ("Dice «a» e «b», poi mai» e «c».", ["«a»", "«b»", "«c»"]),
        ("Il dit « jamais » et « non ».", ["« jamais »", "« non »"]),
        ("L'altro giorno l'ha detto, un po' tardi.", []),
        ("Ha scritto 'l'ho visto' e basta.", ["'l'ho visto'"]),
        ('Un metro è 40" e\nun altro 30".', []),
        ("«mai chiuso", []),
        ("«uno “due” tre»", ["«uno “due” tre»"]),
    ],
)
def test_a_quotation_is_what_stands_between_a_pair_of_marks(text: str, quoted: list[str]) -> None:
    assert [text[start:end] for start, end in quotations(text)] == quoted


def test_what_is_not_quoted_keeps_its_place() -> None:
    text = "Dice «sì\nsì» ora"
    assert without_quotations(text) == "Dice    \n    ora"


def test_only_marks_around_the_whole_are_stripped() -> None:
    assert [strip_quotes(text) for text in (" «a» ", "«a» e «b»", "'a'", 'Pro "plus"', "")] == [
        *("a", "«a» e «b»", "a", 'Pro "plus"', "")
    ]


def test_a_trait_in_single_marks_stays_whole() -> None:
    assert _split("'Sì, subito', Ecco!") == ("Sì, subito", "Ecco!")


def test_words_in_single_marks_do_not_tell_the_language() -> None:
    text = "Mi ha scritto 'I do not know what to do with all of this and you should tell them' e poi niente altro."
    assert foreign_language(text, ["it"]) is None


@pytest.mark.parametrize("mark", ["«", "»", "»a", "›", "‚a", "‹", "“", '"', "'a ", " 'a'b"])
def test_marks_that_are_never_closed_are_read_in_bounded_time(mark: str) -> None:
    started = time.process_time()
    quotations(mark * 20_000)
    assert time.process_time() - started < 3
