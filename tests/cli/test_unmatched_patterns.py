"""A pattern of local_only that names nothing: `index` and `doctor` exit 2, an agent that runs warns and goes on."""

from __future__ import annotations

import json
import logging
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import cervella
from cervella.cli import main
from cervella.errors import UnmatchedPatternError
from cervella.testing import ScriptedBrain
from cervella.types import Answered
from tests.fixtures.whole import whole


def configured(home: Path, *patterns: str) -> None:
    own = {"folder": "note", "embedder": "none", "local_only": list(patterns)}
    data = {"brain": "extractive", "soul": {"constitution": "anima.md"}, "knowledge": own}
    (home / "cervella.toml").write_text(tomli_w.dumps(data), encoding="utf-8")


@pytest.fixture
def home(isolated: Path) -> Path:
    pages = {
        "anima.md": "# Cervella\n\n- nome: Cervella\n\nCalma, precisa, in italiano.\n",
        "note/personale/diario.md": "# Diario\n\nLa mongolfiera segreta è rossa.\n",
        "note/lavoro/piano.md": "# Piano\n\nLa mongolfiera decolla lunedì.\n",
    }
    for name, text in pages.items():
        (isolated / name).parent.mkdir(parents=True, exist_ok=True)
        (isolated / name).write_text(text, encoding="utf-8")
    configured(isolated, "personale/**")
    return isolated


def test_index_refuses_it_and_leaves_the_old_index_as_it_is(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index"]) == 0
    before = {path: path.read_bytes() for path in (home / ".cervella").rglob("*") if path.is_file()}
    configured(home, "persnale/**")
    for options in ([], ["--force"], ["--rebuild"], ["--json"]):
        assert main(["index", *options]) == 2
    said = capsys.readouterr().err
    assert "'persnale/**' (nearest: 'personale'" in said
    assert "create it first" in said
    assert {path: path.read_bytes() for path in (home / ".cervella").rglob("*") if path.is_file()} == before


def test_index_goes_on_once_the_folder_is_made(home: Path) -> None:
    configured(home, "personale/**", "riservatissimo/**")
    assert main(["index"]) == 2
    (home / "note" / "riservatissimo").mkdir()
    assert main(["index"]) == 0


@pytest.mark.parametrize("indexed", [True, False])
def test_doctor_exits_2_with_the_nearest_paths(home: Path, indexed: bool, capsys: pytest.CaptureFixture[str]) -> None:
    if indexed:
        assert main(["index"]) == 0
    configured(home, "personale", "lavro")
    capsys.readouterr()
    assert main(["doctor", "--json"]) == 2
    findings = json.loads(capsys.readouterr().out)["findings"]
    fault = next(one for one in findings if one["name"] == "local_only")
    assert fault["state"] == "fault"
    assert "'lavro' (nearest: 'lavoro'" in fault["detail"]
    assert "'personale'" not in fault["detail"]
    configured(home, "./lavoro/")
    assert main(["doctor"]) == 0


def test_doctor_looks_at_what_the_environment_says(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert main(["index"]) == 0
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__LOCAL_ONLY", '["persnale/**"]')
    assert main(["doctor"]) == main(["index"]) == 2


def test_the_commands_that_ask_warn_once_on_stderr(home: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index"]) == 0
    configured(home, "persnale/**")
    for command in (["ask", "La mongolfiera?", "--json"], ["search", "mongolfiera", "--json"]):
        capsys.readouterr()
        assert main(command) == 0
        out, err = capsys.readouterr()
        assert err.count("'persnale/**'") == 1
        assert "warning:" in err
        if command[0] == "ask":
            assert json.loads(out)["flags"]["local_only_unmatched"] == 1


# An agent that runs


@pytest.fixture
def agent(home: Path) -> Any:
    with cervella.Agent() as first:
        first.index()
    configured(home, "persnale/**", "nulla", "personale/dario.md")
    with cervella.Agent() as agent:
        yield agent


def test_replies_say_how_many_patterns_name_nothing(agent: cervella.Agent) -> None:
    far = ScriptedBrain("Ecco [F1].", name="far", location="cloud")
    reply = agent.ask("La mongolfiera?", brain=far)
    assert reply.flags["local_only_unmatched"] == 3
    *_, last = agent.stream("La mongolfiera?", brain=far)
    assert isinstance(last, Answered)
    assert last.reply.flags["local_only_unmatched"] == 3
    assert agent.session("s").ask("La mongolfiera?", brain=far).flags["local_only_unmatched"] == 3
    assert agent.preview("La mongolfiera?", brain=far).flags["local_only_unmatched"] == 3
    assert agent.search("mongolfiera").local_only_unmatched == 3
    assert all("segreta" not in whole(prompt) for prompt in far.prompts)  # what was marked stays marked


def test_an_agent_warns_once_and_indexes_without_losing_a_mark(
    agent: cervella.Agent, home: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (home / "note/personale").rename(home / "note/privato")
    with caplog.at_level(logging.WARNING, "cervella"):
        report = agent.index()
        far = ScriptedBrain("Ecco [F1].", name="far", location="cloud")
        for _ in range(2):
            assert agent.ask("La mongolfiera segreta?", brain=far).flags["passages_withheld"] == 1
    assert report.warnings
    # The indexer's, and the search's.
    assert len([one for one in caplog.records if one.name == "cervella.knowledge.local_only"]) == 2
    with pytest.raises(UnmatchedPatternError):
        agent.index(strict=True)


def test_patterns_that_all_name_something_set_no_flag(home: Path) -> None:
    with cervella.Agent() as agent:
        agent.index()
        assert "local_only_unmatched" not in agent.ask("La mongolfiera?").flags
