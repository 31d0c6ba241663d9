"""Brains by name."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

import pytest

import cervella.brains as registry
from cervella.brains import brain_names, load_brain, shield_options
from cervella.brains.shield.shield import Shield
from cervella.errors import BrainAuthError, BrainNotInstalledError, ConfigError, UnknownBrainError
from cervella.protocols import Brain
from cervella.testing import EchoBrain, ScriptedBrain


class Point:
    """An entry point of somebody's."""

    def __init__(self, name: str, target: Any) -> None:
        self.name = name
        self._target = target

    def load(self) -> Any:
        if isinstance(self._target, BaseException):
            raise self._target
        return self._target


@pytest.fixture
def install(monkeypatch: pytest.MonkeyPatch) -> Any:
    def points(**targets: Any) -> None:
        monkeypatch.setattr(registry, "entry_points", lambda group: [Point(n, t) for n, t in targets.items()])

    return points


@pytest.mark.parametrize(("asked", "near"), [("ehco", "echo"), ("Extractive", "extractive"), ("embeded:x", "embedded")])
def test_an_unknown_brain_names_the_nearest_and_all_known(asked: str, near: str) -> None:
    with pytest.raises(UnknownBrainError) as caught:
        load_brain(asked)
    error = caught.value
    assert error.name == asked.partition(":")[0]
    assert f"Did you mean {near!r}?" in str(error.remedy)
    assert error.known == tuple(brain_names())
    assert {"echo", "extractive", "scripted"} <= set(error.known)


@pytest.mark.parametrize("asked", ["", ":", ":x", " ", "../echo", "cervella.testing:EchoBrain"])
def test_a_name_that_is_none_is_an_unknown_brain(asked: str) -> None:
    with pytest.raises(UnknownBrainError):
        load_brain(asked)


@pytest.mark.parametrize(
    ("spec", "name", "model"),
    [
        ("echo", "echo", "echo"),
        ("echo:qwen3:4b", "echo", "qwen3:4b"),
        ("echo:", "echo", "echo"),
        (" echo : qwen3:4b ", "echo", "qwen3:4b"),
        ("echo:/a/b:c.gguf", "echo", "/a/b:c.gguf"),
    ],
)
def test_a_spec_splits_at_the_first_colon(spec: str, name: str, model: str) -> None:
    brain = load_brain(spec)
    assert isinstance(brain, EchoBrain)
    assert (brain.name, brain.model) == (name, model)


def test_a_named_brain_is_of_its_kind_with_its_options() -> None:
    options = {"gpu-box": {"kind": "scripted", "answers": ["ciao"], "location": "private", "model": "qwen"}}
    brain = load_brain("gpu-box", options)
    assert isinstance(brain, ScriptedBrain)
    assert isinstance(brain, Brain)
    assert (brain.name, brain.model) == ("gpu-box", "qwen")
    assert load_brain("gpu-box:altro", options).model == "altro"
    assert options["gpu-box"]["kind"] == "scripted"
    assert "gpu-box" in brain_names(options)


def test_a_kind_that_there_is_not_is_told_apart_from_the_name() -> None:
    with pytest.raises(UnknownBrainError, match=r"'gpu-box' is of the kind 'vlm'") as caught:
        load_brain("gpu-box", {"gpu-box": {"kind": "vlm"}})
    assert caught.value.name == "vlm"


def test_an_unknown_option_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'modle'") as caught:
        load_brain("echo", {"echo": {"modle": "x"}})
    assert caught.value.code == "unknown_key"
    assert "Did you mean 'model'?" in str(caught.value.remedy)
    with pytest.raises(ConfigError):
        load_brain("echo", {"echo": {"name": "altro"}})


@pytest.mark.parametrize("key", registry.SHIELD_OPTIONS)
def test_an_option_of_the_shield_is_no_option_of_the_brain(key: str) -> None:
    value = "private" if key == "location" else 3
    options = {"echo": {key: value}}
    load_brain("echo", options)
    assert shield_options("echo:x", options) == {key: value}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("location", "casa"),
        ("location", True),
        ("location", ["local"]),
        ("retries", -1),
        ("retries", 1.5),
        ("retries", True),
        ("idle_timeout", 0),
        ("idle_timeout", "5"),
        ("idle_timeout", True),
        ("first_token_timeout", float("nan")),
        ("first_token_timeout", -1),
    ],
)
def test_a_shield_option_that_can_not_be_used_is_an_error(key: str, value: Any) -> None:
    with pytest.raises(ConfigError, match=key):
        shield_options("echo", {"echo": {key: value}})


def test_a_third_partys_brain_is_found_by_its_entry_point(install: Any) -> None:
    class Mine(EchoBrain):
        pass

    install(mio=Mine)
    assert isinstance(load_brain("mio:grande"), Mine)
    assert "mio" in brain_names()


def test_an_entry_point_can_not_shadow_a_built_in(install: Any) -> None:
    class Thief(EchoBrain):
        pass

    install(echo=Thief, extractive=Thief)
    assert type(load_brain("echo")) is EchoBrain
    assert not isinstance(load_brain("extractive"), Thief)


def _raising(error: Exception) -> Any:
    class Rotten(EchoBrain):
        def __init__(self, *, name: str) -> None:
            raise error

    return Rotten


@pytest.mark.parametrize(
    ("target", "kind"),
    [
        (ImportError("No module named 'sdk'"), BrainNotInstalledError),
        (RuntimeError("versione"), ConfigError),
        (AttributeError("non c'è"), ConfigError),
        (_raising(RuntimeError("rotto")), ConfigError),
        (_raising(KeyError("rotto")), ConfigError),
        (_raising(OSError()), ConfigError),
        (_raising(ImportError("No module named 'sdk'")), BrainNotInstalledError),
        (_raising(BrainAuthError("chiave")), BrainAuthError),
    ],
)
def test_a_third_partys_failure_is_ours_to_explain(target: Any, kind: type[Exception], install: Any) -> None:
    install(mio=target)
    with pytest.raises(kind) as caught:
        load_brain("mio")
    assert "mio" in str(caught.value) or kind is BrainAuthError


def test_asking_for_one_brain_imports_no_other() -> None:
    code = (
        "import sys, cervella.brains as b; b.load_brain('echo')\n"
        "print([m for m in sys.modules if m.startswith('cervella.brains.') and m.split('.')[2] in"
        " ('embedded', 'extractive', 'claude', 'ollama', 'vllm')])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("kind", ["ollama", "vllm", "claude"])
@pytest.mark.parametrize("name", ["qwen3:480B-CLOUD", " qwen3:480b-cloud ", "qwen3:Cloud"])
def test_a_cloud_model_is_cloud_under_every_kind_and_at_any_url(kind: str, name: str) -> None:
    options = {"box": {"kind": kind, "url": "http://127.0.0.1:11434", "location": "private", "model": name}}
    for spec, given in (("box", options), (f"box:{name}", {"box": {**options["box"], "model": "qwen3:4b"}})):
        brain = load_brain(spec, given)
        assert brain.model == name.strip()
        assert Shield(brain, **shield_options(spec, given)).location == "cloud"
