"""What the index says of its documents, for commands that explain it."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from cervella.agent.agent import Agent
from cervella.cli.output import note
from cervella.errors import CervellaError, did_you_mean
from cervella.knowledge.index.manifest import FileRow
from cervella.types.filters import path_matches

__all__ = ["warn_of_filters"]

_SHOWN = 12


def warn_of_filters(agent: Agent, filters: Mapping[str, Any] | None) -> bool:
    """Say which values of the filters no document has, and which there are: «non lo so» alone would mislead.

    Whether something was said.
    """
    if not filters or not {"role", "project", "path"} & filters.keys():
        return False
    from cervella.evaluation.search.indexed import manifest_of

    with manifest_of(agent) as manifest:
        files: list[FileRow] = []
        with suppress(CervellaError):
            files = list(manifest.files().values()) if manifest else []
    if not files:
        return False
    said = False
    for key in ("role", "project"):
        known = sorted({value for file in files if (value := getattr(file, key)) is not None})
        for value in filters.get(key, ()):
            if value not in known:
                note(f"warning: No document has the {key} {value!r}. {did_you_mean(value, known)}{_listed(key, known)}")
                said = True
    for pattern in filters.get("path", ()):
        if not any(path_matches(file.path, pattern) for file in files):
            note(
                f"warning: No document's path matches {pattern!r}. Paths are relative to "
                f"{str(agent.config.knowledge.folder)!r}, as {files[0].path!r}; '**' crosses folders."
            )
            said = True
    return said


def _listed(key: str, known: list[str]) -> str:
    if not known:
        return f"The documents here have no {key}."
    more = f" and {len(known) - _SHOWN} more" if len(known) > _SHOWN else ""
    return f"There are: {', '.join(known[:_SHOWN])}{more}."
