"""Interprets the globs by which an owner names files of the folder: `exclude` and `local_only`.

A pattern is a path relative to the folder; a folder's name matches all its files. Common variants, such as absolute
paths, are accepted. A pattern of `local_only` is also read as in gitignore, which matches more: a name without a slash
matches at any depth.
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

_SHOWN = 3  # maximum number of similar paths in a message
_NEAR = 0.6  # difflib's ratio from which two names count as similar
_LONG = 4  # characters from which a name contained in another counts as similar
_SPELLED = 64  # maximum number of patterns that braces and classes are expanded to
_ENDINGS = (".md", ".markdown", ".mdx", ".txt")
_BLANKS = "\u200b\ufeff"  # zero-width characters, which str.strip leaves
_ESCAPES = str.maketrans({"\b": "/b", "\t": "/t", "\n": "/n", "\f": "/f", "\r": "/r"})
"""Undoes TOML's escapes of Windows paths between double quotes: `"note\\bozze"` contains a backspace."""
_WILD = re.compile(r"[*?]")
_BELOW = re.compile(r"(?:/\*+)+$")


@dataclass(frozen=True, slots=True)
class Glob:
    """The interpretation of a pattern."""

    texts: tuple[str, ...]
    """Globs relative to the folder. The pattern matches a path if one of these globs does."""
    folded: bool = False
    """Whether case is ignored. If so, `texts` are case-folded."""

    def covers(self, path: str) -> bool:
        """Whether the pattern matches this path (relative to the folder), or a folder that contains it."""
        path = path.casefold() if self.folded else path
        return any(path_matches(path, text) or path_matches(path, f"{text}/**") for text in self.texts)


def understood(pattern: str, folder: Path, files: Collection[str], *, wide: bool = False) -> Glob | None:
    """The most literal interpretation of a pattern that matches some of `files`; None if there is none.

    Ignoring case is tried last. `files` are relative to the folder, POSIX, NFC. If `wide` is True, the interpretations
    match more files: case is always ignored, and see `widened`.
    """
    for folded in (True,) if wide else (False, True):
        names = {name.casefold() for name in files} if folded else files
        forms = forms_of(pattern, folder, names, folded=folded)
        for reading in [*([[form]] for form in forms), *(spelled_out(form) for form in forms)]:
            texts = [
                tuple(text for one in either for text in (widened(one, pattern) if wide else (one,)))
                for either in reading
            ]
            if texts and all(any(map(Glob(some).covers, names)) for some in texts):
                return Glob(tuple(text for some in texts for text in some), folded)
    return None


def widened(form: str, pattern: str) -> tuple[str, ...]:
    """The globs by which a pattern of `local_only` matches more files than one of `exclude`.

    `form` is one interpretation of `pattern`, see `forms_of`. It also matches with the ending of a markdown file, and
    at any depth if the pattern has no slash.
    """
    last = form.rpartition("/")[2]
    whole = _WILD.search(last) or last.casefold().endswith(_ENDINGS)
    texts = [form] if whole else [form, *(form + ending for ending in _ENDINGS)]
    bare = "/" not in _bared(pattern).replace("\\", "/").rstrip("/")
    return tuple(f"**/{text}" if bare else text for text in texts)


def spelled_out(form: str) -> list[list[str]]:
    """Expand braces, then classes such as `[abc]`: a list of patterns for each alternative of the braces.

    Each alternative of the braces must match a file; of the patterns of one list, any may.
    """
    return [list(map("".join, product(*_classes(one)))) for one in map("".join, product(*_braces(form)))]


def _braces(form: str) -> list[list[str]]:
    parts = re.split(r"\{([^{}]*,[^{}]*)\}", form)
    return _few([part.split(",") if number % 2 else [part] for number, part in enumerate(parts)])


def _classes(form: str) -> list[list[str]]:
    parts = re.split(r"\[([^\[\]/]+)\]", form)
    return _few([_letters(part) if number % 2 else [part] for number, part in enumerate(parts)])


def _few(choices: list[list[str]]) -> list[list[str]]:
    """The choices for each part of a pattern, or no choice at all if they have more than `_SPELLED` combinations."""
    return choices if math.prod(map(len, choices)) <= _SPELLED else [[]]


def _letters(inside: str) -> list[str]:
    """The characters that a class such as `[a-c]` matches, given without its brackets.

    A negated class such as `[!a]` becomes `?`, which matches any character.
    """
    if inside[0] in "!^":
        return ["?"]
    found = re.findall(r"(.)-(.)|(.)", inside, re.DOTALL)
    return [
        chr(code)
        for first, last, one in found
        for code in range(ord(first or one), min(ord(last or one), ord(first or one) + _SPELLED) + 1)
    ]


def forms_of(pattern: str, folder: Path, files: Collection[str], *, folded: bool = False) -> list[str]:
    """The possible interpretations of a pattern as globs relative to the folder, the most literal first.

    If `folded` is True, case is ignored: the globs are case-folded, and `files` must be.
    """
    same: Callable[[str], str] = str.casefold if folded else str
    written = same(_bared(pattern))
    inside = {name.partition("/")[0] for name in files}
    forms = [written.rstrip("/")]
    for plain in dict.fromkeys((written, written.translate(_ESCAPES))):
        forms += _from_folder(plain, folder, inside, same)
    forms += [_BELOW.sub("", form) for form in forms]  # `name/**` is also tried as `name`, which may be a file
    return list(dict.fromkeys(form for form in forms if form))


def _bared(pattern: str) -> str:
    """A pattern in NFC, without surrounding white space and quotes."""
    bare = unicodedata.normalize("NFC", pattern).strip().strip(_BLANKS).strip()
    return bare[1:-1].strip() if len(bare) > 2 and bare[0] == bare[-1] and bare[0] in "\"'`" else bare


def _from_folder(written: str, folder: Path, inside: Collection[str], same: Callable[[str], str]) -> Iterator[str]:
    """Yields the interpretations of a pattern that begins with the path or the name of the folder.

    In a folder `/home/me/notes`, `/home/me/notes/a.md` means `a.md`, and so may `notes/a.md`. Other patterns stay as
    they are, but with slashes instead of backslashes.
    """
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
        for depth in range(1, len(above) + 1):  # the folder's own name in front
            if parts[:depth] == above[-depth:] and parts[0] not in inside and not lies(folder, parts[0]):
                yield _joined(parts[depth:])
    yield _joined(parts)


def _joined(parts: Sequence[str]) -> str:
    return "/".join(parts) or "**"


def _parts(path: str) -> list[str] | None:
    """The names of the folders and the file in a path, with `.` and `..` resolved.

    None if `..` leads above the start of the path, or follows a name with a wildcard.
    """
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
    """The files and folders whose paths are most similar to a pattern that matches nothing, for its error message.

    The most similar one is first. Empty if none is similar.
    """
    folders = {name[:end] for name in files for end in _slashes(name)}
    wanted = [bare for part in re.split(r"[/\\]+", fold(pattern.strip())) if (bare := _bare(part)).strip(".~")]
    scored = [(_likeness(wanted, fold(name).split("/")), name) for name in {*files, *folders}] if wanted else []
    near = sorted((-score, name.count("/"), name) for score, name in scored if score >= _NEAR)
    return tuple(name for *_, name in near[:_SHOWN])


def _bare(part: str) -> str:
    """A name without its wildcards; empty if hardly more than a file ending is left."""
    bare = _WILD.sub("", part)
    return bare if bare == part or len(bare.partition(".")[0]) > 2 else ""


def _slashes(name: str) -> Iterator[int]:
    return (at for at, letter in enumerate(name) if letter == "/")


def _likeness(wanted: Sequence[str], names: Sequence[str]) -> float:
    """The similarity of two paths, given as lists of names, from 0 to 1.

    It is the highest of three: of the whole paths, of as many last names as the shorter path has, and of the last name.
    """
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
    """Whether a file or folder with the relative path `form` exists in `folder`. False for a path with wildcards."""
    path = PurePath(form)
    if _WILD.search(form) or path.drive or path.root or ".." in path.parts:  # the last three lead outside
        return False
    return any(os.path.lexists(folder / unicodedata.normalize(kind, form)) for kind in ("NFC", "NFD"))
