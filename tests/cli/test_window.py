"""A brain whose window is too small for the passages: the reply and the command line say so."""

from __future__ import annotations

from pathlib import Path

import pytest

from cervella import Agent
from cervella.cli.output import warn_of_window
from cervella.testing import EchoBrain

SOUL = "# Cervella\n\nSono Cervella.\n"
QUESTION = "quanto costa il lievito madre?"


class Small(EchoBrain):
    """An echo with a small window."""

    def __init__(self, window: int) -> None:
        super().__init__()
        self.context_tokens = window


@pytest.mark.parametrize(("window", "none_left"), [(500, True), (6_000, False), (100_000, False)])
def test_a_reply_says_that_no_source_fits(tmp_path: Path, window: int, none_left: bool) -> None:
    folder = tmp_path / "kb"
    folder.mkdir()
    for number in range(8):
        line = f"Il lievito madre numero {number} costa otto euro. " * 60
        (folder / f"{number}.md").write_text(f"# Lievito\n\n{line}\n", encoding="utf-8")
    (tmp_path / "soul.md").write_text(SOUL, encoding="utf-8")
    config = tmp_path / "cervella.toml"
    knowledge = 'folder = "kb"\nindex = "index"\nembedder = "none"\ntop_k = 6\n'
    config.write_text(f'[soul]\nconstitution = "soul.md"\n[knowledge]\n{knowledge}', encoding="utf-8")
    brain = Small(window)
    with Agent(config=config, brain=brain) as agent:
        agent.index()
        reply = agent.ask(QUESTION)
    [prompt] = brain.prompts
    assert len(reply.passages) == reply.flags.get("passages_dropped", 0) + len(prompt.passages)
    assert (reply.flags.get("no_source_fits", 0) == 1) == none_left == (not prompt.passages)


def test_the_command_line_says_it_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    warn_of_window({})
    warn_of_window({"passages_dropped": 1})
    warn_of_window({"passages_dropped": 5, "no_source_fits": 1})
    first, second = capsys.readouterr().err.splitlines()
    assert first == "note: 1 passage did not fit in the brain's window and was not sent."
    assert second.startswith("warning: The brain saw no source: none of 5 passages fits in its window.")
