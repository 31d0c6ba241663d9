"""A file of conversations that a stranger put there: a link, a pipe, or a database with other parts than tables."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from cervella.errors import ConversationError
from cervella.records.conversations import Conversations

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes in folders, and links need a right")


@pytest.mark.parametrize("kind", ["link", "pipe", "folder", "view", "trigger"])
def test_a_foreign_file_is_an_error_and_nothing_behind_it_changes(tmp_path: Path, kind: str) -> None:
    path, other = tmp_path / "conversations.sqlite", tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as database:
        database.execute("CREATE TABLE mine (x)")
    before = other.read_bytes()
    if kind == "link":
        path.symlink_to(other)
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        made = "VIEW v AS SELECT 1" if kind == "view" else "TRIGGER t AFTER INSERT ON x BEGIN DELETE FROM x; END"
        with closing(sqlite3.connect(path)) as database:
            database.executescript(f"CREATE TABLE x (a); CREATE {made}")
    with pytest.raises(ConversationError):
        Conversations(path).list()
    assert other.read_bytes() == before
