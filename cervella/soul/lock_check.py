"""Compares a soul with its lock file: logs a warning or raises an error if the soul has changed."""

from __future__ import annotations

import logging
import os
from pathlib import Path

from cervella.errors import SoulChangedError, SoulError
from cervella.prompt.layout import LAYOUT_VERSION
from cervella.protocols import Soul
from cervella.soul.lock import Lock

_logger = logging.getLogger("cervella.soul")


def held_against_lock(soul: Soul, path: str | os.PathLike[str], *, strict: bool | None = None) -> None:
    """Compare a soul with the lock file at `path`. If they differ, log a warning or, if `strict`, raise
    SoulChangedError.

    With `strict=None` the check is strict if the environment variable `CI` is true. Without a lock file nothing
    happens. A lock file that can't be read is an error if the check is strict, else a warning. The log record of a
    warning has the path of the file as `lock`.
    """
    path = Path(path)
    if not path.exists():
        return
    try:
        lock = Lock.load(path)
        found = Lock.of(soul, path)
        if not lock.same_soul(found):
            raise soul_changed(lock, found, path)
    except SoulError as error:
        if is_strict(strict):
            raise
        _logger.warning("%s %s", error.message, error.remedy, extra={"lock": str(path.absolute())})
        return
    if lock.stale_verdicts:
        _logger.warning("%s", stale_told(lock), extra={"lock": str(path.absolute())})


def is_strict(strict: bool | None) -> bool:
    """Whether a changed soul is an error (True) or only a warning (False).

    This is `strict`, if it is given. If it is None, it is whether the environment variable `CI` is true.
    """
    if strict is not None:
        return strict
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no")


def soul_changed(lock: Lock, found: Lock, path: Path) -> SoulChangedError:
    """The error for a soul that differs from its lock file. `lock` is the file's content, `found` the lock of the soul
    now."""
    if lock.fingerprint != found.fingerprint:
        subject, locked, now = "The soul", lock.fingerprint, found.fingerprint
        change = f"its fingerprint was {locked[:12]}…, and is {now[:12]}… now"
    else:
        subject, locked, now = "The soul's language", lock.language, found.language
        change = f"it was {locked!r}, and is {now!r} now"
    return SoulChangedError(
        f"{subject} is not the one that {path.name} pins since {lock.locked}: {change}.",
        locked=locked,
        found=now,
        remedy="Show the changes with `cervella soul diff`. If they are intended, run `cervella soul lock`.",
    )


def stale_told(lock: Lock) -> str:
    """The text of the warning that the soul was tested with prompts of another layout than the current one."""
    brains = ", ".join(f"{one.brain} ({one.model})" for one in lock.stale_verdicts)
    return (
        f"Prompts are laid out in another way (version {LAYOUT_VERSION}) than when the soul was tested with {brains}: "
        "these verdicts are stale. Test again with `cervella soul test`."
    )
