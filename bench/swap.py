"""`python -m bench.swap`: ten questions through every brain that runs here, into docs/explanation/swap.md.

claude and vllm are driven by their makers' clients against llama.cpp's own server, the engine of the embedded brain.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from bench import ROOT
from cervella import Agent, Reply
from cervella.brains.claude.brain import ClaudeBrain
from cervella.brains.embedded.brain import EmbeddedBrain
from cervella.brains.vllm.brain import VllmBrain
from cervella.testing import ScriptedBrain

QUESTIONS = ROOT / "tests" / "data" / "questions-knowledge.jsonl"
PAGE = ROOT / "docs" / "explanation" / "swap.md"
COUNT, TOP_K, MOST_TOKENS = 10, 3, 32
KEY = "SWAP_KEY"
PROSE = """# The soul stays, the engine changes

Written by `python -m bench.swap`: {count} questions of the shipped base, each with {top_k} passages, through every
brain that runs without a network. `claude` and `vllm` are driven by their makers' clients against llama.cpp's own
server with the same small model as `embedded`, so their rows test the connection, not those engines' answers. That
model, SmolLM2-135M, is for tests: it seldom cites. `scripted` gives one answer with one mark, `echo` the question.

{table}

*Soul*: the fingerprint on every reply. *Same passages*: replies whose engine got the same passages as `extractive`,
in the same order and under the same marks. *Supported*: citations whose words are in the cited lines. *Well formed*:
each citation has the mark, path and lines of a passage in the prompt, and a quote from those lines.
"""


def questions() -> list[str]:
    rows = map(json.loads, QUESTIONS.read_text(encoding="utf-8").splitlines())
    return [row["question"] for row in rows if row["lang"] == "it"][:COUNT]


def places(reply: Reply) -> tuple[list[tuple[str, int, int]], tuple[str, ...]]:
    """The passages, and the marks of those that the engine was shown."""
    found = [(passage.path, passage.start_line, passage.end_line) for passage in reply.passages]
    return found, tuple(reply.attempts[-1].shown)


def well_formed(reply: Reply) -> bool:
    """Whether each citation is one of the passages, and its quote stands there."""
    shown = {f"F{number}": passage for number, passage in enumerate(reply.passages, 1)}
    return all(
        (passage := shown.get(citation.mark)) is not None
        and (citation.path, citation.start_line, citation.end_line)
        == (passage.path, passage.start_line, passage.end_line)
        and citation.quote in passage.text
        for citation in reply.citations
    )


def brains() -> Mapping[str, Any]:
    embedded = EmbeddedBrain(context_tokens=8192, max_output_tokens=MOST_TOKENS)
    engine = asyncio.run(embedded._loaded())
    os.environ[KEY] = engine._key
    wire = {"api_key_env": KEY, "max_output_tokens": MOST_TOKENS}
    return {
        "extractive": "extractive",
        "echo": "echo",
        "scripted": ScriptedBrain("Lo dicono le note [F1]."),
        "embedded": embedded,
        "vllm": VllmBrain(url=f"{engine.url}/v1", **wire),
        "claude": ClaudeBrain(url=engine.url, model=embedded.model, **wire),
    }


def replies() -> dict[str, list[Reply]]:
    with tempfile.TemporaryDirectory() as folder:
        base = {"knowledge": ROOT / "knowledge", "constitution": ROOT / "knowledge" / "COSTITUZIONE.md"}
        with Agent(**base, index=Path(folder) / "index", embedder="none", brain="echo") as agent:
            agent.index()
            found: dict[str, list[Reply]] = {}
            every = brains()
            for question in questions():  # the engines in turn: the later ones find the prompt in the cache
                for name, brain in every.items():
                    found.setdefault(name, []).append(agent.ask(question, brain=brain, top_k=TOP_K, temperature=0.0))
                print(".", end="", file=sys.stderr, flush=True)
            return found


def table(found: Mapping[str, list[Reply]]) -> str:
    lines = [
        "| brain | model | soul | same passages | citations | supported | well formed | invented marks |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, mine in found.items():
        same = sum(places(one) == places(other) for one, other in zip(mine, found["extractive"], strict=True))
        cited = [citation for reply in mine for citation in reply.citations]
        (soul,) = {reply.soul for reply in mine}
        cells = (
            name,
            mine[0].model,
            f"`{soul[:12]}…`",
            f"{same} of {len(mine)}",
            str(len(cited)),
            str(sum(bool(citation.supported) for citation in cited)),
            "all" if all(map(well_formed, mine)) else "not all",
            str(sum(reply.invented_marks for reply in mine)),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    PAGE.write_text(PROSE.format(count=COUNT, top_k=TOP_K, table=table(replies())), encoding="utf-8")
    print(PAGE.read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
