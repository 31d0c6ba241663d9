"""Ways out for local-only text: state of the index.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from typing import Any

import pytest

from cervella import (
    CervellaError,
)
from tests.fixtures.ways_out import (
    SECRET,
    Cloud,
    Q,
    World,
    ask_far,
    ask_near_and_far,
    near_brain,
    no_leak,
    saw,
)


@pytest.mark.parametrize("refresh", ["auto", "warn", "off"])
def test_new_file_in_a_marked_folder_before_indexing(world: World, refresh: Any) -> None:
    shutil.rmtree(world.notes / "privato")
    (world.notes / "privato").mkdir()
    world.indexed(knowledge={"refresh": refresh})
    world.write("privato/orsaia.md", SECRET)
    time.sleep(0.05)
    fresh = world.agent(knowledge={"refresh": refresh})
    far = Cloud()
    fresh.ask(Q, brain=far)
    fresh.index()
    fresh.ask(Q, brain=far)
    no_leak(far)


def test_new_file_under_a_pattern_that_matched_nothing(world: World) -> None:
    """The pattern was written before the folder existed; the folder comes later."""
    shutil.rmtree(world.notes / "privato")
    world.indexed()
    world.write("privato/orsaia.md", SECRET)
    agent = world.agent()
    ask_near_and_far(agent, far_first=True)


def test_watch_new_file_in_a_marked_folder(world: World) -> None:
    shutil.rmtree(world.notes / "privato")
    (world.notes / "privato").mkdir()
    agent = world.agent()
    near, far = near_brain(), Cloud()
    with agent.watch():
        world.write("privato/orsaia.md", SECRET)
        end = time.monotonic() + 15
        while time.monotonic() < end and not any("orsaia" in p.path for p in agent.search(Q)):
            time.sleep(0.2)
        agent.ask(Q, brain=near)
        agent.ask(Q, brain=far)
    saw(near)
    no_leak(far)


def test_watch_file_moved_into_a_marked_folder(world: World) -> None:
    shutil.rmtree(world.notes / "privato")
    (world.notes / "privato").mkdir()
    world.write("bozza.md", SECRET)
    agent = world.agent()
    far = Cloud()
    with agent.watch():
        os.rename(world.notes / "bozza.md", world.notes / "privato/orsaia.md")
        end = time.monotonic() + 15
        while time.monotonic() < end and not any("privato/" in p.path for p in agent.search(Q)):
            time.sleep(0.2)
        agent.ask(Q, brain=far)
    no_leak(far)


def test_moved_into_a_marked_folder_index_behind(world: World) -> None:
    """The index still has the old, unmarked path. On the disk the text now lies in the marked folder."""
    os.rename(world.notes / "privato/orsaia.md", world.notes / "bozza.md")
    world.indexed()
    os.rename(world.notes / "bozza.md", world.notes / "privato/orsaia.md")
    ask_far(world.agent())


def test_roll_back_to_before_the_mark(world: World) -> None:
    world.indexed([])
    world.write("nuovo.md", "# Nuovo\n\nUna nota.\n")
    agent = world.indexed()
    with contextlib.suppress(CervellaError):
        agent.roll_back()
    ask_far(agent)


def test_roll_back_to_before_the_move_into_the_marked_folder(world: World) -> None:
    os.rename(world.notes / "privato/orsaia.md", world.notes / "bozza.md")
    agent = world.indexed()
    os.rename(world.notes / "bozza.md", world.notes / "privato/orsaia.md")
    agent.index()
    with pytest.raises(CervellaError) as caught:
        agent.roll_back()
    assert caught.value.code == "local_only_exposed"
    ask_far(agent)


def test_roll_back_after_the_pattern_was_removed_and_indexed_twice(world: World) -> None:
    """The former generation has the mark, the configuration no longer: after the roll-back the mark is back."""
    world.indexed()
    world.write("nuovo.md", "# Nuovo\n\nUna nota.\n")
    opened = world.indexed([])
    opened.roll_back()
    ask_far(opened)


def test_agent_without_its_folder(world: World) -> None:
    world.indexed()
    os.rename(world.notes, world.root / "smontato")
    agent = world.agent()
    ask_near_and_far(agent)


def test_agent_without_its_folder_and_marked_later(world: World) -> None:
    world.indexed([])
    os.rename(world.notes, world.root / "smontato")
    ask_far(world.agent())


def test_agent_without_its_folder_and_without_the_pattern(world: World) -> None:
    """A gateway that has only the index, and a configuration without local_only."""
    world.indexed()
    os.rename(world.notes, world.root / "smontato")
    ask_far(world.agent([]))


def test_agent_on_another_path_with_an_absolute_pattern(world: World) -> None:
    """The folder lies elsewhere on the server, so the absolute pattern matches nothing there; the index is marked."""
    pattern = [str(world.notes / "privato")]
    world.indexed(pattern)
    os.rename(world.notes, world.root / "altrove")
    ask_far(world.agent(pattern, knowledge={"folder": str(world.root / "altrove"), "local_only": pattern}))


def test_marked_file_deleted_but_still_in_the_index(world: World) -> None:
    world.indexed(knowledge={"refresh": "off"})
    (world.notes / "privato/orsaia.md").unlink()
    ask_far(world.agent(knowledge={"refresh": "off"}))
