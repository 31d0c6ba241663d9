"""Ways out for local-only text: moved, copied and linked files.

Written from the documentation by somebody who had not read the code.
"""

from __future__ import annotations

import os
import shutil
import unicodedata
from typing import Any

import pytest

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


def test_renamed_file_then_indexed(world: World) -> None:
    agent = world.indexed(["privato/orsaia.md"])
    os.rename(world.notes / "privato/orsaia.md", world.notes / "vecchio_appunto.md")
    agent.index()
    ask_near_and_far(agent)


def test_renamed_file_found_by_a_search_without_index(world: World) -> None:
    world.indexed(["privato/orsaia.md"])
    os.rename(world.notes / "privato/orsaia.md", world.notes / "vecchio_appunto.md")
    fresh = world.agent(["privato/orsaia.md"])
    ask_near_and_far(fresh, far_first=True)


def test_renamed_folder(world: World) -> None:
    agent = world.indexed()
    os.rename(world.notes / "privato", world.notes / "aperto")
    agent.index()
    ask_far(agent)


def test_renamed_folder_by_case_only(world: World) -> None:
    agent = world.indexed()
    os.rename(world.notes / "privato", world.notes / "PRIVATO")
    agent.index(force=True)
    ask_far(agent)


def test_renamed_then_changed_in_two_steps(world: World) -> None:
    agent = world.indexed(["privato/orsaia.md"])
    os.rename(world.notes / "privato/orsaia.md", world.notes / "vecchio_appunto.md")
    agent.index()
    world.write("vecchio_appunto.md", SECRET + "\nUna riga nuova sulla cessione riservata.\n")
    agent.index()
    ask_far(agent)


def test_renamed_and_index_rebuilt(world: World) -> None:
    agent = world.indexed()
    os.rename(world.notes / "privato", world.notes / "aperto")
    agent.index(rebuild=True)
    ask_far(agent)


def test_renamed_then_purged(world: World) -> None:
    agent = world.indexed()
    os.rename(world.notes / "privato", world.notes / "aperto")
    agent.index(purge=True)
    ask_far(agent)


COPIES = {
    "exact": ("zz_copia.md", lambda text: text.encode()),
    "sorted-before": ("aa_copia.md", lambda text: text.encode()),
    "txt": ("copia.txt", lambda text: text.encode()),
    "mdx": ("copia.mdx", lambda text: text.encode()),
    "crlf": ("copia.md", lambda text: text.replace("\n", "\r\n").encode()),
    "bom": ("copia.md", lambda text: b"\xef\xbb\xbf" + text.encode()),
    "trailing-newline": ("copia.md", lambda text: (text + "\n\n").encode()),
    "no-final-newline": ("copia.md", lambda text: text.rstrip("\n").encode()),
    "trailing-spaces": ("copia.md", lambda text: text.replace("\n", "  \n").encode()),
    "utf16": ("copia.md", lambda text: text.encode("utf-16")),
    "cp1252": ("copia.md", lambda text: text.encode("cp1252")),
    "nfd": ("copia.md", lambda text: unicodedata.normalize("NFD", text).encode()),
}


@pytest.mark.parametrize("kind", COPIES)
def test_copy_in_an_unmarked_place_from_the_start(world: World, kind: Any) -> None:
    name, made = COPIES[kind]
    world.write(f"aperto/{name}", made(SECRET))
    agent = world.indexed()
    near, far = near_brain(), Cloud()
    agent.ask(Q, brain=near)
    agent.ask(Q, brain=far, top_k=20)
    saw(near)
    no_leak(far)


@pytest.mark.parametrize("kind", ["exact", "txt", "crlf", "bom", "trailing-newline"])
def test_copy_made_after_the_index(world: World, kind: Any) -> None:
    agent = world.indexed()
    name, made = COPIES[kind]
    world.write(f"aperto/{name}", made(SECRET))
    agent.index()
    far = Cloud()
    agent.ask(Q, brain=far, top_k=20)
    no_leak(far)


def test_copy_found_by_a_search_without_index(world: World) -> None:
    world.indexed()
    world.write("aperto/copia.md", SECRET)
    far = Cloud()
    world.agent().ask(Q, brain=far, top_k=20)
    no_leak(far)


def test_copy_remains_after_the_original_is_deleted(world: World) -> None:
    world.write("aperto/copia.md", SECRET)
    agent = world.indexed()
    shutil.rmtree(world.notes / "privato")
    agent.index()
    far = Cloud()
    agent.ask(Q, brain=far, top_k=20)
    no_leak(far)


def test_original_excluded_from_the_index_but_copy_is_not(world: World) -> None:
    """The marked folder is also excluded, so only its unmarked copy is indexed."""
    world.write("aperto/copia.md", SECRET)
    agent = world.indexed(knowledge={"exclude": ["privato/**"]})
    far = Cloud()
    agent.ask(Q, brain=far, top_k=20)
    no_leak(far)


def test_hard_link_in_an_unmarked_place(world: World) -> None:
    (world.notes / "aperto").mkdir()
    os.link(world.notes / "privato/orsaia.md", world.notes / "aperto/stesso.md")
    agent = world.indexed()
    far = Cloud()
    agent.ask(Q, brain=far, top_k=20)
    no_leak(far)


def test_symlink_in_an_unmarked_place(world: World) -> None:
    (world.notes / "aperto").mkdir()
    os.symlink(world.notes / "privato/orsaia.md", world.notes / "aperto/00_stesso.md")
    agent = world.indexed()
    far = Cloud()
    agent.ask(Q, brain=far, top_k=20)
    no_leak(far)


def test_symlinked_folder_in_an_unmarked_place(world: World) -> None:
    os.symlink(world.notes / "privato", world.notes / "aaa")
    agent = world.indexed()
    far = Cloud()
    agent.ask(Q, brain=far, top_k=20)
    no_leak(far)


def test_marked_file_is_a_symlink_to_an_unmarked_one(world: World) -> None:
    """The name in the marked folder is a link; the text lies in an unmarked place of the folder."""
    os.rename(world.notes / "privato/orsaia.md", world.notes / "zz_deposito.md")
    os.symlink(world.notes / "zz_deposito.md", world.notes / "privato/orsaia.md")
    agent = world.indexed()
    far = Cloud()
    agent.ask(Q, brain=far, top_k=20)
    no_leak(far)
