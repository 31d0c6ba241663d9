"""Defines the options that several commands share, and the filters of a search."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cervella.cli.output import note
from cervella.errors import CervellaError, ConfigError, did_you_mean
from cervella.types.filters import meta_matches, meta_values, path_matches, same_project, tag_matches

if TYPE_CHECKING:
    from cervella.agent.agent import Agent
    from cervella.knowledge.index.manifest import FileRow

_MOST_LISTED = 12
"""When a filter's value does not exist, the warning lists at most this many values that do."""


def brain_option(help: str) -> Any:
    """The option `--brain`; the shell completes the names of brains."""
    return typer.Option("--brain", help=help, autocompletion=complete_brain)


def complete_brain(incomplete: str) -> list[str]:
    """The names of brains that begin with `incomplete`, for the shell's completion."""
    from cervella.brains import brain_names
    from cervella.configuration.config import load_config

    configured = {}
    with contextlib.suppress(CervellaError):
        configured = dict(load_config().brains)
    return [name for name in brain_names(configured) if name.startswith(incomplete)]


ConfigPath = Annotated[
    Path | None,
    typer.Option("--config", help="The cervella.toml to use; by default the nearest one.", show_default=False),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document.")]
Brain = Annotated[str | None, brain_option("Ask this brain, as `name` or `name:model`.")]
TopK = Annotated[int | None, typer.Option("--top-k", min=1, help="Number of passages.", show_default=False)]
Timeout = Annotated[float | None, typer.Option("--timeout", help="Most seconds to wait for the result.")]
Suite = Annotated[
    str | None,
    typer.Option("--suite", metavar="FILE", help="A suite of your own; by default the one of the soul's language."),
]
Judge = Annotated[
    str | None,
    typer.Option(
        "--judge",
        metavar="BRAIN",
        help="The brain that decides the checks that need judgement; by default [evaluation] judge.",
    ),
]
Probes = Annotated[
    int | None,
    typer.Option("--probes", min=1, help="Ask only this many probes, from all dimensions.", show_default=False),
]
MaxTurn = Annotated[
    int | None, typer.Option("--max-turn", min=1, help="End each conversation after this turn.", show_default=False)
]
Paraphrases = Annotated[int, typer.Option("--paraphrases", min=0, help="Number of other wordings of each probe.")]
Rescore = Annotated[
    str | None,
    typer.Option("--rescore", metavar="RUN", help="Score the answers of an earlier run again; no brain is asked."),
]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask for confirmation when cloud brains may cost much.")]
FilterRole = Annotated[list[str] | None, typer.Option("--role", help="Only documents with this role.")]
FilterProject = Annotated[list[str] | None, typer.Option("--project", help="Only documents of this project.")]
FilterStatus = Annotated[
    list[str] | None,
    typer.Option(
        "--status", help="Only documents with this status: current, superseded, deprecated, archived or draft."
    ),
]
FilterPath = Annotated[list[str] | None, typer.Option("--path", help="Only files whose path matches: 'progetti/**'.")]
FilterTag = Annotated[
    list[str] | None, typer.Option("--tag", help="Only documents with this tag, or one below it: 'prezzi'.")
]
FilterMeta = Annotated[
    list[str] | None,
    typer.Option(
        "--meta",
        metavar="KEY=VALUE",
        help="Only documents whose front matter has this value: 'autore=Rossi'. The same key again is a further "
        "accepted value.",
    ),
]
FilterSince = Annotated[str | None, typer.Option("--since", help="Only documents of this day or later: 2026-01-31.")]
FilterUntil = Annotated[str | None, typer.Option("--until", help="Only documents of this day or earlier.")]


def filters_of(*, meta: Sequence[str] | None = None, **given: Any) -> dict[str, Any] | None:
    """The filters that the user gave, by name; None if the user gave none. `meta` are texts such as `key=value`."""
    accepted: dict[str, list[str]] = {}
    for pair in meta or ():
        key, sign, value = (part.strip() for part in pair.partition("="))
        if not (key and sign and value):
            raise ConfigError(
                f"The value of --meta is {pair!r}.", remedy="Write a field and its value: --meta 'autore=Rossi'."
            )
        same = next((known for known in accepted if known.casefold() == key.casefold()), key)
        accepted.setdefault(same, []).append(value)
    return {key: value for key, value in (*given.items(), ("meta", accepted)) if value} or None


def filters_text(filters: Mapping[str, Any]) -> str:
    """Filters in one line: `role decision or lesson, tags prezzi, meta autore=Rossi`."""
    out = []
    for key, value in filters.items():
        values = [f"{name}={one}" for name, texts in value.items() for one in texts] if key == "meta" else value
        out.append(f"{key} {values if isinstance(values, str) else ' or '.join(values)}")
    return ", ".join(out)


def _unknown(key: str, value: str, known: Sequence[str]) -> str:
    more = f" and {len(known) - _MOST_LISTED} more" if len(known) > _MOST_LISTED else ""
    listed = f"There are: {', '.join(known[:_MOST_LISTED])}{more}."
    cure = f"{did_you_mean(value, known)}{listed}" if known else f"The documents here have no {key}."
    return f"No document has the {key} {value!r}. {cure}"


def warn_of_filters(agent: Agent, filters: Mapping[str, Any] | None) -> bool:
    """Warn of each filter's value that no document has, and list the existing values. Returns whether it warned.

    Without the warning, the user would take the answer "non lo so" ("I don't know") for the knowledge base's own.
    """
    if not filters or not {"role", "project", "path", "tags", "meta"} & filters.keys():
        return False
    from cervella.evaluation.search.indexed import manifest_of

    with manifest_of(agent) as manifest, contextlib.suppress(CervellaError):
        files = list(manifest.files().values()) if manifest else []
        warnings = list(_unmatched(filters, files, agent.config.knowledge.folder)) if files else []
        for warning in warnings:
            note(f"warning: {warning}")
        return bool(warnings)
    return False


def _unmatched(filters: Mapping[str, Any], files: Sequence[FileRow], folder: Path) -> Iterator[str]:
    """A sentence for each value of a filter that none of the indexed files has."""
    roles = sorted({file.role for file in files if file.role is not None})
    for value in filters.get("role", ()):
        if value not in roles:
            yield _unknown("role", value, roles)
    projects = sorted({file.project for file in files if file.project is not None})
    for value in filters.get("project", ()):
        if not any(same_project(name, value) for name in projects):
            yield _unknown("project", value, projects)
    tags = sorted({tag for file in files for tag in file.tags})
    for value in filters.get("tags", ()):
        if not any(tag_matches(tag, value.removeprefix("#")) for tag in tags):
            yield _unknown("tag", value, tags)
    for name, accepted in filters.get("meta", {}).items():
        texts = sorted({one for file in files for one in meta_values(file.meta, name)})
        if not texts:
            yield _unknown("field", name, sorted({key for file in files for key in file.meta}))
            continue
        for value in accepted:
            if not meta_matches({name: texts}, name, [value]):
                yield _unknown(name, value, texts)
    for pattern in filters.get("path", ()):
        if not any(path_matches(file.path, pattern) for file in files):
            yield (
                f"No document's path matches {pattern!r}. Paths are relative to {str(folder)!r}, "
                f"as {files[0].path!r}; '**' crosses folders."
            )
