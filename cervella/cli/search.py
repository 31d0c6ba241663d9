"""The command `cervella search` shows the passages for a query."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from cervella.agent.agent import Agent
from cervella.cli import options as option
from cervella.cli.output import note, print_json, print_passages, retrieval_data, warn_of_index
from cervella.cli.stdin import given_or_stdin
from cervella.types import Retrieval


def search(
    query: Annotated[str, typer.Argument(help="The words to search for; - for standard input.")],
    config: option.ConfigPath = None,
    top_k: option.TopK = None,
    role: option.FilterRole = None,
    project: option.FilterProject = None,
    status: option.FilterStatus = None,
    path: option.FilterPath = None,
    tag: option.FilterTag = None,
    meta: option.FilterMeta = None,
    since: option.FilterSince = None,
    until: option.FilterUntil = None,
    as_json: option.AsJson = False,
) -> None:
    """Find the passages for a query; no brain is asked."""
    filters = option.filters_of(
        role=role, project=project, status=status, path=path, tags=tag, meta=meta, since=since, until=until
    )
    query = given_or_stdin(query, "query")
    with Agent(config=config) as agent:  # at its end, the vectors of new chunks are made
        found = agent.search(query, top_k=top_k, filters=filters)
        warned = option.warn_of_filters(agent, filters)
        warn_of_index(found.index_flags(), agent.config.knowledge.refresh)
        if as_json:
            print_json(retrieval_data(found))
        else:
            print_passages(found, agent.language)
            if not warned:
                _print_note(found, filters)


def _print_note(found: Retrieval, filters: Mapping[str, Any] | None) -> None:
    """Say that nothing was found, or that what was found is probably no answer."""
    if filters and not found:
        note(f"note: No passage passes these filters: {option.filters_text(filters)}.")
    elif found.abstain:
        note("note: The base does not seem to answer this" + (": these are the nearest passages." if found else "."))
