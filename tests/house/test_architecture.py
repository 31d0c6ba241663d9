"""The rule of the house: an import only points down, and a module is named for what it holds."""

from __future__ import annotations

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from cervella import OptionalMembers
from cervella.protocols import optional_members
from cervella.testing import EchoBrain, ScriptedBrain
from tests.conftest import ROOT

NO_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "core", "manager", "handler"}


def test_imports_only_point_down() -> None:
    linter = shutil.which("lint-imports") or shutil.which("lint-imports", path=str(Path(sys.executable).parent))
    if linter is None:
        pytest.skip("import-linter is not installed: pip install 'cervella[dev]'")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("module", sorted((ROOT / "cervella").rglob("*.py")), ids=lambda path: path.name)
def test_a_module_is_named_for_what_it_holds(module: Path) -> None:
    assert not NO_NAMES & {part.strip("_").lower() for part in (module.stem, module.parent.name)}


@pytest.mark.parametrize("name", ["Deadline", "Progress", "Question", "Verdict"])
def test_a_noun_of_the_house_means_one_thing(name: str) -> None:
    homes = []
    for path in (ROOT / "cervella").rglob("*.py"):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            targets = node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", node)]
            homes += [str(path) for one in targets if name in (getattr(one, "name", None), getattr(one, "id", None))]
    assert len(homes) == 1, homes


def test_knowledge_holds_no_python() -> None:
    assert not list((ROOT / "knowledge").rglob("*.py"))


def test_what_a_brain_may_have_besides_is_declared_in_protocols() -> None:
    assert all(hasattr(OptionalMembers, name) for name in OptionalMembers.__annotations__)  # each with its default
    looked = set()
    for path in (ROOT / "cervella").rglob("*.py"):
        if path.name == "testing.py":  # it checks a brain against what is declared
            continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "getattr":
                whose, name = ast.unparse(node.args[0]), node.args[1]
                if whose.split(".")[-1].strip("_") == "brain" and isinstance(name, ast.Constant):
                    looked.add(f"{path.name}: {name.value}")
    assert not looked


def test_a_brain_without_optional_members_gets_what_holds_without_them() -> None:
    assert optional_members(EchoBrain()).repeatable is None
    assert optional_members(object()).location is None
    assert optional_members(object()).thinks_aloud is True
    assert optional_members(object()).count_tokens is None
    assert optional_members(ScriptedBrain("Sì.", context_tokens=512)).context_tokens == 512


def test_an_optional_member_is_read_when_it_is_asked_for() -> None:
    brain = ScriptedBrain("Sì.")
    members = optional_members(brain)
    assert members.context_tokens is None
    brain.context_tokens = 512
    assert members.context_tokens == 512
