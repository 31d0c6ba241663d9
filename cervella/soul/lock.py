"""Reads and writes the lock file `soul.lock`, which records the version of the soul that its owner approved.

The file contains the fingerprint and the text of the soul, the checksums of its source files, its language, the layout
version of the prompt, the number of tokens for each brain, and the last verdict of the soul test for each brain and
model. Verdicts are dropped when the fingerprint or the language changes.
"""

from __future__ import annotations

import datetime
import hashlib
import os
import tomllib
import unicodedata
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from cervella.errors import SoulError, refused
from cervella.process.files import draft_of, put_in_place
from cervella.prompt.layout import LAYOUT_VERSION, estimate_tokens
from cervella.protocols import Soul
from cervella.soul.difference import Change, changed_sentences
from cervella.text.language import DEFAULT_LANGUAGE, known_languages, language

_HEAD = """\
# The soul as its owner approved it. Keep this file with the sources.
# Written by `cervella soul lock`; `cervella soul diff` shows what changed since.
"""
_LOCK_VERSION = 1
_TRIES = 5
_OWN = frozenset({"version", "soul", "files", "brains", "verdicts"})


@dataclass(frozen=True, slots=True, kw_only=True)
class BrainTokens:
    """The number of tokens of the soul for one brain."""

    brain: str
    model: str
    tokens: int | None
    """None if the brain could not be asked."""
    counted: bool
    """True if the brain counted the tokens; false for the estimate ceil(characters / 3)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """The last result of the soul test for one brain and model."""

    brain: str
    model: str
    verdict: str
    """The verdict of the soul test."""
    score: float | None
    """0 to 1. None if the test gave no score."""
    date: str
    """Day of the test, ISO 8601."""
    suite: str
    """SHA-256 of the probes of the suite."""
    layout: int
    """Layout version of the prompts in the test."""

    @property
    def stale(self) -> bool:
        """Whether the test used prompts of another layout version than the current one: its result may no longer
        hold."""
        return self.layout != LAYOUT_VERSION


@dataclass(frozen=True, kw_only=True)
class Lock:
    """The content of a lock file. `Lock.of` makes it from a soul, `load` reads the file, `write` writes it."""

    name: str
    language: str
    fingerprint: str
    layout: int
    locked: str
    """Day on which the soul was locked, ISO 8601."""
    text: str
    """The system prompt."""
    files: Mapping[str, str] = field(default_factory=dict)
    """SHA-256 of each source file, by its path relative to the folder of the lock file."""
    brains: tuple[BrainTokens, ...] = ()
    verdicts: Mapping[tuple[str, str], Verdict] = field(default_factory=dict)
    """The last verdict of the soul test for each pair of brain and model."""
    others: Mapping[str, Any] = field(default_factory=dict)
    """Keys that the owner added to the file. They are kept unchanged."""
    head: str = _HEAD
    """The comments at the start of the file."""

    @property
    def tokens(self) -> int:
        """The estimated number of tokens of the soul: ceil(characters / 3)."""
        return estimate_tokens(self.text)

    @classmethod
    def of(
        cls,
        soul: Soul,
        path: str | os.PathLike[str],
        *,
        brains: Iterable[BrainTokens] = (),
        earlier: Lock | None = None,
        today: str | None = None,
    ) -> Lock:
        """Make the lock of a soul, to be written to `path`. `brains` are its token counts.

        From an `earlier` lock it keeps the owner's own keys. If fingerprint and language are the same, it also keeps
        the day, the verdicts, and the token counts of brains that can't be asked now. Otherwise the day is `today`, by
        default the current one.
        """
        text = soul.system_prompt()
        files = getattr(soul, "files", ())
        new = cls(
            name=soul.name,
            language=soul.language,
            fingerprint=hashlib.sha256(text.encode()).hexdigest(),
            layout=LAYOUT_VERSION,
            locked=today or datetime.date.today().isoformat(),
            text=text,
            files={_relative(file, Path(path)): digest for file, digest in files},
            brains=tuple(brains),
        )
        if earlier is None:
            return new
        new = replace(new, others=earlier.others, head=earlier.head)
        if not new.same_soul(earlier):
            return new
        known = {(one.brain, one.model): one for one in (*earlier.brains, *new.brains) if one.tokens is not None}
        asked = {(one.brain, one.model): one for one in new.brains}
        counts = tuple((asked | known).values()) if asked else earlier.brains
        return replace(new, locked=earlier.locked, verdicts=earlier.verdicts, brains=counts)

    def same_soul(self, other: Lock) -> bool:
        """Whether both locks pin the same soul: their fingerprint and their language are equal."""
        return (self.fingerprint, self.language) == (other.fingerprint, other.language)

    def changes_to(self, other: Lock) -> tuple[Change, ...]:
        """The sentences that were removed or added between this soul and that of `other`. Empty if only white space or
        line breaks differ."""
        code = other.language if other.language in known_languages() else DEFAULT_LANGUAGE
        return changed_sentences(self.text, other.text, language(code))

    def changed_files(self, other: Lock) -> tuple[str, ...]:
        """The paths of the source files that differ between this lock and `other`: changed, added or removed. A change
        in a section that is excluded from the system prompt counts too."""
        paths = dict.fromkeys((*self.files, *other.files))
        return tuple(path for path in paths if self.files.get(path) != other.files.get(path))

    @property
    def stale_verdicts(self) -> tuple[Verdict, ...]:
        return tuple(verdict for verdict in self.verdicts.values() if verdict.stale)

    # The file

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> Lock:
        """Read the file. Raises SoulError if it is missing or damaged, or its version is not supported."""
        return _loaded(Path(path))[0]

    def write(self, path: str | os.PathLike[str]) -> bool:
        """Write the file atomically and return True; return False if the file already has this content.

        Raises SoulError if the path already has a file that is not a valid lock file: it is not overwritten.
        """
        path = Path(path).resolve()  # a link stays one
        if path.exists() and self == Lock.load(path):
            return False
        _write_whole(path, self._toml().encode())
        return True

    def _toml(self) -> str:
        rows = (
            {"brain": one.brain, "model": one.model, "tokens": one.tokens, "counted": one.counted}
            for one in self.brains
        )
        data = {
            "version": _LOCK_VERSION,
            **{key: value for key, value in self.others.items() if not _is_table(value)},
            "soul": {
                "name": self.name,
                "language": self.language,
                "fingerprint": self.fingerprint,
                "layout": self.layout,
                "locked": self.locked,
                "tokens": self.tokens,
                "text": self.text,
            },
            "files": [{"path": path, "sha256": digest} for path, digest in self.files.items()],
            "brains": list(rows),
            "verdicts": [
                {name: getattr(verdict, name) for name in Verdict.__dataclass_fields__}
                for verdict in self.verdicts.values()
            ],
            **{key: value for key, value in self.others.items() if _is_table(value)},
        }
        import tomli_w

        kept = {key: _written(value) for key, value in data.items() if value != []}
        return f"{self.head}{tomli_w.dumps(kept, multiline_strings=True)}"


def record_verdict(
    path: str | os.PathLike[str],
    *,
    fingerprint: str,
    language: str,
    brain: str,
    model: str,
    verdict: str,
    score: float | None,
    suite: str,
    layout: int = LAYOUT_VERSION,
    date: str | None = None,
) -> bool:
    """Store the result of a soul test in the lock file at `path`, and return True.

    Returns False, without writing, if there is no file or if its fingerprint or language is not the tested soul's.
    `date` is the day of the test, by default today; the other values are those of `Verdict`. Raises SoulError if the
    lock can't be read or written.
    """
    result = Verdict(
        brain=brain,
        model=model,
        verdict=verdict,
        score=score,
        suite=suite,
        layout=layout,
        date=date or datetime.date.today().isoformat(),
    )
    path = Path(path).resolve()
    for _ in range(_TRIES):
        if not path.exists():
            return False
        lock, data = _loaded(path)
        if (lock.fingerprint, lock.language) != (fingerprint, language):
            return False
        changed = replace(lock, verdicts={**lock.verdicts, (brain, model): result})
        if _write_whole(path, changed._toml().encode(), only_if=data):
            return True
    raise SoulError(
        f"Other processes keep changing the lock {str(path)!r}.",
        remedy="Wait until the other soul tests have ended. The verdict is in the results of this test.",
        code="lock_busy",
    )


def _relative(file: Path, lock: Path) -> str:
    """The path of a file relative to the folder of the lock, with `/` as separator."""
    try:
        path = Path(os.path.relpath(file, lock.parent))
    except ValueError:  # on another drive of Windows
        path = file
    return unicodedata.normalize("NFC", path.as_posix())


def _written(value: Any) -> Any:
    """The value without the keys whose value is None, because TOML has no None."""
    if isinstance(value, Mapping):
        return {key: _written(one) for key, one in value.items() if one is not None}
    return [_written(one) for one in value] if isinstance(value, (list, tuple)) else value


def _is_table(value: Any) -> bool:
    return isinstance(value, Mapping) or (isinstance(value, list) and any(isinstance(one, Mapping) for one in value))


def _loaded(path: Path) -> tuple[Lock, bytes]:
    document, head, data = _document(path)
    try:
        return _parsed(document, head), data
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        what = f"{error.args[0]!r} is missing" if isinstance(error, KeyError) else str(error)
        raise _damaged(path, what) from error


def _parsed(document: dict[str, Any], head: str) -> Lock:
    soul = document["soul"]
    lock = Lock(
        **{key: _kind(soul, key, str) for key in ("name", "language", "fingerprint", "text")},
        layout=_kind(soul, "layout", int),
        locked=str(soul["locked"]),
        files={_kind(row, "path", str): _kind(row, "sha256", str) for row in document.get("files", [])},
        brains=tuple(
            BrainTokens(
                brain=_kind(row, "brain", str),
                model=_kind(row, "model", str),
                tokens=_kind(row, "tokens", int) if "tokens" in row else None,
                counted=_kind(row, "counted", bool),
            )
            for row in document.get("brains", [])
        ),
        verdicts={(verdict.brain, verdict.model): verdict for verdict in map(_verdict, document.get("verdicts", []))},
        others={key: value for key, value in document.items() if key not in _OWN},
        head=head,
    )
    if hashlib.sha256(lock.text.encode()).hexdigest() != lock.fingerprint:
        raise ValueError("the fingerprint is not that of the text")
    return lock


def _verdict(row: Any) -> Verdict:
    score = row.get("score")
    if score is not None and not 0 <= float(score) <= 1:  # also true for NaN
        raise ValueError(f"'score' is {score!r:.40}")
    return Verdict(
        **{key: _kind(row, key, str) for key in ("brain", "model", "verdict", "suite")},
        date=str(row["date"]),
        score=None if score is None else float(score),
        layout=_kind(row, "layout", int),
    )


def _kind(row: Any, key: str, kind: Callable[..., Any]) -> Any:
    value = row[key]
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):  # type: ignore[arg-type]
        raise TypeError(f"{key!r} is {value!r:.40}")
    return value


def _write_whole(path: Path, data: bytes, *, only_if: bytes | None = None) -> bool:
    """Write the file atomically. Returns True if it was written.

    If `only_if` is given, the file is written only while its content is still `only_if`.
    """
    with refused(
        SoulError,
        f"The lock {str(path)!r} can't be written",
        remedy="Check that you may write there, or name another file with [soul] lock.",
        code="lock_unwritable",
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        with draft_of(path, mode=None) as draft:
            draft.write_bytes(data)
            if only_if is not None and path.read_bytes() != only_if:
                return False
            put_in_place(draft, path)
    return True


def _document(path: Path) -> tuple[dict[str, Any], str, bytes]:
    """The parsed file, the comments at its start, and its bytes. Raises SoulError."""
    with refused(
        SoulError,
        f"The lock {str(path)!r} can't be read",
        remedy="Check that it is a file and that you may read it.",
        code="lock_unreadable",
    ):
        if not path.exists():
            raise SoulError(
                f"There is no lock at {str(path)!r}.",
                remedy="Pin the soul as it is with `cervella soul lock`.",
                code="lock_missing",
            )
        data = path.read_bytes()
    try:
        text = data.decode("utf-8-sig")
        document = tomllib.loads(text)
    except (UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise _damaged(path, str(error)) from error
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise _damaged(path, "the version is missing")
    if version != _LOCK_VERSION:
        raise SoulError(
            f"The lock {str(path)!r} is of version {version}; this Cervella reads version {_LOCK_VERSION}.",
            remedy="Update Cervella. The file is not overwritten.",
            code="lock_version",
        )
    return document, _comments(text), data


def _damaged(path: Path, what: str) -> SoulError:
    """The error for a lock file that can't be parsed."""
    return SoulError(
        f"The lock {str(path)!r} is damaged: {what}.",
        remedy="Restore it from version control. If the current soul is the approved one, delete the file and run "
        "`cervella soul lock`.",
        code="lock_damaged",
    )


def _comments(text: str) -> str:
    """The comments and blank lines at the start of a text."""
    kept = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        kept.append(f"{line}\n")
    return "".join(kept)
