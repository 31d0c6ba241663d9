"""What Cervella keeps is for its owner alone: 0600 in 0700 folders, whatever the umask, from the first moment."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.errors import ConfigError, KnowledgeError
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.index.matrix import VectorMatrix
from cervella.process.files import make_private_folder, open_private

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has no modes")

TOML = """brain = "extractive"
[soul]
constitution = "anima.md"
[knowledge]
folder = "note"
embedder = "none"
[ledger]
keep_text = true
"""
SOUL = "# Cervella\n\n- nome: Cervella\n\nCalma, precisa, in italiano. Parla al femminile.\n"
NOTE = "# Decisione: rinvio\n\n> **Data:** 9 gennaio 2026\n\nIl lancio è rinviato al 20 gennaio 2026.\n"
QUESTION = '{"question": "Quando è il lancio?", "files": ["rinvio.md"], "evidence": ["20 gennaio 2026"]}\n'


def mode(path: Path) -> int:
    return stat.S_IMODE(path.lstat().st_mode)


def open_to_others(folder: Path) -> dict[str, str]:
    """What is in a folder, itself too, that is neither 0600 nor 0700."""
    paths = (folder, *folder.rglob("*"))
    return {str(path): oct(mode(path)) for path in paths if mode(path) != (0o700 if path.is_dir() else 0o600)}


@pytest.fixture
def home(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__EMBEDDING_CACHE", str(isolated / ".cervella/cache"))
    (isolated / "note").mkdir()
    pages = {"cervella.toml": TOML, "anima.md": SOUL, "note/rinvio.md": NOTE, "domande.jsonl": QUESTION}
    for name, text in pages.items():
        (isolated / name).write_text(text, encoding="utf-8")
    return isolated


def run(home: Path, code: str, umask: int) -> str:
    """Python in a process of its own with this umask, the working folder and the environment of the test."""
    script = f"import os, pathlib\nos.umask({umask})\n{textwrap.dedent(code)}"
    done = subprocess.run([sys.executable, "-c", script], cwd=home, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


COMMANDS = """
    from cervella.cli import main
    import cervella
    from tests.knowledge.conftest import HashEmbedder
    assert main(["index"]) == 0
    with cervella.Agent(embedder=HashEmbedder()) as agent:
        agent.index(force=True)
        session = agent.session("prova")
        reply = session.ask("Quando è il lancio?")
        agent.feedback(reply, good=True, note="bene")
        pathlib.Path("note/rinvio.md").write_text("# Rinvio\\n\\nIl lancio è rinviato al 21 gennaio 2026.\\n")
        agent.index()
        agent.index(purge=True)
    assert main(["index", "--rebuild"]) == 0
    assert main(["ask", "Quando è il lancio?"]) == 0
    assert main(["stats", "--html", "fuori/stats.html"]) == 0
    assert main(["questions", "propose", "fuori/bozze.jsonl"]) == 0
    assert main(["ask", "--batch", "domande.jsonl", "--out", "fuori/risposte.jsonl"]) == 0
    assert main(["compare", "extractive", "echo", "--questions", "domande.jsonl", "--probes", "6", "--max-turn", "1",
                 "--paraphrases", "0", "--yes"]) in (0, 1)
    assert main(["compare", "extractive", "--questions", "domande.jsonl", "--suite", "none", "--out", "fuori/confronto",
                 "--yes"]) in (0, 1)
    assert main(["soul", "test", "extractive", "--probes", "6", "--out", "fuori/anima.json", "--yes"]) in (0, 1)
"""


def test_whatever_is_kept_is_for_its_owner_alone(home: Path) -> None:
    run(home, COMMANDS, 0)
    kept = home / ".cervella"
    assert {"index", "conversations.sqlite", "ledger.sqlite", "evaluations", "cache"} <= set(os.listdir(kept))
    assert any(kept.rglob("chroma.sqlite3")) or any(kept.rglob("manifest.sqlite"))
    assert open_to_others(kept) == {}
    assert open_to_others(home / "fuori") == {}


def test_vectors_and_the_logs_beside_open_files_are_for_their_owner_alone(home: Path) -> None:
    code = """
    import cervella
    from tests.knowledge.conftest import HashEmbedder
    with cervella.Agent(embedder=HashEmbedder()) as agent:
        agent.index()
        agent.session("prova").ask("Quando è il lancio?")
        agent.ledger.rows()
        from tests.records.test_modes import open_to_others
        names = {path.name for path in pathlib.Path(".cervella").rglob("*")}
        assert "ledger.sqlite-wal" in names, names
        assert any(name.endswith(".bin") for name in names), names
        print(open_to_others(pathlib.Path(".cervella")))
    """
    assert run(home, code, 0).strip() == "{}"


def test_nothing_can_be_read_while_it_is_written(home: Path) -> None:
    """A look at every file whenever Python opens or renames one: whether others could come to it."""
    code = """
    import sys, threading
    import cervella
    from tests.knowledge.conftest import HashEmbedder
    index = pathlib.Path("altrove/index")
    seen, inside = set(), threading.local()
    def reachable(path):
        return all(one.stat().st_mode & 0o005 for one in (path, *path.parents) if one.is_relative_to("altrove"))
    def look(event, arguments):
        if event in ("open", "os.rename", "os.mkdir", "sqlite3.connect") and not getattr(inside, "it", False):
            inside.it = True
            try:
                for path in index.rglob("*"):
                    try:
                        if path.is_file() and reachable(path):
                            seen.add(path.name)
                    except OSError:
                        pass
            finally:
                inside.it = False
    sys.addaudithook(look)
    with cervella.Agent(index=index, embedder=HashEmbedder()) as agent:
        agent.index()
        agent.index(rebuild=True)
    print(sorted(seen))
    """
    assert run(home, code, 0).strip() == "[]"


def test_what_an_earlier_version_left_open_is_closed_with_the_next_write(home: Path) -> None:
    with cervella.Agent() as agent:
        agent.index()
        agent.session("prova").ask("Quando è il lancio?")
    for path in (home / ".cervella", *(home / ".cervella").rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with cervella.Agent() as agent:
        agent.index()
        assert open_to_others(home / ".cervella/index") == {}
        agent.session("altra").ask("Quando è il lancio?")
    assert mode(home / ".cervella") == 0o700


def test_a_folder_that_is_not_its_own_keeps_its_mode(tmp_path: Path) -> None:
    shared = tmp_path / "progetto"
    shared.mkdir(mode=0o755)
    make_private_folder(shared)
    assert mode(shared) == 0o755
    make_private_folder(shared / "a/b")
    assert mode(shared / "a") == mode(shared / "a/b") == 0o700
    (shared / "index").mkdir(mode=0o755)
    (shared / "index/altro.txt").write_text("di qualcun altro")
    (shared / "index/altro.txt").chmod(0o644)
    (shared / "note").mkdir()
    KnowledgeIndex(shared / "note", shared / "index", embedder="none").update()
    assert (mode(shared / "index"), mode(shared / "index/altro.txt")) == (0o755, 0o644)
    assert mode(shared / "index/current") == 0o600


def test_a_passage_through_the_folder_that_its_owner_opened_stays_open(tmp_path: Path) -> None:
    kept = tmp_path / ".cervella"
    kept.mkdir()
    for before, after in ((0o711, 0o711), (0o710, 0o710), (0o755, 0o700), (0o750, 0o700), (0o777, 0o700)):
        kept.chmod(before)
        make_private_folder(kept)
        assert oct(mode(kept)) == oct(after)


def test_a_file_that_the_owner_chose_to_share_stays_shared_outside_of_cervellas_folder(tmp_path: Path) -> None:
    for folder, after in ((tmp_path, 0o644), (tmp_path / ".cervella", 0o600)):
        make_private_folder(folder)
        path = folder / "report.html"
        path.touch()
        path.chmod(0o644)
        with open_private(path, "w") as file:
            file.write("x")
        assert mode(path) == after


# An index that another user reads


@pytest.mark.parametrize(
    ("given", "file", "folder"), [("0640", 0o640, 0o750), ("0644", 0o644, 0o755), (0o600, 0o600, 0o700)]
)
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_index_mode_is_that_of_the_index_and_of_nothing_else(
    home: Path, given: str | int, file: int, folder: int, umask: int
) -> None:
    code = f"""
    import cervella
    from tests.knowledge.conftest import HashEmbedder
    config = cervella.load_config(arguments={{"knowledge": {{"index_mode": {given!r}}}}})
    for _ in range(2):
        with cervella.Agent(config=config, embedder=HashEmbedder()) as agent:
            agent.index(force=True)
            agent.session("prova").ask("Quando è il lancio?")
    """
    run(home, code, umask)
    index = home / ".cervella/index"
    for path in (index, *index.rglob("*")):
        if path.name == "writer.lock":  # of the one who writes
            assert mode(path) == 0o600
            continue
        assert oct(mode(path)) == oct(folder if path.is_dir() else file), path
    for path in (home / ".cervella").glob("*.sqlite*"):
        assert mode(path) == 0o600
    assert mode(home / ".cervella") == 0o700


def test_another_mode_holds_with_the_next_run_even_where_nothing_changed(home: Path) -> None:
    for given, file in (("0600", 0o600), ("0640", 0o640), ("0600", 0o600)):
        with cervella.Agent(config=cervella.load_config(arguments={"knowledge": {"index_mode": given}})) as agent:
            agent.index()
        files = [path for path in (home / ".cervella/index").rglob("gen-*/**/*") if path.is_file()]
        assert {oct(mode(path)) for path in files} == {oct(file)}


@pytest.mark.parametrize(
    ("given", "kept"),
    [("0640", "0640"), ("640", "0640"), ("0o644", "0644"), (0o640, "0640"), (" 0600 ", "0600"), ("0604", "0604")],
)
def test_index_mode_is_octal_as_text_or_as_a_number_of_toml(given: object, kept: str) -> None:
    assert cervella.load_config(arguments={"knowledge": {"index_mode": given}}).knowledge.index_mode == kept


@pytest.mark.parametrize(
    "given",
    ["0660", "0666", "0755", "0400", "0200", "rw-r-----", "", "0680", "１６", 640, 600, 0, -1, True, 0.5],
)
def test_index_mode_that_is_no_such_mode_is_refused_with_its_cure(given: object) -> None:
    with pytest.raises(ConfigError) as caught:
        cervella.load_config(arguments={"knowledge": {"index_mode": given}})
    assert "index_mode" in str(caught.value)
    assert '"0640"' in str(caught.value)


def test_index_mode_of_the_environment_is_octal(monkeypatch: pytest.MonkeyPatch, isolated: Path) -> None:
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__INDEX_MODE", "0640")
    assert cervella.load_config().knowledge.index_mode == "0640"


@pytest.fixture
def read_only(home: Path) -> Iterator[Path]:
    """An index with vectors that this process may not write."""
    from tests.knowledge.conftest import HashEmbedder

    KnowledgeIndex(home / "note", home / "index", embedder=HashEmbedder(), mode=0o644).update()
    paths = [home / "index", *(home / "index").rglob("*")]
    for path in paths:
        path.chmod(0o555 if path.is_dir() else 0o444)
    yield home / "index"
    for path in paths:
        path.chmod(0o755 if path.is_dir() else 0o644)


@pytest.mark.parametrize("small", [True, False], ids=["small", "large"])
def test_an_index_that_may_only_be_read_is_searched_with_its_vectors(
    read_only: Path, home: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, small: bool
) -> None:
    from tests.knowledge.conftest import HashEmbedder

    access = os.access  # to root nothing is closed: what the system would say to another user
    monkeypatch.setattr(os, "access", lambda path, right: right != os.W_OK and access(path, right))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    if not small:
        monkeypatch.setattr(VectorMatrix, "read", lambda *_: None)
    (tmp_path / "tmp").mkdir()
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in read_only.rglob("*") if path.is_file()}
    with HybridRetriever(read_only, folder=home / "note", embedder=HashEmbedder()) as retriever:
        found = retriever.retrieve("rinvio del lancio")
        assert found.coverage == 1.0
        assert found.passages
        copies = list((tmp_path / "tmp").iterdir())
        assert len(copies) == (0 if small else 1)  # Chroma writes into what it opens
        assert not copies or open_to_others(copies[0]) == {} or os.listdir(copies[0])
    assert not os.listdir(tmp_path / "tmp")
    after = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in read_only.rglob("*") if path.is_file()}
    assert before == after


def test_an_index_that_this_user_may_not_read_is_said_to_be_so(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    KnowledgeIndex(home / "note", home / "index", embedder="none").update()

    really = os.open

    def refused(path: Any, *arguments: Any, **options: Any) -> int:
        if Path(os.fspath(path)).name == "current":
            raise PermissionError(13, "Permission denied", str(path))
        return really(path, *arguments, **options)

    monkeypatch.setattr(os, "open", refused)
    with (
        HybridRetriever(home / "index", folder=home / "note", embedder="none") as retriever,
        pytest.raises(KnowledgeError) as caught,
    ):
        retriever.retrieve("lancio")
    assert caught.value.code == "index_unreadable"
    assert "index_mode" in str(caught.value.remedy)


def test_a_roll_back_keeps_the_modes(home: Path) -> None:
    index = KnowledgeIndex(home / "note", home / "index", embedder="none")
    index.update()
    (home / "note/altra.md").write_text("# Altra\n\nUna pagina.\n", encoding="utf-8")
    index.update()
    for path in (home / "index").rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)
    index.roll_back()
    assert open_to_others(home / "index") == {}
