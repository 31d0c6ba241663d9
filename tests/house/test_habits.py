"""The files that a contributor looks for say what is true: their paths exist, and they call what `make` calls."""

from __future__ import annotations

import re
import tomllib
from typing import Any

import pytest
import yaml

from tests.conftest import ROOT

PAGES = ("CONTRIBUTING.md", "SECURITY.md", ".github/pull_request_template.md")


def read(name: str) -> Any:
    return yaml.safe_load((ROOT / name).read_text(encoding="utf-8"))


@pytest.mark.parametrize("page", PAGES)
def test_every_path_that_a_page_names_exists(page: str) -> None:
    text = (ROOT / page).read_text(encoding="utf-8")
    named = re.findall(r"\]\(([^):#]+)\)|`((?:cervella|docs|tests|knowledge|examples)/[^`\s]*)`", text)
    paths = {link or code for link, code in named}
    assert paths or page.startswith(".github")
    for path in paths:
        known = path.split("NAME")[0].split("CODE")[0]  # a recipe's own file is not there yet, its folder is
        known = known if known == path else known.rpartition("/")[0]
        assert (ROOT / known).exists(), path


def test_the_names_that_the_recipes_tell_are_in_the_code() -> None:
    from cervella import brains
    from cervella.checks import running, shape
    from cervella.cli import commands

    assert brains._BUILT_IN
    assert shape.KINDS
    assert running._LANGUAGE_FREE
    assert commands.COMMANDS


def test_the_workflow_runs_make_test_on_linux_and_macos_and_every_python_that_is_promised() -> None:
    job = read(".github/workflows/test.yml")["jobs"]["test"]
    matrix = job["strategy"]["matrix"]
    assert {name.partition("-")[0] for name in matrix["os"]} == {"ubuntu", "macos"}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(project["classifiers"]))
    assert matrix["python"] == promised
    assert any("make test" in step.get("run", "") for step in job["steps"])


def test_the_hooks_are_the_checks_of_make() -> None:
    [recipe] = re.findall(r"^check:.*\n((?:\t.*\n)+)", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE)
    checked = {re.split(r" --| \.", line.strip().removeprefix("$(BIN)/"))[0] for line in recipe.splitlines()}
    [local] = read(".pre-commit-config.yaml")["repos"]
    hooks = {re.split(r" --", hook["entry"].removeprefix(".venv/bin/"))[0] for hook in local["hooks"]}
    assert checked <= hooks
    assert all(hook["language"] == "system" for hook in local["hooks"])


@pytest.mark.parametrize("form", ["bug", "idea"])
def test_a_form_for_issues_asks_for_something(form: str) -> None:
    body = read(f".github/ISSUE_TEMPLATE/{form}.yml")["body"]
    assert any(field.get("validations", {}).get("required") for field in body)
