"""`python -m bench.knowledge`: does the search find the passage that answers, and what holds today?

Every question goes through `Agent.search`, over the corpora in ../shared; peers search the same texts in the same run.
Proportions come with Wilson's 95 % interval, means with that of a bootstrap.
"""

from __future__ import annotations

import argparse
import gzip
import json
import statistics
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bench import ROOT, SNCP, SNCP_QUESTIONS, SQUAD, Soul
from bench.questions import read, wilson
from cervella import Agent
from cervella.evaluation.search.retrieval import evaluate_retrieval
from cervella.evaluation.statistics.intervals import Estimate
from cervella.evaluation.suites.question_file import load_questions
from cervella.knowledge.embedders.registry import load_embedder
from cervella.prompt.layout import estimate_tokens

PAIRS = ROOT / "tests" / "data" / "newest-pairs.jsonl"
DEPTH = 10


def share(hits: Sequence[bool]) -> str:
    low, high = wilson(sum(hits), len(hits))
    return f"{statistics.fmean(hits):.3f} [{low:.3f}, {high:.3f}]" if hits else "-"


def mean(values: Sequence[float], draws: int = 1000) -> str:
    """A mean and its 95 % bootstrap interval."""
    import numpy as np

    numbers = np.asarray(values)
    picks = np.random.default_rng(0).integers(0, len(numbers), (draws, len(numbers)))
    low, high = np.quantile(numbers[picks].mean(axis=1), [0.025, 0.975])
    return f"{numbers.mean():.4f} [{low:.4f}, {high:.4f}]"


Found = list[tuple[str, str]]
"""Path and text of what was found, best first."""


def by_question(rows: Sequence[dict[str, Any]], search: Callable[[str], Found]) -> list[tuple[str, str]]:
    """The figures of the questions that the base answers."""
    answerable = [row for row in rows if row["files"]]
    found = [search(row["question"]) for row in answerable]
    ranks = [
        next((place for place, (path, _) in enumerate(some, 1) if path in row["files"]), DEPTH + 1)
        for row, some in zip(answerable, found, strict=True)
    ]
    fives = [[text for _, text in some[:5]] for some in found]
    evidence = [any(row["evidence"] in text for text in five) for row, five in zip(answerable, fives, strict=True)]
    newest = [rank <= 3 for row, rank in zip(answerable, ranks, strict=True) if row["kind"] == "newest_wins"]
    return [
        *((f"hit@{depth}", share([rank <= depth for rank in ranks])) for depth in (1, 5, 10)),
        ("evidence in the top 5", share(evidence)),
        ("tokens of the five", f"{statistics.fmean(sum(map(estimate_tokens, five)) for five in fives):.0f}"),
        (f"newest_wins hit@3 (n = {len(newest)})", share(newest)),
    ]


def sncp(agent: Agent, rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    def search(question: str) -> Found:
        return [(passage.path, passage.text) for passage in agent.search(question, top_k=DEPTH)]

    report = evaluate_retrieval(agent, load_questions(SNCP_QUESTIONS, for_retrieval=True))
    pairs = evaluate_retrieval(agent, load_questions(PAIRS, for_retrieval=True))
    assert pairs.current_first is not None
    assert report.auroc is not None
    decided = report.as_it_decides
    return [
        *by_question(rows, search),
        (f"current above superseded (n = {pairs.current_first.n})", told(pairs.current_first)),
        ("confidence, AUROC", told(report.auroc)),
        ("abstains though answerable", told(decided.false_abstain)),
        ("answers the unanswerable", told(decided.false_answer)),
        ("search, p50 / p95", f"{report.seconds_p50 * 1e3:.1f} / {report.seconds_p95 * 1e3:.1f} ms"),
    ]


def told(share: Estimate) -> str:
    return f"{share.estimate:.3f} [{share.low:.3f}, {share.high:.3f}]"


def sentence_splitter(rows: Sequence[dict[str, Any]]) -> list[tuple[str, str]]:
    """LlamaIndex's default way: its SentenceSplitter, 1024 tokens, and BM25."""
    from llama_index.core import Document
    from llama_index.core.node_parser import SentenceSplitter

    paths = [path.relative_to(SNCP).as_posix() for path in sorted(SNCP.rglob("*.md"))]
    documents = [Document(text=(SNCP / path).read_text(encoding="utf-8"), metadata={"path": path}) for path in paths]
    nodes = SentenceSplitter(chunk_size=1024, chunk_overlap=200).get_nodes_from_documents(documents)
    texts = [node.get_content() for node in nodes]
    rank = bm25(texts)

    def search(question: str) -> Found:
        return [(nodes[place].metadata["path"], texts[place]) for place in rank(question, DEPTH)]

    return by_question(rows, search)


def bm25(texts: Sequence[str]) -> Callable[[str, int], list[int]]:
    """The places of the best texts for a question, by bm25s (`pip install bm25s`), with an Italian stemmer."""
    import bm25s
    import Stemmer

    stemmer = Stemmer.Stemmer("italian")
    model = bm25s.BM25()
    model.index(bm25s.tokenize(list(texts), stopwords="it", stemmer=stemmer, show_progress=False), show_progress=False)

    def rank(question: str, count: int) -> list[int]:
        words = bm25s.tokenize([question], stopwords="it", stemmer=stemmer, show_progress=False)
        return [int(place) for place in model.retrieve(words, k=count, show_progress=False)[0][0]]

    return rank


def squad_data(folder: Path) -> tuple[list[str], list[tuple[str, int]]]:
    """The paragraphs, each written to a file of its own, and the questions with the number of their paragraph."""
    paragraphs: list[str] = []
    questions: list[tuple[str, int]] = []
    for article in json.loads(gzip.decompress(SQUAD.read_bytes()))["data"]:
        for paragraph in article["paragraphs"]:
            questions += [(one["question"], len(paragraphs)) for one in paragraph["qas"]]
            (folder / f"{len(paragraphs):05}.md").write_text(paragraph["context"] + "\n", encoding="utf-8")
            paragraphs.append(paragraph["context"])
    return paragraphs, questions


def gains(ranks: Iterable[int]) -> list[tuple[str, str]]:
    """nDCG@10 and Recall@5 of questions that one paragraph answers; a rank of 0 is one that was not found."""
    import math

    ranks = list(ranks)
    return [
        ("nDCG@10", mean([1 / math.log2(rank + 1) if 0 < rank <= 10 else 0.0 for rank in ranks])),
        ("Recall@5", share([0 < rank <= 5 for rank in ranks])),
    ]


def squad(agent: Agent, questions: Sequence[tuple[str, int]]) -> list[tuple[str, str]]:
    ranks = []
    for question, number in questions:
        paths = [passage.path for passage in agent.search(question, top_k=10)]
        wanted = f"{number:05}.md"
        ranks.append(paths.index(wanted) + 1 if wanted in paths else 0)
    return gains(ranks)


def query_fusion(
    paragraphs: Sequence[str], questions: Sequence[tuple[str, int]], embedder: Any, mode: str
) -> list[tuple[str, str]]:
    """LlamaIndex's QueryFusionRetriever over BM25 and the same embedder."""
    import numpy as np
    from llama_index.core.base.base_retriever import BaseRetriever
    from llama_index.core.llms import MockLLM
    from llama_index.core.retrievers import QueryFusionRetriever
    from llama_index.core.schema import NodeWithScore, QueryBundle, TextNode

    nodes = [TextNode(text=f"{text}", id_=str(number)) for number, text in enumerate(paragraphs)]
    vectors = embedder.embed_passages(list(paragraphs))
    rank = bm25(paragraphs)

    class Words(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            places = rank(query_bundle.query_str, 10)
            return [NodeWithScore(node=nodes[place], score=1 / (1 + n)) for n, place in enumerate(places)]

    class Vectors(BaseRetriever):
        def _retrieve(self, query_bundle: QueryBundle) -> list[NodeWithScore]:
            cosines = vectors @ embedder.embed_query(query_bundle.query_str)
            return [NodeWithScore(node=nodes[n], score=float(cosines[n])) for n in np.argsort(-cosines)[:10]]

    fusion = QueryFusionRetriever(
        [Words(), Vectors()], llm=MockLLM(), mode=mode, similarity_top_k=10, num_queries=1, use_async=False
    )
    ranks = []
    for question, number in questions:
        found = [int(one.node.node_id) for one in fusion.retrieve(question)]
        ranks.append(found.index(number) + 1 if number in found else 0)
    return gains(ranks)


def show(console: Console, title: str, columns: dict[str, list[tuple[str, str]]]) -> None:
    table = Table("measure", *columns, title=title)
    names = list(dict.fromkeys(name for rows in columns.values() for name, _ in rows))
    for name in names:
        table.add_row(name, *(dict(rows).get(name, "") for rows in columns.values()))
    console.print(table)


def opened(folder: Path, index: Path, embedder: Any) -> Agent:
    agent = Agent(knowledge=folder, index=index, embedder=embedder, brain="echo", soul=Soul())
    agent.index()
    return agent


def main(arguments: Sequence[str] | None = None, embedder: Any = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.knowledge", description=__doc__)
    parser.add_argument("--embedder", default="auto")
    parser.add_argument("--keep", type=Path, help="keep the indexes here, and use those that are there")
    parser.add_argument("--only", choices=["sncp", "squad"])
    parser.add_argument("--every", type=int, default=1, help="ask only every n-th question of SQuAD-it")
    options = parser.parse_args(arguments)
    console = Console(width=150)
    if not SNCP.is_dir():
        console.print(f"There is no corpus at {SNCP}.")
        return
    embedder = embedder or load_embedder(options.embedder)
    name = embedder.name if embedder else "none"
    with tempfile.TemporaryDirectory() as scratch:
        where = options.keep or Path(scratch)
        if options.only != "squad":
            rows = read(SNCP_QUESTIONS)
            columns = {}
            with opened(SNCP, where / f"sncp-{name}", embedder or "none") as agent:
                columns[f"Cervella, {name}"] = sncp(agent, rows)
            if embedder:
                with opened(SNCP, where / "sncp-none", "none") as agent:
                    columns["Cervella, none"] = sncp(agent, rows)
            columns["SentenceSplitter 1024, BM25"] = sentence_splitter(rows)
            show(console, f"{len(rows)} questions over an SNCP of 199 files", columns)
        if options.only != "sncp":
            folder = Path(scratch) / "squad"
            folder.mkdir()
            paragraphs, questions = squad_data(folder)
            questions = questions[:: options.every]
            columns = {}
            with opened(folder, where / f"squad-{name}", embedder or "none") as agent:
                columns[f"Cervella, {name}"] = squad(agent, questions)
            if embedder:
                for mode in ("reciprocal_rerank", "relative_score"):
                    columns[f"QueryFusionRetriever, {mode}"] = query_fusion(paragraphs, questions, embedder, mode)
            show(console, f"SQuAD-it, {len(questions)} questions, {len(paragraphs)} paragraphs", columns)


if __name__ == "__main__":
    main()
