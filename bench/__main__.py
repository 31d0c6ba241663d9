"""`python -m bench`: medians, and ratios to a peer measured in the same run."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from bench import ROOT, SNCP, Soul
from cervella import Agent, Passage
from cervella.testing import EchoBrain, FixedRetriever

ROUNDS = 7


def interpreter(code: str) -> float:
    """Seconds of one Python process that runs the code."""
    started = time.perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
    return time.perf_counter() - started


def paired(*codes: str) -> list[float]:
    """The median of each code's process time, the codes in turn, after one warm-up each."""
    for code in codes:
        interpreter(code)
    times = [[interpreter(code) for code in codes] for _ in range(ROUNDS)]
    return [statistics.median(column) for column in zip(*times, strict=True)]


def timed(work: Callable[[], object], rounds: int) -> list[float]:
    times = []
    for _ in range(rounds):
        started = time.perf_counter()
        work()
        times.append(time.perf_counter() - started)
    return times


def imports(table: Table) -> None:
    bare, own, llama, chroma = paired("pass", "import cervella", "import llama_index.core", "import chromadb")
    table.add_row("import cervella, over bare Python", f"{own - bare:.3f} s", "")
    table.add_row("import llama_index.core", f"{llama - bare:.3f} s", f"{(llama - bare) / (own - bare):.0f} x")
    table.add_row("import chromadb", f"{chroma - bare:.3f} s", f"{(chroma - bare) / (own - bare):.0f} x")


def one_question(table: Table) -> None:
    passage = Passage(id="1", path="a.md", text="Il lancio è rinviato.", start_line=1, end_line=1)
    retriever = FixedRetriever([passage] * 6)
    long = "parola " * 2000
    with Agent(brain=EchoBrain(), retriever=retriever, soul=Soul()) as agent:
        agent.ask("Ciao mondo")
        ask = statistics.median(timed(lambda: agent.ask("Ciao mondo"), 200))
        whole = statistics.median(timed(lambda: agent.ask(long), ROUNDS)) / 2000
        streamed = statistics.median(timed(lambda: sum(1 for _ in agent.stream(long)), ROUNDS)) / 2000
    table.add_row("ask on EchoBrain, retrieval stubbed", f"{ask * 1000:.2f} ms", "")
    table.add_row("a token, through ask", f"{whole * 1000:.3f} ms", "")
    table.add_row("a token, through stream", f"{streamed * 1000:.3f} ms", "")


def index(table: Table) -> None:
    if not SNCP.is_dir():
        table.add_row(f"index: no corpus at {SNCP.name}", "skipped", "")
        return
    with (
        tempfile.TemporaryDirectory() as folder,
        Agent(knowledge=SNCP, index=Path(folder) / "index", embedder="none", brain="echo", soul=Soul()) as agent,
    ):
        first = agent.index()
        again = agent.index()
        agent.search("break-even")
        search = statistics.median(timed(lambda: agent.search("Quante richieste al mese per il pareggio?"), 50))
        table.add_row(
            f"index {first.files_indexed} files by words", f"{first.seconds:.2f} s", f"{_peer(first.seconds)}"
        )
        table.add_row("the same again, unchanged", f"{again.seconds:.2f} s", "")
        table.add_row(f"search over {first.chunks_total} chunks by words, warm", f"{search * 1000:.1f} ms", "")


def _peer(own: float) -> str:
    """LlamaIndex's own splitter over the same files, without any index."""
    from llama_index.core import Document
    from llama_index.core.node_parser import SentenceSplitter

    started = time.perf_counter()
    texts = [path.read_text(encoding="utf-8") for path in sorted(SNCP.rglob("*.md"))]
    SentenceSplitter(chunk_size=1024).get_nodes_from_documents([Document(text=text) for text in texts])
    return f"SentenceSplitter alone, nothing indexed: {(time.perf_counter() - started) / own:.1f} x"


def main() -> None:
    table = Table("what", "median", "ratio", title=f"Cervella, Python {sys.version.split()[0]}, {ROUNDS} rounds")
    imports(table)
    one_question(table)
    index(table)
    Console().print(table)


if __name__ == "__main__":
    main()
