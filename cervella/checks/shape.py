"""Checks of a text's shape: how long, how built, whether it has emoji."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from cervella.checks.check import Context, Outcome
from cervella.checks.prose import Prose, without_code
from cervella.prompt.layout import estimate_tokens

__all__ = ["KINDS"]

_EMOJI = re.compile(
    "[\U0001f1e6-\U0001faff\u2600-\u26ff\u2705\u2728\u274c\u2753-\u2757\u2764\u2b50\u2b55\u203c\u2049\u231a\u23e9-\u23f3]"
)
# No `\s*` at the start of a line: it runs on over blank lines, and from each of them again.
_BULLET = re.compile(r"^[^\S\n]*[-*+•]\s+\S", re.MULTILINE)
_NUMBERED = re.compile(r"^[^\S\n]*\d{1,2}[.)]\s+\S", re.MULTILINE)
_HEADING = re.compile(r"^[^\S\n]{0,3}#{1,6}\s+\S", re.MULTILINE)
_ROW = re.compile(r"^[^\S\n]*\|.*\|[^\S\n]*$", re.MULTILINE)
_RULE = re.compile(r"[\s:|-]*")
_FENCED = re.compile(r"^[ \t]*+(`{3,}+|~{3,}+)[^\n]*+\n(.*?)^[ \t]*\1", re.DOTALL | re.MULTILINE)


def _length(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    """Bounds: `min_words`, `max_words`, `max_sentences`, `max_tokens`, `max_lines`; the traits' tokens by default."""
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
    """What the text must look like: `bullets`, `numbered`, `items`, `headings`, `rows`, `columns`: least counts;
    `no_list`, `no_heading`, `no_table`, `no_emoji`, `no_code`, `code`, `json`, `question`: true."""
    text = prose.text
    rows = [row for row in _ROW.findall(text) if not _is_rule(row)]
    counts = {
        "bullets": len(_BULLET.findall(text)),
        "numbered": len(_NUMBERED.findall(text)),
        "headings": len(_HEADING.findall(text)),
        "rows": max(0, len(rows) - 1),
        "columns": min((row.strip().strip("|").count("|") + 1 for row in rows), default=0),
    }
    counts["items"] = counts["bullets"] + counts["numbered"]
    has = {
        "list": counts["items"] > 0,
        "heading": counts["headings"] > 0,
        "table": bool(rows),
        "emoji": bool(_EMOJI.search(text)),
        "code": text != without_code(text),
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


def _is_rule(row: str) -> bool:
    """Whether it is the line between a table's header and its rows."""
    return "--" in row and _RULE.fullmatch(row) is not None


def _is_json(text: str) -> bool:
    fenced = _FENCED.search(text)
    try:
        json.loads(fenced[2] if fenced else text)
    except (ValueError, RecursionError):
        return False
    return True


def _no_emoji(args: Mapping[str, Any], prose: Prose, context: Context) -> Outcome:
    found = _EMOJI.findall(prose.text)
    return not found, " ".join(found[:5])


KINDS = {"length": _length, "structure": _structure, "no_emoji": _no_emoji}
