"""`python -m bench.prefix`: how much of a prompt is computed again, by the engine's own token counts."""

from __future__ import annotations

import asyncio
import gc
import hashlib
import json
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import ROOT
from cervella import Agent, Passage
from cervella.brains.embedded.brain import EmbeddedBrain
from cervella.types import Filters, Prompt, Reply, Retrieval

SOUL_TOKENS = 1500
QUESTIONS = ("Perché abbiamo rimandato il lancio?", "Quanto costa un mese di prova?")


@dataclass(frozen=True)
class Soul:
    text: str
    name = "Cervella"
    language = "it"

    @property
    def fingerprint(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()

    def system_prompt(self) -> str:
        return self.text


@dataclass(frozen=True)
class Turns:
    """Other passages for every question, as a search finds them."""

    passages: Sequence[Sequence[Passage]]

    def retrieve(self, query: str, /, *, top_k: int = 6, filters: Filters | None = None) -> Retrieval:
        found = self.passages[QUESTIONS.index(query)][:top_k]
        return Retrieval(query=query, passages=tuple(found), confidence=1.0, abstain=False, coverage=1.0)


@dataclass(frozen=True)
class Row:
    what: str
    prompt: int
    """Tokens of the prompt, as the engine counts them."""
    recomputed: int
    """Of these, how many did not come from its cache."""
    changing: int | None = None
    """Of these, how many belong to passages, question and template."""


def passages(count: int, *, lines: int) -> list[list[Passage]]:
    """For each question `count` passages of so many lines."""
    made = []
    for turn in range(len(QUESTIONS)):
        text = [
            "\n".join(f"- nota {turn}.{number}.{line}: mancavano i test di carico del modulo" for line in range(lines))
            for number in range(count)
        ]
        made.append(
            [
                Passage(id=f"{turn}{n}", path=f"note/{turn}{n}.md", text=one, start_line=1, end_line=lines, score=1.0)
                for n, one in enumerate(text)
            ]
        )
    return made


async def soul_tokens(brain: EmbeddedBrain, text: str) -> int:
    """Of the system prompt in the model's template, without what every prompt has behind it."""
    bare = await brain.count_tokens(Prompt(system="", question="x"))
    return await brain.count_tokens(Prompt(system=text, question="x")) - bare


async def changing_tokens(brain: EmbeddedBrain, agent: Agent, question: str) -> int:
    """Of a question's prompt: passages, question and template; not the soul, nor the instructions of the day."""
    asked = (await agent.apreview(question)).prompt
    standing = replace(asked, passages=(), marks=(), hints={}, instructions="", question=asked.instructions)
    return await brain.count_tokens(asked) - await brain.count_tokens(standing)


def soul_of(brain: EmbeddedBrain, tokens: int) -> Soul:
    """The shipped Constitution, from its beginning, again where it is too short, as long as this."""
    words = (ROOT / "knowledge" / "COSTITUZIONE.md").read_text(encoding="utf-8").split(" ") * 9

    async def find() -> int:
        low, high = 1, len(words)
        while low < high:
            middle = (low + high) // 2
            enough = await soul_tokens(brain, " ".join(words[:middle])) >= tokens
            low, high = (low, middle) if enough else (middle + 1, high)
        return low

    return Soul(" ".join(words[: asyncio.run(find())]))


def unload(brain: EmbeddedBrain) -> None:
    """What ends with a process: the engine and its cache. The slot file stays."""
    asyncio.run(brain.aclose())
    gc.collect()


def row(what: str, reply: Reply) -> Row:
    prompt, cached = reply.usage.input_tokens, reply.usage.cache_read_tokens
    assert prompt is not None
    assert cached is not None
    return Row(what, prompt, prompt - cached)


def agent_over(brain: EmbeddedBrain, soul: Soul, found: Sequence[Sequence[Passage]], folder: Path) -> Agent:
    (folder / "cervella.toml").write_text(
        f"[conversations]\npath = {json.dumps(str(folder / 'talk.sqlite'))}\n", encoding="utf-8"
    )
    return Agent(config=folder / "cervella.toml", brain=brain, soul=soul, retriever=Turns(found))


def ours(brain: EmbeddedBrain, soul: Soul, few: Any, many: Any, folder: Path) -> list[Row]:
    """A conversation with few changing tokens, then two questions with as many as a search gives."""
    rows = []
    with agent_over(brain, soul, few, folder) as agent:
        talk = agent.session("few")
        rows += [row(f"few passages, turn {n + 1}", talk.ask(question)) for n, question in enumerate(QUESTIONS)]
    unload(brain)
    with agent_over(brain, soul, few, folder) as agent:
        rows.append(row("few passages, new engine, saved slot", agent.ask(QUESTIONS[0])))
    with agent_over(brain, soul, many, folder) as agent:
        for number, question in enumerate(QUESTIONS, 1):
            changing = asyncio.run(changing_tokens(brain, agent, question))
            rows.append(replace(row(f"default top_k, question {number}", agent.ask(question)), changing=changing))
    return rows


def context_first(brain: EmbeddedBrain, soul: Soul, found: Sequence[Sequence[Passage]]) -> list[Row]:
    """The messages that LlamaIndex's ContextChatEngine makes of the same, in the same engine."""
    from llama_index.core.base.llms.types import ChatMessage, ChatResponse, LLMMetadata, MessageRole
    from llama_index.core.chat_engine import ContextChatEngine
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import BaseRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    sent: list[list[dict[str, Any]]] = []

    class Recorder(MockLLM):
        @property
        def metadata(self) -> LLMMetadata:
            return LLMMetadata(is_chat_model=True, context_window=8192)

        def chat(self, messages: Sequence[ChatMessage], **_: Any) -> ChatResponse:
            sent.append([{"role": message.role.value, "content": message.content} for message in messages])
            return ChatResponse(message=ChatMessage(role=MessageRole.ASSISTANT, content="Non lo so."))

    class Found(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            texts = found[QUESTIONS.index(query_bundle.query_str)]
            return [NodeWithScore(node=TextNode(text=one.text), score=1.0) for one in texts]

    engine = ContextChatEngine.from_defaults(retriever=Found(), llm=Recorder(), system_prompt=soul.text)
    for question in QUESTIONS:
        engine.chat(question)
    return [
        Row(f"context in the system prompt, turn {n + 1}", *asyncio.run(_asked(brain, messages)))
        for n, messages in enumerate(sent)
    ]


async def _asked(brain: EmbeddedBrain, messages: list[dict[str, Any]]) -> tuple[int, int]:
    loaded = await brain._loaded()
    async with loaded.client() as client:
        answer = (await client.post("/v1/chat/completions", json={"messages": messages, "max_tokens": 1})).json()
    return answer["usage"]["prompt_tokens"], answer["timings"]["prompt_n"]


def main() -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        brain = EmbeddedBrain(context_tokens=8192, max_output_tokens=8, slots=folder / "slots")
        soul = soul_of(brain, SOUL_TOKENS)
        few, many = passages(1, lines=2), passages(6, lines=6)
        rows = ours(brain, soul, few, many, folder)
        tokens = asyncio.run(soul_tokens(brain, soul.text))
        unload(brain)
        without = EmbeddedBrain(context_tokens=brain.context_tokens, max_output_tokens=8)
        rows += context_first(without, soul, many)
        size = sum(path.stat().st_size for path in (folder / "slots").iterdir())
    table = Table(
        "what",
        "prompt",
        "computed",
        "changing",
        "of the first prompt",
        title=f"A soul of {tokens} tokens, {brain.model}",
    )
    for one in rows:
        base = next(first for first in rows if first.what.split(",")[0] == one.what.split(",")[0])
        table.add_row(
            one.what,
            str(one.prompt),
            str(one.recomputed),
            str(one.changing or ""),
            f"{one.recomputed / base.prompt:.2f}",
        )
    Console(width=100).print(table)
    print(f"slot file: {size / 1e6:.1f} MB, {size / tokens / 1e3:.1f} KB a token; Python {sys.version.split()[0]}")


if __name__ == "__main__":
    main()
