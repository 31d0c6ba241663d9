"""HTML in markdown: tables are pipe tables, lists are items, other tags are the words in them."""

from __future__ import annotations

import pytest

from cervella.knowledge.documents.chunking import chunk
from cervella.knowledge.documents.markdown import parse
from tests.knowledge.test_reading import read

HOURS = "| Giorno | Apertura |\n|---|---|\n| Lunedì | 8:30 |\n| Sabato | 10:15 |"


@pytest.mark.parametrize(
    "written",
    [
        "<table>\n<tr><th>Giorno</th><th>Apertura</th></tr>\n<tr><td>Lunedì</td><td>8:30</td></tr>\n"
        "<tr><td>Sabato</td><td>10:15</td></tr>\n</table>",
        "<table><tr><th>Giorno</th><th>Apertura</th></tr><tr><td>Lunedì</td><td>8:30</td></tr><tr><td>Sabato</td>"
        "<td>10:15</td></tr></table>",
        '<table class="confluenceTable">\n  <colgroup><col/></colgroup>\n  <tbody>\n\n    <tr>\n      <th>\n'
        "        <p>Giorno</p>\n      </th>\n      <th><p>Apertura</p></th>\n    </tr>\n\n    <tr>\n"
        "      <td><p><strong>Lunedì</strong></p></td>\n      <td>8:30</td>\n    </tr>\n"
        "    <tr><td>Sabato<td>10:15\n  </tbody>\n</table>",
        "<TABLE><THEAD><TR><TD>Giorno</TD><TD>Apertura</TD></TR></THEAD><TR><TD>Luned&igrave;</TD><TD>8:30</TD></TR>"
        '<TR><TD><span style="color:red">Sabato</span></TD><TD>10:15</TD></TR></TABLE>',
        "<table><tr><td><b>Giorno</b></td><td><b>Apertura</b></td></tr><tr><td>Lunedì</td><td>8:30</td></tr>"
        "<tr><td>Sabato</td><td>10:15</td></tr></table>",
        "<table><tr><td>Giorno</td><td>Apertura</td></tr><tr><td>Lunedì</td><td>8:30</td></tr>"
        "<tr><td>Sabato</td><td>10:15</td></tr></table>",
    ],
)
def test_a_table_is_a_pipe_table(written: str) -> None:
    assert read(f"# Orari\n\n{written}\n\nFine") == f"# Orari\n\n{HOURS}\n\nFine"


def test_a_cell_over_several_columns_or_rows_is_said_in_each() -> None:
    text = (
        "<table><tr><th>Camera</th><th colspan=2>Prezzo</th></tr><tr><td rowspan=2>Doppia</td><td>bassa</td><td>80</td>"
    )
    text += "</tr><tr><td>alta</td><td>95</td></tr><tr><td colspan=3>Tasse escluse</td></tr></table>"
    assert read(text).split("\n") == [
        "| Camera | Prezzo | Prezzo |",
        "|---|---|---|",
        "| Doppia | bassa | 80 |",
        "| Doppia | alta | 95 |",
        "| Tasse escluse |  |  |",
    ]


def test_a_table_with_titles_in_its_first_column_has_no_header() -> None:
    text = read(
        "<table><tr><th>Telefono</th><td>055 123</td></tr><tr><th>Orario</th><td>8-12<br>15-18</td></tr></table>"
    )
    assert text.split("\n")[2:] == ["| Telefono | 055 123 |", "| Orario | 8-12; 15-18 |"]


def test_a_table_in_a_table_is_told_in_its_cell_and_a_layout_table_is_gone() -> None:
    inner = "<table><tr><td>Ada</td><td>301</td></tr><tr><td>Bea</td><td>302</td></tr></table>"
    text = read(f"<table><tr><th>Piano</th><th>Interni</th></tr><tr><td>terra</td><td>{inner}</td></tr></table>")
    assert text.endswith("| terra | Ada, 301; Bea, 302 |")
    assert read(f"<table><tr><td>{inner}</td></tr></table>").endswith("| Ada | 301 |\n| Bea | 302 |")


def test_a_row_is_cited_by_its_own_lines() -> None:
    rows = "\n".join(f"<tr>\n<td>riga {n}</td>\n<td>{'parola ' * 40}</td>\n</tr>" for n in range(40))
    document = parse(f"<table>\n<tr><th>Riga</th><th>Testo</th></tr>\n{rows}\n</table>\n")
    pieces = chunk(document)
    assert len(pieces) > 3
    assert all("| Riga | Testo |" in piece.lead for piece in pieces[1:])
    for number in range(40):
        [piece] = [piece for piece in pieces if f"| riga {number} |" in piece.reading]
        assert f"<td>riga {number}</td>" in piece.text
    assert [piece.end_line for piece in pieces][-1] == len(document.lines)


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("<p>Uno <b>due</b></p><p>tre</p>", "Uno due\n\ntre"),
        ("Via Roma 3<br>Firenze<br/>", "Via Roma 3\nFirenze"),
        (
            "<ul>\n  <li>uno</li>\n  <li>due\n    <ol><li>tre</li></ol>\n  </li>\n</ul>\nfine",
            "- uno\n- due\n  1. tre\n\nfine",
        ),
        (
            "<dl><dt>Caparra</dt><dd>30 %</dd><dt>Saldo</dt><dd>all'arrivo</dd></dl>",
            "- Caparra: 30 %\n- Saldo: all'arrivo",
        ),
        ("<details>\n<summary>Festivi</summary>\n\nSi apre alle 11.\n\n</details>", "Festivi:\n\nSi apre alle 11."),
        ('<h2 align="center">Camera\n  <i>doppia</i></h2>\n\nCosta 95.', "## Camera doppia\n\nCosta 95."),
        ("Prima<!-- nota\n\nlunga --> dopo", "Prima\ndopo"),
        ("<script>\nvar x = '<p>no</p>';\n</script>\n<style>p { }</style>Testo", "Testo"),
        ("<pre><code>a_b *c* &lt;x&gt;\nriga</code></pre>", "```\na_b *c* <x>\nriga\n```"),
        ("Si usa <code>rm *_x_*</code> e <kbd>Ctrl</kbd>", "Si usa rm *_x_* e Ctrl"),
        ("Scrivi <nome> e <nome cliente>, 3 < 4 e <5 kg", "Scrivi <nome> e <nome cliente>, 3 < 4 e <5 kg"),
        ("Il giorno <data>, vedi [la coda](<label queue.md>).", "Il giorno <data>, vedi la coda."),
        ('<ac:link ri:x="y">testo</ac:link><Badge n={1} /><Box>dentro</Box>', "testodentro"),
        ("Testo `<b>` e\n\n```html\n<p>x</p>\n```", "Testo <b> e\n\n```html\n<p>x</p>\n```"),
        ('<img src="a.png" alt="La fessura è a destra"> fine', "La fessura è a destra fine"),
        ("| a | b<br>c |\n|---|---|\n| <b>1</b> | 2<br/>3 |", "| a | b; c |\n|---|---|\n| 1 | 2; 3 |"),
        ('<o:p></o:p>\n\nTesto<span lang="it"> qui</span>', "Testo qui"),
    ],
)
def test_other_html_is_its_words(written: str, seen: str) -> None:
    assert read(written) == seen
