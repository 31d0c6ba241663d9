"""Reading and writing soul.lock: whole or not at all, and what is wrong with it said in the owner's words."""

from __future__ import annotations

import contextlib
import os
import shutil
import tomllib
import uuid
from pathlib import Path
from typing import Any

from cervella.errors import SoulError

__all__ = ["LOCK_VERSION", "damaged", "read_document", "replace_file"]

LOCK_VERSION = 1


def replace_file(path: Path, data: bytes, *, only_if: bytes | None = None) -> bool:
    """Write a file whole; whether it was: not where it no longer holds what it held."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.{uuid.uuid4().hex[:12]}.new")
        try:
            with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            if path.exists():
                shutil.copymode(path, fresh)
            if only_if is not None and path.read_bytes() != only_if:
                return False
            os.replace(fresh, path)
        finally:
            with contextlib.suppress(FileNotFoundError):
                fresh.unlink()
    except OSError as error:
        raise SoulError(
            f"The lock {str(path)!r} can't be written: {error.strerror or error}.",
            remedy="Check that you may write there, or name another file with [soul] lock.",
            code="lock_unwritable",
        ) from error
    return True


def read_document(path: Path) -> tuple[dict[str, Any], str, bytes]:
    """What the file holds, the comments at its head, its bytes. Raises SoulError."""
    try:
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
        document = tomllib.loads(text)
    except FileNotFoundError as error:
        raise SoulError(
            f"There is no lock at {str(path)!r}.",
            remedy="Pin the soul as it is with `cervella soul lock`.",
            code="lock_missing",
        ) from error
    except OSError as error:
        raise SoulError(
            f"The lock {str(path)!r} can't be read: {error.strerror or error}.",
            remedy="Check that it is a file and that you may read it.",
            code="lock_unreadable",
        ) from error
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
