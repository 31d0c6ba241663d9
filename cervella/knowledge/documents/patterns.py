"""The owner's globs over the folder (`exclude`, `local_only`): what is plainly meant is understood, nothing is guessed.

A pattern is a path from the folder, and the name of a folder means all in it. Those who mark what is private are also
read as gitignore would read them, which marks more: a name without a slash holds at any depth.
"""

from __future__ import annotations

import difflib
import math
import os
import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path, PurePath

from cervella.text.language import fold
from cervella.types.filters import path_matches

_SHOWN = 3  # nearest paths
_NEAR = 0.6  # the ratio of difflib from which two names are near
_LONG = 4  # letters from which a name that is part of another is near it
_SPELLED = 64  # patterns that braces and classes of letters may come to
_ENDINGS = (".md", ".markdown")
_BLANKS = "\u200b\ufeff"  # of no width; str.strip knows the others
_ESCAPES = str.maketrans({"\b": "/b", "\t": "/t", "\n": "/n", "\f": "/f", "\r": "/r"})
"""What TOML makes of a backslash and a letter between double quotes: `"note\\bozze"` holds a backspace."""
_WILD = re.compile(r"[*?]")
_BELOW = re.compile(r"(?:/\*+)+$")


@dataclass(frozen=True, slots=True)
class Glob:
    """A pattern as it is understood."""

    texts: tuple[str, ...]
    """Any of them."""
    folded: bool = False
    """Whether case does not matter; the texts are folded then."""

    def covers(self, path: str) -> bool:
        """Whether it names this path, or a folder above it."""
        path = path.casefold() if self.folded else path
        return any(path_matches(path, text) or path_matches(path, f"{text}/**") for text in self.texts)


def understood(pattern: str, folder: Path, files: Collection[str], *, wide: bool = False) -> Glob | None:
    """The plainest reading of a pattern that names some of these files; None where none does.

    As it is written comes first, and letters of another case come last. `files` are relative to the folder, POSIX, NFC.
    `wide` takes together what a pattern may mean: see `widened`.
    """
    for folded in (False, True):
        names = {name.casefold() for name in files} if folded else files
        forms = forms_of(pattern, folder, names, folded=folded)
        for reading in [*([[form]] for form in forms), *(_spelled_out(form) for form in forms)]:
            texts = [
                tuple(text for one in either for text in (widened(one, pattern) if wide else (one,)))
                for either in reading
            ]
            if texts and all(any(map(Glob(some).covers, names)) for some in texts):
                return Glob(tuple(text for some in texts for text in some), folded)
    return None


def widened(form: str, pattern: str) -> tuple[str, ...]:
    """All that a form may mean: a note without its ending too, and a name that is written without a slash anywhere."""
    last = form.rpartition("/")[2]
    whole = _WILD.search(last) or last.casefold().endswith(_ENDINGS)
    texts = [form] if whole else [form, *(form + ending for ending in _ENDINGS)]
    bare = "/" not in _bared(pattern).replace("\\", "/").rstrip("/")
    return tuple(f"**/{text}" if bare else text for text in texts)


def _spelled_out(form: str) -> list[list[str]]:
    """The patterns that a shell makes of braces, each of which must name something, and of `[abc]`, which any may."""
    return [list(map("".join, product(*_classes(one)))) for one in map("".join, product(*_braces(form)))]


def _braces(form: str) -> list[list[str]]:
    parts = re.split(r"\{([^{}]*,[^{}]*)\}", form)
    return _few([part.split(",") if number % 2 else [part] for number, part in enumerate(parts)])


def _classes(form: str) -> list[list[str]]:
    parts = re.split(r"\[([^\[\]/]+)\]", form)
    return _few([_letters(part) if number % 2 else [part] for number, part in enumerate(parts)])


def _few(choices: list[list[str]]) -> list[list[str]]:
    """The choices, as long as they come to few patterns; else none."""
    return choices if math.prod(map(len, choices)) <= _SPELLED else [[]]


def _letters(inside: str) -> list[str]:
    """The letters of a class; of one that names what is not meant, any: that marks more, never less."""
    if inside[0] in "!^":
        return ["?"]
    found = re.findall(r"(.)-(.)|(.)", inside, re.DOTALL)
    return [
        chr(code)
        for first, last, one in found
        for code in range(ord(first or one), min(ord(last or one), ord(first or one) + _SPELLED) + 1)
    ]


def forms_of(pattern: str, folder: Path, files: Collection[str], *, folded: bool = False) -> list[str]:
    """What a pattern can plainly mean, as globs from the folder, the nearest to what is written first."""
    same: Callable[[str], str] = str.casefold if folded else str
    written = same(_bared(pattern))
    inside = {name.partition("/")[0] for name in files}
    forms = [written.rstrip("/")]
    for plain in dict.fromkeys((written, written.translate(_ESCAPES))):
        forms += _from_folder(plain, folder, inside, same)
    forms += [_BELOW.sub("", form) for form in forms]  # all below a file is the file
    return list(dict.fromkeys(form for form in forms if form))


def _bared(pattern: str) -> str:
    """A pattern without blanks and quotes around it, NFC."""
    bare = unicodedata.normalize("NFC", pattern).strip().strip(_BLANKS).strip()
    return bare[1:-1].strip() if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'`" else bare


def _from_folder(written: str, folder: Path, inside: Collection[str], same: Callable[[str], str]) -> Iterator[str]:
    """A path with its slashes put right: from the folder, and without what leads to the folder."""
    plain = written.replace("\\", "/")
    if plain.startswith(("~/", "../")) or plain == "..":
        plain = same((Path(plain).expanduser() if plain[0] == "~" else folder.absolute() / plain).as_posix())
    parts = _parts(plain)
    if not plain or parts is None:
        return
    for home in dict.fromkeys((folder.absolute(), folder.resolve())):
        above = _parts(same(unicodedata.normalize("NFC", home.as_posix()))) or []
        if above and parts[: len(above)] == above:  # an absolute path
            yield _joined(parts[len(above) :])
            return
        for depth in range(1, len(above) + 1):  # the folder's own name in front, with the folders above it or without
            if parts[:depth] == above[-depth:] and parts[0] not in inside and not lies(folder, parts[0]):
                yield _joined(parts[depth:])
    yield _joined(parts)


def _joined(parts: Sequence[str]) -> str:
    return "/".join(parts) or "**"


def _parts(path: str) -> list[str] | None:
    """The names of a path without `.` and `..`; None where it leads out, or back from a name that is not known."""
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            if not parts or _WILD.search(parts[-1]):
                return None
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return parts


def nearest_paths(pattern: str, files: Collection[str]) -> tuple[str, ...]:
    """The files and folders whose names are most like a pattern's, best first; none where none is like it."""
    folders = {name[:end] for name in files for end in _slashes(name)}
    wanted = [bare for part in re.split(r"[/\\]+", fold(pattern.strip())) if (bare := _bare(part)).strip(".~")]
    scored = [(_likeness(wanted, fold(name).split("/")), name) for name in {*files, *folders}] if wanted else []
    near = sorted((-score, name.count("/"), name) for score, name in scored if score >= _NEAR)
    return tuple(name for *_, name in near[:_SHOWN])


def _bare(part: str) -> str:
    """A name without its wildcards; nothing where hardly more than an ending is left of it."""
    bare = _WILD.sub("", part)
    return bare if bare == part or len(bare.partition(".")[0]) > 2 else ""


def _slashes(name: str) -> Iterator[int]:
    return (at for at, letter in enumerate(name) if letter == "/")


def _likeness(wanted: Sequence[str], names: Sequence[str]) -> float:
    """How like two paths are, 0 to 1: as wholes, by as many names from their ends as both have, and by their last."""
    both = min(len(wanted), len(names))
    return max(
        _ratio("/".join(wanted), "/".join(names)),
        0.98 * _ratio("/".join(wanted[-both:]), "/".join(names[-both:])),
        0.9 * _ratio(wanted[-1], names[-1]),
        _NEAR if len(wanted[-1]) >= _LONG and wanted[-1] in names[-1] else 0.0,
    )


def _ratio(one: str, other: str) -> float:
    matcher = difflib.SequenceMatcher(None, one, other, autojunk=False)
    if matcher.real_quick_ratio() < _NEAR or matcher.quick_ratio() < _NEAR:
        return 0.0
    return matcher.ratio()


def lies(folder: Path, form: str) -> bool:
    """Whether something of this name is in the folder, read or not; of a pattern with wildcards, never."""
    path = PurePath(form)
    if _WILD.search(form) or path.drive or path.root or ".." in path.parts:  # that would be looked for outside
        return False
    return any(os.path.lexists(folder / unicodedata.normalize(kind, form)) for kind in ("NFC", "NFD"))
