"""The quoting brain on vaults of notes that were written, with their questions, by people who had not seen its rules.

`tests/data/vaults/README.md` says what each holds, and the figures at first sight.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest

from cervella import Agent
from cervella.evaluation.comparison.spelling_scores import MEASURES, score_spellings
from cervella.evaluation.suites.question_file import load_questions
from cervella.text.language import language

VAULTS = Path(__file__).parents[1] / "data" / "vaults"
CONFIG = """\
brain = "extractive"
[soul]
constitution = "kb/COSTITUZIONE.md"
language = "it"
[knowledge]
folder = "kb"
index = "index"
embedder = "none"
"""
LEAST = {
    "officina": {"fact": 13, "clean": 12, "first": 30, "refused": 13, "near_miss": 9, "off": 3, "stale": 1},
    "musica": {"fact": 17, "clean": 17, "first": 27, "refused": 10, "near_miss": 11, "off": 2, "stale": 0},
}
"""By words alone: at least so many of the first three, and at most so many of the others."""


def counted(vault: Path, folder: Path) -> Mapping[str, int]:
    shutil.copytree(vault / "kb", folder / "kb")
    (folder / "cervella.toml").write_text(CONFIG, encoding="utf-8")
    found = dict.fromkeys((measure.name for measure in MEASURES), 0)
    with Agent(config=folder / "cervella.toml") as agent:
        agent.index()
        for question in load_questions(vault / "questions.jsonl").questions:
            reply = agent.ask(question.question)
            shown = {f"F{number}": passage for number, passage in enumerate(reply.passages, 1)}
            score = score_spellings(question, reply.text, shown, language("it"), abstained=reply.abstained)
            for measure in MEASURES:
                found[measure.name] += measure.counts(score) and measure.holds(score)
    return found


@pytest.mark.parametrize("name", LEAST)
def test_a_vault_is_answered_as_it_was(name: str, tmp_path: Path) -> None:
    found, least = counted(VAULTS / name, tmp_path), LEAST[name]
    good = {measure.name for measure in MEASURES if measure.wanted}
    worse = {key: found[key] for key in least if (found[key] < least[key] if key in good else found[key] > least[key])}
    assert not worse, found
