"""An index folder that a stranger made: it gives an error, reads and overwrites nothing outside, and never hangs."""

from __future__ import annotations

import hashlib
import io
import json
import os
import pickle
import shutil
import sqlite3
import zipfile
import zlib
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from cervella.errors import CervellaError, IndexDamagedError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.index import builder, matrix
from cervella.knowledge.index.checksums import MATRIX, write_checksums
from cervella.knowledge.index.entries import is_inside
from cervella.knowledge.index.storage import IndexFolder
from tests.fixtures.sealing import _point, change_manifest, manifest_of
from tests.knowledge.conftest import HOSTING_OLD, HashEmbedder, write

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no pipes in folders, and links need a right")
SECRET = "un segreto fuori dall'indice"
DEEP = "[" * 200_000


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder with files that belong to somebody else, by modes and contents."""
    folder = tmp_path / "outside"
    folder.mkdir(mode=0o755)
    for name in ("file", "readers.lock", "seal.json", "manifest.sqlite"):
        (folder / name).write_text(SECRET)
        (folder / name).chmod(0o644)
    return folder


@pytest.fixture(scope="module", params=["words"])
def built(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Path:
    """Notes and an index of two generations, to be copied. With the parameter "vectors" it has vectors."""
    base = tmp_path_factory.mktemp("built")
    embedder = HashEmbedder() if request.param == "vectors" else "none"
    for text in ("Lievito madre.", "Lievito madre, sale e otto ore."):
        write(base / "notes", "ricette/pane.md", f"# Pane\n\n{text}\n")
        write(base / "notes", "decisioni/20260109_hosting.md", HOSTING_OLD)
        KnowledgeIndex(base / "notes", base / "index", embedder=embedder).update()
    return base


@pytest.fixture
def notes(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built / "notes", tmp_path / "notes")
    return tmp_path / "notes"


@pytest.fixture
def made(built: Path, tmp_path: Path) -> Path:
    shutil.copytree(built / "index", tmp_path / "index")
    return tmp_path / "index"


with_vectors = pytest.mark.parametrize("built", ["vectors"], indirect=True)


def state(folder: Path) -> list[tuple[str, int, bytes]]:
    return sorted((path.name, path.stat().st_mode, path.read_bytes()) for path in folder.iterdir())


def use(notes: Path, index_dir: Path) -> list[CervellaError]:
    """Every way of using an index, and the errors that they raise."""

    embedder = HashEmbedder() if any(index_dir.glob("gen-*/chroma")) else "none"

    def index() -> KnowledgeIndex:
        return KnowledgeIndex(notes, index_dir, embedder=embedder)

    def search() -> None:
        with HybridRetriever(index_dir, folder=notes, embedder=embedder) as retriever:
            for passage in retriever.retrieve("lievito madre"):
                retriever.changed(passage)
                retriever.lines(passage.path, 1, 3)

    def add() -> None:
        (notes / "altro.md").write_text("# Altro\n\nUna pagina in più, sul lievito.\n")
        index().update()

    ways: list[Callable[[], object]] = [
        *(search, lambda: index().is_behind(), lambda: index().drift(), lambda: index().roll_back(), add, search),
        *(lambda: index().update_words(), lambda: IndexFolder(index_dir).is_being_written()),
    ]
    errors = []
    for way in ways:
        try:
            way()
        except CervellaError as error:
            errors.append(error)
    return errors


ENTRIES = ["current", "writer.pid", "writer.lock", "stamps.json", "gen-00000009", "work-0123", "gone-0123", "GEN"]
INSIDE = ["seal.json", "manifest.sqlite", "readers.lock", "LEXICAL/stems.npz"]
OF_VECTORS = ["vectors.npz", "chroma/chroma.sqlite3"]


def planted(index_dir: Path, name: str) -> Path:
    generation = IndexFolder(index_dir).current()
    lexical = next(generation.glob("lexical-*")).name
    inside = generation / name.replace("LEXICAL", lexical)
    path = generation if name == "GEN" else inside if "/" in name or name in INSIDE + OF_VECTORS else index_dir / name
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    return path


@pytest.mark.parametrize("name", [*ENTRIES, *INSIDE, ".current.0123456789ab.partial"])
@pytest.mark.parametrize("target", ["file", "folder"])
def test_a_link_is_damage_and_nothing_behind_it_changes(
    made: Path, notes: Path, outside: Path, name: str, target: str
) -> None:
    planted(made, name).symlink_to(outside / "file" if target == "file" else outside)
    before = state(outside)
    errors = use(notes, made)
    assert any(isinstance(error, IndexDamagedError) for error in errors)
    assert state(outside) == before
    assert all(SECRET not in f"{error} {error.remedy}" for error in errors)


@with_vectors
@pytest.mark.parametrize("name", OF_VECTORS)
def test_a_link_or_a_pipe_among_the_vectors_is_damage(made: Path, notes: Path, outside: Path, name: str) -> None:
    before = state(outside)
    path = planted(made, name)
    path.symlink_to(outside / "file")
    assert any(isinstance(error, IndexDamagedError) for error in use(notes, made))
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    assert any(isinstance(error, IndexDamagedError) for error in use(notes, made))
    assert state(outside) == before


@pytest.mark.parametrize("name", [*ENTRIES, *INSIDE])
def test_a_pipe_is_damage_and_nobody_waits_for_it(made: Path, notes: Path, name: str) -> None:
    os.mkfifo(planted(made, name))
    assert any(isinstance(error, IndexDamagedError) for error in use(notes, made))


@pytest.mark.parametrize("name", ["current", "writer.pid", "writer.lock", "stamps.json", *INSIDE])
def test_a_folder_in_place_of_a_file_is_an_error(made: Path, notes: Path, name: str) -> None:
    planted(made, name).mkdir()
    assert any(isinstance(error, IndexDamagedError) for error in use(notes, made))


POINTERS = {
    "climbs": b"../../outside " + b"0" * 64,
    "is absolute": b"/etc " + b"0" * 64,
    "climbs after a name": b"gen-00000001/../../outside " + b"0" * 64,
    "is long": b"gen-00000001 " * 1_000_000,
    "is binary": bytes(range(256)),
    "is empty": b"",
    "is deep": DEEP.encode(),
    "names a generation that is gone": b"gen-99999999 " + b"0" * 64,
    "has a number of a million digits": b"gen-" + b"9" * 900 + b" " + b"0" * 64,
}


@pytest.mark.parametrize("data", POINTERS.values(), ids=POINTERS)
def test_a_pointer_that_lies_is_damage(made: Path, notes: Path, data: bytes) -> None:
    (made / "current").write_bytes(data)
    assert any(isinstance(error, IndexDamagedError) for error in use(notes, made))


SEALS = {
    "not JSON": "{",
    "deep": DEEP,
    "deep in a value": '{"schema": 4, "chroma": null, "files": ' + DEEP,
    "a list": "[]",
    "a number": "4",
    "no schema": '{"files": {}}',
    "a schema of text": '{"schema": "4", "files": {}, "chroma": null}',
    "no files": '{"schema": 4}',
    "files as a list": '{"schema": 4, "files": [], "chroma": null}',
    "no manifest": '{"schema": 4, "files": {}, "chroma": null}',
    "a file that climbs": '{"schema": 4, "files": {"../../outside/file": "0"}, "chroma": null}',
    "an absolute file": '{"schema": 4, "files": {"/etc/passwd": "0"}, "chroma": null}',
    "a device": '{"schema": 4, "files": {"/dev/zero": "0"}, "chroma": null}',
    "a digest that is a number": '{"schema": 4, "files": {"manifest.sqlite": 1}, "chroma": null}',
    "a newer schema": '{"schema": 99}',
    "huge": '{"schema": 4, "files": {}, "chroma": null}' + " " * 20_000_000,
}


@pytest.mark.parametrize("seal", SEALS.values(), ids=SEALS)
def test_a_seal_that_lies_is_damage(made: Path, notes: Path, outside: Path, seal: str) -> None:
    generation = IndexFolder(made).current()
    (generation / "seal.json").write_text(seal)
    _point(made, generation.name, hashlib.sha256(seal.encode()).hexdigest())
    before = state(outside)
    assert any(isinstance(error, IndexDamagedError) for error in use(notes, made))
    assert state(outside) == before


BOMB = zlib.compress(b"\0" * 300_000_000, 9).hex()
ENDLESS = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT x FROM n"
STATEMENTS = {
    "a view that never ends": f"ALTER TABLE chunks RENAME TO hidden; CREATE VIEW chunks AS {ENDLESS}",
    "a view beside the tables": f"CREATE VIEW more AS {ENDLESS}",
    "a trigger": "CREATE TRIGGER t AFTER INSERT ON files BEGIN DELETE FROM files; END",
    "another table": "CREATE TABLE more (x)",
    "a table without its columns": "DROP TABLE chunks; CREATE TABLE chunks (id)",
    "no table": "DROP TABLE meta",
    "a path that climbs": "UPDATE files SET path = '../../outside/file' WHERE number = 1",
    "a path on disk that climbs": "UPDATE files SET disk_path = '../../outside/file'",
    "an absolute path on disk": "UPDATE files SET disk_path = '/etc/passwd'",
    "a path that is a number": "UPDATE files SET path = x'00ff' WHERE number = 1",
    "a text that is a bomb": f"UPDATE files SET text = x'{BOMB}', reading = NULL",
    "stems that are a bomb": f"UPDATE files SET stems = x'{BOMB}'",
    "a text that is not compressed": "UPDATE files SET text = x'00', reading = x'00'",
    "a text that is not UTF-8": f"UPDATE files SET text = x'{zlib.compress(bytes([255, 254])).hex()}', reading = NULL",
    "facts that are deep": f"UPDATE files SET about = '{DEEP}'",
    "facts of other types": """UPDATE files SET about = '{"tags": 1, "links": {}, "session": []}'""",
    "facts with other names": """UPDATE files SET about = '{"path": "x"}'""",
    "facts as a list": "UPDATE files SET about = '[1]'",
    "a status of its own": "UPDATE files SET status = 'root'",
    "lines that are texts": "UPDATE chunks SET start_line = 'x'",
    "lines before the first": "UPDATE chunks SET start_line = -5",
    "an id that is a number": "UPDATE chunks SET id = CAST(randomblob(8) AS BLOB)",
    "a common component of text": "UPDATE chunks SET common_component = 'x'",
    "a calibration of text": """INSERT OR REPLACE INTO meta VALUES ('calibration', '["x", {}]')""",
    "an index of words that climbs": "UPDATE meta SET value = '../../outside' WHERE key = 'lexical'",
    "an absolute index of words": "UPDATE meta SET value = '/etc' WHERE key = 'lexical'",
    "notes that are deep": f"UPDATE meta SET value = '{DEEP}' WHERE key = 'noted'",
    "notes of another type": """UPDATE meta SET value = '{"a": 1}' WHERE key = 'noted'""",
    "days of another type": """UPDATE meta SET value = '{"heads": 1}' WHERE key = 'git'""",
}


OF_MEANS = {
    "a deep mean": f"INSERT OR REPLACE INTO meta VALUES ('centring', '{DEEP}')",
    "a mean that is no vector": """INSERT OR REPLACE INTO meta VALUES ('centring',
        '{"mean": "!", "standard_deviation": 1}')""",
    "a mean of another size": """INSERT OR REPLACE INTO meta VALUES ('centring',
        '{"mean": "AACAPw==", "standard_deviation": 1}')""",
    "a count that is a text": "INSERT OR REPLACE INTO meta VALUES ('dropped', 'x')",
}


@pytest.mark.parametrize("statement", STATEMENTS.values(), ids=STATEMENTS)
def test_a_manifest_that_lies_is_damage(made: Path, notes: Path, outside: Path, statement: str) -> None:
    before = state(outside)
    change(made, statement)
    assert any(isinstance(error, IndexDamagedError) for error in use(notes, made))
    assert state(outside) == before


@with_vectors
@pytest.mark.parametrize("statement", OF_MEANS.values(), ids=OF_MEANS)
def test_facts_about_vectors_that_lie_are_damage(made: Path, notes: Path, statement: str) -> None:
    change(made, statement)
    assert any(isinstance(error, IndexDamagedError) for error in use(notes, made))


def change(index_dir: Path, statement: str) -> None:
    manifest = manifest_of(index_dir)
    with closing(sqlite3.connect(manifest)) as database:
        database.execute("PRAGMA legacy_alter_table = ON")
        database.executescript(statement)
    _point(index_dir, manifest.parent.name, write_checksums(manifest.parent))


class Bomb:
    """A pickle of it makes a file when it is loaded."""

    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return os.mkdir, (str(self.mark),)


def npz(**parts: bytes) -> bytes:
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, part in parts.items():
            archive.writestr(f"{name}.npy", part)
    return data.getvalue()


def header(shape: str, kind: str = "<f4") -> bytes:
    text = f"{{'descr': '{kind}', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text.encode()


def objects(mark: Path) -> bytes:
    data = io.BytesIO()
    np.save(data, np.asarray([Bomb(mark)], dtype=object), allow_pickle=True)
    return data.getvalue()


KINDS = ["pickle", "objects", "bomb", "endless", "negative", "no zip", "empty", "other", "code"]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["LEXICAL/stems.npz", "LEXICAL/subjects.npz"])
def test_a_file_of_arrays_that_lies_is_damage_and_no_pickle_is_loaded(
    made: Path, notes: Path, tmp_path: Path, name: str, kind: str
) -> None:
    reads_no_arrays(made, notes, tmp_path, name, kind)


@with_vectors
@pytest.mark.parametrize("kind", KINDS)
def test_a_file_of_vectors_that_lies_is_damage_and_no_pickle_is_loaded(
    made: Path, notes: Path, tmp_path: Path, kind: str
) -> None:
    reads_no_arrays(made, notes, tmp_path, MATRIX, kind)


def reads_no_arrays(made: Path, notes: Path, tmp_path: Path, name: str, kind: str) -> None:
    mark, names = tmp_path / "mark", ("ids", "rows", "starts", "counts", "lengths", "steps", "terms", "homes")
    data = {
        "pickle": pickle.dumps(Bomb(mark)),
        "objects": npz(**dict.fromkeys(names, objects(mark))),
        "bomb": npz(**dict.fromkeys(names, header("(50000000,)", "|u1") + bytes(50_000_000))),
        "endless": npz(**dict.fromkeys(names, header("(1000000000000000,)"))),
        "negative": npz(**dict.fromkeys(names, header("(-1, 4)"))),
        "no zip": b"PK\x03\x04" + bytes(100),
        "empty": b"",
        "other": npz(**dict.fromkeys(names, header("(2,)", "<i8") + bytes([255]) * 16)),
        "code": npz(**dict.fromkeys(names, header("__import__('os').mkdir('x')"))),
    }[kind]
    path = planted(made, name)
    path.write_bytes(data)
    generation = IndexFolder(made).current()
    _point(made, generation.name, write_checksums(generation))
    assert any(isinstance(error, IndexDamagedError) for error in use(notes, made))
    assert not mark.exists()


@with_vectors
def test_chroma_loads_no_pickle_and_takes_no_other_implementation(
    made: Path, notes: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(matrix, "MOST_VECTORS", 0)
    monkeypatch.setattr(builder, "MOST_VECTORS", 0)
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("CHROMA_API_IMPL=chromadb.api.segment.SegmentAPI\n")
    mark, generation = tmp_path / "mark", IndexFolder(made).current()
    (generation / MATRIX).unlink(missing_ok=True)
    for folder in [path for path in (generation / "chroma").iterdir() if path.is_dir()]:
        (folder / "index_metadata.pickle").write_bytes(pickle.dumps(Bomb(mark)))
    _point(made, generation.name, write_checksums(generation))
    use(notes, made)
    assert not mark.exists()


@with_vectors
@pytest.mark.parametrize(
    "statement",
    [
        f"CREATE VIEW endless AS {ENDLESS}",
        f"ALTER TABLE embeddings RENAME TO e; CREATE VIEW embeddings AS {ENDLESS}",
        "CREATE TRIGGER t AFTER INSERT ON embeddings BEGIN DELETE FROM collections; END",
        'CREATE TABLE "x"" UNION SELECT 1 --" (a)',
        "DROP TABLE collections",
        "UPDATE collections SET config_json_str = '" + DEEP + "'",
        """UPDATE collections SET config_json_str =
        '{"embedding_function": {"type": "known", "name": "openai", "config": {}}}'""",
    ],
)
def test_tables_of_chroma_that_lie_are_damage(made: Path, notes: Path, statement: str) -> None:
    generation = IndexFolder(made).current()
    (generation / MATRIX).unlink(missing_ok=True)
    with closing(sqlite3.connect(generation / "chroma/chroma.sqlite3")) as database:
        database.execute("PRAGMA legacy_alter_table = ON")
        database.executescript(statement)
    try:
        _point(made, generation.name, write_checksums(generation))
    except IndexDamagedError:
        seal = json.loads((generation / "seal.json").read_text())
        del seal["files"][MATRIX]
        text = json.dumps(seal)
        (generation / "seal.json").write_text(text)
        _point(made, generation.name, hashlib.sha256(text.encode()).hexdigest())
    assert any(isinstance(error, CervellaError) for error in use(notes, made))


def test_stamps_that_lie_are_ignored(made: Path, notes: Path) -> None:
    for text in (DEEP, "[]", '{"files": 1}', "{", '{"files": {"a": [1]}}'):
        (made / "stamps.json").write_text(text)
        with HybridRetriever(made, folder=notes, embedder="none") as retriever:
            assert retriever.retrieve("lievito madre").behind == 0


def test_a_name_is_inside_only_if_it_is_relative_and_does_not_climb() -> None:
    assert is_inside("a/b c/..d")
    assert not any(map(is_inside, ["", "/", "a/", "a//b", ".", "..", "a/..", "../a", "/a", "a/./b", "a\0b"]))


def test_an_index_that_is_right_is_still_right(made: Path, notes: Path) -> None:
    assert use(notes, made) == []
    change_manifest(made, "UPDATE files SET title = 'Altro'")
    assert [error.code for error in use(notes, made) if error.code != "no_former_generation"] == []
