"""The masks of personal data: one for each datum, none that the text already had, and the way back into an answer."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest

from cervella.privacy.masks import PersonalMasks, Restored
from cervella.privacy.redaction import mask_secrets

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parents[1] / "data" / "privacy" / "personal.jsonl").read_text("utf-8").splitlines()
]
ANNA, MARIO = "055 2768224", "340 1234567"


def two() -> PersonalMasks:
    masks = PersonalMasks("it")
    masks.mask(f"Anna {ANNA}, Mario {MARIO}, anna@example.com")
    return masks


def test_every_planted_datum_is_masked_and_ordinary_words_stay() -> None:
    failed = []
    for row in ROWS:
        without_cards, _ = mask_secrets(row["text"])  # a payment card is a secret
        masked = PersonalMasks(row["lang"]).mask(without_cards)
        kept = PersonalMasks(row["lang"]).mask(row["text"])
        if any(datum in masked for datum in row["personal"]) or not all(text in kept for text in row["keep"]):
            failed.append(row["id"])
    assert failed == []


def test_the_mask_is_in_the_language_of_the_base() -> None:
    assert PersonalMasks("it").mask("IBAN IT60X0542811101000000123456") == "IBAN [REDATTO: IBAN]"
    assert PersonalMasks("de").mask("Tel. 030 23125000") == "Tel. [GESCHWÄRZT: Telefon]"


def test_two_people_keep_two_masks_and_one_person_one() -> None:
    masks = PersonalMasks("it")
    assert masks.mask("Mario 340 1234567, Anna 347 7654321") == "Mario [REDATTO: telefono], Anna [REDATTO: telefono 2]"
    assert masks.mask("+39 347-7654321 o 3401234567?") == "[REDATTO: telefono 2] o [REDATTO: telefono]?"
    assert masks.count == 4


def test_an_answer_gets_back_what_was_masked() -> None:
    assert two().restore("Mario ha il [redatto: telefono 2] [F1].") == f"Mario ha il {MARIO} [F1]."
    unknown = "Non c'è: [REDATTO: telefono 3], [REDATTO: password]"
    assert two().restore(unknown) == unknown


SPELLINGS = [
    "[redatto:telefono 2]",
    "[REDATTO: telefono\u00a02]",
    "\\[REDATTO: telefono 2\\]",
    "[REDATTO\\: telefono 2]",
    "[REDATTO:\ntelefono 2]",
    "[REDATTO: telefono\n2]",
    "[REDATTO: telefono (2)]",
    "[REDATTO: telefono #2]",
    "[REDATTO: telefono_2]",
    "[REDATTO: telefono2]",
    "[ Redatto : Telefono  2 ]",
    "[**REDATTO: telefono 2**]",
    "[REDATTO telefono 2]",
]


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_a_mask_that_a_model_spells_a_little_differently_is_restored(spelling: str) -> None:
    assert two().restore(f"Mario: {spelling}, di sera") == f"Mario: {MARIO}, di sera"


def test_a_first_mask_may_have_its_number_and_an_accent_may_be_lost() -> None:
    assert two().restore("Anna: [REDATTO: telefono 1]") == f"Anna: {ANNA}"
    masks = PersonalMasks("it")
    masks.mask("Carta d'identità AX1234567")
    assert masks.restore("[REDATTO: documento d’identita]") == "AX1234567"


@pytest.mark.parametrize(
    "answer", ["Mario: [REDATTO: telefono] 2", "[REDATTO: telefono]\u00a02.", "il [REDATTO: telefono] (2)"]
)
def test_a_mask_with_the_number_of_another_after_it_stays_since_either_may_be_meant(answer: str) -> None:
    assert two().restore(answer) == answer


def test_a_number_after_a_mask_that_is_no_masks_number_is_text() -> None:
    assert two().restore("Chiama [REDATTO: telefono] 3 volte") == f"Chiama {ANNA} 3 volte"
    assert two().restore("[REDATTO: telefono] 24 ore su 24") == f"{ANNA} 24 ore su 24"
    assert two().restore("[REDATTO: telefono 2] 2 volte") == f"{MARIO} 2 volte"
    assert two().restore("[REDATTO: indirizzo e-mail] 2 volte") == "anna@example.com 2 volte"


def test_a_mask_that_the_text_already_had_gets_nobodys_datum() -> None:
    masks = PersonalMasks("it")
    shown = masks.mask(f"Anna: {ANNA}. Mario: {MARIO}. Vecchio estratto: [REDATTO: telefono].")
    assert shown == "Anna: [REDATTO: telefono 2]. Mario: [REDATTO: telefono 3]. Vecchio estratto: [REDATTO: telefono]."
    answer = "L'estratto dice [REDATTO: telefono] o [redatto:telefono 1]; Anna ha il [REDATTO: telefono 2]."
    assert masks.restore(answer) == answer.replace("[REDATTO: telefono 2]", ANNA)


def test_masks_of_a_text_that_comes_later_can_be_reserved_before() -> None:
    masks = PersonalMasks("it")
    masks.reserve("Estratti: \\[redatto: Telefono\\], [REDATTO: telefono (3)], [REDATTO: indirizzo e-mail 2]")
    assert masks.mask(f"{ANNA}, {MARIO}, a@example.com, b@example.com") == (
        "[REDATTO: telefono 2], [REDATTO: telefono 4], [REDATTO: indirizzo e-mail], [REDATTO: indirizzo e-mail 3]"
    )


def test_an_answer_is_the_same_however_it_is_split() -> None:
    pieces = [
        *SPELLINGS,
        "[REDATTO: telefono]",
        "[REDATTO: indirizzo e-mail]",
        "[",
        "]",
        "\\",
        "\n",
        " ",
        "2",
        "(",
        ")",
    ]
    pieces += [
        "3 volte",
        "[F1]",
        "[REDATTO",
        "[REDATTO: telefono 3]",
        "testo [",
        "\u00a0",
        "à",
        "a\u0300",
        "ordinario ",
    ]
    chance, masks = random.Random(14), two()
    for _ in range(400):
        answer = "".join(chance.choices(pieces, k=chance.randint(1, 12)))
        restored, at, out = Restored(masks), 0, ""
        while at < len(answer):
            size = chance.randint(1, 9)
            out += restored.feed(answer[at : at + size])
            at += size
        assert out + restored.end() == masks.restore(answer), repr(answer)


def test_what_is_held_back_is_bounded() -> None:
    restored = Restored(two())
    for piece in ("[", "[REDATTO: ", "REDATTO: telefono ", "\\", "] ", " ", "[REDATTO: telefono]", "2"):
        fed, given = 0, 0
        for _ in range(2_000):
            fed, given = fed + len(piece), given + len(restored.feed(piece))
        given += len(restored.end())
        assert given > 0
    restored = Restored(two())
    assert len(restored.feed("[" + " " * 5_000)) == 5_001
