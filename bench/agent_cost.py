"""`python -m bench.agent_cost`: what the library itself costs beside LlamaIndex's ContextChatEngine.

Retrieval and model are stubs on both sides, the soul, the passages and the questions the same; in turns, in one run.
"""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench.prefix import QUESTIONS, Soul, Turns, agent_over, passages
from cervella import Agent
from cervella.testing import ScriptedBrain

ROUNDS, TURNS = 40, 10
ANSWER = "Mancavano i test di carico."
SOUL = Soul("Sei Cervella, la partner strategica. " * 150)
FOUND = passages(6, lines=6)


def cervella(folder: Path) -> Callable[[], object]:
    agent: Agent = agent_over(ScriptedBrain(ANSWER), SOUL, FOUND, folder)  # type: ignore[arg-type]
    agent.ask(QUESTIONS[0])

    def conversation() -> None:
        talk = agent.session(f"bench-{time.perf_counter_ns()}")
        for turn in range(TURNS):
            talk.ask(QUESTIONS[turn % 2])

    return conversation


def llama_index() -> Callable[[], object]:
    from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata, MessageRole
    from llama_index.core.chat_engine import ContextChatEngine
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    class Scripted(MockLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(is_chat_model=True, context_window=32_000)

        def chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:
            return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content=ANSWER))

    class Found(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            texts = Turns(FOUND).retrieve(query_bundle.query_str)
            return [NodeWithScore(node=TextNode(text=one.text), score=1.0) for one in texts]

    def conversation() -> None:
        engine = ContextChatEngine.from_defaults(retriever=Found(), llm=Scripted(), system_prompt=SOUL.text)
        for turn in range(TURNS):
            engine.chat(QUESTIONS[turn % 2])

    return conversation


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        works = {"Cervella": cervella(Path(folder)), "LlamaIndex ContextChatEngine": llama_index()}
        times: dict[str, list[float]] = {name: [] for name in works}
        for work in works.values():
            work()
        for _ in range(ROUNDS):
            for name, work in works.items():
                started = time.process_time()
                work()
                times[name].append((time.process_time() - started) / TURNS * 1000)
    table = Table("what", "median", "p95", title=f"Processor time a question, conversations of {TURNS}, {ROUNDS} each")
    for name, each in times.items():
        table.add_row(name, f"{statistics.median(each):.2f} ms", f"{statistics.quantiles(each, n=20)[-1]:.2f} ms")
    Console(width=100).print(table)
    own, peer = (statistics.median(each) for each in times.values())
    print(f"ratio {own / peer:.2f}; Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
