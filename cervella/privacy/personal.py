"""Finds personal data in a text: accounts, tax and identity numbers, mail, telephone.

A number counts if its own check agrees (python-stdnum, phonenumbers) and, if its shape is that of an ordinary figure,
only with its name before it. Names of people, postal addresses and dates of birth are not found.
"""

from __future__ import annotations

import re
from bisect import bisect_right, insort
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal, TypeAlias, cast

from cervella.privacy.context import Context, any_word
from cervella.privacy.encoded import rewritten
from cervella.privacy.telephone import find_broken_phones, find_phones
from cervella.process.files import read_packaged
from cervella.text.language import known_languages, language

PersonalKind: TypeAlias = Literal["iban", "tax_code", "identity_document", "social_security", "phone", "mail"]
"""The kinds of personal data. Their names in each language are in the data of that language: personal.toml."""

# What a reader does not see, and what is another spelling of one character, with that character.
_WRITTEN = re.compile(
    "([\u00ad\u200b-\u200f\u2060-\u2064\ufeff])|([\uff20\ufe6b]|&#0{0,4}64;|&#x0{0,4}40;|&commat;)|([\uff0e\ufe52])|"
    "(<br ?/?>|&nbsp;|&#0{0,4}160;)",
    re.IGNORECASE,
)
_SEEN = ("", "@", ".", " ")
_BETWEEN = "[ \u00a0\u2009\u202f-]?"  # white space or a hyphen inside a number
# A number may touch a word or a sign only as markdown and sentences do: `_X_`, `C.F.X`, `(X)`, `X.`.
_BEFORE = r"(?<![^\W_])(?<![^\W_]_)(?<!\d[.,/+-])(?<![/+])"
_AFTER = r"(?![^\W_]|_\w|[/+]|[.,-]\w)"
_LOCAL = re.compile(r"[\w.%+'\\-]{1,64}\Z")  # markdown writes `first\_last`
# In the path `clienti/name@example.com.md` the suffix is no part of the address; `rose@2x.png` is the name of a file.
_FILE = r"(?:png|jpe?g|gif|svg|webp|avif|heic|bmp|ico|pdf|docx?|xlsx?|txt|csv|json|html?|css|jsx?|tsx?)"
_DOMAIN = re.compile(
    rf"(?:\w(?:[\w-]{{0,61}}\w)?\.){{1,6}}?(?!{_FILE}\b)[^\W\d_]{{2,24}}(?![^\W_]|_\w|[@-])"
    rf"(?=\.(?:md|{_FILE})\b|(?!\.\w))",
    re.IGNORECASE,
)
_TOP = frozenset({"com", "net", "org", "info", "eu", "edu", "gov", "example", "uk"})
"""Domains of the top that need no country: with a space beside `@`, any other may be a method, as in `x @ self.T`."""
_SIGN = re.compile(r"[ \u00a0]{0,2}@[ \u00a0]{0,2}(?:\r?\n[ \t>]{0,8})?")
_REMOTE = re.compile(r":(?=[^\s/]{0,60}/)")  # `git@example.com:owner/name` is a place, not an address
_IBAN_START = re.compile(r"(?<![^\W_])[A-Za-z]{2}[ \u00a0]?\d{2}(?=[.-]?[A-Za-z0-9]|\s)")
_IBAN_STEP = re.compile(
    r"(?:[.-]|[ \u00a0]{0,3}(?:[\\-]?(?:\r?\n[ \t>]{0,8}){1,2})?)([A-Za-z0-9])"
)  # perhaps in the next line
_IBAN_LENGTHS = range(15, 35)  # characters
_WORD = re.compile(r"\w")


@dataclass(frozen=True, slots=True)
class Personal:
    """The position of a personal datum in a text, and its normal form, which is the same in every spelling."""

    kind: PersonalKind
    start: int
    end: int
    normal: str


def find_personal(text: str, code: str) -> list[Personal]:
    """The personal data in a text, in order and without overlaps. `code` is the language of the base.

    The time is linear in the length of the text.

    >>> [one.kind for one in find_personal("IBAN GB82 WEST 1234 5698 7654 32", "it")]
    ['iban']
    """
    seen, place = rewritten(text, _WRITTEN, lambda match: _SEEN[(match.lastindex or 1) - 1])
    if not any(map(str.isdigit, seen)) and "@" not in seen and not _signs("at").search(seen):
        return []
    context, home = Context(seen), _regions(code)
    found: list[Personal] = []
    for rule in (_mail, _ibans, _numbers, _phones, _broken_phones):
        taken = sorted((one.start, one.end) for one in found)
        found += (one for one in rule(seen, context, home) if not _overlaps(one, taken))
    found.sort(key=lambda one: one.start)
    return [Personal(one.kind, *place(one.start, one.end), one.normal) for one in found]


@lru_cache(maxsize=16)
def _regions(code: str) -> tuple[str, ...]:
    """The countries of a language, ISO 3166, the main one first."""
    return cast(tuple[str, ...], language(code).file("personal.toml")["regions"])


def _overlaps(one: Personal, taken: list[tuple[int, int]]) -> bool:
    place = bisect_right(taken, (one.end - 1, one.end))
    return place > 0 and taken[place - 1][1] > one.start


# Mail


@lru_cache(maxsize=2)
def _signs(key: Literal["at", "dot"]) -> re.Pattern[str]:
    """`@` or `.` as a word in brackets, in any language."""
    return re.compile(rf"[ ]?[\[({{][ ]?(?:{any_word(key)})[ ]?[\])}}][ ]?", re.IGNORECASE)


def _mail(text: str, context: Context, home: tuple[str, ...]) -> Iterator[Personal]:
    done = 0
    signs = [match.span() for match in _SIGN.finditer(text)] + [match.span() for match in _signs("at").finditer(text)]
    for start, end in sorted(signs):
        local = _LOCAL.search(text, max(done, start - 64), start)
        # A word in brackets for the full stop: `example (dot) com`. It is only looked for beside one for `@`.
        piece, sign = text[end : end + 254], text[start:end]
        dotted = piece if "@" in sign else _signs("dot").sub(".", piece)
        domain = _DOMAIN.match(dotted)
        if local is None or domain is None:
            continue
        first = start - len(local[0].lstrip(".'-+%_\\*"))
        if first == start or ("@" in sign and sign != "@" and not _is_known(domain[0].rpartition(".")[2])):
            continue
        length = domain.end()
        if _REMOTE.match(dotted, length):
            continue
        if dotted != piece:
            length = _length_before(piece, domain.end())
        done = end + length
        yield Personal("mail", first, done, f"{text[first:start]}@{domain[0]}".casefold())


def _is_known(top: str) -> bool:
    return top.casefold() in _TOP or any(top.upper() in _regions(code) for code in known_languages())


def _length_before(piece: str, length: int) -> int:
    """The length in `piece` of its first `length` characters with `.` in place of the words for it."""
    for match in _signs("dot").finditer(piece):
        if match.start() >= length:
            break
        length += len(match[0]) - 1
    return length


# Accounts


def _ibans(text: str, context: Context, home: tuple[str, ...]) -> Iterator[Personal]:
    done = 0
    for match in _IBAN_START.finditer(text):
        if match.start() < done:
            continue
        ends, letters, position = [match.end()], match[0].replace(" ", "").replace("\u00a0", ""), match.end()
        while len(letters) < _IBAN_LENGTHS[-1] and (step := _IBAN_STEP.match(text, position)):
            letters, position = letters + step[1], step.end()
            ends.append(position)
        for length in reversed(_IBAN_LENGTHS):
            if length > len(letters) or (ends[length - 4] < len(text) and _WORD.match(text[ends[length - 4]])):
                continue
            if _passes("iban", letters[:length]):
                done = ends[length - 4]
                yield Personal("iban", match.start(), done, letters[:length].upper())
                break


# Numbers of a state


@dataclass(frozen=True, slots=True)
class _Number:
    kind: PersonalKind
    module: str | None
    pattern: re.Pattern[str]
    country: str | None
    needs: str


@lru_cache(maxsize=1)
def _rules() -> tuple[_Number, ...]:
    return tuple(
        _Number(
            kind=one["kind"],
            module=one.get("module"),
            pattern=re.compile(rf"{_BEFORE}(?:{one['shape'].replace('_', _BETWEEN)}){_AFTER}", re.IGNORECASE),
            country=one.get("country"),
            needs=one["needs"],
        )
        for one in read_packaged("cervella.privacy", "numbers.toml")["number"]
    )


def _numbers(text: str, context: Context, home: tuple[str, ...]) -> Iterator[Personal]:
    """The numbers of a state. Of overlapping ones the longest with a check is taken, else the longest.

    A number whose check disagrees is not taken as one of the same kind that has no check.
    """
    found, wrong = list[tuple[bool, Personal]](), set[tuple[str, int, int]]()
    for rule in _rules():
        for match in rule.pattern.finditer(text):
            if rule.module and not _passes(rule.module, match[0]):
                wrong.add((rule.kind, *match.span()))
            elif _is_meant(rule, match, context, home) and (rule.module or (rule.kind, *match.span()) not in wrong):
                found.append((rule.module is None, Personal(rule.kind, *match.span(), _compact(match[0]))))
    done: list[tuple[int, int]] = []
    for _, one in sorted(found, key=lambda one: (one[0], one[1].start - one[1].end)):
        if not _overlaps(one, done):
            insort(done, (one.start, one.end))
            yield one


def _is_meant(rule: _Number, match: re.Match[str], context: Context, home: tuple[str, ...]) -> bool:
    if rule.needs == "nothing":
        return True
    if context.is_counted(match.end()):
        return False
    named = context.before(match.start())
    if named == rule.kind:
        return rule.needs != "both" or rule.country in home
    return rule.needs == "country" and rule.country in home and named in (None, "phone")


def _compact(number: str) -> str:
    return re.sub(r"[\W_]", "", number).upper()


@lru_cache(maxsize=64)
def _check(module: str) -> Callable[[str], bool]:
    """The check of a module of python-stdnum, such as `it.codicefiscale`."""
    import importlib  # python-stdnum is loaded with the first number that it checks

    loaded: Any = importlib.import_module(f"stdnum.{module}")
    if module == "iban":
        return lambda number: loaded.is_valid(number, check_country=False)
    return cast(Callable[[str], bool], loaded.is_valid)


def _passes(module: str, number: str) -> bool:
    number = _compact(number)
    return (number.isascii() or module == "mx.rfc") and _check(module)(number)


# Telephone


def _phones(text: str, context: Context, home: tuple[str, ...]) -> Iterable[Personal]:
    return (Personal("phone", start, end, normal) for start, end, normal in find_phones(text, context, home))


def _broken_phones(text: str, context: Context, home: tuple[str, ...]) -> Iterable[Personal]:
    return (Personal("phone", start, end, normal) for start, end, normal in find_broken_phones(text, context, home))
