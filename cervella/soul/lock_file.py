"""Reading and writing soul.lock: whole or not at all, and what is wrong with it said in the owner's words."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

from cervella.errors import SoulError, refused
from cervella.process.files import draft_of, put_in_place

__all__ = ["LOCK_VERSION", "damaged", "read_document", "write_lock"]

LOCK_VERSION = 1


def write_lock(path: Path, data: bytes, *, only_if: bytes | None = None) -> bool:
    """Write a lock whole; whether it was written: not where it holds something else than `only_if` by now."""
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


def read_document(path: Path) -> tuple[dict[str, Any], str, bytes]:
    """What the file holds, the comments at its head, its bytes. Raises SoulError."""
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
        raise damaged(path, str(error)) from error
    version = document.get("version")
    if not isinstance(version, int) or isinstance(version, bool):
        raise damaged(path, "it does not say its version")
    if version != LOCK_VERSION:
        raise SoulError(
            f"The lock {str(path)!r} is of version {version}; this Cervella reads version {LOCK_VERSION}.",
            remedy="Update Cervella here to the one that wrote it; it is not overwritten.",
            code="lock_version",
        )
    return document, _head(text), data


def damaged(path: Path, what: str) -> SoulError:
    """What is said of a lock that is no lock."""
    return SoulError(
        f"The lock {str(path)!r} is damaged: {what}.",
        remedy="Take it back from version control; or, if the soul is right as it is, delete the file and run "
        "`cervella soul lock`.",
        code="lock_damaged",
    )


def _head(text: str) -> str:
    """The comments and blank lines at the head."""
    kept = []
    for line in text.replace("\r\n", "\n").split("\n"):
        if line.strip() and not line.lstrip().startswith("#"):
            break
        kept.append(f"{line}\n")
    return "".join(kept)
