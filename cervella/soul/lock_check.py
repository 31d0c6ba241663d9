"""A soul held against the lock that pins it: a warning where it changed, an error where that is asked for."""

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
    """Warn in the log where a soul is not the one that a lock pins; with `strict`, raise SoulChangedError.

    The record's `lock` is the lock's path.

    Without `strict`, the environment decides: it is strict in CI (`CI=true`). Nothing is said where there is no lock. A
    lock that can't be read is an error where it is strict, else a warning.
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
    """What was asked for; where nothing was, true in CI: the environment says `CI=true` there."""
    if strict is not None:
        return strict
    return os.environ.get("CI", "").strip().lower() not in ("", "0", "false", "no")


def soul_changed(lock: Lock, found: Lock, path: Path) -> SoulChangedError:
    """What is said of a soul that is not the one of the lock."""
    if lock.fingerprint != found.fingerprint:
        told, locked, now = "The soul", lock.fingerprint, found.fingerprint
        what = f"its fingerprint was {locked[:12]}…, and is {now[:12]}… now"
    else:
        told, locked, now = "The soul's language", lock.language, found.language
        what = f"it was {locked!r}, and is {now!r} now"
    return SoulChangedError(
        f"{told} is not the one that {path.name} pins since {lock.locked}: {what}.",
        locked=locked,
        found=now,
        remedy="See what changed with `cervella soul diff`; if it is meant, pin it with `cervella soul lock`.",
    )


def stale_told(lock: Lock) -> str:
    """What is said of verdicts on prompts that were laid out in another way."""
    brains = ", ".join(f"{one.brain} ({one.model})" for one in lock.stale_verdicts)
    return (
        f"Prompts are laid out in another way (version {LAYOUT_VERSION}) than when the soul was tested with {brains}: "
        "these verdicts are stale. Test again with `cervella soul test`."
    )
