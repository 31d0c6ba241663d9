"""Reads the front matter of a document: YAML between lines of `---`, TOML between `+++`, or a JSON object.

All values stay as written: `yes`, `0123` and `2026-03-14` are texts. What can't be parsed is read line by line.
"""

from __future__ import annotations

import datetime
import json
import re
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from cervella.knowledge.documents.inline import decoded
from cervella.knowledge.documents.vocabulary import every_language, key_of
from cervella.privacy.redaction import masks

Value: TypeAlias = str | tuple[str, ...]
"""A value as text; a list as a tuple of texts."""

_MOST_LINES, _MOST_CHARACTERS = 1_000, 200_000  # front matter that does not end within these is none
_MOST_PARSED = 64_000  # characters that a parser gets; longer ones are read line by line
_MOST_DOTS = 2_000  # in TOML: tomllib needs quadratic time for a key of many parts
_DEEPEST, _MOST_VALUES = 16, 5_000  # levels of nesting, and values in all: aliases of YAML can multiply them
_LONGEST_TITLE = 400  # characters; a title is repeated with each passage
_BEFORE = 5  # blank lines and comments that may stand above the first line of it

_OPENINGS = {"---": "yaml", "---yaml": "yaml", "---toml": "toml", "---json": "json", "+++": "toml"}
_ENDS = {"---": ("---", "..."), "+++": ("+++",)}
_COMMENT = re.compile(r"<!--(?:(?!-->).)*+-->\s*")
_PAIR = re.compile(
    r"""(?P<key> "[^"\n]{1,80}" | '[^'\n]{1,80}' | [^\s:\#\[\]{}"'<>|*&!%@`,=-][^:\n]{0,80}? )
        [ \t]{0,20} : (?P<value>.*)""",
    re.VERBOSE,
)
_TOML_PAIR = re.compile(r"""(?P<key>"[^"\n]{1,80}"|'[^'\n]{1,80}'|[\w-][\w.-]{0,80})[ \t]{0,20}=(?P<value>.*)""")
_JSON_PAIR = re.compile(r'[ \t]*"(?P<key>[^"\n]{1,80})"[ \t]{0,20}:(?P<value>.*?),?[ \t]*')
_PAIRS = {"yaml": _PAIR, "toml": _TOML_PAIR, "json": _JSON_PAIR}
_TABLE = re.compile(r"\[{1,2}[ \t]*+([\w.\"'-][\w.\"' -]{0,79}?)[ \t]*\]{1,2}[ \t]*(?:#.*)?")
_VALUE = re.compile(r"([ \t]*+(?:-[ \t]++)*+(?:\w[\w .-]{0,79}:[ \t]++)?+)(\S.*)")
_HASH = re.compile(r"(?:^|\s)#(?=[^\s#])")
_HEADING = re.compile(r"#{1,6} \S")
_BLOCK = re.compile(r"[|>][+-]?\d?[+-]?")
_SENTENCE = re.compile(r"(?:\S+\s+){3,}.*[.!?…]")
_FIRST_TOKEN = 0xF000
_TOKEN = re.compile("[\uf000-\uf0ff]")  # letters of private use
_EMPTY = ("", "~", "null", "Null", "NULL")


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontMatter:
    """The front matter of one document. Without one, all is empty."""

    lines: int = 0
    """The number of lines at the top of the file that belong to it, its first and last line included."""
    fields: Mapping[str, Value] = field(default_factory=dict)
    """Its values by their keys, as they are written; the keys of a nested table as `author.name`. Fields without a
    value are left out."""

    @property
    def title(self) -> str:
        """The document's title; empty if it has none."""
        texts = self.texts()
        titles = (" ".join(texts.get(key, "")[: _LONGEST_TITLE + 1].split()) for key in every_language("title_keys"))
        return next((title for title in titles if title and len(title) <= _LONGEST_TITLE), "")

    def texts(self) -> dict[str, str]:
        """Its values as texts, by their keys in the form of `key_of`; of a list, the items joined by commas."""
        pairs = ((key_of(key), value) for key, value in self.fields.items())
        return {key: value if isinstance(value, str) else ", ".join(value) for key, value in pairs}


def front_matter(lines: Sequence[str]) -> FrontMatter:
    """Read the front matter of a document with these lines.

    Two horizontal rules around prose are no front matter. If its last line is missing, also where a horizontal rule far
    below seems to be it, only the fields above the first blank line belong to it, so that no text is hidden.
    """
    first = _first(lines)
    if first is None:
        return FrontMatter()
    lines = [_hide_masks(line) for line in lines[: first + _MOST_LINES]]
    opening = lines[first].removeprefix("\ufeff").rstrip()
    if opening.startswith("{"):
        return _json_object(lines, first)
    form, ends = _OPENINGS[opening.replace(" ", "")], _ENDS[opening[:3]]
    size = 0
    for number, line in enumerate(lines[first + 1 : first + _MOST_LINES], start=first + 1):
        if line.rstrip() in ends:
            return _closed(form, lines[first + 1 : number], first + 1)
        size += len(line) + 1
        if size > _MOST_CHARACTERS:
            break
    return _unclosed(form, lines[first + 1 : first + _MOST_LINES], first + 1)


def _unclosed(form: str, below: Sequence[str], before: int) -> FrontMatter:
    """The front matter without a last line that begins above the lines `below`; `before` lines precede them."""
    inner = below[: next((number for number, line in enumerate(below) if not line.strip()), len(below))]
    fields, ended = _by_lines(inner, _PAIRS[form], strict=True)
    if not fields or _is_prose(fields, cut=True):
        return FrontMatter()
    return FrontMatter(lines=before + (len(inner) if ended is None else ended), fields=_filled(fields))


def _first(lines: Sequence[str]) -> int | None:
    """The index of the line that opens front matter. None if there is none."""
    for number, line in enumerate(lines[: _BEFORE + 1]):
        line = line.removeprefix("\ufeff") if number == 0 else line
        if line.startswith("{") or (line.rstrip().replace(" ", "") in _OPENINGS and not line[0].isspace()):
            return number
        if line.strip() and not _COMMENT.fullmatch(line):
            return None
    return None


def _closed(form: str, inner: Sequence[str], before: int) -> FrontMatter:
    """The front matter with these lines between the first and the last. `before` lines precede them."""
    if not any(map(str.strip, inner)):
        return FrontMatter(lines=before + len(inner) + 1)
    if _has_heading(inner):
        return _unclosed(form, inner, before)
    text, read = "\n".join(inner), None
    if len(text) <= _MOST_PARSED:
        read = _parsed(text, {"yaml": _yaml, "toml": _toml, "json": _json}[form])
    if read is None:
        read, ended = _by_lines(inner, _PAIRS[form])
    else:
        ended = None
    if not read or _is_prose(read, cut=ended is not None):
        return FrontMatter()
    return FrontMatter(lines=before + (len(inner) + 1 if ended is None else ended), fields=_filled(read))


def _has_heading(inner: Sequence[str]) -> bool:
    """Whether a line with `#` is a heading and no comment, so that the lines below it are text.

    It stands between blank lines, and all keys below it look like prose: `Monday: closed`.
    """
    for number in range(1, len(inner) - 1):
        alone = not inner[number - 1].strip() and not inner[number + 1].strip()
        if alone and _HEADING.match(inner[number]):
            keys = [match["key"] for line in inner[number + 1 :] if (match := _PAIR.fullmatch(line))]
            return bool(keys) and _like_prose(keys) and known_keys().isdisjoint(map(key_of, keys))
    return False


def _like_prose(keys: Iterable[str]) -> bool:
    return all(key[0].isupper() or " " in key.strip() for key in keys)


def _json_object(lines: Sequence[str], first: int) -> FrontMatter:
    """The front matter if line `first` opens a JSON object, which nothing follows on its last line."""
    text = "\n".join(lines[first : first + _MOST_LINES])[:_MOST_PARSED].removeprefix("\ufeff")
    try:
        value, end = _json_decoder().raw_decode(text)
        fields = _flat(value)
    except (ValueError, RecursionError):
        last = next((n for n, line in enumerate(lines[first : first + _MOST_LINES]) if line.rstrip() == "}"), 0)
        inner = lines[first + 1 : first + last]
        if lines[first].removeprefix("\ufeff").strip() != "{" or not inner or not _JSON_PAIR.fullmatch(inner[0]):
            return FrontMatter()
        fields, ended = _by_lines(inner, _JSON_PAIR)
        return FrontMatter(lines=first + last + 1, fields=_filled(fields)) if ended is None else FrontMatter()
    if not fields or text[end:].split("\n", 1)[0].strip():
        return FrontMatter()
    return FrontMatter(lines=first + text.count("\n", 0, end) + 1, fields=_filled(fields))


def _parsed(text: str, parse: Callable[[str], Any]) -> dict[str, Value] | None:
    """The fields of a text. None if the parser fails, or its value is not a table."""
    try:
        return _flat(parse(text))
    except (ValueError, RecursionError):
        return None


def _json_decoder() -> json.JSONDecoder:
    return json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)


def _json(text: str) -> Any:
    text = text.strip()
    return _json_decoder().decode(text if text.startswith("{") else f"{{{text}}}")


def _toml(text: str) -> Any:
    if text.count(".") > _MOST_DOTS:
        raise ValueError("too many dots")
    return tomllib.loads(text, parse_float=str)


def _yaml(text: str) -> Any:
    """Compose a YAML document from the parser's events: its scalars stay texts, and no tag makes an object.

    Raises ValueError for what is no single table, and for what is nested too deeply or has an unknown alias.
    """
    import yaml  # imported here, because a search does not need it

    loader = getattr(yaml, "CBaseLoader", yaml.BaseLoader)
    try:
        return _composed(yaml.parse("\n".join(map(_with_hashes, text.split("\n"))), Loader=loader))
    except (yaml.YAMLError, UnicodeError) as error:
        raise ValueError("broken YAML") from error


def _with_hashes(line: str) -> str:
    """The line with its value in quotes if a `#` in it is no comment for anybody but YAML: `tags: #lavoro #casa`."""
    match = _VALUE.fullmatch(line)
    if match is None or not match[1].strip() or (match[2][0] in "\"'[{|>&*!#" and not _HASH.match(match[2])):
        return line
    value = match[2].split(" # ")[0].rstrip()
    return f"{match[1]}'{value.replace(chr(39), 2 * chr(39))}'" if _HASH.search(value) else line


def _composed(events: Iterator[Any]) -> Any:
    root: list[Any] = []
    stack: list[Any] = [root]
    keys: list[str | None] = [None]  # for each open table, the key whose value comes next
    opened: list[str | None] = [None]  # for each open collection, its anchor
    anchors: dict[str, Any] = {}

    def put(value: Any) -> None:
        holder = stack[-1]
        if isinstance(holder, list):
            holder.append(value)
        elif keys[-1] is None:
            if not isinstance(value, str):
                raise ValueError("a key is not a text")
            keys[-1] = value
        else:
            if keys[-1] == "<<" and isinstance(value, dict):
                holder.update({key: one for key, one in value.items() if key not in holder})
            else:
                holder[keys[-1]] = value
            keys[-1] = None

    for event in events:
        kind = type(event).__name__
        if kind == "ScalarEvent":
            if event.tag and event.tag.startswith("!"):
                raise ValueError("a tag")  # `title: !Important news` was meant as a text
            is_key = isinstance(stack[-1], dict) and keys[-1] is None
            value = None if event.implicit[0] and event.value in _EMPTY and not is_key else event.value
            if event.anchor:
                anchors[event.anchor] = value
            put(value)
        elif kind == "AliasEvent":
            if event.anchor not in anchors:
                raise ValueError("an unknown alias")
            put(anchors[event.anchor])
        elif kind in ("MappingStartEvent", "SequenceStartEvent"):
            if len(stack) > _DEEPEST:
                raise ValueError("nested too deeply")
            stack.append({} if kind == "MappingStartEvent" else [])
            keys.append(None)
            opened.append(event.anchor)
        elif kind in ("MappingEndEvent", "SequenceEndEvent"):
            made, anchor = stack.pop(), opened.pop()
            keys.pop()
            if anchor:
                anchors[anchor] = made
            put(made)
    return root[0] if len(root) == 1 else {}


def _flat(table: Any) -> dict[str, Value]:
    """The fields of a table, with the keys of nested ones joined by dots. Raises ValueError for anything else."""
    if not isinstance(table, dict):
        raise ValueError("not a table")
    lists: dict[str, bool] = {}
    found: dict[str, list[str]] = {}
    count = 0

    def walk(key: str, value: Any, depth: int, listed: bool) -> None:
        nonlocal count
        count += 1
        if depth > _DEEPEST or count > _MOST_VALUES:
            raise ValueError("too much")
        if isinstance(value, dict):
            for name, one in value.items():
                walk(f"{key}.{name}" if key else str(name), one, depth + 1, listed)
        elif isinstance(value, list) and not _is_link(value):
            lists[key] = True
            found.setdefault(key, [])
            for one in value:
                walk(key, one, depth + 1, True)
        else:
            lists[key] = lists.get(key, False) or listed
            found.setdefault(key, []).append(_text(value))

    walk("", table, 0, False)
    return {key: tuple(texts) if lists[key] else texts[-1] for key, texts in found.items()}


def _is_link(value: list[Any]) -> bool:
    """Whether a list is what YAML makes of `[[Note]]` without quotes."""
    return len(value) == 1 and isinstance(value[0], list) and len(value[0]) > 0 and all(map(_is_text, value[0]))


def _is_text(value: Any) -> bool:
    return not isinstance(value, list | dict)


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[[{', '.join(map(_text, value[0]))}]]"
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, datetime.date | datetime.time):
        return value.isoformat().replace("+00:00", "Z")
    return str(value).strip()


def _filled(fields: Mapping[str, Value]) -> dict[str, Value]:
    """The fields without empty values, with masks and HTML entities in their texts as they are read."""

    def shown(text: str) -> str:
        return decoded(_TOKEN.sub(lambda match: _mask_of(match[0]), text)).strip()

    kept = {
        shown(key): shown(value) if isinstance(value, str) else tuple(filter(None, map(shown, value)))
        for key, value in fields.items()
    }
    return {key: value for key, value in kept.items() if key and value}


def _hide_masks(line: str) -> str:
    """The line with a letter of private use in place of each mask of a secret, because `[REDACTED: key]` is a list."""
    if "[" in line:
        for number, mask in enumerate(masks()):
            line = line.replace(mask, chr(_FIRST_TOKEN + number))
    return line


def _mask_of(token: str) -> str:
    number = ord(token) - _FIRST_TOKEN
    return masks()[number] if number < len(masks()) else token


def known_keys() -> frozenset[str]:
    """The keys by which documents state facts in any language, such as `date` and `stato`, in the form of `key_of`."""
    kinds = ("title", "alias", "tag", "category", "date", "updated", "created", "status", "project", "session")
    return frozenset(key for kind in kinds for key in every_language(f"{kind}_keys"))


def _is_prose(fields: Mapping[str, Value], *, cut: bool) -> bool:
    """Whether these are no fields, but sentences with a colon: `Attention: the pool is closed until Monday.`

    If `cut` is true, prose stands below them, so that one of them must be known.
    """
    known = known_keys()
    if any(key_of(key) in known for key in fields):
        return False
    values = (one for value in fields.values() for one in ((value,) if isinstance(value, str) else value))
    return cut or (_like_prose(fields) and any(_SENTENCE.fullmatch(value[:500]) for value in values))


def _by_lines(
    inner: Sequence[str], pattern: re.Pattern[str], *, strict: bool = False
) -> tuple[dict[str, Value], int | None]:
    """The fields of lines that no parser reads.

    If prose stands among the lines, only the fields above it are returned, then the number of their lines; else None.
    They end at the first blank line or comment, which may be a heading, if there is one above the prose. If `strict`
    is true, each line is prose that has no key, no indent and no sign of a list.
    """
    known = known_keys()
    fields: dict[str, Value] = {}
    above: tuple[dict[str, Value], int] | None = None
    key: str | None = None
    table, block, blank = "", False, False
    for number, line in enumerate(inner):
        bare, indented = line.strip(), line[:1].isspace()
        comment = bare.startswith("#") and not indented and not block
        if not bare or comment:
            blank = True
            if fields and above is None:
                above = dict(fields), number
            continue
        if pair := _pair(line, pattern, known):
            name, value = pair
            key, block = f"{table}{name}", bool(_BLOCK.fullmatch(value.strip()))
            fields[key] = "" if block else _written(value)
        elif pattern is _TOML_PAIR and (section := _TABLE.fullmatch(bare)):
            table, key = f"{section[1]}.", None
        elif key is None:
            return above or (fields, number)
        elif indented or bare[0] in "-]})":
            open_value = block or not fields[key] or isinstance(fields[key], tuple)
            if blank and above is not None and not open_value:
                return above
            _continue(fields, key, line, block)
        elif strict or above is not None or (bare[0].isupper() and _SENTENCE.fullmatch(bare[:500])):
            return above or (dict(fields), number)
        else:
            _continue(fields, key, line, block)
        blank = False
    return fields, None


def _pair(line: str, pattern: re.Pattern[str], known: Collection[str]) -> tuple[str, str] | None:
    """The key and the value of a line. Without a space after its colon, it is a pair only if the key is known."""
    match = None if pattern is not _JSON_PAIR and line[0].isspace() else pattern.fullmatch(line)
    if match is None:
        return None
    name, value = match["key"].strip().strip("\"'"), match["value"]
    if pattern is _PAIR and value and not value[0].isspace() and (key_of(name) not in known or value[:2] == "//"):
        return None
    return name, value


def _continue(fields: dict[str, Value], key: str, line: str, block: bool) -> None:
    """Add a further line to the value of a field: an item of a list, a nested field, or more text."""
    value, bare = fields[key], line.strip()
    nested = _PAIR.fullmatch(bare) if line[0].isspace() and not value else None
    if bare.startswith("- ") and not (isinstance(value, str) and value):
        fields[key] = (*(value or ()), *_items(_written(bare[2:])))
    elif nested is not None and not block:
        fields[f"{key}.{nested['key'].strip()}"] = _written(nested["value"])
    elif isinstance(value, tuple):
        fields[key] = (*value, *_items(_written(bare.strip("]},"))))
    else:
        fields[key] = f"{value} {bare.strip(chr(34))}".strip()


def _items(value: Value) -> tuple[str, ...]:
    return ((value,) if value else ()) if isinstance(value, str) else value


def _written(value: str) -> Value:
    """A value as it stands on a line that no parser reads, without quotes and comment."""
    value = value.strip()
    if value.startswith("[") and not value.startswith("[["):
        parts = (part.strip().strip("\"'") for part in value.strip("[]").split(","))
        return tuple(filter(None, parts))
    if value[:1] in ('"', "'"):
        end = value.find(value[0], 1)
        return value[1:end] if end > 0 and value[end + 1 :].strip()[:1] in ("", "#", ",") else value.strip("\"'")
    plain = value.split(" # ")[0].rstrip()
    return "" if plain in _EMPTY else plain
