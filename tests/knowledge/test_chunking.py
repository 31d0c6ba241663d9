from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st

from cervella.knowledge.documents.chunking import Chunk, Sizes, chunk
from cervella.knowledge.documents.markdown import Block, Document, parse, parts_of_fence, split_lines
from cervella.text.language import language

SMALL = Sizes(small=10, target=30, cap=45, passage=80)
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
    if not any(map(str.strip, parse(text).body)):  # nothing but front matter, comments and tags
        assert not any(piece.reading for piece in chunks)
        return
    lines = split_lines(text.removeprefix("\ufeff"))
    covered = [number for piece in chunks for number in range(piece.start_line, piece.end_line + 1)]
    assert covered == sorted(set(covered)), "in order, none twice"
    assert {number for number, line in enumerate(lines, start=1) if line.strip()} <= set(covered)
    for place, piece in enumerate(chunks):
        assert piece.ordinal == place
        assert piece.text == "\n".join(lines[piece.start_line - 1 : piece.end_line])
        assert lines[piece.start_line - 1].strip(" \t")
        assert lines[piece.end_line - 1].strip(" \t")
    parents = [piece.parent for piece in chunks]
    assert parents == sorted(parents)
    assert sorted(set(parents)) == list(range(len(set(parents))))


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
    assert all(len(piece.text) <= 150 * 3.2 for piece in long)


def test_a_heading_never_stands_alone() -> None:
    body = "parola " * 170
    assert [piece.text.count("parola") > 0 for piece in chunks_of(f"# A\n\n## B\n\n{body}\n\n## C\n\n{body}\n")] == [
        True
    ] * 2


def test_the_lead_is_the_path_of_the_heading_that_most_stands_under() -> None:
    body = "parola " * 170
    pieces = chunks_of(f"# Titolo\n\n> **Data:** oggi\n\n## Sezione\n\n{body}\n")
    assert [(piece.heading, piece.lead) for piece in pieces] == [("Sezione", "Titolo > Sezione")]


@pytest.mark.parametrize("written", ["x" * 1_000_000, "parola " * 143_000, "Una frase breve. " * 60_000])
def test_a_line_of_a_megabyte_is_read_in_chunks_of_the_usual_size(written: str) -> None:
    pieces = chunk(parse(f"# T\n\n{written}\n\nfine\n"), sentences=language("it").sentences)
    assert {piece.text for piece in pieces} <= {f"# T\n\n{written}", written, f"{written}\n\nfine", "fine"}
    assert max(len(piece.reading) for piece in pieces) < 1_000
    assert "".join("".join(piece.reading for piece in pieces).split()) == "".join(f"#T{written}fine".split())
    assert all(one.reading_end <= two.reading_start for one, two in pairwise(pieces))


def test_a_long_line_is_split_between_sentences() -> None:
    sentences = [f"Questa è la frase numero {n} di una trascrizione." for n in range(400)]
    pieces = chunk(parse(" ".join(sentences)), sentences=language("it").sentences)
    assert len(pieces) > 20
    assert all(piece.reading.strip().startswith("Questa") and piece.reading.strip()[-1] == "." for piece in pieces)


def test_a_line_that_introduces_goes_with_what_it_introduces() -> None:
    table = "| voce | prezzo |\n|---|---|\n" + "\n".join(f"| voce numero {n} | {n} euro |" for n in range(20))
    pieces = chunks_of(f"# T\n\n{'parola ' * 60}\n\n**I prezzi sono questi:**\n\n{table}\n")
    assert [("prezzi sono" in piece.text, table in piece.text) for piece in pieces] == [(False, False), (True, True)]


def test_the_first_piece_of_a_split_table_has_a_row() -> None:
    header = "| " + " | ".join(f"colonna numero {n}" for n in range(40)) + " |"
    rule = "|" + "---|" * 40
    first, *_ = chunks_of("\n".join((header, rule, *("| dato " * 40 + "|" for _ in range(30)))))
    assert first.text.count("\n") >= 2


def test_a_long_fence_is_cut_around_the_fences_and_tables_in_it() -> None:
    code = "```python\n" + "\n".join(f"x{n} = {n}\n" for n in range(30)) + "\n```"
    table = "| a | b |\n|---|---|\n" + "\n".join(f"| {n} | valore |" for n in range(40))
    example = f"## Esempio\n\n{'testo lungo. ' * 90}\n\n{code}\n\n{table}\n\nfine"
    text = f"# T\n\n```markdown\n{example}\n```\n\n## Dopo\n\n{'parola ' * 60}\n"
    pieces = chunks_of(text)
    assert_nothing_lost(text, pieces)
    assert sum(code in piece.text for piece in pieces) == sum(table in piece.text for piece in pieces) == 1
    assert pieces[-1].heading == "Dopo"


def test_chunks_of_one_section_make_one_passage_and_sections_are_joined_while_they_fit() -> None:
    section = "\n\n".join("parola " * 50 for _ in range(3))
    pieces = chunks_of(f"# T\n\n## A\n\n{section}\n\n## B\n\n{section}\n\n## C\n\nbreve\n")
    passages = [{p.heading for p in pieces if p.parent == number} for number in range(pieces[-1].parent + 1)]
    assert passages == [{"A"}, {"B"}]
    assert "## C" in pieces[-1].text


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from(PIECES), max_size=60))
def test_a_passage_is_no_longer_than_it_may_be_unless_it_is_one_chunk(lines: list[str]) -> None:
    pieces = chunks_of("\n".join(lines), SMALL)
    for number in {piece.parent for piece in pieces}:
        own = [piece for piece in pieces if piece.parent == number]
        assert len(own) == 1 or sum(len(piece.reading) for piece in own) <= SMALL.passage * 3


def tables_and_fences(document: Document, blocks: Iterable[Block]) -> Iterator[Block]:
    for block in blocks:
        if block.kind in ("table", "fence", "box"):
            yield block
        longer = block.kind == "fence" and block.end_line > block.start_line
        parts = parts_of_fence(document.lines, block) if longer else ()
        yield from tables_and_fences(document, (*block.children, *parts))


def test_the_real_corpus_loses_no_line_and_breaks_no_table_and_no_fence_that_fits(sncp: Path) -> None:
    whole = broken = 0
    for file in sorted(sncp.rglob("*.md")):
        text = file.read_bytes().decode()
        document = parse(text)
        pieces = chunk(document)
        assert_nothing_lost(text, pieces)
        for block in tables_and_fences(document, document.blocks):
            size = sum(len(line) + 1 for line in document.lines[block.start_line - 1 : block.end_line])
            if size <= Sizes().cap * 3:
                held = any(p.start_line <= block.start_line and block.end_line <= p.end_line for p in pieces)
                whole, broken = whole + held, broken + (not held)
    assert broken == 0
    assert whole > 2000
