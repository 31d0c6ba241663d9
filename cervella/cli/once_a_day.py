"""A warning about the soul's lock that nothing has changed is shown once a day, not with every question.

The log has it each time. Another soul, another lock or other words are another warning, which is shown at once.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import logging
from pathlib import Path

import platformdirs

from cervella.process.files import make_private_folder, replace_file

__all__ = ["first_today"]

_FOLDER, _FILE = ".cervella", "warned.json"


def first_today(record: logging.LogRecord) -> bool:
    """Whether a warning about a lock has not been shown today; then it is noted as shown. True for any other record.

    What can't be noted, in a folder that may only be read, is shown each time.
    """
    lock = getattr(record, "lock", None)
    if lock is None:
        return True
    key = hashlib.sha256(f"{lock}\n{record.getMessage()}".encode()).hexdigest()
    today = datetime.date.today().isoformat()
    file = _kept(Path(lock))
    shown = {known: day for known, day in _read(file).items() if day == today}
    if key in shown:
        return False
    with contextlib.suppress(OSError):
        make_private_folder(file.parent)
        replace_file(file, json.dumps({**shown, key: today}))
    return True


def _kept(lock: Path) -> Path:
    """Beside the project's other bookkeeping, where it has such a folder; else in the user's own."""
    beside = lock.parent / _FOLDER
    return (beside if beside.is_dir() else Path(platformdirs.user_state_path("cervella"))) / _FILE


def _read(file: Path) -> dict[str, str]:
    try:
        data = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}
