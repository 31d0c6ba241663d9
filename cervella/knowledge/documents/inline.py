"""Reads the inline syntax of markdown as its words: emphasis, links, images, entities, escapes, code between backticks.

Emphasis follows CommonMark's rules of flanking delimiters, except where people write an asterisk or an underscore for
itself: `2*3`, `docs/**/*.md`, `__init__.py`. Time is linear in the length of the text.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass
from html import unescape

from cervella.knowledge.documents.code import code_spans

SPECIAL = re.compile(r"[*_`\[\]&<\\]|\s$|\{[#.:%{]|[~^]\d|\+\+", re.MULTILINE)
"""What a text needs to have in it to be read otherwise than as it is written."""

_URL = r"(?:(?:https?|ftp|file)://|www\.)(?:[^\s<>\"`|*]|\*(?!\*)){1,2000}"
_ENTITY = re.compile(r"&(?:amp;)?(?:[A-Za-z][A-Za-z0-9]{1,31}|[#]\d{1,7}|[#][xX][0-9a-fA-F]{1,6});")
_TOKEN = re.compile(
    rf"""
    (?P<url>\b(?:{_URL}))
    | (?P<path>(?<![\w\\])(?:[A-Za-z]:\\|\\\\(?=\w))[^\s<>"|*`]*)                  # C:\_dati, \\server\cartella
    | (?P<math>\$\$[^$]{{1,2000}}\$\$ | \$(?=[^\s$])[^$\n]{{0,300}}[^\s$\\]\$(?!\d) | \\\((?=.{{0,300}}?\\\)).*?\\\)
       | \\\[(?=.{{0,300}}?\\\]).*?\\\])
    | (?P<escape>\\[!-/:-@\[-`{{-~])
    | (?P<auto><(?:[A-Za-z][A-Za-z0-9+.-]{{1,31}}:[^\s<>]{{1,2000}}|[\w.+-]{{1,64}}@[\w.-]{{1,200}})>)
    | (?P<entity>{_ENTITY.pattern})
    | (?P<dunder>(?<!\w)__(?:init|main|name|file|all|doc|dict|class|call|repr|str|enter|exit|pycache)__(?!\w)
       | (?<!\w)__\w{{1,60}}__(?=[.(]\w?))
    | (?P<index>(?<=[^\W\d_])~\d{{1,3}}~(?!\d) | (?<=\w)\^\d{{1,3}}\^(?!\d))        # H~2~O, m^2^
    | (?P<inserted>(?<!\S)\+\+(?=[^\W\d_])[^+\n]{{1,200}}(?<=\S)\+\+(?!\w))
    | (?P<run>\*+|_+)
    | (?P<open>!?\[)
    | (?P<close>\])
    """,
    re.VERBOSE,
)
_DESTINATION = r"(?:<[^<>\n]{0,2000}>|(?:[^\s()<>]|\\[()]|\([^\s()]{0,500}\)){0,2000}+)"
_TITLE = r"""(?:"[^"]{0,1000}"|'[^']{0,1000}'|\([^()]{0,1000}\))"""
_TARGET = re.compile(rf"\(\s{{0,20}}(?P<to>{_DESTINATION})(?:\s{{1,20}}{_TITLE})?(?:\s{{0,9}}=\d*x\d*)?\s{{0,20}}\)")
_ATTRIBUTES = re.compile(r"\{[#.:][^{}\n]{0,200}\}")
_LINE_ATTRIBUTES = re.compile(
    r"(?<=\S)[ \t]*\{(?:[#.:][A-Za-z:.#]|#(?=[\w.-]{0,100}[A-Za-z-]))[^{}\n]{0,200}\}[ \t]*$", re.MULTILINE
)
_REFERENCE = re.compile(r"\[([^\[\]]{0,200})\]")
_MATHEMATICAL = re.compile(r"[\\^_={}]")
_DEFINITION = re.compile(
    r"\s{0,3}(?:>\s?)*\[(?!\^)([^\[\]]{1,200})\]:\s*(<[^<>]*>|\S+)(?:\s+(?:\"[^\"]*\"|'[^']*'|\([^()]*\)))?\s*"
)
_CITED = re.compile(r"\]\[([^\[\]\n]{1,200})\]")
POWERS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_ADDRESS = re.compile(r"[/#:@<]|\w\.\w")


@dataclass(slots=True)
class _Run:
    """A run of asterisks or underscores that may begin or end emphasis."""

    place: int
    """Its index among the pieces."""
    left: int
    """How many of its characters are not paired yet."""


def definition_of(line: str, cited: Container[str] = ()) -> str | None:
    """The label of a link definition such as `[prezzi]: https://…`, in the form that `read` compares; else None.

    A definition that has no address, such as `[5]: LICENSE`, counts if its label is in `cited`, see `cited_in`.
    """
    match = _DEFINITION.fullmatch(line) if "]:" in line else None
    if match is None:
        return None
    label = label_of(match[1])
    return label if label in cited or _ADDRESS.search(match[2]) else None


def cited_in(line: str) -> Iterator[str]:
    """Yields the labels that the links in a line cite: of `[licenza][5]` it is `5`."""
    if "][" in line:
        yield from (label_of(match[1]) for match in _CITED.finditer(line))


def label_of(text: str) -> str:
    """A label in the form in which labels are compared."""
    return " ".join(text.casefold().split())


def decoded(text: str) -> str:
    """The text with its entities decoded, also those that an export has encoded twice.

    >>> decoded("150&nbsp;&euro; &amp;agrave; R&D")
    '150\\xa0€ à R&D'
    """
    return _ENTITY.sub(_entity, text) if "&" in text else text


_ABOUT_HTML = frozenset({"&lt;", "&gt;", "&amp;", "&quot;", "&#60;", "&#62;", "&#38;"})
"""Entities that people write about, so that they are not decoded twice."""


def _entity(match: re.Match[str]) -> str:
    made = unescape(match.group())
    if made.startswith("&") and len(made) > 1 and made not in _ABOUT_HTML:
        made = unescape(made)
    return made.replace("\n", " ").replace("\r", " ")


def read(
    text: str,
    *,
    references: Container[str] = (),
    image: Callable[[str], str] | None = None,
    row: bool = False,
) -> str:
    """A paragraph, a heading, an item or a row of a table as its words. It keeps its number of lines.

    `references` are the labels of the document's link definitions. `image` gives the text for an image without a file
    of its own, from its address (`data:…`). In a row of a table, an escaped pipe becomes a broken bar, which ends no
    cell; in code it stays as it is.

    >>> read("**Costa** [8 euro](listino.md), `a_b*` e 2*3 &egrave; 6")
    'Costa 8 euro, a_b* e 2*3 è 6'
    """
    if not SPECIAL.search(text):
        return text
    if "{" in text:
        text = _LINE_ATTRIBUTES.sub("", text)
    pieces: list[str] = []
    runs: dict[str, list[_Run]] = {"*": [], "_": []}
    brackets: list[tuple[int, int, bool]] = []  # piece, place in the text, whether it is an image
    done = 0
    spans = code_spans(text) if "`" in text else []
    following = 0
    place = 0
    match = _TOKEN.search(text)
    while True:
        if match is not None and match.start() < place:
            match = _TOKEN.search(text, place)
        while following < len(spans) and spans[following][0] < place:
            following += 1
        if following < len(spans) and (match is None or match.start() >= spans[following][0]):
            start, end, ticks = spans[following]
            pieces += (text[done:start], _code(text[start + ticks : end - ticks]))
            done = place = end
            following += 1
            continue
        if match is None:
            break
        kind, start, place = match.lastgroup, match.start(), match.end()
        if following < len(spans) and place > spans[following][0]:
            place = start + 1  # a token must not reach into code
            if kind not in ("escape",):
                continue
        written = match.group()
        if kind == "run":
            before, after = text[start - 1 : start], text[place : place + 1]
            pieces += (text[done:start], written)
            done = place
            _delimit(pieces, runs[written[0]], written, before, after, text[place + 1 : place + 2])
        elif kind == "open":
            pieces += (text[done:start], written)
            done = place
            brackets.append((len(pieces) - 1, place, written[0] == "!"))
        elif kind == "close" and brackets:
            opened, inner, pictured = brackets.pop()
            end, target = _linked(text, inner, start, references)
            if end < 0:
                continue
            pieces.append(text[done:start])
            done = place = end
            pieces[opened] = ""
            if pictured and target.lower().startswith("data:") and image is not None:
                alt = "".join(pieces[opened:]).strip()
                shown = image(target)
                pieces[opened:] = [f"{alt} {shown}" if alt and shown not in alt else shown]
                for stack in runs.values():
                    while stack and stack[-1].place >= opened:
                        stack.pop()
            attributes = _ATTRIBUTES.match(text, place)
            if attributes:
                done = place = attributes.end()
        elif kind in ("escape", "auto", "entity"):
            pieces.append(text[done:start])
            done = place
            if kind == "escape":
                pieces.append("¦" if row and written[1] == "|" else written[1])
            elif kind == "auto":
                pieces.append(written[1:-1].removeprefix("mailto:"))
            else:
                made = _entity(match)
                pieces.append(made.replace("|", "¦") if row else made)
        elif kind in ("index", "inserted"):
            inside = written.strip("~^+")
            pieces += (text[done:start], inside.translate(POWERS) if written[0] == "^" else inside)
            done = place
        elif kind == "url":
            kept = written.rstrip("*_~")
            kept = kept if kept.count("(") >= kept.count(")") else kept[: kept.rfind(")")]
            kept = kept if kept.count("[") >= kept.count("]") else kept[: kept.find("]")]
            place = start + max(1, len(kept))
            if "&amp;" in kept:
                pieces += (text[done:start], kept.replace("&amp;", "&"))
                done = place
        elif kind == "math" and not _MATHEMATICAL.search(written[2:-2] if written[0] == "\\" else written.strip("$")):
            if written[0] == "\\":  # only an escaped bracket
                pieces += (text[done:start], written[1])
                done = place = start + 2
            else:
                place = start + 1
    pieces.append(text[done:])
    return _trimmed("".join(pieces))


def _trimmed(text: str) -> str:
    return "\n".join(line.rstrip() for line in text.split("\n")) if text[-1:].isspace() or " \n" in text else text


def hard_ends(text: str) -> str:
    """The text without the backslashes and blanks with which lines end that are to be broken there."""
    return "\n".join(
        line[:-1].rstrip() if line.endswith("\\") and not line.endswith("\\\\") else line
        for line in map(str.rstrip, text.split("\n"))
    )


def _code(inside: str) -> str:
    """The text of a part between backticks. One blank at each side separates it from backticks of its own."""
    padded = len(inside) > 2 and inside[0] == inside[-1] == " " and inside.strip()
    return inside[1:-1] if padded else inside


def _linked(text: str, inner: int, end: int, references: Container[str]) -> tuple[int, str]:
    """Where a link ends whose text is `text[inner:end]`, and its address; -1 if there is none."""
    following = text[end + 1 : end + 2]
    if following == "(":
        match = _TARGET.match(text, end + 1)
        if match:
            return match.end(), match["to"].strip("<>")
    if following == "[":
        match = _REFERENCE.match(text, end + 1)
        if match and label_of(match[1] or text[inner : min(end, inner + 200)]) in references:
            return match.end(), ""
    if end - inner <= 200 and label_of(text[inner:end]) in references:
        return end + 1, ""
    return -1, ""


def _delimit(pieces: list[str], stack: list[_Run], run: str, before: str, after: str, next_after: str) -> None:
    """Pair a run of asterisks or underscores with those before it. `before` and `after` are the characters around."""
    word_before = _is_word(before)
    if run[0] == "*" and (
        (len(run) == 1 and before.isalnum() and after.isalnum() and (before.isdigit() or after.isdigit()))
        or before in ("/", "\\")
        or (after == "/" and next_after == "*")
        or (len(run) == 1 and not word_before and after == "." and _is_word(next_after))
        or (len(run) == 1 and after in ("/",) and not word_before)
    ):
        return
    if len(run) > 3 and run[0] == "_":
        return
    blank_before, blank_after = not before.strip(), not after.strip()
    mark_before, mark_after = _is_mark(before), _is_mark(after)
    left = not blank_after and (not mark_after or blank_before or mark_before)
    right = not blank_before and (not mark_before or blank_after or mark_after)
    opens, closes = left, right
    if run[0] == "_":
        opens = left and (not right or mark_before)
        closes = right and (not left or mark_after)
    own = _Run(len(pieces) - 1, len(run))
    if closes:
        while own.left and stack:
            paired = min(own.left, stack[-1].left)
            own.left -= paired
            stack[-1].left -= paired
            pieces[stack[-1].place] = run[0] * stack[-1].left
            if not stack[-1].left:
                stack.pop()
        pieces[own.place] = run[0] * own.left
    if opens and own.left:
        stack.append(own)


def _is_word(letter: str) -> bool:
    return letter.isalnum() or letter == "_"


def _is_mark(letter: str) -> bool:
    return bool(letter) and unicodedata.category(letter)[0] in "PS"


def groups(lines: list[str]) -> Iterator[tuple[int, int]]:
    """Start and end of the runs of lines in which inline syntax may go from line to line: paragraphs and items."""
    start = 0
    for place, line in enumerate(lines):
        if place > start and (not line.strip() or _STARTS.match(line) or not lines[place - 1].strip()):
            yield start, place
            start = place
    if start < len(lines):
        yield start, len(lines)


_RULE = r"(?:={3,}+|(?P<sign>[-*_])[ \t]*+(?:(?P=sign)[ \t]*+){2,}+)\s*$"
_STARTS = re.compile(rf"\s*+(?:>\s?)*+(?:[-*+•]\s|\d{{1,9}}[.)]\s|#{{1,6}}\s|\||{_RULE})")
