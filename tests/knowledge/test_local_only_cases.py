"""Patterns that somebody else thought of, before he read how they are understood: data/local-only-patterns.jsonl.

A case names the files of a folder, one pattern, and the verdict: `match` with the files that must be `local`, and those
that `may` be too; or `unmatched`, with the paths of which one should be named as near. `also_ok` is a verdict that is
as safe. `{FOLDER}` stands for the folder's absolute path.
"""

from __future__ import annotations

import json
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import cervella
from cervella.cli import main
from tests.conftest import DATA

FILE = DATA / "local-only-patterns.jsonl"
CASES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def composed(paths: Iterable[str]) -> set[str]:
    return {unicodedata.normalize("NFC", path) for path in paths}


@pytest.mark.parametrize("case", CASES, ids=[case["id"] for case in CASES])
def test_a_pattern_protects_what_it_was_written_for_or_is_refused(
    case: dict[str, Any], isolated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = isolated / case["folder"]
    for name in case["files"]:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(f"# {name}\n\nmongolfiera\n", encoding="utf-8")
    pattern = case["pattern"].replace("{FOLDER}", str(folder))
    own = {"folder": case["folder"], "embedder": "none", "local_only": [pattern]}
    (isolated / "cervella.toml").write_text(tomli_w.dumps({"brain": "extractive", "knowledge": own}), encoding="utf-8")
    code = main(["index"])
    said = capsys.readouterr().err
    verdict = {0: "match", 2: "unmatched"}[code]
    assert verdict in {case["expect"], case.get("also_ok")}
    assert (main(["doctor"]) == 2) == (verdict == "unmatched")
    if verdict == "unmatched":
        nearest = case.get("nearest")
        assert not nearest or any(repr(path.rstrip("/"))[1:-1] in said for path in nearest)
        return
    with cervella.Agent() as agent:
        found = agent.search("mongolfiera", top_k=100)
    marked = composed(passage.path for passage in found if passage.local_only)
    indexed = composed(passage.path for passage in found)
    assert found.local_only_unmatched == 0
    assert composed(case.get("local", ())) & indexed <= marked
    if "local" in case:
        assert marked <= composed([*case["local"], *case.get("may", ())])
