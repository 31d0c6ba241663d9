"""An index that another program, or another version, has left: changed, and sealed as if it were right."""

from __future__ import annotations

import hashlib
import json
import sqlite3
from contextlib import closing
from pathlib import Path

from cervella.knowledge.index.checksums import write_seal
from cervella.knowledge.index.manifest import FILE_NAME
from cervella.knowledge.index.storage import IndexFolder

__all__ = ["change_manifest", "manifest_of", "with_schema"]


def manifest_of(index_dir: Path) -> Path:
    """The manifest that readers open."""
    return IndexFolder(index_dir).current() / FILE_NAME


def change_manifest(index_dir: Path, statement: str) -> None:
    manifest = manifest_of(index_dir)
    with closing(sqlite3.connect(manifest)) as database, database:
        database.execute(statement)
    _point(index_dir, manifest.parent.name, write_seal(manifest.parent))


def with_schema(index_dir: Path, schema: int) -> None:
    """Make the current generation one that another version sealed."""
    seal = manifest_of(index_dir).with_name("seal.json")
    seal.write_text(json.dumps({**json.loads(seal.read_text()), "schema": schema}))
    _point(index_dir, seal.parent.name, hashlib.sha256(seal.read_bytes()).hexdigest())


def _point(index_dir: Path, name: str, digest: str) -> None:
    (index_dir / "current").write_text(f"{name} {digest}\n")
