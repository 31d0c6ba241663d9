"""What is read in a document: the words that somebody sees who reads the note, and no markup."""

from __future__ import annotations

import pytest
from hypothesis import given, settings, strategies as st

from cervella.knowledge.documents.chunking import chunk, joined
from cervella.knowledge.documents.markdown import parse, split_lines
from cervella.knowledge.documents.reading import Reading, reading_of
from cervella.text.language import known_languages, language
from cervella.text.sentences import quotables

ITALIAN = language("it")


def reading(text: str, path: str = "nota.md") -> Reading:
    return reading_of(parse(text), ITALIAN, path=path)


def read(text: str, path: str = "nota.md") -> str:
    document = parse(text)
    return joined(document, reading_of(document, ITALIAN, path=path).lines)[0].strip("\n")


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("**Costa** _otto_ euro, *mai* __dieci__", "Costa otto euro, mai dieci"),
        ("in**credi**bile ***molto***", "incredibile molto"),
        (
            "2*3*4, snake_case_a, docs/**/*.md, *.py, __init__.py",
            "2*3*4, snake_case_a, docs/**/*.md, *.py, __init__.py",
        ),
        ("5 * 3 e * da solo", "5 * 3 e * da solo"),
        ("Nome: ____ Cognome: ____", "Nome: ____ Cognome: ____"),
        (r"\*non corsivo\*, 1\. maggio, \_x\_", "*non corsivo*, 1. maggio, _x_"),
        (r"C:\_dati\_vecchi e \\server\_cartella", r"C:\_dati\_vecchi e \\server\_cartella"),
        ("Si lancia con `make *demo* <x> &amp;`.", "Si lancia con make *demo* <x> &amp;."),
        ('Vedi [il listino](prezzi/2026.md "Prezzi").', "Vedi il listino."),
        ("Vedi [il listino][p] e [p].\n\n[p]: prezzi/2026.md", "Vedi il listino e p."),
        ("[![Aperto alle 6:30](x.svg)](https://a.it)", "Aperto alle 6:30"),
        ("Scrivi a <info@a.it> o <https://a.it/x_y_z>", "Scrivi a info@a.it o https://a.it/x_y_z"),
        ("**https://a.it/b_c_d** e https://a.it/?x=1&amp;y=2", "https://a.it/b_c_d e https://a.it/?x=1&y=2"),
        ("[nota]: importante, e [F2], [1] sono parentesi", "[nota]: importante, e [F2], [1] sono parentesi"),
        ("La penalit&agrave; &egrave; di 150&nbsp;&euro; (R&D)", "La penalità è di 150 € (R&D)"),
        ("attivit&amp;agrave;, e &amp;lt; nel sorgente", "attività, e &lt; nel sorgente"),
        ("pre\u00adnota\u200bzione, \ufb01ne, e\u0300", "prenotazione, fine, è"),
        ("👩\u200d💻 می\u200cخواهم क\u094d\u200dष", "👩\u200d💻 می\u200cخواهم क\u094d\u200dष"),
        ("Uno  \ndue\\\ntre", "Uno\ndue\ntre"),
        ("$a_1 * b_2 = c$ costa $5 e $6", "$a_1 * b_2 = c$ costa $5 e $6"),
        ("Acqua H<sub>2</sub>O, 10<sup>6</sup> m<sup>2</sup>", "Acqua H2O, 10⁶ m²"),
        ("> citato **qui**\n>\n> e qui", "citato qui\n\ne qui"),
        ("Titolo\n======\n\nTesto", "# Titolo\n\nTesto"),
        ("## Sezione ##  {#ancora}", "## Sezione"),
        ("Così:\n\n    rm -rf __x__ *y*\n\nfine", "Così:\n\n```\nrm -rf __x__ *y*\n```\n\nfine"),
        ("```\n**a** &amp; <b>\n```", "```\n**a** &amp; <b>\n```"),
    ],
)
def test_inline_syntax_is_read_as_its_words(written: str, seen: str) -> None:
    assert read(written) == seen


@pytest.mark.parametrize("space", ["\u00a0", "\u2009", "\u3000", "\u00a0\u00a0", "\ufeff "])
def test_a_heading_is_one_whatever_its_blank(space: str) -> None:
    document = parse(f"#{space}Tariffe\n\n##{space}Camera doppia\n\nCosta 95 euro.\n")
    assert [block.headings for block in document.blocks][-1] == ("Tariffe", "Camera doppia")


def test_a_heading_without_a_blank_is_one_and_a_tag_is_none() -> None:
    assert parse("#Tariffe\n\n##Camera\n\nCosta 95 euro.").blocks[-1].headings == ("Tariffe", "Camera")
    assert parse("#urgente\n\nChiamare Ada.").blocks[-1].headings == ()
    assert parse("## Note\n\n#urgente\n\nChiamare Ada.").blocks[-1].headings == ("Note",)
    assert parse("```\n##no\n```\n").blocks[-1].headings == ()


def test_a_table_without_outer_pipes_has_rows_of_equal_length() -> None:
    text = read("Nome|Interno|Piano\n---|---|---\nlavanderia|301\nportineria|100|terra|ala B\n\nfine")
    assert text.split("\n")[:4] == [
        "| Nome | Interno | Piano |",
        "| --- | --- | --- |",
        "| lavanderia | 301 |  |",
        "| portineria | 100 | terra | ala B |",
    ]
    assert [part.kind for part in quotables(text, ITALIAN)] == ["row", "row", "row", "sentence"]


NOTE = "Il canone è 450 euro[^1] al mese. Il magazzino no.{rest}\n\n[^1]: Fino al 30 giugno. Poi 520 euro.\n"


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        (NOTE.format(rest=""), "Il canone è 450 euro al mese (Fino al 30 giugno; Poi 520 euro). Il magazzino no."),
        ("Costa 8 euro.[^a] Poi altro.\n\n[^a]: IVA\n    esclusa.", "Costa 8 euro (IVA esclusa). Poi altro."),
        ("| a[^1] | b |\n|---|---|\n| 1 | 2[^1] |\n\n[^1]: circa", "| a (circa) | b |\n|---|---|\n| 1 | 2 (circa) |"),
        ("- uno[^x]\n- due\n\n[^x]: nota", "- uno (nota)\n- due"),
        ("Dura un'ora^[salvo il lunedì] o due.", "Dura un'ora o due (salvo il lunedì)."),
        ("Senza nota[^9].", "Senza nota[^9]."),
        ("Testo.\n\n[^z]: mai citata", "Testo.\n\nmai citata"),
    ],
)
def test_a_footnote_is_read_with_the_sentence_that_cites_it(written: str, seen: str) -> None:
    assert read(written) == seen


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        (
            "Biga\n: Preimpasto asciutto.\n\nPoolish\n\n:   Liquido.",
            "- Biga: Preimpasto asciutto.\n\n- Poolish: Liquido.",
        ),
        (":::note Orari\nSi apre alle 8.\n:::", "Orari:\nSi apre alle 8."),
        (":::tip[Da sapere]\n\nSi apre alle 8.\n\n:::", "Da sapere:\n\nSi apre alle 8."),
        ('!!! warning "Attenzione"\n\n    Mai **aprire**.\n\nFine', "Attenzione:\n\nMai aprire.\n\nFine"),
        ("{{< notice info >}}\nChiuso.\n{{< /notice >}}\nCiao {{nome}}", "Chiuso.\nCiao {{nome}}"),
        ("{% include x.html %}\nTesto {{ site.url }}.\n{: .lead }", "Testo ."),
        ("*[IVA]: imposta sul valore", "- IVA: imposta sul valore"),
        ("[TOC]\n\nTesto", "Testo"),
    ],
)
def test_other_flavours_are_read_as_what_their_programs_show(written: str, seen: str) -> None:
    assert read(written) == seen


def test_an_mdx_file_is_read_without_its_code() -> None:
    text = (
        "import Tabs from '@theme/Tabs';\nexport const x = {\n  a: 1,\n};\n\n# Serra\n\n<Tabs>\n<Tab label=\"uno\">\n\n"
    )
    text += "Affitto **980** euro.{/* vecchio */}\n\n</Tab>\n</Tabs>\n"
    assert read(text, "serra.mdx") == "# Serra\n\nAffitto 980 euro."


@pytest.mark.parametrize("code", known_languages())
def test_what_is_no_text_is_a_placeholder_and_is_counted(code: str) -> None:
    base64 = "iVBORw0KGgoAAAANSUhEUgAA" * 30
    text = f"Prima ![pianta](data:image/png;base64,{base64}) dopo.\n\n```compressed-json\nN4KAkARAL\n```\n\n"
    text += f"{base64}\n\n```js\n!function(e){{var t={{}};{'function n(r){if(t[r])return t[r].x;}' * 40}}}\n```\n\n"
    text += '<svg viewBox="0 0 1 1"><path d="M0 0L1 1"/></svg>\n\nFine.\n'
    made = reading_of(parse(text), language(code))
    words = language(code).file("documents.toml")["left_out"]
    assert dict(made.left_out) == {"image": 1, "drawing": 2, "data": 1, "code": 1}
    shown = " ".join(made.lines)
    assert all(f"[{word}]" in shown for word in words.values())
    assert [word in shown for word in ("pianta", "Fine.", "iVBOR", "function")] == [True, True, False, False]


def test_text_with_long_words_is_no_data() -> None:
    for text in (
        "parola " * 400,
        "a|b|c|" * 300,
        "https://a.it/" + "x1Y/" * 100,
        "日本語" * 400,
        "Rossi,Ada,055;" * 90,
    ):
        assert reading(text).left_out == {}


BLOCKS = """# Titolo
testo **forte** e [link](x.md)[^1]
<table>
<tr><td>uno</td><td>due</td></tr>
</table>
<b>a</b><br>c
<!-- via
-->
[^1]: nota
    segue
Termine
: definizione
a|b
-|-
1|2|3
    indentato
```
> citazione
:::note X
:::
- voce
<details><summary>S</summary>
</details>"""
PIECES = BLOCKS.split("\n")


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sampled_from([*PIECES, ""]), max_size=30))
def test_there_is_one_entry_for_each_line_and_every_chunk_is_a_piece_of_the_whole(lines: list[str]) -> None:
    text = "\n".join(lines)
    document = parse(text)
    made = reading_of(document, ITALIAN)
    assert len(made.lines) == len(split_lines(text)) == len(document.body)
    whole, starts = joined(document, made.lines)
    assert len(starts) == len(made.lines) + 1
    pieces = chunk(document, reading=made.lines, sentences=ITALIAN.sentences)
    assert [whole[piece.reading_start : piece.reading_end] for piece in pieces] == [piece.reading for piece in pieces]
    kept = "".join("".join(piece.reading.split()) for piece in pieces)
    assert kept == "".join(whole.split())


def test_the_blanks_that_align_columns_are_not_read_and_those_of_code_are() -> None:
    wide = " " * 300
    table = f"| a{wide}| b{wide}|\n|{'-' * 300}|{'-' * 300}|\n" + f"| uno{wide}| due  e  tre{wide}|\n" * 3
    assert read(f"Nota:   {wide}sì.\n\n{table}\n```\na    b\n```") == (
        "Nota: sì.\n\n| a | b |\n|---|---|\n" + "| uno | due e tre |\n" * 3 + "\n```\na    b\n```"
    )


def test_lines_that_are_mostly_blanks_or_drawn_count_as_they_are_shown() -> None:
    drawn = "\n".join(f"│{' ' * 100}{number}{' ' * 100}│" for number in range(100))
    document = parse(f"# Pianta\n\n```\n{drawn}\n```\n\nTesto.")
    pieces = chunk(document, reading=reading_of(document, ITALIAN).lines)
    assert max(len(piece.reading) for piece in pieces) < 4_200


def test_a_formula_is_read_and_quoted_as_it_is_written() -> None:
    text = "Dove\n\n$$\na_1  * b_2 *\n= \\alpha\n---\n- c\n| d | e |\n$$\n\nvale *x*."
    assert read(text) == text.replace("*x*", "x")
    assert {one.kind for one in quotables(text, ITALIAN)} == {"sentence", "line"}


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("- **.strip()** , toglie\n- *.py", "- .strip() , toglie\n- *.py"),
        ("**https://a.it**, e **https://b.it**: c", "https://a.it, e https://b.it: c"),
        ("Testo {{%expand%}}interno{{% /expand%}} fine {{nome}}", "Testo interno fine {{nome}}"),
        ('{{< figure src="a.png" caption="La pianta" >}}', "La pianta"),
        ('{{< details "Orari" >}}\nLun 8\n{{< /details >}}', "Orari:\nLun 8"),
        ('{{%expand "È aperto?" %}}\nSì.\n{{% /expand%}}', "È aperto?\nSì."),
        ('Uno.\n\n{{< youtube "w7Ft2ymGmfc" >}}\n\n{{< ref "Prezzi nuovi.md" >}}', "Uno."),
        ("### 6.2 Prezzi {#6.2-prezzi}", "### 6.2 Prezzi"),
        (
            "Vedi [la licenza][5] e [6].\n\n[5]: LICENSE\n[nota]: importante",
            "Vedi la licenza e [6].\n\n[nota]: importante",
        ),
        ("H~2~O, m^2^, ++nuovo++, C++ e i++, ~10 ~20~", "H2O, m², nuovo, C++ e i++, ~10 ~20~"),
        ("Vedi [[Nota^abc]] e ![[schema 802.1/Q]]", "Vedi Nota e (vedi schema 802.1/Q)"),
        ("Vedi [la coda](<Label queue.md>).", "Vedi la coda."),
        ("Uno.\n\n<script>\nvar a = 1;\n\nDue.", "Uno.\n\nDue."),
        ("import Tabs from '@theme/Tabs';\n\n<Tabs>\nCiao\n</Tabs>", "Ciao"),
        ("import Tabs from '@theme/Tabs';\n\nCiao", "import Tabs from '@theme/Tabs';\n\nCiao"),
    ],
)
def test_markup_of_many_programs_is_not_read(written: str, seen: str) -> None:
    assert read(written) == seen


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("export const a = {\n  b: 1,\n\n  c: 2,\n};\n\n# Uno\n\nDue.", "# Uno\n\nDue."),
        ("import a from 'b'\nimport {c} from 'd'\n\nDue.", "Due."),
        ("export const a = {\n\nDue.\n\nTre.", "Due.\n\nTre."),
        ("Uno {props.x}, {'due'} e `{tre}`.", "Uno , due e {tre}."),
    ],
)
def test_the_code_of_an_mdx_file_is_not_read(written: str, seen: str) -> None:
    assert read(written, "nota.mdx") == seen
