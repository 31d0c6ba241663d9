"""docs/reference is written from the code, and current."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import cervella
from cervella import errors
from tests.conftest import ROOT

GENERATE = ROOT / "docs" / "generate.py"


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(GENERATE), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env={**os.environ, **environment},
    )


def test_the_reference_is_current_on_a_terminal_of_any_width() -> None:
    done = run("--check", COLUMNS="40", TERM="dumb", NO_COLOR="1")
    assert done.returncode == 0, done.stderr


def test_a_stale_page_is_told_and_not_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spec = importlib.util.spec_from_file_location("generate", GENERATE)
    assert spec is not None
    assert spec.loader is not None
    generate = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "generate", generate)
    spec.loader.exec_module(generate)
    monkeypatch.setattr(generate, "REFERENCE", tmp_path)
    monkeypatch.setattr(generate, "PAGES", {"errors.md": generate.error_tree})
    assert generate.main([]) == 0
    assert generate.main(["--check"]) == 0
    (tmp_path / "errors.md").write_text("old\n", encoding="utf-8")
    assert generate.main(["--check"]) == 1
    assert (tmp_path / "errors.md").read_text(encoding="utf-8") == "old\n"


def test_every_public_name_has_its_entry() -> None:
    api = (ROOT / "docs/reference/api.md").read_text(encoding="utf-8")
    told = (ROOT / "docs/reference/errors.md").read_text(encoding="utf-8")
    for name in set(cervella.__all__) - {*errors.__all__, "__version__"}:
        assert f"\n### {name}\n" in api, f"{name} is not in api.md"
    for name in errors.__all__:
        assert f"\n## {name}\n" in told, f"{name} is not in errors.md"


def test_the_layers_that_are_told_are_those_that_are_checked() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = project["tool"]["importlinter"]["contracts"][0]["layers"]
    assert "```text\n" + "\n".join(layers) + "\n```" in (ROOT / "docs/explanation/design.md").read_text(
        encoding="utf-8"
    )
