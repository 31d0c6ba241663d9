"""The command `cervella search` shows the passages for a query."""

from __future__ import annotations

from typing import Annotated

import typer

from cervella.agent.agent import Agent
from cervella.cli import options as option
from cervella.cli.output import note, print_json, print_passages, retrieval_data, warn_of_index
from cervella.cli.stdin import given_or_stdin


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
    with Agent(config=config) as agent:
        found = agent.search(query, top_k=top_k, filters=filters)
        lang = agent.language
        warned = option.warn_of_filters(agent, filters)
    warn_of_index(found.index_flags())
    if as_json:
        print_json(retrieval_data(found))
        return
    print_passages(found, lang)
    if filters and not found and not warned:
        note(f"note: No passage passes these filters: {option.filters_text(filters)}.")
    elif found.abstain and not warned:
        note("note: The base does not seem to answer this" + (": these are the nearest passages." if found else "."))
