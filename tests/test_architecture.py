"""The rule of the house: an import only points down, and a module is named for what it holds."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
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


def test_knowledge_holds_no_python() -> None:
    assert not list((ROOT / "knowledge").rglob("*.py"))
