from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from cervella.knowledge.documents.indexed_text import indexed_lines, indexed_text
from cervella.text.language import words


@pytest.mark.parametrize(
    ("text", "indexed"),
    [
        ("| **Porta** | `8002` |\n|:---|---:|\n| VM | 35.1.2.3 |", "Porta 8002\nVM 35.1.2.3"),
        ("┌────┐\n│ uno │\n└────┘", "uno"),
        ("+----+----+\n| a  | b  |\n+====+====+", "a b"),
        ("├── src/\n│   └── main.py", "src/\nmain.py"),
        ("## Titolo **forte** e _piano_\n---\n> > *citato*!!!", "Titolo forte e piano\ncitato"),
        ("- voce\n2. due\n- [x] fatto", "voce\ndue\n[x] fatto"),
        ("```bash\n# nota\nls --all\n```", "bash\nnota\nls --all"),
        ("Capitolo 1 ........ 12", "Capitolo 1 12"),
        ("<!-- nota: x -->", "nota: x"),
        ("✅ ---", ""),
        ("", ""),
    ],
)
def test_the_words_stay_and_the_drawing_goes(text: str, indexed: str) -> None:
    assert indexed_text(text) == indexed


@pytest.mark.parametrize(
    "text",
    [
        "docs/**/*.md e src/*.py",
        "snake_case, __init__.py, a*b, C#, #12",
        "https://a.b/c?d=e&f=1",
        "2026-01-10 alle 04:00, € 12,50, 40%, -5",
        "perché l'età è così",
        "⭐⭐⭐⭐⭐ su 5",
    ],
)
def test_numbers_paths_and_names_are_left_alone(text: str) -> None:
    assert indexed_text(text) == text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(alphabet="ab è12 |+-=*_`~#>.─│├╔'\"!/\t"), max_size=8))
def test_every_line_keeps_its_place_and_its_letters(lines: list[str]) -> None:
    indexed = indexed_lines(lines)
    assert len(indexed) == len(lines)
    for before, after in zip(lines, indexed, strict=True):
        assert "\n" not in after
        kept = "".join(words(before))
        assert "".join(words(after)) in (kept, kept.lstrip("12"))  # a list's number is a mark
