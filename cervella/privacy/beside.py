"""Finds the values beside the names of secrets in one line: `DB_PASSWORD = …`, «la password è …» ("the password is …").

From a name the line is read to the right: marks of markdown and HTML are skipped, and up to ten words are passed, until
a connector is met (colon, equals sign, arrow, dash, verb, cell border, tag, attribute). What follows is judged: the
more a name and its connector say, the more ordinary the value may be.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from cervella.privacy.fitting import Value, fits
from cervella.privacy.names import Name, names_in, one_of, words
from cervella.privacy.secret import Secret
from cervella.privacy.values import is_numbers, is_passphrase, is_seed, is_striking, is_telling

_TAG = (
    r"</?(?:td|th|tr|dd|dt|dl|b|strong|i|em|code|kbd|span|p|br|div|pre|li|ul|value|string|mark|u|tt|samp|font|a|h\d)"
    r"(?:[ \t][^<>\n]{0,80})?/?>"
)
_MARKUP = re.compile(rf"(?:[ \t\u00a0]|\\?[\"'`*_~]|[)\]»”’“„]|{_TAG}|&(?:quot|nbsp|\#3[49]);){{0,14}}")
_CELL_TAG = re.compile(r"<(?:td|th|dd|value|string)\b")
_SEPARATOR = re.compile(
    r"""(?ix) (?P<direct> [ \t]*(?: :=|=>|-{1,2}>|→|⇒|➜|➡️?|==?|[:：](?!//) ) )
    | (?P<cell> \|{1,2} )
    | (?P<dash> [ \t]*[-–—~•·](?=[ \t]) )
    | (?P<attribute> (?:[ \t]+[\w:-]{1,20}=["'][^"'\n]{0,60}["']){0,4}
        [ \t,]{0,4}["']?(?:value|val|content|default|valore|valor|wert)["']?[ \t]{0,3}[:=] )
    | (?P<asked> \?(?=[ \t]))
    | (?P<call> \((?=[ \t]?["']) | ,(?=[ \t]?["']) )
    """
)
_ELEMENT = re.compile(r"(?:[ \t][^<>\n]{0,80})?>(?!>)")
_GROUP = re.compile(r"\([ \t]?(?P<inside>[^()\n]{1,60})\)")
_WORD = re.compile(r"[^\s|<>\"`«»“”:=：]{1,64}(?![^\s|<>\"`«»“”:=：])")
_TOKEN = re.compile(r"[^\s|<>\"`«»“”]{1,64}(?![^\s|<>\"`«»“”])")
_OPENING = re.compile(rf"(?:[ \t\u00a0]|[*~(\[]|__|{_TAG}|&(?:quot|\#3[49]);|\\?[\"'`“„«‘‚‹]|>(?=\S)){{0,12}}")
_QUOTES = {
    "“": "”“",
    "„": "“”",
    "«": "»",
    "‘": "’",
    "‚": "‘’",
    "‹": "›",
    '"': '"',
    "'": "'",
    "`": "`",
    "*": "*",
    ";": "&",
}
_SPACED_GROUPS = re.compile(
    r"(?:\d{3,4}(?: \d{3,4}){1,5}|\d(?: \d){3,9}|\d\d(?: \d\d){1,4}|"
    r"(?=[^\n\d]{0,14}\d)[a-z0-9]{4}(?: [a-z0-9]{4}){2,7}|"
    r"(?:[A-Z0-9]{4} ){2,15}[A-Z0-9]{4})(?![\w])"
)
_VAGUE_PAIR = re.compile(r"(?i)wi-?fi|wlan|log|sign|acce|zugang|anmeldung|utenza")
_CONSTANT = re.compile(r"(?:^|[\s;\"'`])[A-Z][A-Z0-9_]{2,}=\Z")
_SPACE = re.compile(r"\s")
_END = re.compile(
    rf"(?:[ \t.,;:!)\]}}»”’\"'`*_~\\|]|{_TAG}|&quot;|\([^()\n]{{0,40}}\)|(?:<!--|//|\#).*)*$|[ \t]*(?:\||</|<br)"
)
_POSTAL = re.compile(r"\d{6},? [A-ZÀ-Ý][a-zà-ÿ]")  # PIN 400001, Mumbai: the postal code of India
_NEXT_PAIR = re.compile(r"[;,&](?=[\w ]{1,30}=)|</|&(?:quot|\#3[49]);")
_LEFTOVERS = "\"'`*_.,;:>»”’“~\\"
_JUDGED = 200  # characters of a value that are examined
_BEFORE_NAME = (" ", "\t", "(")  # each text that `_link_before` matches ends with one
_SENTENCE_END = (".", ";", "!", "?")
_MOST_WORDS = 10


class _Step(NamedTuple):
    """What stands at a place of a line."""

    marks: re.Match[str]
    """Marks of markdown and HTML; they may be none."""
    separator: re.Match[str] | None
    """A connector before or after the marks."""
    group: re.Match[str] | None
    """A text in parentheses after them."""


class _Reading:
    """A line that is read from several names: each place is read once, however many names stand before it."""

    def __init__(self, line: str) -> None:
        self.line = line
        self._steps: dict[int, _Step] = {}
        self._values: dict[tuple[int, bool], Value] = {}

    def step(self, at: int) -> _Step:
        if (step := self._steps.get(at)) is None:
            marks = _MARKUP.match(self.line, at)
            assert marks is not None
            separator = _SEPARATOR.match(self.line, at) or _SEPARATOR.match(self.line, marks.end())
            step = self._steps[at] = _Step(marks, separator, _GROUP.match(self.line, marks.end()))
        return step

    def value(self, at: int, *, in_cell: bool = False) -> Value:
        if (value := self._values.get((at, in_cell))) is None:
            value = self._values[at, in_cell] = value_at(self.line, at, in_cell=in_cell)
        return value


def beside_names(line: str, names: list[Name] | None = None) -> Iterator[Secret]:
    """The values beside the names of secrets in a line of limited length."""
    done = 0
    read = _Reading(line)
    for name in names_in(line) if names is None else names:
        if name.start < done:
            continue
        found = [*_after(read, name)] or [*_before(read, name)]
        for value in found:
            end = to_space(line, value.end) if len(value.text) == _JUDGED else value.end
            done = max(done, end)
            yield Secret(name.kind, value.start, end)


def _after(read: _Reading, name: Name) -> Iterator[Value]:
    line = read.line
    at, metadata = name.end, words("metadata")
    if name.start and line[name.start - 1] in "<:" and (element := _ELEMENT.match(line, at)):
        if line[element.end() : element.end() + 1] != "@":
            yield from _connected(read, name, element.end(), "cell")
        return
    verbs = words("verbs")
    opening = line[name.start - 1 : name.start]
    for count in range(_MOST_WORDS + 1):
        marks, separator, group = read.step(at)
        if _CELL_TAG.search(marks.group()):
            yield from _connected(read, name, marks.end(), "cell")
            return
        if separator:
            connector = separator.lastgroup or ""
            if connector != "call" or (count == 0 and (marks.group().strip() or separator.group() == "(")):
                yield from _connected(read, name, separator.end(), connector)
                return
        if group:
            inside = read.value(group.start("inside"))
            if count == 0 and fits(name, inside, "dash"):
                yield inside
                return
            at = group.end()
            continue
        at = marks.end()
        if count == 0 and marks.group().strip() and line[at - 1 : at] in "\"'`«“*" and opening not in "\"'`«“*":
            quoted = read.value(at - 1)
            if name.group != "pairs" and quoted.quoted and fits(name, quoted, "direct"):
                yield quoted
                return
        word = _WORD.match(line, at)
        if not word or (not line[at - 1].isspace() and count == 0 and not marks.group().strip()):
            return
        bare = word.group().strip("\"'`*_.,;:!?()[]").lower()
        if bare in metadata:
            return
        if bare in verbs:
            yield from _connected(read, name, word.end(), "verb")
            return
        value = read.value(at)
        if name.group == "pins" and bare.isdigit() and len(bare) < 3 and " " not in value.text:
            return  # the pin of a plug
        if name.group == "pairs" and count == 0:
            pair = _spaced_pair().match(line, at)
            second = read.value(pair.end()) if pair else value
            if pair and fits(name, second, "verb"):
                yield second
                return
        if name.group != "pairs" and fits(name, value, "adjacent" if count == 0 else "near"):
            yield from _with_more(read, name, value)
            return
        at = word.end()
        if word.group().endswith(_SENTENCE_END) or (name.group == "pins" and word.group().endswith(",")):
            return


def _connected(read: _Reading, name: Name, at: int, connector: str) -> Iterator[Value]:
    """The value after a connector: what stands there; else a telling one among the next words."""
    line = read.line
    if name.group == "pairs":
        pair = _pair().match(line, at)
        value = read.value(pair.end()) if pair else read.value(at)
        if not pair and (_VAGUE_PAIR.search(line, name.start, name.end) or connector not in ("direct", "cell")):
            return
        if fits(name, value, "near" if not pair else "direct" if connector in ("direct", "cell") else "dash"):
            yield value
        return
    value = read.value(at, in_cell=connector == "cell")
    if is_numbers(value.text) and _is_dated(line[name.end : at]):
        return  # password changed on: 12/04/2026
    if name.group == "pins" and name.end - name.start == 3 and _POSTAL.match(line, value.start):
        return
    if fits(name, value, connector):
        yield from _with_more(read, name, value)
        return
    phrase = phrase_at(line, at)
    if phrase and connector == "direct" and _takes_phrase(line, name, phrase):
        yield phrase
        return
    for _ in range(_MOST_WORDS):
        marks = _OPENING.match(line, at)
        assert marks is not None
        if connector == "cell" and line[marks.end() : marks.end() + 1] == "|":
            at = marks.end() + 1
            continue
        word = _TOKEN.match(line, marks.end())
        if not word:
            return
        at = word.end()
        if word.group().lower().strip(".,;:") in words("metadata") or (
            word.group().endswith(_SENTENCE_END) and not is_striking(word.group())
        ):
            return
        value = read.value(at, in_cell=connector == "cell")
        if fits(name, value, "near"):
            yield from _with_more(read, name, value)
            return


def phrase_at(line: str, at: int) -> Value | None:
    """All words up to the end of a line, as one value."""
    opening = _OPENING.match(line, at)
    assert opening is not None
    start = opening.end()
    text = line[start : start + _JUDGED].rstrip().rstrip(_LEFTOVERS)
    return Value(text, start, quoted=False, alone=True) if " " in text and len(text) < _JUDGED else None


def _takes_phrase(line: str, name: Name, phrase: Value) -> bool:
    if is_seed(phrase.text):
        return True
    if name.strength != "enough" or name.group == "pairs":
        return False
    calls_it_phrase = re.search(r"(?i)phras|frase|seed", line[name.start : name.end])
    in_yaml = re.match(r"[ \t]+(?:- )?[\w.-]+:[ \t]", line) is not None and phrase.text.islower()
    return bool(calls_it_phrase or in_yaml) and phrase.text.islower() and is_passphrase(phrase.text)


def _with_more(read: _Reading, name: Name, value: Value) -> Iterator[Value]:
    """A value, and those that a list adds: `Alfa.99x e Beta.77y`."""
    yield value
    for _ in range(10):
        more = _more().match(read.line, value.end)
        if not more:
            return
        value = read.value(more.end())
        if not (fits(name, value, "near") or (name.strength == "enough" and is_telling(value.text))):
            return
        yield value


def _before(read: _Reading, name: Name) -> Iterator[Value]:
    """A value before its name: `usa Mario.Rossi85 come password` ("use … as password"), `Mario.Rossi85 (password)`."""
    line = read.line
    if line[max(0, name.start - 1) : name.start] not in _BEFORE_NAME:
        return
    first = max(0, name.start - 120)
    link = _link_before().search(line, first, name.start)
    if not link:
        return
    value = read.value(max(first, link.start("value")))
    if value.end <= link.end("value") + 1 and fits(name, value, "adjacent"):
        yield value


def value_at(line: str, at: int, *, in_cell: bool = False) -> Value:
    """The value that starts at a place: up to its closing quotation mark, else up to white space."""
    opening = _OPENING.match(line, at)
    assert opening is not None
    start = opening.end()
    mark = opening.group()[-1:]
    closing = _QUOTES.get(mark, "")
    piece = line[start : start + _JUDGED]
    grouped = _SPACED_GROUPS.match(line, start)
    if grouped and not closing:
        end = grouped.end()
        return Value(grouped.group(), start, quoted=False, alone=bool(_END.match(line, end)))
    if closing:
        ends = [end for sign in closing if (end := _closing(piece, sign)) > 0]
        if ends and (mark != "*" or " " not in piece[: min(ends)]):
            text = piece[: min(ends)].rstrip("\\")
            return Value(text, start, quoted=True, alone=bool(_END.match(line, start + len(text))))
    text = re.split(r"[\s|]" if in_cell or line.find("|", max(0, at - _JUDGED), at) >= 0 else r"\s", piece, maxsplit=1)[
        0
    ]
    if len(text) == _JUDGED:
        return Value(text, start, quoted=False, alone=False)
    text = _NEXT_PAIR.split(text, maxsplit=1)[0]
    text = text.rstrip(_LEFTOVERS)
    if "](" in text:
        text = text[: text.index("](")].rstrip(_LEFTOVERS)
    for left, right in ("()", "[]", "{}"):
        if text.endswith(right) and left not in text:
            text = text[:-1].rstrip(_LEFTOVERS)
    end = start + len(text)
    next_word = _WORD.search(line, end, end + 40)
    return Value(
        text,
        start,
        quoted=False,
        alone=bool(_END.match(line, end)),
        closed=line[end : end + 1] in (",", ";"),
        constant=_CONSTANT.search(line, max(0, start - 40), start) is not None,
        following="" if next_word is None else next_word.group().strip(".,;:()").lower(),
    )


def _closing(piece: str, sign: str) -> int:
    """The place of a closing quotation mark that no backslash stands before; of any, if there is none."""
    plain = re.search(rf"(?<!\\){re.escape(sign)}", piece)
    return plain.start() if plain else piece.find(sign)


def to_space(text: str, position: int) -> int:
    """The next white space in a text from a position on, or its end."""
    space = _SPACE.search(text, position)
    return space.start() if space else len(text)


def _is_dated(text: str) -> bool:
    """Whether the words between a name and a number make it a date: `changed on`."""
    return any(word.strip(".,;:()*_`\"'").lower() in words("dated") for word in text.split())


@lru_cache(maxsize=1)
def _more() -> re.Pattern[str]:
    """Between a value and the next one of a list: `Alfa.99x e Beta.77y`, `…, router: Beta.77y`, `… → cambiato in …`."""
    return re.compile(
        rf"[\"'`*_»”’)]{{0,4}}(?:[ \t]{{0,3}}[,;][ \t]{{1,3}}(?:[^\W_]{{1,20}}[ \t-]){{0,3}}[^\W_]{{1,20}}:[ \t]{{1,3}}"
        rf"|[ \t]{{1,3}}(?:->|→)[ \t]{{1,3}}(?:[^\W\d_]{{1,14}}[ \t]{{1,3}}){{0,3}}(?=\d)"
        rf"|(?:[ \t]{{0,3}}[,;/|+]|[ \t]{{1,3}}(?:{one_of('conjunctions')}|->|→|-))[ \t]{{1,3}})"
    )


@lru_cache(maxsize=1)
def _pair() -> re.Pattern[str]:
    return re.compile(
        rf"(?:[ \t]|{_TAG}|[\"'`*(]){{0,6}}[\w.@+-]{{1,64}}(?:{_TAG}|[\"'`*]){{0,3}}[ \t]{{0,9}}"
        rf"(?:[/|,;]|:(?![ \t])|[-–—](?=[ \t])|(?:{one_of('conjunctions')})(?=[ \t]))"
    )


@lru_cache(maxsize=1)
def _spaced_pair() -> re.Pattern[str]:
    return re.compile(r"[\w.@+-]{1,64}(?:[ \t][\w.@+-]{1,30}){0,2}[ \t]{1,3}/[ \t]{1,3}")


@lru_cache(maxsize=1)
def _link_before() -> re.Pattern[str]:
    links = one_of("names_after")
    return re.compile(
        r"(?i)(?:^|(?<=\s))(?P<value>[\"'`*«“(]{0,3}[^\s|]{4,64})"
        rf"(?:[ \t]{{1,3}}(?:{links})[ \t]{{1,3}}(?:\w{{1,12}}[ \t]{{1,3}}){{0,2}}"
        r"|[ \t]{1,3}\([ \t]?(?:\w{1,12}[ \t]{1,3}){0,2})$"
    )
