"""Writes excerpts as quotations with their marks: prose, lists, tables and boxes."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Sequence

from cervella.brains.extractive.excerpts import Excerpt, cells_of, only
from cervella.claims.citations import claims_of
from cervella.claims.grounding import supports
from cervella.prompt.layout import defuse_marks, find_marks
from cervella.text.language import Language
from cervella.text.markdown import fence_for, is_fence

_WHOLE_BOX = 10
"""Maximum lines of a code fence, or of a box drawn with line characters, that is quoted whole. Of a longer one, only a
part is quoted."""
_LONGEST_ABOVE = 120
"""Maximum characters that are shown of each list item, question or heading above a quoted excerpt."""
_EDGES = re.compile(r"^\s*[|│┃║]|[|│┃║]\s*$")
_QUOTE_SIGNS = re.compile(r"\n\s*+(?:>\s?)*")


def quote(
    chosen: Sequence[Excerpt], group: Sequence[Excerpt], lang: Language, subject: str = "", until: str = ""
) -> str:
    """Excerpts of one group as a markdown quotation with their mark, such as [F1].

    `chosen` are the excerpts to quote, in the order of the passage; `group` contains all excerpts of the group.
    `subject` is a heading to show before them, `until` the ISO date up to which they held, if that is known. Empty if a
    check finds that the passage does not support the quotation.
    """
    first = chosen[0]
    layout = {"row": _table, "line": _box, "item": _list, "sentence": _prose}[first.kind]
    body = layout(chosen, group)
    versions = (
        [f"{_in_quotation_marks(_shortened(defuse_marks(subject)))} › {body}"] if subject and body[0] in "«“" else []
    )
    versions += [body, re.sub("[`~]", "", _prose(chosen, group))]  # a lone backtick turns the mark into code
    blocks = ((version, _warned(version, first, lang, until)) for version in versions)
    # The day on which something ceased to hold stands in the document that replaced it.
    return next((shown for bare, shown in blocks if _is_supported(bare if until else shown, first, lang)), "")


def _warned(block: str, first: Excerpt, lang: Language, until: str) -> str:
    """The block, with a warning before it if its source is outdated. `first` is its first excerpt."""
    passage = first.passage
    status = lang.status.get(passage.status, passage.status)
    if until and "until" in lang.phrases:
        return f"{lang.phrases['until'].format(date=lang.format_date(until))}\n\n{block}"
    if not first.outdated:
        return block
    if passage.date is None:
        warning = lang.phrases.get("outdated_undated", "{status}:").format(status=status)
    else:
        warning = lang.phrases.get("outdated", "{status}, {date}:")
        warning = warning.format(status=status, date=lang.format_date(passage.date))
    return f"{warning} {block}" if block[0] in "«“" else f"{warning}\n\n{block}"


def _is_supported(block: str, first: Excerpt, lang: Language) -> bool:
    found = find_marks(block)
    claims = claims_of(block, lang, found)
    return (
        bool(claims)
        and {item.mark for item in found} == {first.mark}
        and supports("\n".join(claim.text for claim in claims), [first.passage], lang) is True
    )


def _prose(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> str:
    return " ".join(_under(run) + _quoted(run) for run in _runs(chosen, group))


def _list(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> str:
    runs = [_under(run) + _quoted(run).rstrip(".") for run in _runs(chosen, group)]
    return "\n".join(f"- {run}" for run in runs) if len(runs) > 1 else f"{runs[0]}."


def _under(run: Sequence[Excerpt]) -> str:
    """The list items, or the term, above a run, each as a quotation: `«Kitchen» › «evening» › `."""
    reading = run[0].passage.reading
    texts = (_shortened(reading[start:end]) for start, end in run[0].above)
    return "".join(f"{_in_quotation_marks(text)} › " for text in texts if any(map(str.isalnum, text)))


def _shortened(text: str) -> str:
    text = " ".join(text.replace("**", "").split())
    return text if len(text) <= _LONGEST_ABOVE else text[:_LONGEST_ABOVE].rsplit(" ", 1)[0]


def _runs(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> list[list[Excerpt]]:
    """The chosen excerpts in runs: those of a run are neighbours in `group`, and are written as one quotation."""
    places = {excerpt.start: place for place, excerpt in enumerate(group)}
    runs: list[list[Excerpt]] = []
    for excerpt in chosen:
        last = runs[-1][-1] if runs else None
        if (
            last
            and last.above == excerpt.above
            and places.get(excerpt.start, -9) == places.get(last.start, -9) + 1
            and _one_line(last, excerpt)
        ):
            runs[-1].append(excerpt)
        else:
            runs.append([excerpt])
    return runs


def _one_line(last: Excerpt, excerpt: Excerpt) -> bool:
    """Whether two excerpts may be in one quotation: only white space and `>` signs are between these sentences or
    items."""
    between = excerpt.passage.reading[last.end : excerpt.start]
    return not between.strip(" \t\n>") and excerpt.kind in ("sentence", "item")


def _quoted(run: Sequence[Excerpt]) -> str:
    """The text of a run as a quotation with its mark: `«words» [F1].`, or `“words” [F1].` if « or » occurs in the
    text."""
    text = run[0].passage.reading[run[0].start : run[-1].end]
    text = defuse_marks(" ".join(_QUOTE_SIGNS.sub(" ", text).replace("**", "").split()).strip())
    if run[0].kind in ("row", "line"):
        text = _EDGES.sub("", text).strip()
    text = text[:-1] if text.endswith((".", ";", ",")) and not text.endswith("..") else text
    stop = "" if text.rstrip("*_").endswith(("?", "!", ":", "…")) else "."
    return f"{_in_quotation_marks(text)} [{run[0].mark}]{stop}"


def _in_quotation_marks(text: str) -> str:
    if "«" not in text and "»" not in text:
        return f"«{text}»"
    return "“{}”".format(text.replace("“", '"').replace("”", '"'))


def _table(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> str:
    """The chosen rows as a markdown table with aligned columns, under the header of the first one.

    Of a wide table, only the columns that are asked for.
    """
    header = chosen[0].header
    if not header:
        return _prose(chosen, group)
    rows = [cells_of(defuse_marks(row)) for row in (header, *(excerpt.text for excerpt in chosen))]
    if all(excerpt.columns for excerpt in chosen):
        columns = sorted({column for excerpt in chosen for column in excerpt.columns})
        rows = [only(row, columns) for row in rows]
    widths = [max(3, *(len(row[n]) for row in rows if n < len(row))) for n in range(len(rows[0]))]
    rows.insert(1, ["-" * width for width in widths])
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=False)) for row in rows]
    return "\n".join(f"| {line} |" for line in lines) + f"\n\n[{chosen[0].mark}]"


def _box(chosen: Sequence[Excerpt], group: Sequence[Excerpt]) -> str:
    """Lines of a box or code fence of the passage as a code fence: all lines if they are few, else the chosen lines
    with their neighbours."""
    lines = chosen[0].passage.reading.split("\n")
    numbers = [chosen[0].passage.reading.count("\n", 0, excerpt.start) for excerpt in group]
    wanted = {number for number, excerpt in zip(numbers, group, strict=True) if excerpt in chosen}
    first, last = numbers[0], numbers[-1]
    while first > 0 and _is_edge(lines[first - 1]):
        first -= 1
    while last + 1 < len(lines) and _is_edge(lines[last + 1]):
        last += 1
    if last - first >= _WHOLE_BOX:
        first, last = _window(lines, min(wanted), max(wanted), first, last)
    shown = [line.rstrip() for line in lines[first : last + 1]]
    if len(shown) == 1:
        return _quoted(chosen)
    written = [line for line in shown if line.strip()]
    if all(len(_EDGES.findall(line)) == 2 for line in written if not _is_edge(line)):
        shown = [_EDGES.sub("", line).rstrip() for line in shown if not _is_edge(line)]
    body = defuse_marks(textwrap.dedent("\n".join(shown)).strip("\n"))
    fence = fence_for(body, "`", 3)
    return f"{fence}text\n{body}\n{fence}\n[{chosen[0].mark}]"


def _is_edge(line: str) -> bool:
    return bool(line.strip()) and not any(map(str.isalnum, line)) and not is_fence(line)


def _window(lines: Sequence[str], low: int, high: int, first: int, last: int) -> tuple[int, int]:
    """The numbers of the first and last line to show of a long box: the chosen lines and some lines above and below.

    `low` and `high` are the first and last chosen line, `first` and `last` those of the box. Neighbours are shown up to
    a line without a letter or digit.
    """
    above, below = low, min(high, low + _WHOLE_BOX - 1)
    while above > first and low - above < 4 and any(map(str.isalnum, lines[above - 1])):
        above -= 1
    while below < last and below - high < 4 and any(map(str.isalnum, lines[below + 1])):
        below += 1
    return above, below
