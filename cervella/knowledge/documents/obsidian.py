"""Reads the syntax that Obsidian and similar programs add to markdown: links, tags, fields, tasks, callouts.

The words that stand in its place, such as those for done and open tasks, are in `notes.toml` of each language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import unquote

from cervella.knowledge.documents.front_matter import Value
from cervella.knowledge.documents.hidden import closes, code_spans, opened_fence, without_hidden
from cervella.text.language import Language, fold, known_languages, language, words

_PREFIX = re.compile(
    r"(?P<quote>[ \t]*(?:>[ \t]?)*+)(?P<indent>[ \t]*+)(?P<item>(?:[-*+•]|\d{1,9}[.)])(?:[ \t]+|$))?"
    r"(?P<heading>\#{1,6}[ \t]+)?"
)
_CALLOUT = re.compile(r"\[![^\[\]\n]{1,60}\][+-]?(?:[ \t]+|$)")
_TITLE_ENDS = tuple(".:;!?…")
_BLOCK_ID = re.compile(r"(?:^|[ \t])\^(?=[\w-]*[^\W\d_]|\d{4})[A-Za-z0-9_-]+[ \t]*$")

# Parts of a line that stay as they are: code, addresses, the targets of links. While the line is read, a number between
# these two private characters stands for each. If a text has the characters itself, they are kept in the same way.
_KEPT, _KEPT_END = "\ue000", "\ue001"
_KEPT_TEXT = re.compile(f"{_KEPT}(\\d+){_KEPT_END}")
_SIGNS_IN_TEXT = re.compile(f"[{_KEPT}{_KEPT_END}]")
_ADDRESS = re.compile(r"\b[a-zA-Z][a-zA-Z+.-]{1,20}://[^\s<>)\]|\ue000\ue001]+")
_TARGET = re.compile(r"(?<=\]\()[ \t]*(?P<target><[^<>\n]*>|(?:\\.|[^\s()\\<]+|\([^\s()]*\))+)")
_LINK_TEXT = re.compile(r"!?\[([^\[\]]*)\]\([^()]*\)")
_DEFINITION = re.compile(r"\s{0,3}\[(?!\^)[^\[\]]{1,200}\]:[ \t]+<?(?P<target>[^\s<>]+)")
_ELSEWHERE = re.compile(r"[a-zA-Z][a-zA-Z+.-]*:|//|#|$")
_INLINE_QUERY = re.compile(r"`+\s*(?:=\s*(?:this\b|\[\[|[a-z]+\()|\$=|(?:INPUT|VIEW|BUTTON)\[|button-[\w-]+`)")

_LINK = re.compile(r"(?P<embed>!?)\[\[(?P<inner>[^\[\]\n]+)\]\]")
_PIPE = re.compile(r"\\?\|")
_EXPORTED = re.compile(r"(?: [0-9a-f]{32})?(?:\.md)?$")  # Notion adds a number to the names of its files
_BLOCK = re.compile(r"(?<=\S)\^[A-Za-z0-9-]+$")
_SHORTEST_NAME = 2  # characters; a shorter one after a slash is a part of the name, such as «802.1/Q»
_NO_PART = re.compile(r"\^|[a-z]{1,9}=")
_SIZE = re.compile(r"(?:^|\|)[ \t]*\d+(?:x\d+)?[ \t]*$")

_STRIKE = re.compile(r"(?<![~\\])~~(?!~)|</?(?P<name>del|strike|s)(?:\s[^<>]*)?>", re.IGNORECASE)
_ALL_STRUCK = re.compile(r"~~[^~]*~~[ \t]*")
_HIGHLIGHT = re.compile(r"(?<![=\\])==(?!=)|</?(?P<name>mark)(?:\s[^<>]*)?>", re.IGNORECASE)

_TAG = re.compile(
    r"(?P<before>^|[\s(,;>*_|])#"
    r"(?P<name>[^\u2000-\u206f\u2e00-\u2e7f\ue000\ue001\s'!\"#$%&()*+,.:;<=>?@^`{|}~\[\]\\«»]+)"
)
_NO_NAME = "0123456789/_-"
_COLOUR = re.compile(r"[0-9a-f]{3}|[0-9a-f]{6}|[0-9a-f]{8}|(?=[a-f]*\d)[0-9a-f]{4}", re.IGNORECASE)
_CLOSING_TAGS = re.compile(r"(?<=[.!?…])(?:[\s,;]+#(?![\d/_-]+(?:[\s,;]|$))[^\s#.!?…,;]+)+[\s,;]*$")

_KEY = r"[^\s_:\[\]()`|#<>{}*-][^:\[\]()`|#<>{}\n]{0,60}?"
_WHOLE_FIELD = re.compile(rf"(?P<open>[*_]{{0,3}})(?P<key>{_KEY})(?P<close>[*_]{{0,3}})::(?:[ \t]+|$)(?P<value>.*)")
_SENTENCE = re.compile(r"[,;.!?…](?:\s|$)|(?:^|\s)(?:std|(?=\d*[a-f])(?=[a-f]*\d)[\da-f]{1,4})$", re.IGNORECASE)
"""What no key of a line has in it: the marks of a sentence, or the start of an address such as `fe80::` or `std::`."""
_FIELD = re.compile(
    rf"\[(?P<key>{_KEY})::(?P<value>(?:[^\[\]\n]|\[[^\[\]\n]*\])*+)\](?!\()"
    rf"|\((?P<key_2>{_KEY})::(?P<value_2>[^()\n]*)\)"
)
_NEXT_FIELD = re.compile(rf"(?<=[ \t])[|·•;][ \t]+(?={_KEY}::[ \t])")
_MOST_WORDS = 8
"""Maximum words of a field's key in brackets. What is longer is a sentence."""
_MOST_WORDS_OF_LINE = 5
"""The same where the field is a line of its own."""

_STATES = {
    " ": "open", "x": "done", "X": "done", "/": "started", "-": "cancelled", ">": "deferred", "<": "scheduled",
    "!": "important", "?": "unclear",
}  # fmt: skip
_BOX = re.compile(r"\[(?P<state>[ xX/><!?*\"-])\](?:[ \t]+|$)")
_WORD = re.compile(r"(?P<state>TODO|DOING|DONE|CANCELL?ED)[ \t]+(?=\S)")  # how Logseq writes the state of a task
_WORD_STATES = {"TODO": " ", "DOING": "/", "DONE": "x", "CANCELED": "-", "CANCELLED": "-"}
_BLOCK_REFERENCE = re.compile(r"\(\([0-9a-f]{8}-[0-9a-f-]{27}\)\)")
_OWN_FIELD = re.compile(r"(?:id:: [0-9a-f]{8}-[0-9a-f-]{27}|collapsed:: (?:true|false))\s*")
_DATES = {
    "📅": "due", "📆": "due", "🗓": "due", "⏳": "scheduled", "⌛": "scheduled", "🛫": "start", "➕": "created",
    "✅": "done", "❌": "cancelled",
}  # fmt: skip
_PRIORITIES = {"🔺": "highest", "⏫": "high", "🔼": "medium", "🔽": "low", "⏬": "lowest"}
_SIGNS = "".join((*_DATES, *_PRIORITIES, "🔁🆔⛔🏁"))
_DAY = r"\d{4}-\d\d-\d\d|\d{1,2}[./]\d{1,2}[./]\d{2,4}"
_DETAIL = re.compile(
    rf"(?:(?<![ \t])[ \t]++)?+(?:(?P<date>[{''.join(_DATES)}])\ufe0f?[ \t]*(?P<day>(?:{_DAY})(?:[ T]\d{{1,2}}:\d\d)?)"
    rf"|(?P<priority>[{''.join(_PRIORITIES)}])\ufe0f?"
    rf"|🔁\ufe0f?[ \t]*(?P<repeat>[^{_SIGNS}#\[\]()\n]+)"
    r"|(?:🆔|⛔|🏁)\ufe0f?[ \t]*[\w,-]+)[ \t]*"
)
_TASK_FIELDS = {
    "due": "due", "scheduled": "scheduled", "start": "start", "created": "created", "completion": "done",
    "cancelled": "cancelled", "repeat": "repeat",
}  # fmt: skip
_REMINDER = re.compile(
    r"\(@(?P<one>[\d./-]{6,10}(?:[ T]\d\d:\d\d)?)\)|@{1,2}\{(?P<other>[\d./: -]{4,16})\}"
    r"|(?<!\w)@(?P<day>\d{4}-\d\d-\d\d)"
)

_BOARD = ("%% kanban:settings", "kanban-plugin:")
_COMPLETE = re.compile(r"\*\*(?P<words>[^*\n]{2,40})\*\*\s*")
_OF_AN_ADMONITION = re.compile(r"(?P<key>title|collapse|icon|color):[ \t]*(?P<value>.*)")

_INTERESTING = re.compile(
    rf"[\[#^`@{_KEPT}{_KEPT_END}]|\*\*|==|~~|::|%%|\(\(|<(?i:del|strike|s|mark)\b|TODO|DOING|DONE|CANCEL"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class NoteText:
    """The lines of a note without that syntax, and the metadata in it. The fields are explained at `Reading`."""

    lines: tuple[str, ...]
    tags: tuple[str, ...] = ()
    fields: Mapping[str, Value] = field(default_factory=dict)
    links: tuple[str, ...] = ()


def prepared(lines: Sequence[str]) -> list[str]:
    """The lines of a file before they are parsed, with those empty that are no text for anybody: `%%comments%%`.

    See `without_hidden`.
    """
    return without_hidden(lines)


def is_board(lines: Sequence[str]) -> bool:
    """Whether the lines of a file are a kanban board: headings are its columns, and tasks its cards."""
    return any(line.startswith(_BOARD) for line in (*lines[:30], *lines[-30:]))


def title_of(text: str) -> str:
    """The text of a heading without that syntax, as it is shown above a passage. Struck-out words are left out.

    >>> title_of("Prezzi di [[Hotel Aurora|Aurora]] ~~2025~~ ==2026== #listino ^prezzi")
    'Prezzi di Aurora 2026 listino'
    """
    if not _INTERESTING.search(text):
        return text
    reader = _Reader({"embed": "{note}", "struck": "", "tasks": {}, "task_details": {}}, board=False)
    return " ".join(reader.read(text).split()) or text


def note_text(lines: Sequence[str], code: Sequence[bool], lang: Language, *, board: bool = False) -> NoteText:
    """Read the lines of a note. Those whose `code` is true, in fences or indented code, stay as they are.

    `lang` is the language of the base: done and open tasks are told in its words. `board` is the result of `is_board`.
    The time is linear in the length of the lines.
    """
    reader = _Reader(lang.file("notes.toml"), board=board)
    read = tuple(reader.lines(_balanced(_balanced(lines, code, _STRIKE), code, _HIGHLIGHT), code))
    fields = {key: values[0] if len(values) == 1 else tuple(values) for key, values in reader.fields.items()}
    return NoteText(lines=read, tags=tuple(reader.tags), fields=fields, links=tuple(reader.links))


def _balanced(lines: Sequence[str], code: Sequence[bool], mark: re.Pattern[str]) -> Sequence[str]:
    """The lines with a mark of struck-out or highlighted text repeated in each line, where it goes over several ones.

    Such a text ends in the paragraph in which it begins.
    """
    sign = "~~" if mark is _STRIKE else "=="
    if not any(sign in line for line in lines):
        return lines
    out = list(lines)
    opened: int | None = None
    for number, line in enumerate(lines):
        prefix = _PREFIX.match(line)
        assert prefix is not None
        if code[number] or prefix["item"] or prefix["heading"] or line.lstrip().startswith("|") or not line.strip():
            opened = None
        if code[number] or sign not in line:
            continue
        places = [match for match in mark.finditer(_without_code(line)) if match.group() == sign]
        if len(places) % 2 == 0:
            continue
        if opened is None:
            opened = number if line[places[-1].end() :].strip() else None
            continue
        out[opened] += sign
        for later in range(opened + 1, number + 1):
            inner = _PREFIX.match(out[later])
            start = inner.end() if inner else 0
            out[later] = out[later][:start] + sign + out[later][start:] + (sign if later < number else "")
        opened = None
    return out


def _without_code(line: str) -> str:
    pieces: list[str] = []
    done = 0
    for start, end in code_spans(line):
        pieces += (line[done:start], " " * (end - start))
        done = end
    return "".join((*pieces, line[done:]))


@lru_cache(maxsize=4)
def _every(key: str) -> frozenset[str]:
    """The folded words under a key of `notes.toml` in all languages, because notes mix them."""
    every = (language(code).file("notes.toml")[key] for code in known_languages())
    return frozenset(fold(word) for some in every for word in some.split())


def _is_done(title: str) -> bool:
    return bool(found := words(title)) and found[0] in _every("done_columns")


class _Reader:
    """Reads the lines of one note in order, and collects its tags, fields and links."""

    def __init__(self, said: Mapping[str, Any], *, board: bool) -> None:
        self._said = said
        self._board = board
        self.tags: dict[str, None] = {}
        self.fields: dict[str, list[str]] = {}
        self.links: dict[str, None] = {}
        self._keys: dict[str, str] = {}
        self._tags_folded: set[str] = set()
        self._column, self._column_done = "", False
        self._kept: list[str] = []
        self._details: list[str] = []
        self._in_task = self._in_row = False

    def lines(self, lines: Sequence[str], code: Sequence[bool]) -> Iterator[str]:
        """Yields what is read in each line."""
        callout, mark, admonition = False, "", False
        for number, line in enumerate(lines):
            if code[number]:
                opening = None if mark else opened_fence(line)
                if opening:
                    mark, admonition = opening[0], opening[1].startswith("ad-")
                    yield "" if admonition else line
                elif mark and closes(line, mark):
                    mark = ""
                    yield "" if admonition else line
                else:
                    yield self._in_admonition(line) if mark and admonition else line
                continue
            mark = ""
            quoted = ">" in line and line.lstrip().startswith(">")
            callout = quoted and callout
            if quoted and not callout and "[!" not in line:
                yield self.read(line) if _INTERESTING.search(line) else line
            elif quoted:
                prefix = _PREFIX.match(line)
                assert prefix is not None
                title = _CALLOUT.match(line, prefix.end("indent"))
                callout = callout or title is not None
                following = lines[number + 1] if number + 1 < len(lines) and not code[number + 1] else ""
                yield self._in_callout(line, prefix, title, following) if callout else self.read(line)
            elif _INTERESTING.search(line):
                yield self.read(line)
            else:
                yield line

    def _in_callout(self, line: str, prefix: re.Match[str], title: re.Match[str] | None, following: str) -> str:
        """A line of a callout without the signs of a quotation. A colon follows its title, if a text does."""
        if title is None:
            return self.read(line[prefix.end("quote") :])
        text = self.read(line[title.end() :]).rstrip()
        body = following.lstrip().startswith(">") and following.strip(" \t>")
        ends = text.rstrip("*_").endswith(_TITLE_ENDS)
        return f"{text}:" if text and body and not ends else text

    def _in_admonition(self, line: str) -> str:
        """A line of a fence that is a box with a text, as the program Admonition writes it."""
        match = _OF_AN_ADMONITION.fullmatch(line)
        if match is None:
            return self.read(line)
        text = self.read(match["value"]) if match["key"] == "title" else ""
        return text if not text or text.endswith(_TITLE_ENDS) else f"{text}:"

    def read(self, line: str) -> str:
        """One line without the syntax, its list marker and quotation signs kept. Empty if nothing else is left."""
        prefix = _PREFIX.match(line)
        assert prefix is not None
        start, content = line[: prefix.end()], line[prefix.end() :]
        if content.strip() == "%%" or (self._board and self._completes(content)) or _OWN_FIELD.fullmatch(content):
            return ""
        may_be_task = prefix["item"] and self._said["tasks"]  # a title is none
        box = _BOX.match(content) or _WORD.match(content) if may_be_task else None
        self._in_task, self._in_row = box is not None, line.lstrip().startswith("|")
        self._kept, self._details = [], []
        state = "" if box is None or _ALL_STRUCK.fullmatch(content, box.end()) else box["state"]
        content = self._inline(content[box.end() :] if box else content, heading=bool(prefix["heading"]))
        if box and content.strip():
            content = self._task(state, content)
        content = self._restored(content)
        if prefix["heading"] and self._board:
            self._column, self._column_done = content.strip(), _is_done(content)
        return start + content if content.strip() else ""

    def _completes(self, content: str) -> bool:
        """Whether a line of a board says that the cards of its column are done."""
        match = _COMPLETE.fullmatch(content)
        if match is None or not _is_done(match["words"]):
            return False
        self._column_done = True
        return True

    def _inline(self, text: str, *, heading: bool) -> str:
        text = self._keep(text)
        if "^" in text:
            text = _BLOCK_ID.sub("", text)
        if "[[" in text:
            text = _LINK.sub(self._link, text)
        if "==" in text or "</" in text:
            text = self._paired(text, _HIGHLIGHT, lambda inner: inner, spare="=")
        if "~~" in text or "</" in text:
            text = self._paired(text, _STRIKE, self._struck)
        if "((" in text:
            text = _BLOCK_REFERENCE.sub("", text)
        if "@" in text:
            text = _REMINDER.sub(lambda match: (match["one"] or match["other"] or match["day"]).strip(), text)
        if self._in_task:
            text = _DETAIL.sub(self._detail, text)
        if "#" in text:
            text = self._without_tags(text)
        return self._without_fields(text, whole=not heading and not self._in_row) if "::" in text else text

    def _keep(self, text: str) -> str:
        """The text with code, addresses and targets of links replaced, see `_KEPT`. Notes the links."""
        if _KEPT in text or _KEPT_END in text:
            text = _SIGNS_IN_TEXT.sub(lambda match: self._number(match.group()), text)
        if "`" in text:
            pieces: list[str] = []
            done = 0
            for start, end in code_spans(text):
                code = text[start:end]
                pieces += (text[done:start], "" if _INLINE_QUERY.match(code) else self._number(code))
                done = end
            text = "".join((*pieces, text[done:]))
        if "](" in text:
            text = _TARGET.sub(self._target, text)
        elif "]:" in text and (definition := _DEFINITION.match(text)):
            self._note_target(definition["target"])
        return _ADDRESS.sub(lambda match: self._number(match.group()), text) if "://" in text else text

    def _number(self, kept: str) -> str:
        self._kept.append(self._restored(kept))  # a target may contain code
        return f"{_KEPT}{len(self._kept) - 1}{_KEPT_END}"

    def _restored(self, text: str) -> str:
        """The text with the kept parts in their places."""
        return _KEPT_TEXT.sub(lambda match: self._kept[int(match[1])], text)

    def _target(self, match: re.Match[str]) -> str:
        self._note_target(match["target"])
        return self._number(match.group())

    def _note_target(self, target: str) -> None:
        target = target.strip("<>")
        if not _ELSEWHERE.match(target) and _KEPT not in target:
            self.links.setdefault(unquote(target.partition("#")[0].partition("?")[0]))

    def _link(self, match: re.Match[str]) -> str:
        target, _, shown = _PIPE.sub("|", match["inner"], count=1).partition("|")
        note, *parts = (part.strip() for part in target.split("#"))
        if note:
            self.links.setdefault(self._restored(note))
        last = note.rpartition("/")[2]
        name = _EXPORTED.sub("", _BLOCK.sub("", last if len(last) > _SHORTEST_NAME else note))
        # A part may be the id of a block, or say which page or second of a file is shown.
        name = ", ".join(filter(None, (name, *(part for part in parts if not _NO_PART.match(part)))))
        if match["embed"]:
            shown = _SIZE.sub("", shown)
            told: str = self._said["embed"].format(note=shown.strip() or name)
            return told if shown.strip() or name else ""
        return shown.strip() or name

    def _paired(self, text: str, mark: re.Pattern[str], told: Callable[[str], str], spare: str = "") -> str:
        """The text with each pair of marks, and the words between, replaced by what `told` makes of the words.

        With `spare`, two marks that both touch words on their outer sides are operators, as in `a==b or c==d`.
        """
        pieces: list[str] = []
        done = 0
        opened: re.Match[str] | None = None
        for match in mark.finditer(text):
            if opened is not None and self._ends(text, opened, match):
                inner = text[opened.end() : match.start()]
                operators = (
                    spare
                    and text[opened.start() - 1 : opened.start()].isalnum()
                    and text[match.end() : match.end() + 1].isalnum()
                )
                if not operators and inner.strip():
                    pieces += (text[done : opened.start()], told(inner))
                    done = match.end()
                opened = None
            elif not match.group().startswith("</") and not text[match.end() : match.end() + 1].isspace():
                opened = match if match.end() < len(text) else None
        return "".join((*pieces, text[done:])) if done else text

    def _ends(self, text: str, opened: re.Match[str], match: re.Match[str]) -> bool:
        """Whether a mark ends what another one opened. In a table, both are in one cell."""
        if opened["name"]:
            fits = match.group().startswith("</") and match["name"].lower() == opened["name"].lower()
        else:
            fits = match.group() == opened.group() and not text[match.start() - 1].isspace()
        return fits and not (self._in_row and "|" in text[opened.end() : match.start()])

    def _struck(self, text: str) -> str:
        struck: str = self._said["struck"].format(text=text.strip())
        return struck

    def _detail(self, match: re.Match[str]) -> str:
        details = self._said["task_details"]
        if match["date"]:
            self._details.append(details[_DATES[match["date"]]].format(value=match["day"]))
        elif match["priority"]:
            self._details.append(details[_PRIORITIES[match["priority"]]])
        elif match["repeat"]:
            self._details.append(details["repeat"].format(value=match["repeat"].strip()))
        return " "

    def _without_tags(self, text: str) -> str:
        """The text without the `#` of tags. Empty if it has only tags; those after the last sentence are left out."""
        closing = _CLOSING_TAGS.search(text)
        if closing:
            _TAG.sub(self._tag, closing.group())
            text = text[: closing.start()]
        rest = _TAG.sub(lambda match: match["before"] if self._name(match) else match.group(), text)
        read = _TAG.sub(self._tag, text)
        if read == text:
            return text
        text = read
        left = words(rest)
        labelled = bool(left) and ":" in rest and set(left) <= _every("tag_labels") and _KEPT not in rest
        return text if (left or _KEPT in rest) and not labelled else ""

    def _name(self, match: re.Match[str]) -> str:
        """The name of a tag; empty for a number, a colour or a sign."""
        name = match["name"].rstrip("-/")
        return "" if not name.strip(_NO_NAME) or _COLOUR.fullmatch(name) else name

    def _tag(self, match: re.Match[str]) -> str:
        name = self._name(match)
        if not name:
            return match.group()
        if fold(name) not in self._tags_folded:
            self._tags_folded.add(fold(name))
            self.tags[name] = None
        return match["before"] + match["name"]

    def _without_fields(self, text: str, *, whole: bool) -> str:
        """The text with fields such as `Prezzo:: 12` as `Prezzo: 12`. Notes their values."""
        alone = not any(map(str.isalnum, _FIELD.sub("", text)))
        text = _FIELD.sub(self._field, text)
        if alone and text[:1] == "(" and text.count("(") == 1 and text.endswith(")"):
            return text[1:-1]
        if not whole or self._in_task or "::" not in text:
            return text
        parts = _NEXT_FIELD.split(text)
        parts = [part.rstrip(" \t") for part in parts] if len(parts) > 1 else parts
        matches = [_WHOLE_FIELD.fullmatch(part) for part in parts]
        return "; ".join(self._whole(match) if match else part for match, part in zip(matches, parts, strict=True))

    def _whole(self, match: re.Match[str]) -> str:
        """A field that is a line of its own, or a part of one."""
        value = match["value"].strip()
        if len(match["key"].split()) > _MOST_WORDS_OF_LINE or _SENTENCE.search(match["key"]):
            return match.group()
        if match["open"] and not match["close"]:
            value = value.strip("*_ ")
        self._note_field(match["key"], value)
        return f"{match['key'].strip()}: {value}".rstrip()

    def _field(self, match: re.Match[str]) -> str:
        key, value = match["key"] or match["key_2"], (match["value"] or match["value_2"] or "").strip()
        if len(key.split()) > _MOST_WORDS:
            return match.group()
        self._note_field(key, value)
        detail = _TASK_FIELDS.get(fold(key).strip())
        if self._in_task and detail:
            self._details.append(self._said["task_details"][detail].format(value=value))
            return ""
        return f"({key.strip(' *_')}: {value})" if value else ""

    def _note_field(self, key: str, value: str) -> None:
        value = _LINK_TEXT.sub(r"\1", value) if "](" in value else value
        key, value = " ".join(key.strip(" *_").split()), self._restored(value).strip(" *_`")
        if key and value:
            self.fields.setdefault(self._keys.setdefault(fold(key), key), []).append(value)

    def _task(self, state: str, text: str) -> str:
        """A task in words: its state, its text, and its dates and priority in brackets."""
        text = " ".join(text.split(" ")).strip()
        said = _STATES.get(_WORD_STATES.get(state, state), "")
        if self._column_done and said == "open":
            said = "done"
        label = self._said["tasks"].get(said, "")
        named = _is_done(self._column) if said == "done" else _named(label, self._column)
        if self._board and label and self._column and not named:
            label = f"{label}, {self._column}"
        if self._details:
            stop = text[-1] if text.endswith((".", "!", "?")) else ""
            text = f"{text.removesuffix(stop)} ({', '.join(self._details)}){stop}"
        return f"{label}: {text}" if label else text


def _named(label: str, column: str) -> bool:
    """Whether the title of a column says by itself that its cards are open."""
    return fold(column).strip() in fold(label) or fold(label) in fold(column)
