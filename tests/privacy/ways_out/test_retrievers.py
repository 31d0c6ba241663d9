"""Ways out for local-only text: custom retrievers.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

from typing import Any

import pytest

from cervella import (
    Passage,
)
from cervella.testing import FixedRetriever
from tests.fixtures.ways_out import (
    FIRST_LINE,
    Q_PUBLIC,
    Cloud,
    Q,
    World,
    ask_far,
    ask_near_and_far,
    near_brain,
    no_leak,
)


def _passage(path="privato/orsaia.md", **options):
    return Passage(
        id="r1",
        path=path,
        heading="Cessione Orsaia",
        lead="Cessione Orsaia",
        text=FIRST_LINE,
        start_line=8,
        end_line=8,
        **options,
    )


def test_retriever_marks_its_passages(world: World) -> None:
    agent = world.agent([], objects={"retriever": FixedRetriever([_passage(path="crm/1.md", local_only=True)])})
    ask_near_and_far(agent)


@pytest.mark.parametrize(
    "path", ["privato/orsaia.md", "Privato/orsaia.md", "privato/non_sul_disco.md", "./privato/orsaia.md"]
)
def test_retriever_does_not_mark_but_the_configuration_does(world: World, path: Any) -> None:
    agent = world.agent(objects={"retriever": FixedRetriever([_passage(path=path)])})
    ask_near_and_far(agent)


def test_retriever_unmarked_answer_is_tainted_for_the_session(world: World) -> None:
    agent = world.agent(objects={"retriever": FixedRetriever([_passage()])})
    session = agent.session("s")
    session.ask(Q, brain=near_brain())
    ask_far(session, Q_PUBLIC)


def test_retriever_with_metadata_of_a_marked_note(world: World) -> None:
    """The passage's own path is marked; its metadata must not go either."""
    passage = _passage(
        tags=("velata",), aliases=("Progetto Zibellino",), meta={"garante": "Quercia Nera"}, links=("orsaia",)
    )
    other = Passage(id="r2", path="turni.md", text="Il turno comincia alle 6.", start_line=3, end_line=3)
    agent = world.agent(objects={"retriever": FixedRetriever([passage, other])})
    ask_far(agent)


def test_retriever_in_review(world: World) -> None:
    agent = world.agent(objects={"retriever": FixedRetriever([_passage()])})
    far = Cloud()
    agent.review("Il codice si chiede in segreteria [F1].", question=Q, brain=far)
    no_leak(far, asked=False)
