"""The command line: the result on stdout, everything else on stderr, exit codes 0, 1 and 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from cervella import __version__
from cervella.cli import main
from tests.conftest import SECRET

PASSAGE = {
    "rank", "path", "heading", "start_line", "end_line", "score", "date", "role", "project", "status", "text",
    "reading", "tags", "aliases", "meta", "links",
}  # fmt: skip
CITATION = {"mark", "path", "heading", "start_line", "end_line", "quote", "supported", "changed"}
REPORT = {
    "files_seen", "files_indexed", "files_skipped", "added", "changed", "removed", "unchanged", "chunks_total",
    "pending_embeddings", "seconds",
}  # fmt: skip
REPLY = {
    "question", "answer", "finish_reason", "abstained", "citations", "passages", "invented_marks", "brain", "model",
    "soul", "usage", "cost_usd", "timings", "flags",
}  # fmt: skip

TOML = """brain = "extractive"
[soul]
constitution = "anima.md"
[knowledge]
folder = "note"
embedder = "none"
"""
PAGES = {
    "anima.md": "# Cervella\n\n- nome: Cervella\n\nCalma, precisa, in italiano.\n",
    "note/decisioni/20260109_lancio.md": "# Decisione: rinvio del lancio\n\n> **Data:** 9 gennaio 2026\n\n"
    "Il lancio di Miracollo è rinviato al 20 gennaio 2026 perché mancano i test di carico.\n",
    "note/ricerche/prezzi.md": "# Ricerca: i prezzi\n\n| Piano | Canone |\n|---|---|\n"
    "| Piccolo | 12,50 € |\n| Grande | 40 € |\n",
    "note/lezioni/backup.md": "# Lezione: i backup\n\nUn backup mai provato non è un backup: si prova ogni lunedì.\n",
    "note/foto.png": "non è markdown",
}


class Result:
    def __init__(self, code: int, out: str, err: str) -> None:
        self.code, self.out, self.err = code, out, err

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@pytest.fixture
def home(isolated: Path) -> Path:
    """A working folder with a cervella.toml, a soul and three pages."""
    for name, text in {"cervella.toml": TOML, **PAGES}.items():
        path = isolated / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return isolated


@pytest.fixture
def cervella(capsys: pytest.CaptureFixture[str]) -> Any:
    def run(*arguments: str) -> Result:
        capsys.readouterr()
        code = main(list(arguments))
        out, err = capsys.readouterr()
        assert "Traceback" not in err + out
        return Result(code, out, err)

    return run


@pytest.fixture
def indexed(home: Path, cervella: Any) -> Path:
    assert cervella("index").code == 0
    return home


def failed(result: Result, code: int, words: str) -> None:
    """An error is two lines on stderr, error and help, and nothing on stdout."""
    assert result.code == code, result.err
    assert result.out == ""
    lines = result.err.splitlines()
    assert len(lines) == 2, result.err
    assert lines[0].startswith("error: ")
    assert lines[1].startswith("help: ")
    assert words in result.err


# index


def test_index_json_is_one_document_with_the_fields_of_the_report(home: Path, cervella: Any) -> None:
    first = cervella("index", "--json")
    assert first.code == 0
    report = first.data
    assert set(report) >= REPORT
    assert (report["files_seen"], report["files_indexed"], report["added"]) == (4, 3, 3)
    assert report["files_skipped"] == [{"path": "foto.png", "reason": "not_markdown"}]
    assert report["pending_embeddings"] == 0
    again = cervella("index", "--json").data
    assert (again["added"], again["changed"], again["removed"], again["unchanged"]) == (0, 0, 0, 3)


def test_index_tells_only_what_changed(indexed: Path, cervella: Any) -> None:
    (indexed / "note/ricerche/prezzi.md").write_text("# Altro\n\nNuovo.\n", encoding="utf-8")
    (indexed / "note/lezioni/backup.md").rename(indexed / "note/lezioni/copie.md")
    report = cervella("index", "--json").data
    assert (report["added"], report["changed"], report["removed"], report["unchanged"]) == (1, 1, 1, 1)


def test_index_in_words_says_what_it_did_and_what_it_skipped(home: Path, cervella: Any) -> None:
    result = cervella("index")
    assert "3 of 4 files indexed: 3 added" in result.out
    assert "skipped: 1 .png cannot be read" in result.err


# search


def test_search_json_has_exactly_its_keys(indexed: Path, cervella: Any) -> None:
    found = cervella("search", "--json", "perché il lancio è rinviato").data
    assert set(found) == {"query", "confidence", "abstain", "coverage", "behind", "passages"}
    assert found["confidence"] is None, "the base has too few headings, or no vectors"
    assert found["behind"] == 0
    assert found["query"] == "perché il lancio è rinviato"
    assert found["coverage"] == 1.0
    assert all(set(passage) == PASSAGE for passage in found["passages"])
    assert [passage["rank"] for passage in found["passages"]] == list(range(1, len(found["passages"]) + 1))
    best = found["passages"][0]
    assert (best["path"], best["date"]) == ("decisioni/20260109_lancio.md", "2026-01-09")
    lines = PAGES["note/" + best["path"]].split("\n")
    assert best["text"] == "\n".join(lines[best["start_line"] - 1 : best["end_line"]])


def test_search_takes_filters_and_top_k(indexed: Path, cervella: Any) -> None:
    paths = [
        p["path"]
        for p in cervella("search", "--json", "--path", "ricerche/**", "lancio prezzi canone").data["passages"]
    ]
    assert set(paths) == {"ricerche/prezzi.md"}
    assert len(cervella("search", "--json", "--top-k", "1", "lancio backup prezzi").data["passages"]) == 1
    assert cervella("search", "--json", "--since", "2027-01-01", "lancio").data["passages"] == []


@pytest.mark.parametrize("command", ["search", "ask"])
@pytest.mark.parametrize(
    ("option", "value", "words"),
    [
        ("--role", "decisioni", "Did you mean 'decision'? There are: decision, lesson, research."),
        ("--role", "Decision", "Did you mean 'decision'? There are: decision, lesson, research."),
        ("--project", "miracolo", "The documents here have no project."),
        ("--path", "note/decisioni/**", "relative to"),
        ("--tag", "prezzi", "The documents here have no tag."),
        ("--meta", "autore=Rossi", "The documents here have no field."),
    ],
)
def test_a_filter_that_no_document_passes_is_told_with_those_that_there_are(
    indexed: Path, cervella: Any, command: str, option: str, value: str, words: str
) -> None:
    result = cervella(command, "--json", option, value, "perché il lancio è rinviato")
    assert result.code == 0
    assert result.data["passages"] == []
    assert result.err.startswith("warning: No document")
    assert repr(value.removesuffix("=Rossi")) in result.err
    assert words in result.err


def test_tags_and_fields_of_front_matter_are_filters(home: Path, cervella: Any) -> None:
    head = "---\ntags: [Prezzi/Estate]\nautore: Ugo Neri\n---\n"
    (home / "note" / "listino.md").write_text(f"{head}# Listino\n\nIl lancio costa 12 euro.\n", "utf-8")
    cervella("index")
    for given in (["--tag", "prezzi"], ["--meta", "autore=ugo neri"]):
        result = cervella("search", "--json", *given, "lancio")
        assert [one["path"] for one in result.data["passages"]] == ["listino.md"]
        assert "warning" not in result.err
    result = cervella("search", "--json", "--meta", "autore=ugo neri", "--meta", "Autore=altri", "lancio")
    assert [one["path"] for one in result.data["passages"]] == ["listino.md"]
    result = cervella("search", "--tag", "prezi", "lancio")
    assert "There are: Prezzi/Estate." in result.err
    result = cervella("search", "--meta", "autore=Rossi", "lancio")
    assert "No document has the autore 'Rossi'" in result.err
    assert "There are: Ugo Neri." in result.err
    result = cervella("search", "--meta", "autore", "lancio")
    assert result.code != 0
    assert "--meta 'autore=Rossi'" in result.err


def test_a_filter_that_documents_pass_is_not_spoken_of(indexed: Path, cervella: Any) -> None:
    result = cervella("search", "--role", "decision", "--path", "decisioni/**", "lancio")
    assert "20260109_lancio.md" in result.out
    assert "warning" not in result.err


def test_search_in_words_names_each_place(indexed: Path, cervella: Any) -> None:
    result = cervella("search", "lancio rinviato")
    assert result.code == 0
    assert "1. decisioni/20260109_lancio.md:" in result.out
    assert "9 gennaio 2026" in result.out


# ask


@pytest.mark.parametrize("brain", ["extractive", "echo", "scripted"])
def test_ask_json_has_exactly_its_keys_under_every_brain(indexed: Path, cervella: Any, brain: str) -> None:
    result = cervella("ask", "--json", "--brain", brain, "Perché il lancio è rinviato?")
    assert result.code == 0
    assert result.err == ""
    reply = result.data
    assert set(reply) == REPLY
    assert set(reply["usage"]) == {"input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens"}
    assert set(reply["timings"]) == {"retrieval_seconds", "first_token_seconds", "total_seconds"}
    assert all(set(citation) == CITATION for citation in reply["citations"])
    assert all(set(passage) == PASSAGE for passage in reply["passages"])
    assert reply["brain"] == brain
    assert reply["question"] == "Perché il lancio è rinviato?"
    assert len(reply["soul"]) == 64


def test_ask_quotes_a_source_that_holds(indexed: Path, cervella: Any) -> None:
    reply = cervella("ask", "--json", "Perché il lancio è rinviato?").data
    assert "test di carico" in reply["answer"]
    assert not reply["abstained"]
    assert reply["invented_marks"] == 0
    assert any(c["supported"] and c["path"] == "decisioni/20260109_lancio.md" for c in reply["citations"])


def test_ask_in_words_ends_with_its_sources(indexed: Path, cervella: Any) -> None:
    result = cervella("ask", "Perché il lancio è rinviato?")
    assert result.code == 0
    assert "[F1] decisioni/20260109_lancio.md:" in result.out
    assert result.out.endswith("\n")


def test_a_question_that_the_base_can_not_answer_is_no_error(indexed: Path, cervella: Any) -> None:
    result = cervella("ask", "--json", "Quanto pesa un elefante africano?")
    assert result.code == 0
    assert result.data["abstained"] is True


def test_one_line_changes_the_engine_and_nothing_else(indexed: Path, cervella: Any) -> None:
    before = cervella("ask", "--json", "Perché il lancio è rinviato?").data
    (indexed / "cervella.toml").write_text(TOML.replace("extractive", "echo"), encoding="utf-8")
    after = cervella("ask", "--json", "Perché il lancio è rinviato?").data
    assert (before["brain"], after["brain"]) == ("extractive", "echo")
    assert before["soul"] == after["soul"]
    assert before["passages"] == after["passages"]


def test_show_prompt_shows_the_soul_and_asks_nobody(indexed: Path, cervella: Any) -> None:
    result = cervella("ask", "--show-prompt", "Perché il lancio è rinviato?")
    assert result.code == 0
    assert result.out.startswith("--- system\n" + PAGES["anima.md"].rstrip("\n"))
    assert result.out.rstrip().endswith("Domanda: Perché il lancio è rinviato?")
    assert "no brain was asked" in result.err
    data = cervella("ask", "--show-prompt", "--json", "Perché?").data
    assert data["messages"][0] == {"role": "system", "content": PAGES["anima.md"]}


def test_config_is_taken_by_every_command(
    indexed: Path, cervella: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    file = str(indexed / "cervella.toml")
    for command in (["index"], ["search", "lancio"], ["ask", "lancio?"], ["doctor"]):
        assert cervella(*command, "--config", file).code == 0
        failed(cervella(*command, "--config", "manca.toml"), 2, "manca.toml") if command != ["doctor"] else None


# A folder that went on


QUESTION = "Perché il lancio è rinviato?"


@pytest.fixture
def stale(indexed: Path) -> Path:
    """The cited page was written again after it was indexed, another one was added, and searches only warn."""
    (indexed / "cervella.toml").write_text(f'{TOML}refresh = "warn"\n', encoding="utf-8")
    lancio = indexed / "note/decisioni/20260109_lancio.md"
    lancio.write_text(lancio.read_text(encoding="utf-8").replace("20 gennaio", "27 gennaio"), encoding="utf-8")
    (indexed / "note/nuova.md").write_text("# Nuova\n", encoding="utf-8")
    return indexed


@pytest.mark.parametrize(
    "command",
    [
        ["search", "lancio"],
        ["search", "--json", "lancio"],
        ["ask", QUESTION],
        ["ask", "--json", QUESTION],
        ["ask", "--show-prompt", QUESTION],
        ["ask", "--show-prompt", "--json", QUESTION],
    ],
)
def test_a_folder_that_went_on_is_told_on_one_line_of_stderr(stale: Path, cervella: Any, command: list[str]) -> None:
    result = cervella(*command)
    assert result.code == 0
    told = [line for line in result.err.splitlines() if line.startswith("warning:")]
    assert told == ["warning: 2 files changed since the index was built; run `cervella index`."]
    assert "since the index was built" not in result.out
    if "--json" in command:
        assert result.data
    cervella("index")
    assert "warning" not in cervella(*command).err


def test_one_file_that_changed_is_one_file(indexed: Path, cervella: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__REFRESH", "warn")
    (indexed / "note/nuova.md").write_text("# Nuova\n", encoding="utf-8")
    assert "warning: 1 file changed since the index was built" in cervella("search", "lancio").err


def test_json_says_how_far_the_index_is_behind_and_which_citation_is_stale(stale: Path, cervella: Any) -> None:
    assert cervella("search", "--json", "lancio").data["behind"] == 2
    reply = cervella("ask", "--json", QUESTION).data
    assert reply["flags"]["index_behind"] == 2
    assert [(one["changed"], one["supported"]) for one in reply["citations"]] == [(True, False)]
    cervella("index")
    reply = cervella("ask", "--json", QUESTION).data
    assert "index_behind" not in reply["flags"]
    assert [(one["changed"], one["supported"]) for one in reply["citations"]] == [(False, True)]


def test_a_stale_source_is_marked_under_the_answer(stale: Path, cervella: Any) -> None:
    out = cervella("ask", QUESTION).out
    assert "[F1] decisioni/20260109_lancio.md:1-5  (9 gennaio 2026)  changed or gone since it was indexed" in out
    (stale / "note/decisioni/20260109_lancio.md").unlink()
    assert "changed or gone since it was indexed" in cervella("ask", QUESTION).out


def test_a_batch_says_it_once_and_each_of_its_rows_has_it(stale: Path, cervella: Any) -> None:
    (stale / "domande.jsonl").write_text(f'"{QUESTION}"\n"Quanto costa il piano Piccolo?"\n', encoding="utf-8")
    result = cervella("ask", "--batch", "domande.jsonl", "--out", "risposte.jsonl")
    assert result.err.count("2 files changed") == 1
    rows = [json.loads(line) for line in (stale / "risposte.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["flags"]["index_behind"] for row in rows] == [2, 2]


def test_an_index_without_its_folder_is_searched_and_told(indexed: Path, cervella: Any) -> None:
    (indexed / "note").rename(indexed / "altrove")
    result = cervella("search", "--json", "lancio")
    assert (result.data["behind"], result.data["unchecked"]) == (0, 3)
    assert result.err == "note: 3 files could not be compared with the index.\n"
    reply = cervella("ask", "--json", QUESTION).data
    assert reply["flags"]["index_unchecked"] == 3
    assert [(one["changed"], one["supported"]) for one in reply["citations"]] == [(None, True)]


# doctor


def test_doctor_finds_all_sound(indexed: Path, cervella: Any) -> None:
    result = cervella("doctor", "--json")
    assert result.code == 0
    assert result.data["sound"] is True
    names = {finding["name"] for finding in result.data["findings"]}
    assert {"configuration", "soul", "index"} <= names
    assert "FAULT" not in cervella("doctor").out


def test_doctor_sees_a_folder_that_went_on(indexed: Path, cervella: Any) -> None:
    (indexed / "note/nuovo.md").write_text("# Nuovo\n\nTesto.\n", encoding="utf-8")
    result = cervella("doctor", "--json")
    [index] = [finding for finding in result.data["findings"] if finding["name"] == "index"]
    assert (result.code, index["state"]) == (0, "warning")
    assert "1 to add" in index["detail"]


@pytest.mark.parametrize(
    ("toml", "fault"),
    [
        (TOML.replace("anima.md", "manca.md"), "soul"),
        (TOML.replace('brain = "extractive"', 'brain = "cluade"'), "brain that answers"),
        (TOML + '[brains.mio]\nkind = "echo"\nmodle = "x"\n', "brain mio"),
        (TOML + "[knowlege]\n", "configuration"),
    ],
)
def test_doctor_names_each_fault_with_its_cure(indexed: Path, cervella: Any, toml: str, fault: str) -> None:
    (indexed / "cervella.toml").write_text(toml, encoding="utf-8")
    result = cervella("doctor", "--json")
    assert result.code == 1
    found = {finding["name"]: finding for finding in result.data["findings"] if finding["state"] == "fault"}
    assert fault in found
    assert all(finding["cure"] for finding in found.values())


# What can go wrong


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["ask", "--brain", "ehco", "ciao?"], 2, "Did you mean 'echo'?"),
        (["ask", ""], 2, "question"),
        (["ask"], 2, "'question'"),
        (["search"], 2, "'query'"),
        (["search", "--top-k", "0", "x"], 2, "top-k"),
        (["search", "--since", "ieri", "x"], 2, "2026-01-31"),
        (["ask", "--timeout", "0", "x?"], 2, "timeout"),
        (["ask", "--timeout", "mai", "x?"], 2, "timeout"),
        (["cerca"], 2, "cerca"),
        (["index", "--forza"], 2, "--forza"),
    ],
)
def test_a_wrong_use_is_two_lines_and_exit_code_2(
    indexed: Path, cervella: Any, arguments: list[str], code: int, words: str
) -> None:
    failed(cervella(*arguments), code, words)


@pytest.mark.parametrize(
    "command", [["search", "x"], ["ask", "x?"], ["search", "--json", "x"], ["ask", "--json", "x?"]]
)
def test_no_index_yet_is_exit_code_1_and_its_cure(home: Path, cervella: Any, command: list[str]) -> None:
    failed(cervella(*command), 1, "cervella index")


@pytest.mark.parametrize(
    ("toml", "code", "words"),
    [
        ("brain = echo\n", 2, "line 1"),
        (TOML + "[knowlege]\n", 2, "Did you mean 'knowledge'?"),
        (TOML + f'[brains.claude]\napi_key = "{SECRET}"\n', 2, "environment"),
        (TOML.replace("anima.md", "manca.md"), 1, "manca.md"),
        (TOML.replace('"anima.md"', '"anima.md"\nmax_tokens = 3'), 1, "budget"),
        (TOML.replace('brain = "extractive"', 'brain = ["a", "b"]'), 2, "brain"),
    ],
)
def test_a_configuration_that_can_not_be_used_is_explained(
    indexed: Path, cervella: Any, toml: str, code: int, words: str
) -> None:
    (indexed / "cervella.toml").write_text(toml, encoding="utf-8")
    result = cervella("ask", "Perché il lancio?")
    failed(result, code, words)
    assert SECRET not in result.err


def test_a_missing_folder_is_explained(home: Path, cervella: Any) -> None:
    (home / "cervella.toml").write_text(TOML.replace('"note"', '"manca"'), encoding="utf-8")
    failed(cervella("index"), 1, "manca")


def test_help_and_version_are_results(cervella: Any) -> None:
    assert cervella("--version").out == f"cervella {__version__}\n"
    for arguments in ([], ["ask"], ["search"], ["index"], ["doctor"]):
        result = cervella(*arguments, "--help")
        assert result.code == 0
        assert "Usage" in result.out


def test_no_command_at_all_shows_the_help(cervella: Any) -> None:
    result = cervella()
    assert result.code == 2
    assert "Usage" in result.out
    assert result.err == ""


def test_the_program_runs_as_one_process_and_prints_json_alone(indexed: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", "cervella", "ask", "--json", "Perché il lancio è rinviato?"],
        capture_output=True,
        check=False,
        cwd=indexed,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "HOME": str(indexed)},
    )
    assert done.returncode == 0, done.stderr.decode()
    assert "è" in json.loads(done.stdout.decode("utf-8"))["answer"]
    assert done.stderr == b""


def test_a_reader_that_leaves_early_is_no_traceback(indexed: Path) -> None:
    command = f"{sys.executable} -m cervella search lancio | true"
    done = subprocess.run(command, shell=True, capture_output=True, text=True, check=False, cwd=indexed)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="bash completes there where it is installed")
@pytest.mark.parametrize(
    ("words", "offered"),
    [
        ("cervella se", {"search", "sessions"}),
        ("cervella ask --sho", {"--show-prompt"}),
        ("cervella ask --brain e", {"echo", "embedded", "extractive", "eco"}),
    ],
)
def test_bash_completes_commands_options_and_brains(home: Path, words: str, offered: set[str]) -> None:
    (home / "cervella.toml").write_text(TOML + '[brains.eco]\nkind = "echo"\n', encoding="utf-8")
    script = "import sys; sys.argv[0] = 'cervella'; from cervella.cli import entry; entry()"
    state = {
        "_CERVELLA_COMPLETE": "complete_bash",
        "COMP_WORDS": words,
        "COMP_CWORD": str(len(words.split()) - 1),
    }
    done = subprocess.run(
        [sys.executable, "-c", script], env={**os.environ, **state}, capture_output=True, check=False, encoding="utf-8"
    )
    assert done.stderr == ""
    assert set(done.stdout.split()) == offered
