"""Ways out for local-only text: reviews.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

from cervella import (
    Agent,
    BrainUnavailableError,
)
from tests.fixtures.ways_out import (
    FIRST_LINE,
    Q_PUBLIC,
    TOLD,
    Cloud,
    Q,
    Server,
    World,
    brains_of,
    in_prompts,
    near_brain,
    no_leak,
    saw,
    server_clean,
    server_saw,
)

WRONG = "Il codice è ZAFFERANO-78, dal 3 maggio 2020 [F1]."
OPINION = (
    "FATTI: 2\nFONTI: 2\nANIMA: 8\nFORMA: 8\nPROBLEMI:\n- «999»: la fonte dice ZAFFERANO-77 e 4.318.250 euro\n"
    "ESITO: DA RIVEDERE"
)


def test_second_opinion_by_the_cloud(world: World) -> None:
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    reply = agent.ask(Q, brain=near, review=far)
    assert reply.review.second is not None
    assert reply.review.second.error == "withheld"
    no_leak(far, asked=False)


def test_second_opinion_by_a_list_with_a_cloud_in_it(world: World) -> None:
    agent = world.indexed()
    down = near_brain([BrainUnavailableError("giù")], name="down", model="down-1")
    far = Cloud()
    agent.ask(Q, brain=near_brain(), review=[down, far])
    saw(down)
    no_leak(far, asked=False)


def test_review_of_a_tainted_reply_by_the_cloud(world: World) -> None:
    agent = world.indexed()
    reply = agent.ask(Q, brain=near_brain())
    far = Cloud()
    agent.review(reply, brain=far)
    no_leak(far, asked=False)


def test_review_of_a_tainted_text_by_the_cloud(world: World) -> None:
    agent = world.indexed()
    far = Cloud()
    agent.review(TOLD, question=Q, brain=far, tainted=True)
    no_leak(far, asked=False)


def test_review_of_the_verbatim_text_of_a_local_reply(world: World) -> None:
    """The text of a stored tainted reply, without the option `tainted`."""
    agent = world.indexed()
    reply = agent.session("s").ask(Q, brain=near_brain())
    far = Cloud()
    agent.review(reply.text, question=Q, brain=far)
    no_leak(far, asked=False)


def test_review_of_a_text_that_quotes_the_marked_file(world: World) -> None:
    agent = world.indexed()
    far = Cloud()
    agent.review(f"«{FIRST_LINE}» [F1]", question=Q, brain=far)
    no_leak(far, asked=False)


def test_review_of_a_harmless_text_shows_no_local_passages(world: World) -> None:
    agent = world.indexed()
    far = Cloud()
    agent.review("Il codice si chiede in segreteria [F1].", question=Q, brain=far)
    no_leak(far, asked=False)


def test_revision_by_the_cloud_gets_no_nearest_line(world: World) -> None:
    """The cloud wrote a wrong answer; the checks know the local-only passages, the revision may not."""
    agent = world.indexed()
    far = Cloud(["Il codice della cessione riservata è 999-A, dal 3 maggio 2020 [F1].", "Non lo so."])
    agent.ask(Q, brain=far, review=True)
    no_leak(far)


def test_revision_by_the_cloud_gets_no_local_reviewers_words(world: World) -> None:
    """A local reviewer that saw local-only passages reports them; the cloud writer is asked to revise."""
    agent = world.indexed()
    far = Cloud(["Il codice della cessione riservata è 999 [F1].", "Non lo so."])
    second = near_brain(OPINION, name="second", model="second-1")
    agent.ask(Q, brain=far, review=second)
    if not in_prompts(second.prompts):
        assert second.prompts, "control: the reviewer was not asked"
        return  # the reviewer is shown what the cloud brain was shown: its words come from nothing local-only
    no_leak(far)


def test_revision_of_a_local_draft_by_a_cloud_fallback(world: World) -> None:
    near = near_brain([WRONG, *[BrainUnavailableError("giù")] * 8])
    far = Cloud()
    agent = world.agent(objects={"brain": [near, far]})
    agent.index()
    agent.ask(Q, review=True)
    saw(near)
    no_leak(far, asked=False)


def test_local_draft_revised_with_a_cloud_reviewer_of_a_public_answer(world: World) -> None:
    """The history is tainted, the passages are not: the answer may repeat the history."""
    agent = world.indexed()
    first = agent.ask(Q, brain=near_brain())
    near = near_brain("Alle 6 e 30 e ricorda ZAFFERANO-77 [F1].", name="near2", model="near-2")
    far = Cloud()
    agent.ask(Q_PUBLIC, brain=near, history=[first], review=far, filters={"path": "turni.md"})
    no_leak(far, asked=False)


def test_configured_cloud_reviewer_in_a_session(world: World, servers: dict[str, Server]) -> None:
    path = world.toml(brain="near", brains=brains_of(servers), review={"enabled": True, "brain": "far"})
    with Agent(config=path) as agent:
        agent.index()
        session = agent.session("s")
        session.ask(Q)
        session.ask(Q_PUBLIC)
    server_saw(servers["near"])
    server_clean(servers["far"], asked=False)
