"""Rewrites other ways to write markdown as CommonMark, before a document is parsed.

A heading whose blank is no plain one or is missing, a definition list, an admonition of MkDocs or Docusaurus, a
shortcode of Hugo, HTML: each becomes what its author sees. Code is left alone.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from cervella.knowledge.documents.characters import SPACES, UNSEEN
from cervella.knowledge.documents.code import Code, code_lines
from cervella.knowledge.documents.html import announced, without_html

_ODD = re.compile(f"[{SPACES}{UNSEEN}]")
_ODD_START = re.compile(rf"[\s{SPACES}{UNSEEN}]*(?:(?:>|[-*+•]|\d{{1,9}}[.)]|\#{{1,6}})[\s{SPACES}{UNSEEN}]+)*")
_ODD_SPACE, _ODD_NOTHING = re.compile(f"[{SPACES}]"), re.compile(f"[{UNSEEN}]")
_BULLET = re.compile("(\\s*)[\uf0b7\uf0a7\uf0d8\uf076\u25aa\u25cf\u25e6\u00b7\u2022][ \\t]+(?=\\S)")
_TIGHT = re.compile(r"( {0,3}(?:> ?)*)(#{2,6})(?=[^\W_])(.*)")
_TIGHT_TITLE = re.compile(r" {0,3}#(?=[^\W\d_])([^#\n]*)")
_FENCED_NOTE = re.compile(
    r"(\s*(?:>\s?)*):{3,}\s*(?:(?:\{?\.?(?:[\w-]+)\}?)(?:\[(?P<label>[^\]\n]*)\]|[ \t]+(?P<title>[^{\n]*?))?"
    r"(?:\s*\{[^}\n]*\})?)?\s*:*\s*"
)
_INDENTED_NOTE = re.compile(
    r"""( {0,3})(?:!!!|\?\?\?\+?|===!?)[ \t]*(?P<kind>[\w -]*?)[ \t]*(?:"(?P<title>[^"\n]*)")?\s*"""
)
_SHORTCODE = re.compile(
    r"\{\{[<%][^{}\n]{0,2000}+(?<=[>%])\}\}|\{%[^{}\n]{0,2000}+(?<=%)\}|<%[^<>\n]{0,2000}+(?<=%)>"
    r"|\{\{[^{}\n]{0,300}+\}\}"
)
_VARIABLE = re.compile(r"\{\{\s*[^\s.|(%<][^\s.|(]*\s*\}\}")
"""A single name in a text, such as `{{nome}}` in a letter: a reader has to see that something comes there."""
_SAID = re.compile(r"(?:\s(?P<key>title|caption|summary|label)=|(?<=\s))\"(?P<text>[^\"]+)\"")
"""A parameter of a shortcode that is shown: it has no name, or one of these."""
_SHORTCODE_NAME = re.compile(r"\{[{%][<%]?\s*(?P<name>[\w/-]*)")
_NO_TEXT = frozenset({
    "code", "embed", "gist", "highlight", "icon", "img", "include", "instagram", "param", "partial", "readfile", "ref",
    "relref", "tweet", "vimeo", "x", "youtube",
})  # fmt: skip
"""Shortcodes whose parameters without a name are addresses or options."""
_NAME_OF_SOMETHING = re.compile(r"[^\s]*[/.=_\d#][^\s]*|[a-z-]+")
_ATTRIBUTES = re.compile(r"\s*\{:?[ ]?[#.:][^{}\n]{0,300}\}\s*")
_CONTENTS = re.compile(r"\s*(?:\[{1,2}_?TOC_?\]{1,2}|\{toc[^}]{0,100}\}|\$\{toc\})\s*", re.IGNORECASE)
_DEFINITION = re.compile(r"( {0,3}):[ \t]+(?=\S)")
_NO_TERM = re.compile(r"\s*(?:[-*+>|#:]|\d{1,9}[.)]\s|\[\^)|\s{4}")
_ABBREVIATION = re.compile(r"\*\[([^\]\n]{1,100})\]:[ \t]*(?=\S)")
_DATA = re.compile(r"(data:[\w.+-]{1,60}/[\w.+-]{1,60}(?:;[\w.=+-]{1,60}){0,4};base64),[A-Za-z0-9+/_=%-]*+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Prepared:
    """The lines of a file as they are parsed."""

    lines: tuple[str, ...] = field(repr=False)
    """One entry for each line of the file. It has several lines of its own where HTML had them on one."""
    absorbed: frozenset[int]
    """The numbers, from 1, of the lines that are not even a blank line, because their text stands in another one."""


def prepared(lines: Sequence[str]) -> Prepared:
    """Rewrite the lines of a document, without its front matter. Time is linear."""
    made = [_DATA.sub(r"\1,", line) if ";base64," in line else line for line in lines]
    made = [line if line.isascii() else _plain_start(line) for line in made]
    code = code_lines(made)
    absorbed: set[int] = set()
    _headings(made, code)
    _notes(made, code, absorbed)
    code = code_lines(made)
    _definitions(made, code, absorbed)
    made, merged = without_html(made, code)
    return Prepared(lines=tuple(made), absorbed=frozenset(absorbed | merged))


def _plain_start(line: str) -> str:
    """A line with plain blanks around the signs with which it begins, and a bullet that markdown knows."""
    if _ODD.search(line):
        start = _ODD_START.match(line)
        end = start.end() if start else 0
        line = _ODD_NOTHING.sub("", _ODD_SPACE.sub(" ", line[:end])) + line[end:]
    return _BULLET.sub(r"\1- ", line, count=1) if _BULLET.match(line) else line


def _headings(lines: list[str], code: Sequence[Code]) -> None:
    """Give a heading such as `##Orari` its blank. `#Orari` may be a tag: it is a heading only beside the other kind."""
    tight = False
    for place, line in enumerate(lines):
        if "##" in line and not code[place] and (match := _TIGHT.fullmatch(line)):
            lines[place] = f"{match[1]}{match[2]} {match[3]}"
            tight = True
    if tight:
        for place, line in enumerate(lines):
            if line.lstrip().startswith("#") and not code[place] and (match := _TIGHT_TITLE.fullmatch(line)):
                above, below = lines[place - 1] if place else "", lines[place + 1] if place + 1 < len(lines) else ""
                if not above.strip() and (not below.strip() or place == 0):
                    lines[place] = f"# {match[1]}"


def _notes(lines: list[str], code: Sequence[Code], absorbed: set[int]) -> None:
    """Replace the signs of admonitions, shortcodes, attributes and tables of contents by the words in them."""
    inside: int | None = None  # the indentation of an admonition whose lines are indented below it
    for place, line in enumerate(lines):
        bare = line.strip()
        if not bare:
            continue
        if inside is not None:
            indent = len(line) - len(line.lstrip(" "))
            if line.startswith("\t"):
                lines[place] = line = line[1:]
            elif indent >= inside + 4:
                lines[place] = line = line[:inside] + line[inside + 4 :]
            else:
                inside = None
        if code[place] is Code.FENCED:
            continue
        bare = line.strip()
        match = _INDENTED_NOTE.fullmatch(line) if bare[:3] in ("!!!", "???", "===") else None
        if match and _goes_on(lines, place) and (bare[:3] != "===" or match["title"]):
            inside = len(match[1])
            title = match["title"] or ""
            lines[place] = f"{match[1]}{announced(title)}" if title else ""
            continue
        if code[place]:
            continue
        if ":::" in line and (match := _FENCED_NOTE.fullmatch(line)):
            title = (match["label"] or match["title"] or "").strip()
            lines[place] = f"{match[1]}{announced(title)}" if title else ""
        elif "{" in line or "<%" in line or bare[:1] in "[*$":
            if ("{" in line or "<%" in line) and "`" not in line:
                line = _SHORTCODE.sub(_said, line)
            if _ATTRIBUTES.fullmatch(line) or _CONTENTS.fullmatch(line):
                line = ""
            lines[place] = _ABBREVIATION.sub(r"- \1: ", line) if line.startswith("*[") else line
            if not lines[place].strip():
                lines[place] = ""
                absorbed.add(place + 1)


def _said(sign: re.Match[str]) -> str:
    """The words that a shortcode shows: its title or caption."""
    written = sign.group()
    whole = written == sign.string.strip()
    if _VARIABLE.fullmatch(written):
        return written
    name = _SHORTCODE_NAME.match(written)
    if '"' not in written or name is None or not written.startswith(("{{<", "{{%")):
        return ""
    named = {match["key"] or "": match["text"].strip() for match in reversed([*_SAID.finditer(written)])}
    text = next((named[key] for key in ("title", "summary", "label", "caption") if key in named), "")
    bare = named.get("", "")
    if not text and name["name"].lower() not in _NO_TEXT and not _NAME_OF_SOMETHING.fullmatch(bare):
        text = bare
    return announced(text) if whole and "caption" not in named else text


def _goes_on(lines: Sequence[str], place: int) -> bool:
    """Whether the next line that is not blank is indented, as the text of an admonition is."""
    below = next((line for line in lines[place + 1 : place + 4] if line.strip()), "")
    return below.startswith(("    ", "\t"))


def _definitions(lines: list[str], code: Sequence[Code], absorbed: set[int]) -> None:
    """Write the definitions of a list, `Term` above `: definition`, as items such as `- Term: definition`."""
    terms: list[int] = []  # the lines of the terms, which stand above one another
    term = ""
    defined = -2  # the last line of a definition
    for place, line in enumerate(lines):
        if code[place] or not line.strip():
            continue
        match = _DEFINITION.match(line) if line.lstrip()[:1] == ":" else None
        if match is None:
            if defined == place - 1 and line.startswith((" ", "\t")):
                lines[place], defined = f"  {line.strip()}", place
            elif _NO_TERM.match(line):
                terms, term = [], ""
            else:
                terms = [*terms, place] if terms and terms[-1] == place - 1 and defined != place - 1 else [place]
                terms, term = terms[-4:], ""
            continue
        above = place - 1
        if above >= 0 and not lines[above].strip() and above not in absorbed:
            above -= 1
        if terms and terms[-1] == above and not term and len(terms) < 4:
            term = ", ".join(lines[one].strip().rstrip(":") for one in terms)
            for one in terms:
                lines[one] = ""
            absorbed.update(range(terms[0] + 1, place + 1))
        if term:
            lines[place] = f"- {term}: {line[match.end() :]}"
            defined = place
