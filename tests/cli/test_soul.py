"""`cervella soul`: what is shown, what is pinned, what changed, and with which exit code."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from cervella import Agent
from cervella.cli import main
from cervella.cli.soul import soul_tokens
from cervella.prompt.layout import estimate_tokens
from cervella.soul.lock import Lock, record_verdict
from cervella.testing import EchoBrain
from tests.conftest import PlainSoul

TEXT = "# Cervella\n\nSono calma. Parlo poco.\n\n## Tratti\n\n- ruolo: partner\n- emoji: mai\n"
STORY = "\n## Storia\n<!-- cervella: solo-ricerca -->\n\nTanto tempo fa.\n"


@pytest.fixture
def house(isolated: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.delenv("CI", raising=False)
    (isolated / "knowledge").mkdir()
    (isolated / "knowledge" / "COSTITUZIONE.md").write_text(TEXT + STORY, encoding="utf-8")
    (isolated / "cervella.toml").write_text(
        'brain = ["echo", "claude"]\n[soul.traits]\nrole = "guida"\n[brains.far]\nkind = "vllm"\nmodel = "m"\n',
        encoding="utf-8",
    )
    return isolated


@pytest.fixture
def run(house: Path, capsys: pytest.CaptureFixture[str]) -> Any:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = main(["soul", *arguments])
        said = capsys.readouterr()
        return code, said.out, said.err

    return call


def edit(house: Path, old: str, new: str) -> None:
    page = house / "knowledge" / "COSTITUZIONE.md"
    text = page.read_text(encoding="utf-8")
    assert old in text
    page.write_text(text.replace(old, new), encoding="utf-8")


def test_show_tells_sections_traits_and_lock(run: Any, house: Path) -> None:
    code, out, err = run("show")
    assert code == 0
    assert re.search(r"Cervella, it, fingerprint [0-9a-f]{12}…, layout 1", out)
    assert re.search(r"Storia +retrieval only", out)
    assert "role: guida" in out
    assert "`cervella soul lock`" in err
    assert run("show", "--text")[1] == TEXT + "\n"
    data = json.loads(run("show", "--json")[1])
    assert (data["name"], data["text"], data["lock"]) == ("Cervella", TEXT + "\n", None)
    assert (data["traits"]["role"], data["traits"]["emoji"], data["traits"]["aim"]) == ("guida", False, None)
    assert [section["kept"] for section in data["sections"]] == [True, True, False]


def test_lock_pins_then_says_that_it_is_pinned(run: Any, house: Path) -> None:
    code, out, err = run("lock")
    assert code == 0
    assert out.startswith("locked  Cervella, it, fingerprint")
    assert "git add" in err
    assert "far did not count" in err, "a brain that can't be asked is told, and no zero is written"
    lock = Lock.load(house / "soul.lock")
    assert {one.brain: one.tokens for one in lock.brains} == {"echo": lock.tokens, "claude": None, "far": None}
    before = (house / "soul.lock").read_bytes()
    assert run("lock")[1].startswith("locked already")
    assert (house / "soul.lock").read_bytes() == before
    assert "this soul" in run("show")[1]


def test_lock_shows_what_changed_and_which_verdicts_are_gone(run: Any, house: Path) -> None:
    run("lock", "--no-count")
    lock = Lock.load(house / "soul.lock")
    record_verdict(
        house / "soul.lock",
        fingerprint=lock.fingerprint,
        language="it",
        brain="claude",
        model="m",
        verdict="PASS",
        score=0.9,
        suite="",
    )
    assert "claude (m): PASS 90%" in run("show")[1]
    edit(house, "Parlo poco.", "Parlo molto.")
    assert "PASS 90%, " in (shown := run("show")[1])
    assert "stale" in shown
    code, out, err = run("lock", "--no-count")
    assert code == 0
    assert "Cervella\n- Parlo poco.\n+ Parlo molto.\n" in out
    assert "claude (m)" in err
    assert Lock.load(house / "soul.lock").verdicts == {}
    data = json.loads(run("lock", "--no-count", "--json")[1])
    assert (data["written"], data["changes"]["same"], data["lock"]["verdicts"]) == (False, True, [])
    assert data["dropped_verdicts"] == []


def test_a_verdict_that_comes_while_brains_are_asked_is_kept(
    run: Any, house: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run("lock", "--no-count")
    lock = Lock.load(house / "soul.lock")

    def meanwhile(agent: Any) -> list[Any]:
        verdict = {"brain": "claude", "model": "m", "verdict": "PASS", "score": 0.9, "suite": ""}
        record_verdict(house / "soul.lock", fingerprint=lock.fingerprint, language="it", **verdict)
        return []

    monkeypatch.setattr("cervella.cli.soul.soul_tokens", meanwhile)
    assert run("lock")[0] == 0
    assert list(Lock.load(house / "soul.lock").verdicts) == [("claude", "m")]


def test_a_brain_whose_count_tokens_is_none_gets_an_estimate(isolated: Path, soul: PlainSoul) -> None:
    brain = EchoBrain()
    brain.count_tokens = None  # type: ignore[attr-defined]
    with Agent(brain=brain, soul=soul) as agent:
        [(tokens, problem)] = soul_tokens(agent)
    assert (tokens.tokens, tokens.counted, problem) == (estimate_tokens(soul.text), False, "")


def test_diff_shows_the_changed_sentences(run: Any, house: Path) -> None:
    code, out, err = run("diff")
    assert (code, out) == (1, "")
    assert "There is no lock" in err
    run("lock", "--no-count")
    assert run("diff")[:2] == (0, "")
    edit(house, "Sono calma.", "Sono pronta.")
    (house / "cervella.toml").write_text('brain = "echo"\n[soul]\nlanguage = "en"\n', encoding="utf-8")
    code, out, _ = run("diff")
    assert (code, out) == (0, "language: it -> en\nCervella\n- Sono calma.\n+ Sono pronta.\n")
    data = json.loads(run("diff", "--json")[1])
    assert data["same"] is False
    assert data["sentences"] == [{"section": "Cervella", "removed": ["Sono calma."], "added": ["Sono pronta."]}]
    edit(house, "Sono pronta. Parlo", "Sono calma.\nParlo")
    assert "the sentences are the same" in run("diff")[1]


def test_verify_warns_or_fails(run: Any, house: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert run("verify")[0] == 1
    run("lock", "--no-count")
    code, out, err = run("verify", "--strict")
    assert (code, err) == (0, "")
    assert "as soul.lock has it" in out
    edit(house, "Tanto tempo", "Poco tempo")
    code, _, err = run("verify", "--strict")
    assert (code, "knowledge/COSTITUZIONE.md" in err) == (0, True)
    edit(house, "calma", "pronta")
    code, out, err = run("verify")
    assert (code, out) == (0, "")
    assert err.startswith("warning: The soul is not the one")
    assert err.count("\n") == 2
    code, _, err = run("verify", "--strict")
    assert code == 1
    assert err.startswith("error: The soul is not the one")
    monkeypatch.setenv("CI", "true")
    code, out, err = run("verify", "--json")
    assert code == 1
    data = json.loads(out)
    assert (data["same"], data["files"]) == (False, ["knowledge/COSTITUZIONE.md"])
    assert data["fingerprint"]["locked"] != data["fingerprint"]["found"]


def test_a_damaged_lock_is_never_overwritten(run: Any, house: Path) -> None:
    (house / "soul.lock").write_text("<<<<<<< HEAD\n", encoding="utf-8")
    for command in ("lock", "diff", "verify"):
        code, _, err = run(command)
        assert (code, "damaged" in err) == (1, True)
    code, out, err = run("show")
    assert (code, "damaged" in err, "role: guida" in out) == (0, True, True)
    assert (house / "soul.lock").read_text(encoding="utf-8") == "<<<<<<< HEAD\n"


def test_a_question_to_a_changed_soul_says_so_once(run: Any, house: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run("lock", "--no-count")
    main(["index"])
    edit(house, "calma", "pronta")
    capsys.readouterr()
    assert main(["ask", "--brain", "echo", "--json", "Sei calma?"]) == 0
    said = capsys.readouterr()
    assert json.loads(said.out)["soul"] != Lock.load(house / "soul.lock").fingerprint
    assert said.err.count("warning: The soul is not the one") == 1
    assert main(["--debug", "search", "calma"]) == 0
    assert "soul" not in capsys.readouterr().err, "nobody spoke"
