"""The turns of a conversation go out with every question, and are masked once."""

from __future__ import annotations

import gc
import weakref

import pytest

from cervella.brains.shield import fitting
from cervella.brains.shield.fitting import admit
from cervella.privacy import remembered
from cervella.privacy.redaction import mask_secrets
from cervella.privacy.remembered import MaskedTexts
from cervella.types import Message, Prompt

SECRET = "la password: Zuffa-Faro!41"


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The texts that were searched for secrets."""
    texts: list[str] = []

    def mask(text: str, language: str = "it") -> tuple[str, int]:
        texts.append(text)
        return mask_secrets(text, language)

    monkeypatch.setattr(remembered, "mask_secrets", mask)
    monkeypatch.setattr(fitting, "mask_secrets", mask)
    return texts


def test_the_turns_of_a_conversation_are_masked_once(read: list[str]) -> None:
    turns = [Message(role=role, content=f"{SECRET} {n}") for n in range(20) for role in ("user", "assistant")]
    masks = MaskedTexts()
    found = []
    for number in range(5):
        prompt = Prompt(system="", instructions="", question=f"Domanda {number}?", history=tuple(turns))
        found.append(admit(prompt, "cloud", masks=masks))
    assert sum(SECRET in text for text in read) == 20
    assert all(flags == {"secrets_masked": 40} for _, flags in found)
    assert all(SECRET not in message.content for prompt, _ in found for message in prompt.history)
    assert found[0][0].history == admit(prompt, "cloud")[0].history


def test_texts_that_differ_by_a_blank_or_by_language_are_each_masked_as_they_are() -> None:
    masks, texts = MaskedTexts(), ["password:\nZuffa-Faro!41", "password: Zuffa-Faro!41", "a  b", "a b", "\ud800"]
    for _ in range(2):
        for text in texts:
            for language in ("it", "en"):
                assert masks.mask(text, language) == mask_secrets(text, language)


def test_no_more_is_kept_than_allowed_and_no_secret_at_all(read: list[str]) -> None:
    masks = MaskedTexts(most_characters=1000)
    for number in range(100):
        masks.mask(f"{SECRET} {number} " + "x" * 100)
    assert sum(len(text) for text, _ in masks._known.values()) == masks._size <= 1000
    assert SECRET not in repr(masks._known)
    masks.mask("y" * 5000)
    assert masks._size == 0
    assert masks.mask("y" * 5000) == ("y" * 5000, 0)


def test_what_is_kept_ends_with_its_owner() -> None:
    masks = MaskedTexts()
    masks.mask(SECRET)
    gone = weakref.ref(masks)
    del masks
    gc.collect()
    assert gone() is None
