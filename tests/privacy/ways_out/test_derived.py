"""Ways out for local-only text: links, titles, metadata, abstention.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import pytest

from cervella import (
    BrainError,
    BrainUnavailableError,
)
from tests.fixtures.ways_out import (
    PUBLIC,
    SECRET,
    Cloud,
    Q,
    World,
    ask_far,
    found_in,
    near_brain,
    no_leak,
)


def test_unmarked_index_note_that_embeds_the_marked_one(world: World) -> None:
    world.write(
        "indice.md", "# Indice della cessione\n\nLa cessione riservata: ![[orsaia]]\n\n![[orsaia#Brindamonte]]\n"
    )
    agent = world.indexed()
    ask_far(agent, words=("zafferano", "zibellino", "velata", "quercia nera", "4.318.250", "ovidio"))


def test_unmarked_note_that_links_to_the_marked_one(world: World) -> None:
    world.write(
        "indice.md", "# Indice\n\nSulla cessione riservata vedi [[orsaia|questa nota]] e [qui](privato/orsaia.md).\n"
    )
    agent = world.indexed()
    ask_far(agent, words=("zafferano", "zibellino", "velata", "quercia nera", "4.318.250", "brindamonte"))


def test_marked_note_that_supersedes_an_unmarked_one(world: World) -> None:
    world.write(
        "privato/nuova.md",
        "---\nsostituisce: '[[pratiche]]'\n---\n# Zafferano\n\nLa pratica di cessione è ZAFFERANO-77.\n",
    )
    agent = world.indexed()
    ask_far(agent, "Dove si chiede il codice di una pratica di cessione?")


def test_unmarked_note_superseded_by_a_marked_one_by_name(world: World) -> None:
    world.write(
        "pratiche.md",
        "# Pratiche\n\n**Stato:** superata\n\nIl codice di una pratica di cessione si chiede in segreteria.\n",
    )
    world.write("privato/orsaia.md", SECRET.replace("---\n# ", "sostituisce: pratiche.md\n---\n# "))
    agent = world.indexed()
    ask_far(agent, "Dove si chiede il codice di una pratica di cessione?")


def test_abstention_names_no_marked_note(world: World) -> None:
    agent = world.indexed()
    far = Cloud()
    for question in ("Quando è la firma della cessione riservata?", "Quante balene ci sono?", "Quali documenti hai?"):
        agent.ask(question, brain=far)
    no_leak(far)


def test_only_marked_notes_answer(world: World) -> None:
    for name in PUBLIC:
        (world.notes / name).unlink()
    agent = world.indexed()
    far = Cloud()
    reply = agent.ask(Q, brain=far)
    assert reply.flags.get("passages_withheld"), "control: nothing was counted as withheld"
    assert far.prompts[0].passages == ()
    no_leak(far)


def test_filters_with_no_such_value_suggest_nothing_to_the_cloud(world: World) -> None:
    agent = world.indexed()
    far = Cloud()
    for filters in ({"tags": "velatta"}, {"meta": {"garante": "nessuno"}}, {"project": "zzz"}):
        agent.ask(Q, brain=far, filters=filters)
    no_leak(far)


def test_marked_state_and_readme_notes(world: World) -> None:
    """Roles with a higher weight (state, decision) do not bypass the mark."""
    world.write(
        "privato/stato.md", "# Stato della cessione\n\n**Data:** 2 novembre 2026\n\nOggi il codice è ZAFFERANO-77.\n"
    )
    world.write(
        "privato/decisioni/20261102_cessione.md", "# Decisione\n\nIl codice della cessione riservata è ZAFFERANO-77.\n"
    )
    agent = world.indexed()
    far = Cloud()
    agent.ask("A che punto è la cessione? Qual è il codice?", brain=far, top_k=20)
    no_leak(far)


def test_two_notes_of_the_same_title(world: World) -> None:
    world.write("omonima.md", "# Cessione Pubblica\n\nIl codice della cessione pubblica è 12.\n")
    world.write("privato/omonima.md", "# Cessione Pubblica\n\nIl codice della cessione riservata è ZAFFERANO-77.\n")
    agent = world.indexed()
    far = Cloud()
    agent.ask(Q, brain=far, top_k=20)
    no_leak(far)


def test_error_of_the_cloud_names_no_withheld_source(world: World) -> None:
    agent = world.indexed()
    far = Cloud([BrainUnavailableError("giù")])
    with pytest.raises(BrainError) as caught:
        agent.ask(Q, brain=far, history=[agent.ask(Q, brain=near_brain())])
    assert not found_in(str(caught.value)), "leak: the error has local-only text"
    no_leak(far)
