"""Checks the form of a text: its length, its markdown structure and its emoji."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cervella.checks.check import Context, Outcome
from cervella.checks.prose import Prose
from cervella.prompt.layout import estimate_tokens
from cervella.text.markdown import blocks, cells, code_in, fences, without_code

_EMOJI = re.compile(
    "[\U0001f1e6-\U0001faff\u2600-\u26ff\u2705\u2728\u274c\u2753-\u2757\u2764\u2b50\u2b55\u203c\u2049\u231a\u23e9-\u23f3]"
)
_DOT = re.compile(r"^[^\S\n]*•[^\S\n]+\S", re.MULTILINE)
"""A list item that begins with the character •, which CommonMark does not recognise as a bullet."""


def _length(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The length of the text is within all given bounds, such as `min_words`, `max_sentences`, `max_tokens`,
    `max_lines`.

    If no bound is given, the trait `max_tokens` is the bound.
    """
    count = {
        "words": len(re.findall(r"\w+(?:['’]\w+)?", prose.text)),
        "sentences": len([s for s in prose.sentences if re.search(r"\w", s.folded)]),
        "tokens": estimate_tokens(prose.text),
        "lines": len([line for line in prose.text.splitlines() if line.strip()]),
        "questions": sum(s.folded.count("?") > 0 and not all(s.quoted) for s in prose.sentences),
    }
    bounds = dict(args)
    if not bounds and context.traits is not None and context.traits.max_tokens:
        bounds = {"max_tokens": context.traits.max_tokens}
    if not bounds:
        return None, "no bound is given, and the traits declare none"
    for bound, limit in bounds.items():
        side, _, unit = bound.partition("_")
        if (side == "max" and count[unit] > limit) or (side == "min" and count[unit] < limit):
            return False, f"{count[unit]} {unit}, {side} {limit}"
    return True, ", ".join(f"{count[bound.partition('_')[2]]} {bound.partition('_')[2]}" for bound in bounds)


def _structure(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """The text has the given markdown structure.

    `bullets`, `numbered`, `items`, `headings`, `rows` and `columns` are minimum counts. `code`, `json` and `question`,
    set to true, require such a part; `no_list`, `no_heading`, `no_table`, `no_emoji` and `no_code` forbid it.
    """
    text = prose.text
    found = list(blocks(text))
    rows = [block for block in found if block.kind == "row"]
    lines = re.split(r"\r\n|\r|\n", text)
    counts = {
        "bullets": sum(block.kind == "bullet" for block in found) + len(_DOT.findall(without_code(text))),
        "numbered": sum(block.kind == "number" for block in found),
        "headings": sum(block.kind == "heading" for block in found),
        "rows": max(0, len(rows) - 1),
        "columns": min((len(cells(lines[row.start_line])) for row in rows), default=0),
    }
    counts["items"] = counts["bullets"] + counts["numbered"]
    has = {
        "list": counts["items"] > 0,
        "heading": counts["headings"] > 0,
        "table": bool(rows),
        "emoji": bool(_EMOJI.search(text)),
        "code": bool(code_in(text)),
        "json": _is_json(text),
        "question": any(sentence.asks for sentence in prose.sentences),
    }
    for name, wanted in args.items():
        if name in counts:
            if counts[name] < wanted:
                return False, f"{counts[name]} {name}, at least {wanted}"
        elif has[name.removeprefix("no_")] == name.startswith("no_"):
            return False, f"{'has' if name.startswith('no_') else 'lacks'} {name.removeprefix('no_')}"
    return True, ""


def _is_json(text: str) -> bool:
    try:
        json.loads(next(iter(fences(text)), text))
    except (ValueError, RecursionError):
        return False
    return True


def _no_emoji(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    found = _EMOJI.findall(prose.text)
    return not found, " ".join(found[:5])


KINDS = {"length": _length, "structure": _structure, "no_emoji": _no_emoji}
