"""Texts that are built to keep a reader busy, of any length: an opening, an atom again and again, and an end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

WorstText = Callable[[int], str]
"""Makes the text of about so many characters."""


def _again(atom: str, opening: str = "", end: str = "x") -> WorstText:
    return lambda size: f"{opening}{atom * max(1, (size - len(opening) - len(end)) // len(atom))}{end}"


def _numbered(form: str, opening: str = "", end: str = "") -> WorstText:
    """Atoms that differ: `{n}` is their number, `{w}` is a word of its own."""

    def make(size: int) -> str:
        parts, length, number = [opening], 0, 0
        while length < size:
            part = form.replace("{n}", str(number)).replace("{w}", _word(number))
            parts.append(part)
            length, number = length + len(part), number + 1
        return "".join(parts) + end

    return make


def _word(number: int) -> str:
    letters = []
    while True:
        number, letter = divmod(number, 16)
        letters.append("bcdfglmnprstvzaeiou"[letter])
        letters.append("aeio"[letter % 4])
        if not number:
            return "".join(letters)


def _table(size: int) -> str:
    columns = max(2, int((size / 4) ** 0.5))
    return "\n".join(["|" + "a1|" * columns, "|" + "-|" * columns, *["|" + "b2|" * columns] * (columns // 2)])


def _nested(opening: str, end: str) -> WorstText:
    return lambda size: opening * (size // (len(opening) + len(end))) + end * (size // (len(opening) + len(end)))


_ATOMS = {
    # One character without end.
    **{
        f"{name} without end": atom
        for name, atom in {
            "dashes": "-",
            "pipes": "|",
            "backticks": "`",
            "tildes": "~",
            "asterisks": "*",
            "underscores": "_",
            "hashes": "#",
            "opening brackets": "[",
            "closing brackets": "]",
            "parentheses": "(",
            "braces": "{",
            "less-than signs": "<",
            "quotation marks": '"',
            "apostrophes": "'",
            "guillemets": "«",
            "closing guillemets": "»",
            "colons": ":",
            "commas": ",",
            "full stops": ".",
            "question marks": "?",
            "equals signs": "=",
            "percent signs": "%",
            "dollar signs": "$",
            "euro signs": "€",
            "slashes": "/",
            "backslashes": "\\",
            "at signs": "@",
            "ampersands": "&",
            "plus signs": "+",
            "carets": "^",
            "spaces": " ",
            "tabs": "\t",
            "blank lines": "\n",
            "carriage returns": "\r",
            "form feeds": "\f",
            "digits": "1",
            "one letter": "a",
            "one capital": "A",
            "Arabic digits": "\u0661",
            "accents": "\u0301",
            "zero-width spaces": "\u200b",
            "emoji": "\U0001f600",
            "ligatures": "\ufb03",
        }.items()
    },
    # Figures, dates and words of numbers.
    "figures": "1 ",
    "figures with units": "12 euro ",
    "thousands": "1.250.000 ",
    "dotted digits": "1.",
    "digits with dashes": "1-",
    "digits with slashes": "1/",
    "digits with colons": "1:",
    "digits with commas": "1,",
    "digits with apostrophes": "1'",
    "digits and letters": "a1",
    "ranges": "5-6 giorni ",
    "percent": "12 per cento ",
    "rates": "3 euro al mese ",
    "months": "gennaio ",
    "days and months": "9 gennaio ",
    "spelled days and months": "nove gennaio ",
    "dates": "14/03/2026 ",
    "ISO dates": "2026-03-14 ",
    "day and month in digits": "3/4 ",
    "month and year": "03/2026 ",
    "hours": "ore 9 e mezza ",
    "number words": "due ",
    "number words with units": "due euro ",
    "compound number words": "tremiladuecento ",
    "hundreds": "cento",
    "thousand thousand": "mille ",
    "English number words": "two hundred and ",
    "German number words": "einhundert",
    "euro and cents": "1 euro e 12 centesimi ",
    "halves": "due e mezzo ",
    "telephone numbers": "+39 045 8003000 ",
    "phone groups": "12 34 ",
    "minus figures": "-1 ",
    "currency before": "€ 1 ",
    "ordinals": "1° ",
    # Words and sentences.
    "a word": "qui ",
    "stop words": "il ",
    "sentences of a word": "a. ",
    "abbreviations": "es. ",
    "questions": "chi sei? ",
    "negations": "non ",
    "not only": "non solo ",
    "conjunctions": "ma ",
    "clauses": "a, b; ",
    "abstentions": "non lo so, ",
    "refusals": "I'm sorry, I can't ",
    "names": "Mario Rossi ",
    "initials": "A. B. ",
    "names with apostrophes": "dell'Olanda ",
    "codes": "n1-standard-4 ",
    "near codes": "a-",
    "her name": "sono ",
    "name phrases": "mi chiamo ",
    "assistant": "sono un'assistente ",
    "quoted English": "the ",
    "paths": "a/b/",
    "file names": "a.md ",
    "addresses": "https://a.b/c ",
    "mail addresses": "a@b.it ",
    "mail without end": "a@b.",
    "hosts": "a.b.",
    "headings with numbers": "# 1\n",
    "lines of one word": "a\n",
    "short lines": "abc def\n\n",
    "lines of blanks": "    \n",
    "indented": " a\n",
    "trailing blanks": "a  \n",
    "emails and dots": "a..",
    "versus": "VERDETTO: ",
    "grades": "chiarezza: 9/10\n",
    "problems": "- problema\n",
    "key and value": "a: b\n",
    # Quotations and marks.
    "quotations": "«lancio» ",
    "quotations never closed": "«a ",
    "English quotations": '"a" ',
    "curly quotations": "“a ",
    "single quotations": "'a ",
    "quoted lines": "> a\n",
    "marks": "[F1]",
    "marks in sentences": "costa 12 euro [F1]. ",
    "marks in one bracket": "[F1, ",
    "marks without end": "[F1;F2",
    "mark after blanks": "[      ",
    "lines of marks": "[F1].\n",
    "marks in lists": "- a [F1]\n",
    "marks and code": "[F1]<code>",
    "marks and code tags": "[F1]<code ",
    "marks and definitions": "[F1]\n[a]: <",
    "marks and backticks": "[F1]`",
    "fences with marks": "```\n[F1]\n",
    # Markdown and markup.
    "links": "[a](b) ",
    "links never closed": "[a](",
    "links in links": "[a](b",
    "wiki links": "[[a]] ",
    "wiki links never closed": "[[a|",
    "embeds": "![[a",
    "pictures": "![a](",
    "link definitions": "[a]: b\n",
    "emphasis": "a**b",
    "emphasis of one": "*a ",
    "underscored": "_a ",
    "strike": "~~a ",
    "highlight": "==a ",
    "comments of Obsidian": "%%a ",
    "footnotes": "x[^1] ",
    "footnote definitions": "[^1]: a\n",
    "inline footnotes": "^[a",
    "tags": "#a ",
    "tasks": "- [ ] a\n",
    "fields": "a:: b\n",
    "inline fields": "[a:: b",
    "block names": "a ^b\n",
    "callouts": "> [!note] a\n",
    "code spans": "`a``b",
    "code with a mark": "`a [F1]` ",
    "fences": "```\n",
    "fences of tildes": "~~~a\n",
    "growing lists": "- a\n  - b\n",
    "ordered list": "1. a\n",
    "rows": "| a | b |\n",
    "rows of rules": "|---|\n",
    "boxes": "+--+\n",
    "rules": "---\n",
    "setext": "a\n===\n",
    "headings": "## a\n",
    "tags of HTML": "<b>",
    "open tags": '<a b="',
    "tag names": "<a ",
    "closing tags": "</",
    "comments of HTML": "<!-- ",
    "code tags": "<code>",
    "code tags with attributes": "<code ",
    "table tags": "<table><tr><td>a",
    "list tags": "<ul><li>a",
    "entities": "&amp;",
    "entity without end": "&#1",
    "shortcodes": "{{< ",
    "jinja": "{% if a %}",
    "jinja output": "{{ a ",
    "go templates": "{{ if .System }}",
    "mathematics": "$a ",
    "math blocks": "$$\n",
    "TeX": "\\a{",
    "thoughts": "<think>",
    "thought ends": "</think>",
    "control tokens": "<|a",
    "instructions": "[INST]",
    "imports": "import a\n",
    "front matter fences": "---\na: b\n",
    "JSON": '{"a":',
    "JSON lists": "[1,",
    "JSON texts": '"a\\',
    "object literals": "{'a': ",
    "encoded": "QUJDREVGR0hJSktM",
    "encoded words": "QUJDREVGR0hJSktM ",
    "hexadecimal": "0f1e",
    "percent escapes": "%41",
    "unicode escapes": "\\u0041",
    "picture data": "data:image/png;base64,",
    # Secrets, nearly.
    "password": "password:",
    "password and value": "password: a\n",
    "token": "token=",
    "a token's name": "token_",
    "private key": "-----BEGIN PRIVATE KEY-----",
    "web tokens": "-eyJ",
    "vendor's prefix": "sk-",
    "login in address": "https://a:",
    "passwords of five languages": "la chiave è ",
    "option": "--password ",
    "key names": "api_key",
    "bearer": "Bearer ",
    "card digits": "4111 ",
    "queries of addresses": "?a=b&",
}

_DIFFERENT = {
    "claims with different figures": "costa {n} euro [F1]. ",
    "sentences with different figures": "Il piano {w} costa {n} euro. ",
    "different words": "{w} ",
    "different sentences": "Il {w} è pronto. ",
    "different sentences with marks": "Il {w} è pronto [F1]. ",
    "blocks with marks": "{w}.\n[F1].\n",
    "different marks": "[F{n}] ",
    "different names": "è B{w} ",
    "different quotations": "«{w} {n}» ",
    "different links": "[{w}]({w}.md) ",
    "different definitions": "[{w}]: {w}\n",
    "different footnotes": "x[^{n}] ",
    "different notes": "x[^{n}]\n\n[^{n}]: {w}\n\n",
    "different tags": "#{w} ",
    "different HTML tags": "<{w}>",
    "different headings": "## {w}\n\n{w}\n\n",
    "different fields": "{w}:: {n}\n",
    "different keys": "{w}: {n}\n",
    "different rows": "| {w} | {n} |\n",
    "different list items": "- {w} {n}\n",
    "different codes": "x{n}-{w} ",
    "different years": "20{n} ",
    "different secrets": "password: Ab{n}!{w}Cd9\n",
    "different lines of code": "    {w} = {n}\n",
}


def worst_texts() -> Mapping[str, WorstText]:
    """All worst texts, by what they are."""
    return MappingProxyType(
        {
            **{name: _again(atom) for name, atom in _ATOMS.items()},
            **{name: _numbered(form) for name, form in _DIFFERENT.items()},
            "a table as wide as it is long": _table,
            "rows under one header": _numbered("| {w} | {n} | 12 euro |\n", "| a | b | c |\n|---|---|---|\n"),
            "one row of many cells": _again("a1 | ", "| a | b |\n|---|---|\n| "),
            "a header of many cells": lambda size: "|".join(["a"] * (size // 4)) + "\n" + "|-" * (size // 4) + "|\n",
            "a mark after many sentences": _numbered("Il {w} costa {n}. ", end="\n\n[F1]"),
            "a mark after many rows": _numbered("| {w} | {n} |\n", "| a | b |\n|---|---|\n", end="\n[F1]"),
            "front matter without end": _numbered("{w}: {n}\n", "---\n"),
            "front matter": _numbered("{w}: {n}\n", "---\n", "---\n\na\n"),
            "a list in front matter": _numbered("  - {w}\n", "---\na:\n", "---\n\na\n"),
            "a value in front matter": _again("a, ", "---\na: [", "]\n---\n\na\n"),
            "TOML front matter": _numbered("{w} = {n}\n", "+++\n", "+++\n\na\n"),
            "TOML dots": _again("a.", "+++\n", "a = 1\n+++\n\na\n"),
            "JSON front matter": _again("[", "{\n", "\n}\n"),
            "a fence that never ends": _again("x\n", "```\n"),
            "code that never ends": _again("a ", "`"),
            "comments that never end": _again("a\n", "%%\n"),
            "a list ever deeper": lambda size: "".join("  " * n + "- a\n" for n in range(int(size**0.5))),
            "brackets in brackets": _nested("[", "]"),
            "parentheses in parentheses": _nested("(", ")"),
            "guillemets in guillemets": _nested("«", "»"),
            "quotes in quotes": _nested("> ", "\n"),
            "link texts in link texts": _nested("[a", "](b)"),
            "HTML in HTML": _nested("<div>", "</div>"),
            "tables in tables": _nested("<table><tr><td>", "</td></tr></table>"),
            "`<sup>` with one end": _again("<sup>", end="</sup>"),
            "objects in objects": _nested('{"a":', "}"),
            "stars and words": _nested("*a ", " b*"),
            "a footnote cited very often": _again("x[^1] ", end="\n\n[^1]: " + "nota " * 1_000),
            "blanks after a sign": _again(" ", "riga\n-", "b\n"),
            "blanks inside a line": _again(" ", "a", "b"),
            "blanks before a mark": _again(" ", "Costa 12 euro", "[F1]"),
            "a mark of blanks": _again(" ", "[F1", "F2]"),
            "a number and blanks": _again(" ", "12", "euro"),
            "a heading and blanks": _again(" ", "# a", "#"),
            "a link and blanks": _again(" ", "[a](", "b)"),
            "prose": _again("La decisione è presa, e resta scritta. "),
            "prose in lines": _again("La decisione è presa, e resta scritta.\n\n"),
        }
    )
