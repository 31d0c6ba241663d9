"""Reads what hides a secret from the rules: invisible characters, entities and escapes in it, and base64 around it."""

from __future__ import annotations

import base64
import binascii
import html
import re
from bisect import bisect_right
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

from cervella.privacy.file_names import in_file_names
from cervella.privacy.names import names_in
from cervella.privacy.secret import Secret
from cervella.privacy.values import is_striking

_SIGNS = (
    "\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\ufe00-\ufe0f\ufeff\U000e0000-\U000e007f"
)
# One class of characters comes first, which `re` skips a text by.
_INVISIBLE = re.compile(
    rf"[{_SIGNS}]+"
    r"|&(?:shy|zwnj|zwj|ZeroWidthSpace|NoBreak|#(?:173|820[3-7]|8288|65279)|"
    r"#[xX](?:00)?[aA][dD]|#[xX]200[bBcCdD]|#[xX]2060|#[xX][fF][eE][fF][fF]);|<wbr ?/?>"
    r"|(?P<entity>&(?:[A-Za-z][A-Za-z0-9]{1,9}|#[0-9]{1,7}|#[xX][0-9A-Fa-f]{1,6});)"
    r"|(?P<leader>(?<=\w)[ \t]?\.{4,80}(?=[ \t]{1,3}\S))"  # the dots of a list: `Password ........ X`
    r"|(?<=[^\W_])\\(?=[:=_*-])"  # an escaped sign: `Password\: X`, `DB\_PASSWORD`
    r"|(?<=[^\s\[])\[\^[\w-]{1,40}\](?!:)"  # a footnote's sign, which is no part of the word before it
)
_WIKILINK = re.compile(r"!?\[\[(?=[^\[\]\n|]{0,200}(?: |/|\.\w{2,4}[\]|]))[^\[\]\n|:=]{3,200}(?:\]\]|(?=\|))")
_FILE = re.compile(r"\.\w{2,4}\W*\Z")
_BASE64 = re.compile(r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{16,}={0,2}(?![A-Za-z0-9+/=])")
_WRAPPED = re.compile(r"(?<![A-Za-z0-9+/=])[A-Za-z0-9+/]{60,76}(?:\r?\n[ \t>]{0,9}[A-Za-z0-9+/]{4,76})+={0,2}")
_WRAPPED_LINE = re.compile(r"[A-Za-z0-9+/]{60}")
_NOT_BASE64 = re.compile(r"[\s>=]")
_CAPITAL, _SMALL = re.compile("[A-Z]"), re.compile("[a-z]")
_PAIR = re.compile(r"[\w.@+-]{2,60}:(\S{6,100})")  # a user and a password, as in basic authentication
_LONGEST, _MOST = 8_000, 64_000  # characters of one piece of base64, and of all in one text, that are decoded


def without_invisible(text: str) -> tuple[str, Callable[[int, int], tuple[int, int]]]:
    """The text as somebody reads it, and the function from the start and end of a part of it to those in `text`.

    Characters that nobody sees are gone, and entities are the characters that they stand for.

    >>> bare, place = without_invisible("a\\u200bb &egrave; c")
    >>> bare, place(1, 4)
    ('ab è c', (2, 12))
    """
    return rewritten(text, _INVISIBLE, _seen)


def _seen(match: re.Match[str]) -> str | None:
    return _sign(match["entity"]) if match["entity"] else ":" if match["leader"] else ""


def rewritten(
    text: str, pattern: re.Pattern[str], sign_of: Callable[[re.Match[str]], str | None]
) -> tuple[str, Callable[[int, int], tuple[int, int]]]:
    """The text with a sign for each match, and the function from the start and end of a part of it to those in `text`.

    `sign_of` gives one character, none, or None for a match that stays as it is.
    """
    places, gaps, done, gone = [0], [0], 0, 0
    parts: list[str] = []
    lengths: dict[int, int] = {}
    for match in pattern.finditer(text):
        sign = sign_of(match)
        if sign is None:
            continue
        parts += (text[done : match.start()], sign)
        done = match.end()
        if sign:
            lengths[match.start() - gone] = done - match.start()
        gone += done - match.start() - len(sign)
        places.append(done - gone)
        gaps.append(gone)
    if not parts:
        return text, lambda start, end: (start, end)
    parts.append(text[done:])

    def place(at: int) -> int:
        return at + gaps[bisect_right(places, at) - 1]

    return "".join(parts), lambda start, end: (place(start), place(end - 1) + lengths.get(end - 1, 1))


def without_links(text: str) -> str:
    """The text with the targets of wikilinks blanked that name a note or a file, and no secret: `[[2 - Rete/VPN]]`.

    The length stays. A target without a space, slash or dot may be a value, and stays.
    """
    if "[[" not in text:
        return text
    return _WIKILINK.sub(lambda match: match[0] if _tells(match[0]) else "[" * len(match[0]), text)


def _tells(target: str) -> bool:
    """Whether a link to a file has a secret in the file's name, or a link to a note the name of a secret."""
    if _FILE.search(target):
        return any(True for _ in in_file_names(target))
    return bool(names_in(target))


def _sign(entity: str) -> str | None:
    """The character that an entity stands for; None if it is none, or one of structure, which the rules know."""
    sign = html.unescape(entity)
    if sign == "\u00a0":
        return " "
    return sign if len(sign) == 1 and sign.isprintable() and sign not in "<>|\"'`" else None


def in_base64(text: str, runs: Sequence[tuple[int, int]], find: Callable[[str], Sequence[Secret]]) -> Iterator[Secret]:
    """The pieces of base64 whose decoded text has a secret.

    `runs` are those of the text, from `scanning.runs`. `find` finds the secrets of a decoded text.
    """
    left = _MOST
    wraps = any(end - start >= 60 and _WRAPPED_LINE.search(text, start, end) for start, end in runs)
    wrapped = _WRAPPED.finditer(text) if wraps else ()
    single = (match for run in runs for match in _BASE64.finditer(text, *run))
    for match in chain(wrapped, single):
        if match.end() - match.start() > min(_LONGEST, left) or not _may_be(match.group()):
            continue
        left -= match.end() - match.start()
        decoded = _decoded(match.group())
        found = find(decoded) if decoded else ()
        pair = _PAIR.fullmatch(decoded.strip())
        if found or (pair and is_striking(pair[1])):
            yield Secret(found[0].kind if found else "password", *match.span())


def _may_be(piece: str) -> bool:
    """Whether it has the capitals, small letters and lengths of base64: words and paths have not."""
    return bool(_CAPITAL.search(piece) and _SMALL.search(piece)) and len(_NOT_BASE64.sub("", piece)) % 4 != 1


def _decoded(piece: str) -> str:
    """The text that base64 stands for; empty if it is no text."""
    bare = _NOT_BASE64.sub("", piece).translate(str.maketrans("-_", "+/"))
    try:
        data = base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
        text = data.decode("utf-8")
    except (binascii.Error, ValueError):
        return ""
    return text if all(sign.isprintable() or sign in "\r\n\t" for sign in text) else ""
