"""`python -m bench.hostile`: what markdown that was built to keep a parser busy takes, by a table.

Each text is redacted, parsed within its budget, read, cut into chunks and stemmed: all that happens to a file but
embedding.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType

from rich.console import Console
from rich.table import Table

from bench import cpu_seconds
from cervella.knowledge.documents.chunking import chunk
from cervella.knowledge.documents.parsing import SafeParser
from cervella.knowledge.documents.reading import reading_of
from cervella.privacy.redaction import mask_secrets
from cervella.text.language import language


def bombs(share: float = 1.0) -> Mapping[str, str]:
    """Hostile texts, by what they are; of their size, a share."""

    def many(count: int) -> int:
        return max(2, int(count * share))

    return MappingProxyType(
        {
            "50,000 `[`": "[" * many(50_000),
            "dashes after a line, and a word": "riga\n" + "-" * many(50_000) + "> b\n",
            "signs of a rule with blanks, and a word": "riga\n" + "* " * many(50_000) + "b\n",
            "blanks after a sign": "riga\n-" + " " * many(50_000) + "b\n",
            "`a**b` 30,000 times": "a**b" * many(30_000),
            "a list 2,000 deep": "".join("  " * depth + "- a\n" for depth in range(many(2000))),
            "a table of 5,000 rows and 50 columns": "|"
            + "a|" * 50
            + "\n|"
            + "-|" * 50
            + "\n"
            + ("|" + "a|" * 50 + "\n") * many(5000),
            "a table of 200,000 columns": "|" + "a|" * many(200_000) + "\n|" + "-|" * many(200_000) + "\n",
            "50,000 headings": "# a\n" * many(50_000),
            "50,000 headings of six levels": "".join("#" * (1 + n % 6) + f" titolo {n}\n" for n in range(many(50_000))),
            "a line of a million characters": "voce " * many(200_000),
            "a word of a million characters": "a" * many(1_000_000),
            "25,000 empty fences": "```\n" * many(50_000),
            "a fence that never ends": "```\n" + "x\n" * many(500_000),
            "100,000 items of a list": "- a\n" * many(100_000),
            "a quote of 200,000 lazy lines": "> a\n" + "b\n" * many(200_000),
            "quotes 50,000 deep": ">" * many(50_000) + " a\n",
            "50,000 link definitions": "[a]: b\n" * many(50_000),
            "a link label that never ends": "[" + "a\n" * many(50_000),
            "a heading of 200,000 `[`": "# " + "[" * many(200_000) + "\n",
            "200,000 borders of a box": "+--+\n" * many(200_000),
            "lines of 1,000 blanks": (" " * 1000 + "- a\n") * many(1_000),
            "a million blank lines": "\n" * many(1_000_000) + "a\n",
            "front matter without end": "---\n" + "a: b\n" * many(200_000),
            "30,000 small tables": "|a|b|\n|-|-|\n|c|d|\n\n" * many(30_000),
            "`password:` without end": "password:" * many(110_000),
            "`token=` without end": "token=" * many(160_000),
            "half a private key, 37,000 times": ("-----BEGIN " + "PRIVATE KEY-----") * many(37_000),
            "half a web token, over and over": "-eyJ" * many(250_000),
            "five megabytes of prose": ("La decisione è presa, e resta scritta. " * 8 + "\n\n") * many(16_000),
        }
    )


def markup_bombs(share: float = 1.0) -> Mapping[str, str]:
    """Hostile markup, by what it is, of which hardly a word is read; of its size, a share."""

    def many(count: int) -> int:
        return max(2, int(count * share))

    wide = "|".join(map(str, range(300)))
    return MappingProxyType(
        {
            "comments that never end": "<!-- a " * many(140_000),
            "tags with open quotes": '<a b="' * many(160_000),
            "tables that never end": "<table><tr><td>a" * many(60_000),
            "tables 3,000 deep": "<table><tr><td>" * many(3_000) + "x" + "</td></tr></table>" * many(3_000),
            "cells over 1,000 columns and rows": "<table><tr>"
            + "<td colspan=1000 rowspan=1000>a</td>" * many(20_000)
            + "</table>",
            "tags of 150,000 names": "".join(f"<x{number}>" for number in range(many(150_000))),
            "`<sup>` with one end": "<sup>" * many(200_000) + "</sup>",
            "`[a](` without end": "[a](" * many(250_000),
            "a footnote cited 160,000 times": "x[^1] " * many(160_000) + "\n\n[^1]: " + "nota " * 1_000,
            "`^[` without end": "^[" * many(500_000),
            "`` `a``b `` 200,000 times": "`a``b" * many(200_000),
            "entities": "&amp;" * many(200_000),
            "`{{< ` without end": "{{< " * many(250_000),
            "a table of 300 columns": f"|{wide}|\n|{'-|' * 300}\n" + f"|{wide}|\n" * many(900),
            "a megabyte of base64": "AbC9dEf0/" * many(110_000),
            "20,000 embedded pictures": "![a](data:image/png;base64,iVBORw0KGgo=) " * many(20_000),
            "lists 100,000 deep": "<ul><li>a" * many(100_000),
            "invisible characters": "\u200b\u00ad\u200d" * many(330_000),
        }
    )


def main() -> None:
    mask_secrets("AKIA" + "AB3D" * 4 + "a1B2" * 8)  # what is loaded once is not part of it
    lang = language("it")
    table = Table("text", "MB", "redact s", "parse s", "read s", "chunk s", "words s", "s per MB", "as")
    for name, text in (bombs() | markup_bombs()).items():
        marks = [cpu_seconds()]
        masked, _ = mask_secrets(text)
        marks.append(cpu_seconds())
        with SafeParser() as parser:
            document, why = parser.parse(masked)
        marks.append(cpu_seconds())
        reading = reading_of(document, lang).lines
        marks.append(cpu_seconds())
        chunks = chunk(document, reading=reading, sentences=lang.sentences)
        marks.append(cpu_seconds())
        for piece in chunks:
            lang.stems(piece.indexed)
        marks.append(cpu_seconds())
        steps = [f"{after - before:.2f}" for before, after in pairwise(marks)]
        size = len(text.encode()) / 1e6
        table.add_row(name, f"{size:.2f}", *steps, f"{(marks[-1] - marks[0]) / size:.1f}", "lines" if why else "blocks")
    Console(width=140).print(table)


if __name__ == "__main__":
    main()
