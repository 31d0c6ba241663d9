"""Finds what is no text for anybody in the lines of a document: encoded pictures, data, minified code.

Each part becomes a placeholder in the base's words, so that a reader knows that something is there, and is counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from cervella.knowledge.documents.fences import fence_in

KINDS = ("drawing", "image", "data", "code")
"""The kinds of what is left out: drawings as text (SVG, Excalidraw), encoded pictures, other data, minified code."""

_LANGUAGE = re.compile(r"\{?\.?([\w+-]*)")
_DATA_ADDRESS = re.compile(
    r"data:(?P<type>[\w.+-]{1,60}/[\w.+-]{1,60})?(?:;[\w.=+-]{1,60}){0,4},(?P<rest>[A-Za-z0-9+/_=%-]*+)"
)
_TOKEN = re.compile(r"(?<![\w/+=:.%-])[A-Za-z0-9+/_=-]{160,}+")
_BASE64_LINE = re.compile(r"[ \t>]*[A-Za-z0-9+/_=-]{40,}+[ \t]*")
_BASE64_END = re.compile(r"[ \t>]*[A-Za-z0-9+/_=-]{1,}+[ \t]*")
_LONG_LINE = 500  # characters from which a line may be minified
_LONG_BLOB = 1_000  # characters from which JSON may be data
_FEWEST_LINES = 3  # lines of base64 that are no coincidence
_DRAWN = ("compressed-json", "excalidraw", "drawio", "svg")
_MARKUP = re.compile(r"[{}\[\]()=;\"'<>]")
_SPACE = re.compile(r"\s")
_NUMBERS = re.compile(r"[\s\d.,;:eE+-]*")


def without_encoded(
    lines: Sequence[str], code: Sequence[bool], words: Mapping[str, str]
) -> tuple[list[str], list[bool], Counter[str]]:
    """The lines with placeholders, which of them are still code, and how many parts were replaced, by their kinds.

    `code` says which lines are in fences or indented. `words` has the placeholder for each of `KINDS`, without
    brackets. Time is linear.
    """
    out, kept, left = list(lines), list(code), Counter[str]()

    def replace(first: int, last: int, kind: str) -> None:
        indent = lines[first][: len(lines[first]) - len(lines[first].lstrip(" \t>"))]
        out[first:last] = [f"{indent}[{words[kind]}]", *[""] * (last - first - 1)]
        kept[first:last] = [False] * (last - first)
        left[kind] += 1

    place, count = 0, len(lines)
    while place < count:
        if code[place]:
            end = place
            while end < count and code[end]:
                end += 1
            _fences(lines, place, end, replace)
            place = end
            continue
        line = lines[place]
        if len(line) >= 40 and " " not in line.strip() and _BASE64_LINE.fullmatch(line) and _is_mixed(line):
            end = place + 1
            while end < count and not code[end] and _BASE64_LINE.fullmatch(lines[end]):
                end += 1
            if (
                end < count
                and end - place >= _FEWEST_LINES - 1
                and _BASE64_END.fullmatch(lines[end])
                and lines[end].strip()
            ):
                end += 1
            if end - place >= _FEWEST_LINES or len(line) >= _LONG_LINE:
                replace(place, end, "data")
                place = end
                continue
        if len(line) >= 160 or "data:" in line:
            out[place] = _line(line, words, left)
        place += 1
    return out, kept, left


def image_words(words: Mapping[str, str], left: Counter[str], target: str) -> str:
    """The placeholder of an image whose address is its data; it is counted in `left`."""
    kind = "drawing" if "svg" in target[:40].lower() else "image" if "image/" in target[:20].lower() else "data"
    left[kind] += 1
    return f"[{words[kind]}]"


def _fences(lines: Sequence[str], first: int, last: int, replace: Callable[[int, int, str], None]) -> None:
    """Replace the fences among the code lines from `first` to `last` that are no text."""
    start = first
    while start < last:
        sign = fence_in(lines[start])
        end = start + 1
        info = ""
        if sign:
            match = _LANGUAGE.match(sign[1])
            info = match[1].lower() if match else ""
            while end < last and not (
                (closing := fence_in(lines[end])) and closing[0].startswith(sign[0]) and not closing[1]
            ):
                end += 1
            end = min(end + 1, last)
        else:
            while end < last and not fence_in(lines[end]):
                end += 1
        kind = _kind_of_code(lines[start:end], info)
        if kind:
            replace(start, end, kind)
        start = end


def _kind_of_code(lines: Sequence[str], info: str) -> str:
    """The kind of a fence that is no text; empty for others."""
    if info in _DRAWN:
        return "drawing"
    size = sum(map(len, lines))
    if size < 300:
        return ""
    inner = lines[1:-1] if info or len(lines) > 2 else lines
    head = "".join(inner)[:4_000].lstrip()
    if head.startswith("<svg") or (head.startswith("<?xml") and "<svg" in head):
        return "drawing"
    if head[:1] in "{[" and re.search(r'"type"\s*:\s*"excalidraw"|tldraw|"mxfile"|"nodes":\[\{"id"', head):
        return "drawing"
    encoded = sum(len(line) for line in inner if len(line) >= 40 and _BASE64_LINE.fullmatch(line) and _is_mixed(line))
    if encoded > size / 2:
        return "data"
    dense = [(kind, len(line)) for line in inner if len(line) >= _LONG_LINE and (kind := _dense(line))]
    if sum(length for _, length in dense) > size / 2:
        return dense[0][0]
    return ""


def _line(line: str, words: Mapping[str, str], left: Counter[str]) -> str:
    """A line of text, with its encoded parts replaced."""
    kind = _dense(line) if len(line) >= _LONG_LINE and "data:image" not in line else ""
    if kind:
        left[kind] += 1
        start = len(line) - len(line.lstrip(" \t>"))
        return f"{line[:start]}[{words[kind]}]"

    def token(match: re.Match[str]) -> str:
        if not _is_mixed(match.group()):
            return match.group()
        left["data"] += 1
        return f"[{words['data']}]"

    def address(match: re.Match[str]) -> str:
        before = line[max(0, match.start() - 2) : match.start()]
        if before.endswith("](") or (before.endswith("<") and "](" in before):
            return f"data:{match['type'] or ''},"  # an image or a link, which is read later
        if not match["type"]:
            return match.group()
        return image_words(words, left, match.group())

    if "data:" in line:
        line = _DATA_ADDRESS.sub(address, line)
    return _TOKEN.sub(token, line) if len(line) >= 160 else line


def _dense(line: str) -> str:
    """Whether a long line is `data` or minified `code`; empty for text, rows of tables and values with commas."""
    bare = line.strip()
    sample = bare if len(bare) <= 20_000 else bare[:10_000] + bare[-10_000:]
    if not sample.isascii() and sum(not letter.isascii() for letter in sample) > len(sample) / 20:
        return ""
    if "|" in sample and sample.count("|") > len(sample) / 40:
        return ""
    if _NUMBERS.fullmatch(sample):
        return "data"
    spaces, markup = len(_SPACE.findall(sample)), len(_MARKUP.findall(sample))
    nested = sum(map(sample.count, '{}()="'))
    if markup < len(sample) * 0.06 or nested < len(sample) * 0.03 or spaces > len(sample) * 0.06:
        return ""
    if bare[0] in "{[" and '"' in sample and len(bare) >= _LONG_BLOB:
        return "data"
    return "code" if re.search(r"[;={(]", sample) and bare[0] not in "{[" else ""


def _is_mixed(text: str) -> bool:
    """Whether a text without blanks is encoded: it has capitals, small letters and digits, or is hexadecimal."""
    sample = text[:4_000]
    digits = sum(map(str.isdigit, sample))
    if not digits or "://" in sample:
        return False
    if any(map(str.isupper, sample)) and any(map(str.islower, sample)):
        return "-" not in sample or sample.count("-") < len(sample) / 20
    return len(text) >= 160 and digits > len(sample) / 5 and not re.search(r"[g-zG-Z_]", sample)
