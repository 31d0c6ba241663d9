"""Formats tables, answers and passages as markdown and HTML, for notebooks. Nothing in them is run or fetched."""

from __future__ import annotations

import html
import re
from collections.abc import Iterable

from cervella.visible import visible

_FENCE = re.compile(r"(?:(`{3,})(?=[^`]*$)|(~{3,}))[ \t]*(.*)")
"""The line that opens a fence, with what follows its marks. Only fences at the margin are kept."""
_INFO = re.compile(r"[\w+#.-]*[ \t]*")
"""The name of a language after the marks of a fence."""
_FORMULA = re.compile(r"[$]|\\[(\[]|\\begin\b")
_LIVE = re.compile(
    r"(?P<code>(?<!`)(?P<run>`{1,3})(?!`)[^|]+?(?<!`)(?P=run)(?!`))"
    r"|(?P<mark>\[F\d{1,4}\](?![(\[:]))"
    r"|\\(?:[!-/:-@\[-`{-~]|(?=[A-Za-z]))|[\\`<\[\]$]|&(?=#|[A-Za-z][A-Za-z0-9]{0,31};)|~{3,}"
)
"""The parts of a line that markdown may turn into something live, after code spans and citation marks. A code span with
a pipe is none: a table would cut it."""
_MAX_CHARACTERS = 60
"""Characters of one attribute that `short_repr` shows before it cuts."""


def short_repr(value: object, *names: str) -> str:
    """The class name of a value with the named attributes. Long texts are cut, collections are shown as their length.

    >>> from types import SimpleNamespace
    >>> short_repr(SimpleNamespace(text="a" * 99, marks=("F1", "F2")), "text", "marks")[-16:]
    "aa…', marks=<2>)"
    """
    shown = ", ".join(f"{name}={_short(getattr(value, name))}" for name in names)
    return f"{type(value).__name__}({shown})"


def _short(value: object) -> str:
    if isinstance(value, str):
        return repr(value if len(value) <= _MAX_CHARACTERS else f"{value[:_MAX_CHARACTERS]}…")
    if isinstance(value, (tuple, list, dict, frozenset)):
        return f"<{len(value)}>"
    shown = repr(value)
    return shown if len(shown) <= _MAX_CHARACTERS else f"{shown[:_MAX_CHARACTERS]}…"


def markdown_table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as markdown. Cells are inert, their pipes are escaped, and their line breaks become spaces."""

    def line(cells: Iterable[object]) -> str:
        return "| " + " | ".join(inert_line(str(cell)).replace("|", "\\|") for cell in cells) + " |"

    head = [str(cell) for cell in header]
    return "\n".join([line(head), line("---" for _ in head), *map(line, rows)])


def inert_markdown(text: str) -> str:
    r"""A text as markdown in which nothing is live: no link, image, HTML or formula.

    Emphasis, headings, lists, tables and code stay, and so does a citation mark. What would be live is shown as it is
    written: its brackets, `<`, `$` and backslashes become entities, which never begin anything in markdown. Fences are
    written anew, so that every renderer ends them at the same line.

    >>> print(inert_markdown("**12 €** [F1] ![](http://x/?q)"))
    **12 €** [F1] !&#91;&#93;(http://x/?q)
    """
    text = visible(text)
    formula = bool(_FORMULA.search(text))
    out, fence, info, code = [], "", "", list[str]()
    for line in text.split("\n"):
        if fence:
            if len(bare := line.strip()) >= len(fence) and not bare.strip(fence[0]) and line[:4].strip():
                out += _fenced(code, info)
                fence, code = "", []
            else:
                code.append(line)
        elif opened := _FENCE.match(line):
            fence, said = opened[1] or opened[2], opened[3]
            named = _INFO.fullmatch(said)
            info, code = (said.strip(), []) if named else ("", [said])  # a browser would not show what follows
        else:
            out.append(_inert(line, formula))
    return "\n".join([*out, *(_fenced(code, info) if fence else ())])


def inert_line(text: str) -> str:
    """The same for a text that is shown in one line, where no fence can begin."""
    text = " ".join(visible(text).split())
    return _inert(text, bool(_FORMULA.search(text)))


def code_span(text: str) -> str:
    """A text as a code span of markdown, in one line."""
    text = " ".join(visible(text).split())
    mark = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if text.startswith("`") or text.endswith("`") else ""
    return f"{mark}{space}{text}{space}{mark}"


def _fenced(code: list[str], info: str) -> list[str]:
    longest = max((len(run) for run in re.findall("`+", "\n".join(code))), default=0)
    fence = "`" * max(3, longest + 1)
    return [fence + info, *code, fence]


def _inert(line: str, formula: bool) -> str:
    """One line outside a fence. `formula`: a renderer may take a part of the text for a formula, with commands."""

    def written(token: re.Match[str]) -> str:
        found = token[0]
        if token["code"] or token["mark"]:
            return found
        if formula and found == "\\":  # MathJax reads entities too, but no code; and two code spans must not touch
            return f"{' ' if line[: token.start()].endswith('`') else ''}`\\`"
        return "".join(f"&#{ord(letter)};" for letter in (found[1:] or found if found[0] == "\\" else found))

    return _LIVE.sub(written, line)


def html_table(header: Iterable[object], rows: Iterable[Iterable[object]]) -> str:
    """A table as HTML, with every cell escaped."""
    head = "".join(f"<th>{_escaped(str(cell))}</th>" for cell in header)
    body = "".join("<tr>" + "".join(f"<td>{_escaped(str(cell))}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def html_answer(text: str) -> str:
    """An answer as HTML paragraphs, with its text escaped: no markup in it is run and no link is fetched."""
    blocks = re.split(r"\n{2,}", text.strip())
    return "".join(f'<p style="white-space:pre-wrap">{_escaped(block)}</p>' for block in blocks)


def html_passage(text: str, start_line: int | None, quote: str = "") -> str:
    """A passage as HTML. The first occurrence of `quote` is highlighted, if it is given.

    The lines are numbered from `start_line`; if it is None, they have no numbers.
    """
    marked = _escaped(text)
    if quote.strip():
        marked = marked.replace(_escaped(quote), f"<mark>{_escaped(quote)}</mark>", 1)
    if start_line is None:
        return f'<pre style="margin:0;white-space:pre-wrap">{marked}</pre>'
    numbers = "\n".join(str(start_line + n) for n in range(text.count("\n") + 1))
    return (
        '<div style="display:flex;gap:1em;overflow-x:auto">'
        f'<pre style="opacity:.5;text-align:right;user-select:none;margin:0">{numbers}</pre>'
        f'<pre style="margin:0">{marked}</pre></div>'
    )


def html_details(summary: str, body: str) -> str:
    """A summary line that expands to `body`, which must be HTML."""
    return f"<details><summary>{_escaped(summary)}</summary>{body}</details>"


def html_literal(body: str) -> str:
    """HTML in which a notebook's MathJax reads no formulas: a formula can have a link to a script."""
    return f'<div class="tex2jax_ignore mathjax_ignore">{body}</div>'


def _escaped(text: str) -> str:
    return html.escape(visible(text))
