"""One reading of markdown, CommonMark's, wherever the structure of a text decides something."""

from __future__ import annotations

import random
import re
import time
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

import cervella
from cervella.brains.routing.router import features_of
from cervella.privacy.redaction import mask_secrets
from cervella.prompt.layout import find_marks
from cervella.soul.difference import changed_sentences
from cervella.text.language import language
from cervella.text.markdown import (
    Fence,
    blocks,
    cells,
    code_in,
    fence_for,
    line_fences,
    with_whole_fences,
    without_code,
)
from cervella.text.sentences import quotables
from cervella.types import Prompt


def shown(text: str) -> list[str]:
    return [text[start:end] for start, end in code_in(text)]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("> ```\n> a\n> ```\nfuori", ["> ```\n> a\n> ```"]),
        ("- x\n\n  ```\n  a\n  ```\n- `b\n  c` d", ["  ```\n  a\n  ```", "`b\n  c`"]),
        ("# Uno `x` #\n", ["`x`"]),
        ("a `x\r\nb` c", ["`x\r\nb`"]),
        ("| a | `b` |\n|--|--|\n| `c|d` | e |", ["`b`", "`c|d`"]),
        ("\\`no\\` `sì` \\\\`y`", ["`sì`", "`y`"]),
        ("- uno `\n- due `", []),
        ("a\n\n\tcodice\n\nb", ["\tcodice"]),
        ("~~~\nsenza fine", ["~~~\nsenza fine"]),
        ("niente", []),
    ],
)
def test_code_is_what_commonmark_calls_code(text: str, code: list[str]) -> None:
    assert shown(text) == code


def test_as_much_is_code_as_the_parser_itself_finds() -> None:
    parser = MarkdownIt("commonmark").disable(["html_inline", "autolink", "link", "image", "emphasis", "entity"])
    rng, parts = random.Random(7), ["`", "``", "a", "b", " ", "\\", "\n", "> ", "- ", "```", "    ", "# "]
    for _ in range(2_000):
        text = "".join(rng.choice(parts) for _ in range(rng.randint(1, 14)))
        tokens = parser.parse(text)
        spans = [child for token in tokens for child in token.children or () if child.type == "code_inline"]
        whole = [token for token in tokens if token.type in ("fence", "code_block")]
        assert len(code_in(text)) == len(spans) + len(whole), text


def test_what_is_no_code_keeps_its_place() -> None:
    text = "Usa `ls` e poi:\n\n```\nrm\n```\n\nfine"
    left = without_code(text)
    assert (len(left), left.index("fine")) == (len(text), text.index("fine"))
    assert left.split() == ["Usa", "e", "poi:", "fine"]


@pytest.mark.parametrize(
    "text",
    [
        *("` `` " * 10_000, "`a" * 20_000, "|`a`" * 10_000, "[" * 20_000 + "`a`", "> `x`\n" * 5_000, "~~~\n" * 10_000),
        *("\\`" * 20_000, "[a]: `" * 10_000, "- " * 5_000 + "`x`", "<" * 20_000 + "`x`", "a|b\n-|-\n" * 3_000),
    ],
)
def test_a_stranger_s_text_is_read_in_linear_time(text: str) -> None:
    started = time.process_time()
    code_in(text)
    list(blocks(text))
    assert time.process_time() - started < 5


def test_a_mark_in_a_fence_of_a_quote_that_is_never_closed_is_none() -> None:
    assert [found.mark for found in find_marks("> ```\n> a [F1]\n\nFuori [F2]")] == ["F2"]


def test_a_backtick_of_one_item_hides_no_mark_of_another() -> None:
    assert [found.mark for found in find_marks("- x ` [F1]\n- y ` [F2]")] == ["F1", "F2"]


def test_a_secret_in_a_column_behind_a_pipe_that_bounds_no_cell_is_masked() -> None:
    table = "| Nota | Password |\n|---|---|\n| a \\| b | Zq8kTr55pw |\n"
    masked, count = mask_secrets(table)
    assert (count, "Zq8kTr55pw" in masked) == (1, False)


def test_an_item_of_the_soul_that_is_wrapped_elsewhere_did_not_change() -> None:
    before, after = "# Io\n\n- Parlo poco e\n  ascolto.\n", "# Io\n\n- Parlo poco\n  e ascolto.\n"
    assert changed_sentences(before, after, language("it")) == ()


@pytest.mark.parametrize(
    ("question", "code"),
    [
        ("Che cosa vuol dire ``` in markdown?", False),
        ("```python\nx = 1\n```\nChe cosa fa?", True),
        ("~~~\nx = 1\n~~~\nChe cosa fa?", True),
    ],
)
def test_a_question_is_about_code_where_it_has_a_fence(question: str, code: bool) -> None:
    assert features_of(Prompt(question=question, system=""))["code"] is code


def test_a_fence_can_not_be_closed_by_what_is_in_it() -> None:
    for text in ("~~~~", "a\n~~~~~~~\nb", ""):
        assert fence_for(text) not in text


def test_the_cells_of_a_row_are_the_same_with_and_without_pipes_at_its_ends() -> None:
    for row in ("| a | b |", "a | b", "| a | b", "  a | b |  "):
        assert [row[start:end].strip() for start, end in cells(row)] == ["a", "b"]


def test_fences_and_ruled_lines_are_known_by_no_other_pattern() -> None:
    """The files beside it read a fence inside a fence, which CommonMark has not, and a text that still comes."""
    known = {"text/markdown.py", "text/sentences.py", "knowledge/documents/fences.py", "cli/terminal.py"}
    known.add("types/display.py")  # makes inert whatever a renderer may take for a fence
    known.add("knowledge/documents/hidden.py")  # before the parser, where comments may hide a fence or its end
    root = Path(cervella.__file__).parent
    found = {
        path.relative_to(root).as_posix()
        for path in root.rglob("*.py")
        if re.search(r"`\{3,|~\{3,|\"```\", ?\"~~~\"", path.read_text(encoding="utf-8"))
    }
    assert found <= known


def test_each_part_of_a_fence_is_a_fence_of_its_own() -> None:
    text = "Uno.\n\n```sh\n# a\nls\n\n# b\n```\n\nDue."
    fences = line_fences(text)
    middle = text.index("# b")
    assert with_whole_fences(text, 0, middle, fences) == "Uno.\n\n```sh\n# a\nls\n```"
    second = with_whole_fences(text, middle, len(text), fences)
    assert second == "```sh\n# b\n```\n\nDue."
    assert [one.kind for one in quotables(second, language("it"))] == ["line", "sentence"]
    assert with_whole_fences(text, 0, len(text), fences) == text
    assert with_whole_fences("a\n```\nb", 0, 7, line_fences("a\n```\nb")) == "a\n```\nb"
    assert line_fences("```uno``` e due\n~~~\na") == [Fence(16, 21, "~~~", "")]
