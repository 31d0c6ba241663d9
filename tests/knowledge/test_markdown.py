from __future__ import annotations

import time

import pytest
from hypothesis import given, settings, strategies as st

from cervella.knowledge.documents.markdown import Block, parse, parts_of_fence, split_lines

BOX = "+------+\n| ciao |\n+------+"


def kinds(text: str) -> list[tuple[str, int, int]]:
    return [(block.kind, block.start_line, block.end_line) for block in parse(text).blocks]


def test_a_line_ends_as_in_commonmark_and_nowhere_else() -> None:
    assert split_lines("a\r\nb\rc\nd\u2028e\x0bf\x0cg\x85h") == ["a", "b", "c", "d\u2028e\x0bf\x0cg\x85h"]
    assert split_lines("") == []
    assert split_lines("\n\n") == ["", ""]


def test_blocks_have_their_exact_lines() -> None:
    text = "# Titolo\n\nuno\ndue\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n```\n# no\n\n```\n"
    text += "\n- x\n- y\n\n> q\n\n<!-- c -->\n\n---\n"
    assert kinds(text) == [
        ("heading", 1, 1),
        ("paragraph", 3, 4),
        ("table", 6, 8),
        ("fence", 10, 13),
        ("list", 15, 16),
        ("quote", 18, 20),  # nothing is read in a comment, so it is no block of its own
        ("rule", 22, 22),
    ]


def test_a_box_outside_a_fence_is_a_box() -> None:
    assert kinds(BOX) == [("box", 1, 3)]
    assert kinds("┌───┐\n│ x │\n└───┘") == [("box", 1, 3)]
    assert kinds("uno | due\ntre") == [("paragraph", 1, 2)]


def test_carriage_returns_alone_end_lines_too() -> None:
    assert kinds("# Titolo\r\rtesto\raltro\r") == [("heading", 1, 1), ("paragraph", 3, 4)]


def test_a_block_knows_the_headings_above_it() -> None:
    document = parse("# A\n\n## B `x`\n\nuno\n\n### **C**\n\ndue\n\n## [D](http://x)\n\ntre\n")
    paths = [block.headings for block in document.blocks if block.kind == "paragraph"]
    assert paths == [("A", "B x"), ("A", "B x", "C"), ("A", "D")]
    assert document.title == "A"


def test_a_heading_inside_a_fence_is_no_heading() -> None:
    assert [block.headings for block in parse("# A\n\n```bash\n# B\n```\n\nfine\n").blocks][-1] == ("A",)


def test_lines_that_the_parser_drops_are_kept() -> None:
    assert kinds("[rif]: http://esempio.it\n\ntesto") == [("paragraph", 1, 1), ("paragraph", 3, 3)]


@pytest.mark.parametrize("text", ["> " * 300 + "x", "- " * 300 + "x", "[" * 20_000, "a**b" * 5_000])
def test_deep_nesting_and_open_brackets_do_no_harm(text: str) -> None:
    assert kinds(text)[0][1:] == (1, 1)


def test_a_failing_parser_costs_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> tuple[Block, ...]:
        raise KeyError("un baco")

    monkeypatch.setattr("cervella.knowledge.documents.markdown._top_level", broken)
    assert kinds("# A\n\nuno\ndue\n") == [("paragraph", 1, 1), ("paragraph", 3, 4)]


@pytest.mark.parametrize(
    "line",
    [
        "> **Data:** 10 Gennaio 2026",
        "**Data**: 10 Gennaio 2026",
        "> Data: 10 Gennaio 2026",
        "**Data:** 10 Gennaio 2026",
    ],
)
def test_the_header_is_read_in_every_spelling(line: str) -> None:
    assert parse(f"# Titolo\n\n{line}\n\n## Uno\n").header == {"data": "10 Gennaio 2026"}


def test_several_pairs_may_share_a_line() -> None:
    header = parse("# T\n\n> **Sessione:** 294 | **Progetto:** X | PROPOSTA\n> **Priorità**: alta\n").header
    assert header == {"sessione": "294", "progetto": "X", "priorita": "alta"}


def test_what_comes_after_the_first_section_is_no_header() -> None:
    assert parse("# T\n\n## A\n\n**Data:** 2026-01-01\n").header == {}


def test_front_matter_is_a_block_and_a_header() -> None:
    document = parse('---\ndate: 2026-01-10\ntitle: "Prova"\n---\n# T\n')
    assert document.header == {"date": "2026-01-10", "title": "Prova"}
    assert [(block.kind, block.start_line, block.end_line) for block in document.blocks] == [
        ("front_matter", 1, 4),
        ("heading", 5, 5),
    ]


def test_a_rule_at_the_top_is_no_front_matter() -> None:
    assert kinds("---\n\ntesto\n\n---\n")[0] == ("rule", 1, 1)


NESTED = """# Uno

```markdown
## Esempio

```bash
# installa
make
```

Poi:

```
albero/
```

fine
```

## Due

testo
"""


def test_a_fence_opened_inside_a_fence_does_not_end_it() -> None:
    document = parse(NESTED)
    assert [(block.kind, block.start_line, block.end_line) for block in document.blocks] == [
        ("heading", 1, 1),
        ("fence", 3, 18),
        ("heading", 20, 20),
        ("paragraph", 22, 22),
    ]
    assert document.blocks[-1].headings == ("Uno", "Due")


def test_a_block_that_ends_with_a_quoted_fence_is_closed() -> None:
    text = '```yaml\nPROMPT:\n"Guarda:\n```python\nx = 1\n```"\n\nRISPOSTA:\n"Bene."\n```\n\n## Dopo\n'
    assert kinds(text) == [("fence", 1, 10), ("heading", 12, 12)]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("~~~\n```bash\n# no\n```\n~~~\n", [("fence", 1, 5)]),
        ("````\n```bash\n# no\n```\n````\n", [("fence", 1, 5)]),
        ("- voce\n\n  ```bash\n  # no\n  ```\n\ndopo\n", [("list", 1, 5), ("paragraph", 7, 7)]),
        ("1. voce\n\n    ~~~\n    # no\n    ~~~\n", [("list", 1, 5)]),
        ("    # codice rientrato\n\ndopo\n", [("fence", 1, 1), ("paragraph", 3, 3)]),
        # Forgotten, not nested: nothing but the rule of CommonMark helps.
        ("```bash\nls\n\n## A\n\n```python\nx\n```\n\n## B\n", [("fence", 1, 8), ("heading", 10, 10)]),
        ("```\nuno\n```\n\n```\ndue\n```\n", [("fence", 1, 3), ("fence", 5, 7)]),
    ],
)
def test_fences_of_every_kind_end_where_they_end(text: str, found: list[tuple[str, int, int]]) -> None:
    assert kinds(text) == found
    assert not any("no" in title for block in parse(text).blocks for title in block.headings)


def test_a_long_fence_has_the_fences_tables_and_boxes_in_it_as_parts() -> None:
    document = parse(NESTED.replace("Poi:", "| a | b |\n|---|---|\n| 1 | 2 |"))
    parts = parts_of_fence(document.lines, document.blocks[1])
    assert [(part.kind, part.start_line, part.end_line) for part in parts] == [
        ("paragraph", 3, 4),
        ("fence", 6, 9),
        ("table", 11, 13),
        ("fence", 15, 17),
        ("paragraph", 19, 20),
    ]


def test_an_underlined_heading_is_a_heading_and_a_pair_above_a_rule_is_not() -> None:
    assert kinds("Titolo\n======\n\nSezione\n---\n") == [("heading", 1, 2), ("heading", 4, 5)]
    document = parse("# T\n\n**Data:** 10 gennaio 2026\n---\n\ntesto\n")
    assert [block.kind for block in document.blocks] == ["heading", "paragraph", "rule", "paragraph"]
    assert document.header == {"data": "10 gennaio 2026"}
    assert document.blocks[-1].headings == ("T",)


FENCE_LINES = [
    "```",
    "```bash",
    "```markdown",
    "````",
    "~~~",
    '```"',
    "# titolo",
    "| a |",
    "|---|",
    "testo",
    "",
    "  ```",
]


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(FENCE_LINES), max_size=40))
def test_however_fences_are_mixed_the_blocks_cover_every_line_once(lines: list[str]) -> None:
    blocks = parse("\n".join(lines)).blocks
    covered = [number for block in blocks for number in range(block.start_line, block.end_line + 1)]
    assert covered == sorted(set(covered))
    assert {number for number, line in enumerate(lines, start=1) if line.strip()} <= set(covered)


@pytest.mark.parametrize(
    ("text", "title", "named"),
    [
        ("# Prezzi\n\nTesto.", "Prezzi", True),
        ("## Prezzi\n\nTesto.", "Prezzi", False),
        ("Testo.\n\n# Prezzi\n\nAltro.", "", False),
        ("Testo.\n\n## Prezzi\n\nAltro.", "", False),
        ("# \n\nTesto.", "", False),
        ("#\n\n# Prezzi\n\nTesto.", "Prezzi", True),
        ("[![Build](a.svg)](https://a.it/b)\n\n# Prezzi", "Prezzi", True),
        ('<p align="center"><img src="a.png" alt="Logo"></p>\n\n# Prezzi', "Prezzi", True),
        ("[Casa](README.md) | [[Indice]]\n\n#listino\n\n# Prezzi", "Prezzi", True),
        ("> **Data:** 2026-01-02\n\nstato:: bozza\n\n# Prezzi", "Prezzi", True),
        ("<!-- non è un testo -->\n\n# Prezzi", "Prezzi", True),
    ],
)
def test_a_heading_is_the_title_only_if_no_text_is_above_it(text: str, title: str, named: bool) -> None:
    document = parse(text)
    assert (document.title, document.named) == (title, named)


def test_a_heading_without_words_titles_nothing() -> None:
    document = parse("# Uno\n\n## \n\nTesto.")
    assert [block.headings for block in document.blocks] == [("Uno",)] * 3
    assert document.blocks[1].kind == "heading"


@pytest.mark.parametrize("signs", [("$$", "$$"), ("\\[", "\\]")])
def test_a_formula_over_several_lines_is_one_block(signs: tuple[str, str]) -> None:
    inner = "a \\\\\n= b\n---\n- c\n# d\n| e | f |\n|---|---|"
    document = parse(f"Dove\n{signs[0]}\n{inner}\n{signs[1]}\nvale x.")
    assert [(block.kind, block.start_line, block.end_line) for block in document.blocks] == [
        ("paragraph", 1, 1), ("math", 2, 10), ("paragraph", 11, 11),
    ]  # fmt: skip


def test_two_dollars_in_a_text_open_no_formula() -> None:
    document = parse("$$ 20 al mese\n\n# Prezzi\n\ncosta $$\n- uno\n$$ a $$\n- due")
    assert [block.kind for block in document.blocks] == ["paragraph", "heading", "paragraph", "list"]


@pytest.mark.parametrize("text", ["</summary>\n\nbar", "{{% /notice %}}\n\nbar", "</summary>", "bar\n\n</summary>"])
def test_a_line_of_markup_alone_is_in_a_block_too(text: str) -> None:
    document = parse(text)
    inside = [number for one in document.blocks for number in range(one.start_line, one.end_line + 1)]
    assert {number for number, line in enumerate(document.lines, 1) if line.strip()} <= {*inside}
    assert len(inside) == len({*inside})


@pytest.mark.parametrize(
    "text", ["x " + " " * 300_000 + "è", "| " * 100_000, "a:: b" + " " * 300_000 + "c", "$$ a\n" * 60_000]
)
def test_parsing_takes_linear_time(text: str) -> None:
    started = time.perf_counter()
    parse(text)
    assert time.perf_counter() - started < 5
