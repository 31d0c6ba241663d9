from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from cervella.knowledge.chunking import Chunk, Sizes, chunk
from cervella.knowledge.markdown import parse, split_lines

SMALL = Sizes(small=10, target=30, cap=45)
BLOCKS = """# Titolo
## Sezione
### Sotto
testo semplice
una riga più lunga una riga più lunga una riga più lunga una riga più lunga una riga più lunga una riga più lunga
- voce
  - dentro
1. primo
> citazione
| a | b |
|---|---|
| 1 | 2 |
```
~~~
    codice
+----+
| box |
│ x │
---
===
<!-- nota -->
<div>
[rif]: http://x"""
PIECES = [*split_lines(BLOCKS), "", "   ", "\t", "\u2028", "\x0c"]


def chunks_of(text: str, sizes: Sizes | None = None) -> list[Chunk]:
    return chunk(parse(text), sizes)


def assert_nothing_lost(text: str, chunks: list[Chunk]) -> None:
    lines = split_lines(text.removeprefix("\ufeff"))
    covered = [number for piece in chunks for number in range(piece.start_line, piece.end_line + 1)]
    assert covered == sorted(set(covered)), "in order, none twice"
    assert all(not line.strip() or number in set(covered) for number, line in enumerate(lines, start=1))
    for place, piece in enumerate(chunks):
        assert piece.ordinal == place
        assert piece.text == "\n".join(lines[piece.start_line - 1 : piece.end_line])
        assert lines[piece.start_line - 1].strip(" \t")
        assert lines[piece.end_line - 1].strip(" \t")


@settings(max_examples=150, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60), st.sampled_from(["\n", "\r\n", "\r"]), st.booleans())
def test_every_line_is_in_exactly_one_chunk(lines: list[str], end: str, small: bool) -> None:
    text = end.join(lines)
    assert_nothing_lost(text, chunks_of(text, SMALL if small else None))


@settings(max_examples=100, deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=400))
def test_no_text_whatever_loses_a_line(text: str) -> None:
    assert_nothing_lost(text, chunks_of(text, SMALL))


def test_a_table_that_fits_is_whole() -> None:
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| {n} | valore |" for n in range(60))
    pieces = chunks_of("# T\n\n" + "parola " * 100 + f"\n\n{table}\n\n" + "parola " * 100)
    assert sum(table in piece.text for piece in pieces) == 1


def test_a_longer_table_is_split_at_its_rows_and_keeps_its_header_in_the_lead() -> None:
    rows = [f"| {n} | {'valore ' * 8}|" for n in range(80)]
    first, *others = chunks_of("# T\n\n| n | cosa |\n|---|---|\n" + "\n".join(rows))
    assert others
    assert first.lead == "T"
    assert all(piece.lead == "T\n| n | cosa |\n|---|---|" for piece in others)
    assert [row for piece in (first, *others) for row in piece.text.split("\n") if "valore" in row] == rows


def test_a_fence_that_fits_is_whole_even_with_headings_and_blank_lines_in_it() -> None:
    fence = "```bash\n# uno\n\n" + "echo prova di una riga\n" * 40 + "\n# due\n```"
    pieces = chunks_of(f"# T\n\n{'parola ' * 150}\n\n{fence}\n\n{'parola ' * 150}\n")
    assert sum(fence in piece.text for piece in pieces) == 1


def test_tiny_sections_are_joined_and_long_ones_are_split() -> None:
    tiny = chunks_of("# T\n\n" + "\n\n".join(f"## S{n}\n\nbreve" for n in range(4)))
    assert len(tiny) == 1
    long = chunks_of("# T\n\n" + "\n\n".join("parola " * 60 for _ in range(12)))
    assert len(long) > 3
    assert all(len(piece.text) <= 400 * 3.1 for piece in long)


def test_a_heading_never_stands_alone() -> None:
    body = "parola " * 170
    assert [piece.text.count("parola") > 0 for piece in chunks_of(f"# A\n\n## B\n\n{body}\n\n## C\n\n{body}\n")] == [
        True
    ] * 2


def test_the_lead_is_the_path_of_the_heading_that_most_stands_under() -> None:
    body = "parola " * 170
    pieces = chunks_of(f"# Titolo\n\n> **Data:** oggi\n\n## Sezione\n\n{body}\n")
    assert [(piece.heading, piece.lead) for piece in pieces] == [("Sezione", "Titolo > Sezione")]


def test_a_line_of_a_megabyte_is_one_chunk() -> None:
    text = "# T\n\n" + "x" * 1_000_000 + "\n\nfine\n"
    assert_nothing_lost(text, chunks_of(text))
    assert max(len(piece.text) for piece in chunks_of(text)) >= 1_000_000


def test_the_real_corpus_is_covered_line_by_line(sncp: Path) -> None:
    for file in sorted(sncp.rglob("*.md"))[::8]:
        text = file.read_bytes().decode()
        assert_nothing_lost(text, chunks_of(text))
