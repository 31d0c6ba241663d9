"""Finds out from a chat template whether it shows the system message to the model. Templates are never executed.

Templates are written in one of two languages: Jinja, shipped by the makers of models, or Go's, Ollama's own.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

_MOST_CHARACTERS = 100_000
"""Longer templates are not read. The templates of known models have less than half of this length."""
_OPENING = re.compile(r"\{[{%#]")
_CLOSING = {"{{": "}}", "{%": "%}", "{#": "#}"}
_JINJA = re.compile(r"\{%|\{\{[^}]{0,200}\bmessages?\b")
_ROLES = re.compile(r"""['"](system|developer|user|assistant|model|tool|function|human|ipython|observation)['"]""")
_SYSTEM = re.compile(r"""['"]system['"]""")
_EXCEPT = re.compile(
    r"""(?:!=|\bne\b[^"']*|\bnot\s+in\s*[\[(][^\])]*|\brejectattr\([^)]*"""
    r"""|\bnot\s*\(?\s*(?:eq\b[^"']*|[^=()]*==|[^()]*\bin\s*[\[(][^\])]*))\s*\(?$"""
)
"""Finds the end of the text before a role in a condition that excludes the role, such as `!=`."""
_ALTERNATION = re.compile(r"%\s*2")
_OTHER_MESSAGE = re.compile(
    r"messages?\s*\[\s*-\s*1|previtem|nextitem|index0?\s*[-+]\s*1|\$?[lL]ast\w{0,40}\.?\[?['\"]?[rR]ole"
)
_JINJA_CONTENT = re.compile(r"\bcontent\b|\(\s*(?:message|msg|m)\s*[,)]")
_GO_CONTENT = re.compile(r"\.Content\b")
_GO_SYSTEM = re.compile(r"\.System\b")
_TOOLS = re.compile(
    r"(?:(?:else )?(?:el)?if\s+)?(?:and\s+)?[($]*\.?[tT]ools\b"
    r"(?!\s+is\s+(?:none|undefined|not\s+defined)|\s*+(?:\|\s*+)?(?:length\s*+)?==)"
)
"""A condition that is true only if tools are sent: this package sends none."""
_FIRST = re.compile(r"messages\s*\[\s*0\s*\]")
_REST = re.compile(r"messages\s*\[\s*1\s*:\s*\]")
_SET_REST = re.compile(rf"set\s+([\w.]+)\s*=\s*{_REST.pattern}")
_FURTHER = re.compile(r"\band\b|\bloop\.(?!index0\s*%)")
"""Finds a condition of a template that depends on more than the role of a message, for example on its position: what
such a template prints can't be told from the role alone."""
_OPENS = frozenset(("if", "for", "range", "with", "macro", "define", "block"))
_CLOSES = frozenset(("end", "endif", "endfor", "endwith", "endmacro", "endblock"))


@dataclass(slots=True, kw_only=True)
class _Branch:
    """An `if`, loop or macro of a template whose end has not been read yet."""

    admits: bool
    """Whether the branch may be entered for a system message."""
    named: bool = False
    """Whether the condition of the branch names the system role."""
    sure: bool = False
    """Whether the branch is certainly entered for every system message."""
    taken: bool = False
    """Whether an earlier branch of the same `if` is entered for every system message."""


def takes_system(template: str, modelfile: str = "") -> bool:
    """Whether a template certainly shows the system message to the model; False also where its text leaves this open.

    True for an empty template, and for a RENDERER in Ollama's Modelfile: then the server's own code renders messages.

    >>> takes_system("{% for m in messages %}<|{{ m.role }}|>{{ m.content }}{% endfor %}")
    True
    >>> takes_system("<start_of_turn>user\\n{{ .Prompt }}<end_of_turn>")
    False
    """
    if not template.strip() or re.search(r"(?m)^RENDERER\b", modelfile):
        return True
    return len(template) <= _MOST_CHARACTERS and _Reading(jinja=is_jinja(template)).takes(template)


def is_jinja(template: str) -> bool:
    """True for a template in Jinja, False for one in Go's template language."""
    return _JINJA.search(template) is not None


def _tags(template: str) -> Iterator[str]:
    """Yields the tags of a template with their braces, such as `{% if … %}`, except comments."""
    at = 0
    while opening := _OPENING.search(template, at):
        closing = template.find(_CLOSING[opening[0]], opening.end())
        if closing < 0:
            return
        at = closing + 2
        if opening[0] != "{#" and not template.startswith(("/*", "-/*", "- /*"), opening.end()):
            yield template[opening.start() : at]


class _Reading:
    """Reads the tags of a template in order, and finds out which of them are reached for a system message."""

    def __init__(self, *, jinja: bool) -> None:
        self._jinja = jinja
        self._content = _JINJA_CONTENT if jinja else _GO_CONTENT
        self._open: list[_Branch] = []
        self._without_first: set[str] = set()
        """Names of lists that contain all messages but the first."""

    def takes(self, template: str) -> bool:
        takes = False
        for tag in _tags(template):
            words = tag[2:-2].strip("-~+ \t\r\n")
            word = words.split(None, 1)[0] if words else ""
            if word in _OPENS or word in _CLOSES or word in ("elif", "else", "continue"):
                takes = (word == "with" and self._shown(word, words)) or takes
                self._step(word, words)
            elif "raise_exception(" not in words:
                takes = self._shown(word, words) or takes
            elif self._reached() and self._open and self._open[-1].sure:
                return False  # the template raises an error for a system message
        return takes

    def _reached(self) -> bool:
        return all(branch.admits for branch in self._open)

    def _step(self, word: str, words: str) -> None:
        if word in _CLOSES:
            del self._open[-1:]
        elif word == "continue":
            if len(self._open) > 1 and self._reached() and self._open[-1].sure:
                self._open[-2].admits = False
        elif word in ("elif", "else"):
            before = self._open.pop() if self._open else _Branch(admits=True)
            taken = before.taken or (before.sure and before.named)
            after = _conditional(words.removeprefix("else").strip())
            self._open.append(replace(after, admits=after.admits and not taken, taken=taken))
        elif word in ("for", "range"):
            listed = words.partition(" in ")[2].strip()
            rest = _REST.match(listed) or re.split(r"[\s|]", listed, maxsplit=1)[0] in self._without_first
            self._open.append(replace(_conditional(words), sure=False, admits=not rest and _admits(words)))
        else:
            self._open.append(_Branch(admits=False) if word == "macro" else _conditional(words))

    def _shown(self, word: str, words: str) -> bool:
        """Whether a tag outputs the content of the system message or assigns it to a variable, so that the model sees
        it."""
        if _GO_SYSTEM.search(words) and not self._jinja:
            return True  # set in every turn, of any role
        if not self._reached() or _OTHER_MESSAGE.search(words):
            return False
        if found := _SET_REST.match(words):
            self._without_first.add(found[1])
        value, _, condition = words.partition(" if ")
        condition, _, otherwise = condition.partition(" else ")
        if not self._content.search(f"({otherwise if condition and not _admits(condition) else value})"):
            return False
        if word != "set":
            return True
        first = any(branch.named for branch in self._open) or _FIRST.search(words) or _SYSTEM.search(words)
        return bool(first) and _admits(words)


def _conditional(words: str) -> _Branch:
    admits = _admits(words)
    named = admits and _SYSTEM.search(words) is not None and not _OTHER_MESSAGE.search(words)
    sure = (named or _ALTERNATION.search(words) is not None) and not _FURTHER.search(words)
    return _Branch(admits=admits, named=named, sure=sure)


def _admits(words: str) -> bool:
    """Whether a condition can be true for a system message. Parts that don't concern roles are taken as true."""
    if _TOOLS.match(words) and not re.search(r"\bor\b", words):
        return False
    roles = list(_ROLES.finditer(words))
    if not roles or _ALTERNATION.search(words) or _OTHER_MESSAGE.search(words):
        return True
    excepted = {role[1]: _EXCEPT.search(words[max(0, role.start() - 80) : role.start()]) is not None for role in roles}
    return not excepted["system"] if "system" in excepted else all(excepted.values())
