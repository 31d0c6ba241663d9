"""Masks the personal data of a prompt for a cloud brain, and puts them back into its answer."""

from __future__ import annotations

import re
import unicodedata
from typing import get_args

from cervella.privacy.personal import Personal, PersonalKind, find_personal
from cervella.text.language import language

_MORE = 24
"""Characters that a model may add inside the brackets of a mask: spaces, asterisks, a line break."""
_NEXT_NUMBER = re.compile(r"[ \t\u00a0]{0,2}[(#]?(\d{1,3})(?!\d)")
_NEXT_BEGUN = re.compile(r"[ \t\u00a0]{0,2}[(#]?\d{0,3}\Z")
_NUMBERED = re.compile(r"(\D+)(\d*)\Z")


class PersonalMasks:
    """Masks the personal data of one prompt, and puts them back into its answer.

    One datum has one mask in the whole prompt, whatever its spelling. The first of a kind is `[REDATTO: telefono]`, the
    second `[REDATTO: telefono 2]`: so a brain can tell two people apart, and the masks of a history stay as they are
    when the conversation goes on. A mask that the prompt's own texts contain, such as one in an old extract, is given
    to no datum: the brain's repetition of it stays as it is.
    """

    def __init__(self, code: str) -> None:
        """`code` is the language of the base and of the masks."""
        self.count = 0
        """The number of data that were masked, each as often as it came."""
        self._language = language(code)
        self._masks: dict[tuple[str, str], str] = {}
        self._values: dict[str, str] = {}
        """The data by the keys of their masks: see `_key`."""
        self._numbers: dict[str, set[int]] = {}
        """The numbers of each kind that are given or reserved, by the key of the kind's first mask."""
        self._from_source: set[str] = set()
        mark, kinds = self._language.redaction["mark"], self._language.file("personal.toml")["kinds"]
        self._kinds: dict[str, str] = {
            kind: mark.format(kind=kinds.get(kind, kind.replace("_", " "))) for kind in get_args(PersonalKind)
        }
        self._first_keys = {_key(mask) for mask in self._kinds.values()}
        self._length = _MORE + max(map(len, self._kinds.values()))
        self._shape = re.compile(rf"\\?\[([^\[\]]{{1,{self._length}}})\]")

    def reserve(self, text: str) -> None:
        """Give no datum a mask that stands in this text. `mask` does so for its own text only, not for later ones."""
        for match in self._shape.finditer(text):
            parted = _NUMBERED.match(_key(match[1]))
            if parted and parted[1] in self._first_keys:
                self._numbers.setdefault(parted[1], set()).add(int(parted[2] or 1))

    def mask(self, text: str, *, source: bool = False, counted: bool = True) -> str:
        """The text with its personal data masked. An answer gets a datum back as the first `source` spells it."""
        self.reserve(text)
        out: list[str] = []
        position = 0
        for one in find_personal(text, self._language.code):
            mask = self._mask_for(one)
            if source and mask not in self._from_source:
                self._from_source.add(mask)
                self._values.pop(_key(mask), None)
            self._values.setdefault(_key(mask), text[one.start : one.end])
            out += (text[position : one.start], mask)
            position, self.count = one.end, self.count + counted
        return "".join([*out, text[position:]])

    def _mask_for(self, one: Personal) -> str:
        datum = (one.kind, one.normal)
        if datum not in self._masks:
            first = self._kinds[one.kind]
            taken = self._numbers.setdefault(_key(first), set())
            number = next(number for number in range(1, len(taken) + 2) if number not in taken)
            taken.add(number)
            self._masks[datum] = first if number == 1 else f"{first.removesuffix(']')} {number}]"
        return self._masks[datum]

    def restore(self, text: str) -> str:
        """The text with each mask replaced by its datum, also one that a model spelled a little differently.

        Other masks stay. So does a first mask with the number of another after it, `[REDATTO: telefono] 2`: either of
        the two data may be meant, and a wrong number is worse than none.
        """
        return self._shape.sub(lambda match: self._datum(match, text), text) if self._values else text

    def _datum(self, match: re.Match[str], text: str) -> str:
        key = _key(match[1])
        if self._may_go_on(key):
            number = _NEXT_NUMBER.match(text, match.end())
            if number and int(number[1]) in self._numbers[key] - {1}:
                return match[0]
        if key.endswith("1") and key[:-1] in self._first_keys:
            key = key[:-1]
        return self._values.get(key, match[0])

    def _may_go_on(self, key: str) -> bool:
        """Whether a number after this mask may be meant as a part of it."""
        return key in self._values and len(self._numbers.get(key, ())) > 1

    def held(self, text: str) -> int:
        """The number of characters at the end of a text that must wait: what comes next may change what they become."""
        if not self._values:
            return 0
        last = max(text.rfind("[", max(0, len(text) - self._length - 1)), text.rfind("]", max(0, len(text) - 8)))
        if last >= 0 and text[last] == "[":
            begun = _key(text[last + 1 :])
            if any(f"{key}1".startswith(begun) for key in self._values):
                return len(text) - last + text.endswith("\\", 0, last)
        elif last >= 0 and _NEXT_BEGUN.match(text, last + 1):
            start = text.rfind("[", max(0, last - self._length - 1), last)
            match = self._shape.match(text, max(start, 0))
            if match and match.end() == last + 1 and self._may_go_on(_key(match[1])):
                return len(text) - start + text.endswith("\\", 0, start)
        return int(text.endswith("\\"))


def _key(mask: str) -> str:
    """The letters and digits of a mask, without case and accents: what is the same in all its spellings."""
    folded = unicodedata.normalize("NFKD", mask).casefold()
    return "".join(letter for letter in folded if letter.isalnum())


class Restored:
    """Puts the data of a prompt back into an answer that arrives in chunks. A mask may be split between two chunks.

    The text is the same for every split.

    >>> masks = PersonalMasks("it")
    >>> masks.mask("tel. 055 2768224")
    'tel. [REDATTO: telefono]'
    >>> answer = Restored(masks)
    >>> [answer.feed(chunk) for chunk in ("Il numero è [REDATTO: te", "lefono]", ". [F")], answer.end()
    (['Il numero è ', '055 2768224', '. [F'], '')
    """

    def __init__(self, masks: PersonalMasks | None) -> None:
        self._masks = masks
        self._held = ""

    def feed(self, chunk: str) -> str:
        """Add a chunk. Returns the new text; what may become a mask is held back."""
        if self._masks is None:
            return chunk
        text = self._held + chunk
        cut = len(text) - self._masks.held(text)
        self._held = text[cut:]
        return self._masks.restore(text[:cut])

    def end(self) -> str:
        """End the answer. Returns the text that was held back."""
        held, self._held = self._held, ""
        return held if self._masks is None else self._masks.restore(held)
