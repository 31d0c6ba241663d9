"""`cervella soul probes`: what the soul test asks of this Constitution, and a file of it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from cervella.cli import main
from tests.fixtures.personas import ADA, BRUNO


@pytest.fixture
def run(isolated: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    (isolated / "knowledge").mkdir()
    (isolated / "cervella.toml").write_text('[soul]\nconstitution = "knowledge/COSTITUZIONE.md"\n', encoding="utf-8")

    def call(constitution: str, *arguments: str) -> tuple[int, str, str]:
        (isolated / "knowledge" / "COSTITUZIONE.md").write_text(constitution, encoding="utf-8")
        code = main(["soul", "probes", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def test_it_lists_what_is_asked_and_names_what_is_left_out(run: Any) -> None:
    code, out, err = run(BRUNO)
    assert code == 0
    assert "identity" in out
    assert "Left out: dissent-deploy (there is no trait rules~dissentire)." in " ".join(err.split())


def test_json_is_one_document(run: Any) -> None:
    code, out, _ = run(BRUNO, "--json")
    told = json.loads(out)
    assert code == 0
    assert {"id", "dimension", "severity", "section", "pair", "turns", "at_turns", "paraphrases", "checks"} == set(
        told["probes"][0]
    )
    assert told["left_out"]["dissent-deploy"] == "rules~dissentire"


def test_init_writes_a_suite_once(run: Any, isolated: Path) -> None:
    code, out, _ = run(BRUNO, "--init", "nostre.toml")
    assert code == 0
    assert "written nostre.toml" in out
    assert 'perfect = ["Mi chiamo Bruno.", ' in (isolated / "nostre.toml").read_text(encoding="utf-8")
    assert run(BRUNO, "--suite", "nostre.toml")[1].splitlines()[-1] == out.splitlines()[-1]
    code, _, err = run(BRUNO, "--init", "nostre.toml")
    assert code == 2
    assert "exists already" in err


def test_a_language_without_a_suite_is_an_error_with_a_cure(run: Any) -> None:
    code, _, err = run(ADA)
    assert code == 1
    assert "No probes are shipped in the language 'en'." in " ".join(err.split())
    assert "help:" in err
