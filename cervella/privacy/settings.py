"""Finds secrets in settings that write a name and its value apart: `name: DB_PASSWORD` and, after it, `value: …`.

Kubernetes, XML of Java and .NET, property lists, KeePass, CloudFormation and Terraform write so.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from cervella.privacy.beside import value_at
from cervella.privacy.fitting import fits
from cervella.privacy.names import names_in
from cervella.privacy.scanning import line_end
from cervella.privacy.secret import Secret
from cervella.privacy.values import is_striking

_KEY = re.compile(
    r"(?i)(?:(?<![\w.-])(?:parameter)?(?:name|key)[\"']?[ \t]{0,3}(?::|=|>)|(?<![\w.-])variable)[ \t]{0,3}"
    r"[\"']?(?P<name>[\w.:-]{2,80})(?![\w.:-])[\"']?"
    r"|[\"'](?P<outer>[\w.:-]{2,80})[\"']\s{0,9}:\s{0,9}(?=\{)"
)
_VALUE = re.compile(
    r"(?i)(?P<other>(?<![\w./-])(?:parameter)?(?:name|key)[\"']?[ \t]{0,3}[:=>]|\n[ \t]{0,40}\n|\n[ \t]{0,40}- |\n\}"
    r"|\n[ \t]{0,40}(?:variable|resource)[ \t])"
    r"|(?<![\w.-])(?:parameter)?(?:value|val|default|string)"
    r"(?:[\"']?[ \t]{0,3}[:=][ \t]{0,3}|(?:[ \t][^<>\n]{0,80})?>)(?=\S)"
)
_ELEMENT = re.compile(r"(?P<open><(?P<tag>\w{1,20})\s[^<>\n]{0,160})\Z")
_CONTENT = re.compile(r"[^<>\n]{0,160}>(?P<value>[^<>\n]{3,200})</")
_REACH = 240  # characters after a name in which its value may stand


def in_settings(text: str, start: int, end: int) -> Iterator[Secret]:
    """The values of settings whose names stand in a line, from `start` to `end`, and which may stand in the next lines.

    Each name has a limited reach.
    """
    for key in _KEY.finditer(text, start, end):
        group = "name" if key["name"] else "outer"
        names = names_in(key[group])
        if not names or names[-1].end != len(key[group]) or names[-1].group == "pairs":
            continue
        name = names[-1]
        opened = _ELEMENT.search(text, max(0, key.start() - 120), key.start())
        content = _CONTENT.match(text, key.end()) if opened else None
        if opened and content:
            value = value_at(content["value"], 0)
            if value.alone and (is_striking(value.text) if opened["tag"] == "string" else fits(name, value, "cell")):
                at = content.start("value")
                yield Secret(name.kind, at + value.start, at + value.end)
            continue
        found = _VALUE.search(text, key.end(), key.end() + _REACH)
        if not found or found["other"]:
            continue
        value = value_at(text[found.end() : line_end(text, found.end(), 2 * _REACH)], 0)
        if fits(name, value, "direct"):
            yield Secret(name.kind, found.end() + value.start, found.end() + value.end)
