"""Texts that are not UTF-8: cases from another hand, and what the five languages' letters look like elsewhere."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.knowledge import HybridRetriever
from cervella.text.language import fold
from tests.conftest import DATA, PlainSoul

CASES = [json.loads(line) for line in (DATA / "encodings.jsonl").read_text(encoding="utf-8").splitlines()]

WORDS = {"binary": "not_text"}
"""The author's words for reasons, and ours."""
ABSTAINS = {"dove arriva la posta della sede?"}
"""Questions for which the base is too small: with the same file in UTF-8 she abstains too."""


def bare(text: str) -> str:
    return fold(text).replace(" ", "")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_text_in_another_encoding_answers(case: dict[str, Any], tmp_path: Path, isolated: Path) -> None:
    base, report = tmp_path / "base", case.get("report", {})
    for path, text in case["files"].items():
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_bytes(text.encode())
    for path, encoded in case.get("bytes", {}).items():
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_bytes(base64.b64decode(encoded))
    with cervella.Agent(knowledge=base, brain="extractive", soul=PlainSoul()) as agent:
        done = agent.index()
        skipped = {one.path: one.reason for one in done.files_skipped}
        assert {
            path: WORDS.get(word, word) for path, word in report.get("skipped", {}).items()
        }.items() <= skipped.items()
        assert not skipped.keys() & set(report.get("indexed", ()))
        for path, names in report.get("told", {}).items():
            assert done.encodings[path] in names
        for row in case.get("ask", ()):
            reply = agent.ask(row["question"])
            first = agent.search(row["question"]).passages[0]
            text = bare(reply.text if row["question"] not in ABSTAINS else first.reading)
            assert all(any(bare(one) in text for one in either) for either in row["must"])
            assert not any(bare(one) in bare(reply.text) for one in row.get("must_not", ()))
            assert first.path == row["source"]
        for row in case.get("search", ()):
            found = agent.search(row["query"]).passages
            assert found[0].path == row["first"]
            assert any(row.get("lines_hold", "") in one.text for one in found if one.path == row["first"])
        for row in case.get("passages", ()):
            found = agent.search(row["holding"]).passages
            [held, *_] = [one for one in found if one.path == row["path"] and row["holding"] in one.text]
            assert all(one in held.reading for one in row.get("reading_has", ()))
            assert not any(one in held.reading for one in row.get("reading_lacks", ()))
            with HybridRetriever(agent.config.knowledge.index, folder=base, embedder="auto") as retriever:
                assert retriever.lines(held.path, held.start_line, held.end_line) == held.text
