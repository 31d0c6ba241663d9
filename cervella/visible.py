r"""Writes characters that a reader cannot see, or that steer a terminal, as escapes: `\x1b`, `\u202e`, `\U000e0041`.

Texts of strangers reach terminals, notebooks and logs: file names, notes, answers of models, messages of servers. An
escape sequence in one can move the cursor, set the clipboard or make a link; a control of the writing direction can
show other words than the text has; tag characters and zero-width characters hide text. Characters of these kinds stay
where a script or an emoji needs them: a joiner in Persian, Hindi or 👩‍🚀, a variation selector in ❤️, the flag of Wales.

Sources: Unicode 15.1, property Default_Ignorable_Code_Point; Boucher and Anderson, "Trojan Source", 2021; ECMA-48 for
C0 and C1 controls; UTS #51 for emoji sequences.
"""

from __future__ import annotations

import re

__all__ = ["VisibleStream", "visible", "visible_json"]

_TAGS = "\U000e0000-\U000e007f"
_JOINERS = "\u200c\u200d"
_SELECTORS = "\ufe00-\ufe0f"
_IDEOGRAPHS = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\U00020000-\U0003ffff"
_MONGOLIAN = "\u1820-\u18aa"
_WITHOUT_SPACES = "\u0e01-\u0eff\u1000-\u109f\u1780-\u17b3\u17b6-\u17ff\u1950-\u1aad\ua9e0-\ua9fe\uaa60-\uaadf"
"""Thai, Lao, Burmese, Khmer and their neighbours: a zero-width space separates words there."""
_JOINED = (
    "\u0620-\u06ff\u0710-\u08ff\u0900-\u0dff\u0f00-\u0fff"
    f"{_WITHOUT_SPACES}{_MONGOLIAN}\u1b00-\u1c7f\ua800-\uabff\ufb50-\ufdff\ufe70-\ufefc\U00010a00-\U00011fff"
    "\U0001e900-\U0001e95f"
)
"""Letters and marks of scripts in which a joiner changes the form of a letter."""
_EMOJI = "\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff"
_UNSEEN = (
    "\x00-\x08\x0b-\x1f\x7f-\x9f\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e"
    f"\u2060-\u206f\u3164\ud800-\udfff{_SELECTORS}\ufeff\uffa0\ufff0-\ufffb\U0001bca0-\U0001bca3"
    "\U0001d173-\U0001d17a\U000e0000-\U000e0fff"
)
_FLAGS = [
    "".join(chr(0xE0000 + ord(letter)) for letter in region) + "\U000e007f" for region in ("gbeng", "gbsct", "gbwls")
]
"""The ends of the three flags that are written with tag characters: England, Scotland, Wales."""
_KEPT = (
    f"\U0001f3f4(?:{'|'.join(_FLAGS)})",
    f"(?<=[{_EMOJI}\ufe0f\U000e007f])\u200d(?=[{_EMOJI}])",
    f"(?<=[{_JOINED}])[{_JOINERS}](?![{_UNSEEN}])",
    f"(?<=[{_WITHOUT_SPACES}])\u200b(?![{_UNSEEN}])",
    f"(?<=[0-9#*{_EMOJI}])[\ufe0e\ufe0f]",
    f"(?<=[\u1000-\u109f\u1e00-\u1eff\u2190-\u2bff\u3001-\u303d\ua840-\ua877\uff01-\uff1f{_IDEOGRAPHS}])[\ufe00-\ufe0d]",
    f"(?<=[{_IDEOGRAPHS}])[\U000e0100-\U000e01ef]",
    f"(?<=[{_MONGOLIAN}])[\u180b-\u180d\u180f]",
    f"(?<=[{_MONGOLIAN}])\u180e(?=[{_MONGOLIAN}])",
)
_SUSPECT = re.compile(f"[{_UNSEEN}]")
_TOKEN = re.compile(f"(?P<kept>{'|'.join(_KEPT)})|(?P<break>\r\n)|[{_UNSEEN}]")
_OPEN = re.compile(f"(?:\U0001f3f4[{_TAGS}]{{0,6}}|[\u200b{_JOINERS}\u180e\r])\\Z")
"""The end of a piece of text that is judged by what follows it."""
_LONGEST_OPEN = 7


def visible(text: str) -> str:
    r"""The text with control characters and invisible ones as escapes. Line feeds and tabs stay; CR LF becomes LF.

    >>> print(visible("\x1b[2Jrm \u202efdp.exe"))
    \x1b[2Jrm \u202efdp.exe
    >>> visible("👩‍🚀 می‌خواهم ❤️") == "👩‍🚀 می‌خواهم ❤️"
    True
    """
    return _TOKEN.sub(_escape, text) if _SUSPECT.search(text) else text


def visible_json(document: str) -> str:
    r"""A JSON document with the same characters as `\u` escapes, which a reader of JSON turns into these characters.

    >>> print(visible_json('{"name": "a\u202eb"}'))
    {"name": "a\u202eb"}
    """
    return _TOKEN.sub(_escape_json, document) if _SUSPECT.search(document) else document


class VisibleStream:
    """Does the work of `visible` on a text that comes in pieces: the result does not depend on where they are cut."""

    def __init__(self) -> None:
        self._before = self._held = ""

    def feed(self, piece: str) -> str:
        """Take the next piece and return what can be shown. A character that the next one decides on is held back."""
        text = self._held + piece
        tail = text[-_LONGEST_OPEN:]
        end = _OPEN.search(tail)
        cut = len(text) - len(tail) + end.start() if end else len(text)
        self._held = text[cut:]
        return self._shown(text[:cut], after=self._held)

    def end(self) -> str:
        """The characters that were held back, at the end of the text."""
        held, self._held = self._held, ""
        return self._shown(held)

    def _shown(self, text: str, after: str = "") -> str:
        if not text:
            return ""
        whole = self._before + text
        start = len(self._before)
        out = [whole[start:]] if not _SUSPECT.search(text) else []
        if not out:
            at = start
            for token in _TOKEN.finditer(whole + after, start):
                if token.start() >= len(whole):
                    break
                out += (whole[at : token.start()], _escape(token))
                at = token.end()
            out.append(whole[at:])
        self._before = whole[-1]
        return "".join(out)


def _escape(token: re.Match[str]) -> str:
    if token["kept"]:
        return token[0]
    if token["break"]:
        return "\n"
    code = ord(token[0])
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def _escape_json(token: re.Match[str]) -> str:
    if token["kept"]:
        return token[0]
    units = token[0].encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[at : at + 4]}" for at in range(0, len(units), 4))
