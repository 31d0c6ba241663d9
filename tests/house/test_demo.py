"""The end of the demo: another engine, the same soul and sources, and the sources have the last word over a model."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.cli.output import reply_data
from cervella.testing import ScriptedBrain
from tests.conftest import ROOT

SOURCE = "What the source says, in its own words:"


@pytest.fixture(scope="module")
def demo() -> Any:
    spec = importlib.util.spec_from_file_location("demo", ROOT / "examples" / "demo.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def replies(demo: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], tuple[Any, Any]]]:
    """The two replies of the last step, the second by a model that writes the given text."""
    folder = tmp_path_factory.mktemp("demo")
    with (
        pytest.MonkeyPatch.context() as patch,
        cervella.Agent(config=ROOT / "cervella.toml", index=folder / "index", embedder="none") as agent,
    ):
        patch.setenv("CERVELLA_LEDGER__PATH", str(folder / "ledger.sqlite"))
        agent.index()
        before = reply_data(agent.ask(demo.SHORT, top_k=1, review=True))

        def both(text: str) -> tuple[Any, Any]:
            options = {"brain": ScriptedBrain([text, text], name="embedded"), "top_k": 1, "review": True}
            return before, reply_data(agent.ask(demo.SHORT, **options))

        yield both


def test_an_invented_price_is_caught_and_is_not_the_last_word(demo: Any, replies: Any) -> None:
    shown = list(demo.compared(*replies("La RTX 4090 di RunPod costa $999 al mese [F1].")))
    told, source = "\n".join(shown).split(SOURCE)
    assert "The review does not let the model's answer stand" in told
    assert "figure: «999" in told.partition("The review")[2]
    assert "$999" not in source
    assert re.search(r"\| RunPod RTX 4090 \|(?: \S+ +\|)? \$248 ", source)
    assert "engine:   extractive (extractive) -> embedded" in told
    assert "soul:" in told
    assert told.count("the same") == 2


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("La RTX 4090 di RunPod costa $248 al mese [F1].", "found nothing that the lines do not say"),
        ("Non lo so: la base di conoscenza non lo dice.", "found nothing that the lines do not say"),
        ("La GPU è la scheda che costa un mese, e un mese, e un mese", "The review"),
    ],
)
def test_whatever_the_model_writes_is_shown_with_its_verdict_and_the_source_ends_it(
    demo: Any, replies: Any, text: str, verdict: str
) -> None:
    before, after = replies(text)
    told, source = "\n".join(demo.compared(before, after)).split(SOURCE)
    assert text in told
    assert verdict in told
    assert before["answer"] in source


def test_an_answer_without_a_word_is_said_to_be_none(demo: Any, replies: Any) -> None:
    before, after = replies("Non lo so.")
    assert "(it wrote nothing)" in list(demo.compared(before, {**after, "answer": " "}))


def test_a_soul_or_a_source_that_changed_is_no_success(demo: Any, replies: Any) -> None:
    before, after = replies("Non lo so.")
    assert demo.same(before, after)
    assert not demo.same(before, {**after, "soul": "another"})
    assert not demo.same(before, {**after, "passages": []})


def test_the_configuration_changes_by_one_line(demo: Any, tmp_path: Path) -> None:
    own = tmp_path / "cervella.toml"
    own.write_text((ROOT / "cervella.toml").read_text(encoding="utf-8"), encoding="utf-8")
    other = demo.changed(own)
    pairs = zip(own.read_text("utf-8").splitlines(), other.read_text("utf-8").splitlines(), strict=True)
    assert [pair for pair in pairs if pair[0] != pair[1]] == [('brain = "extractive"', 'brain = "embedded"')]


def test_the_model_reads_little_besides_the_soul(demo: Any, replies: Any) -> None:
    before, _ = replies("Non lo so.")
    assert len(before["passages"]) == 1
    assert len(before["passages"][0]["reading"]) <= 1_700
