"""All cores cut as one does, and a file that is too much for a process costs its blocks, not its lines."""

from __future__ import annotations

import hashlib
import re
import signal
import threading
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from cervella.errors import CervellaError
from cervella.knowledge.documents import cutting, parsing, workers
from cervella.knowledge.documents.cutting import Cut, cut_all
from cervella.knowledge.documents.parsing import plain
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.scan import Source
from cervella.knowledge.documents.workers import FAILURES, Worker
from cervella.text.language import language

LANG = language("it")
OWN = {"ricetta": {"paths": ["ricette/**"], "weight": 2.0}, "archived": ["vecchio/**"]}
SECRET = "sk-" + "a1B2" * 8


def source(path: str, text: str) -> Source:
    digest = hashlib.sha256(text.encode()).hexdigest()
    return Source(path=path, disk_path=path, raw=text, sha256=digest, size=len(text.encode()))


def many() -> list[Source]:
    body = "\n\n".join(f"## Passo {n}\n\nImpasta con {n} grammi di farina, è così.\n\n- uno\n- due" for n in range(400))
    texts = [f"# Pane {n}\n\n> **Data:** {n + 1} gennaio 2026\n\n{body}\n" for n in range(20)]
    texts[3] += f"\nchiave: {SECRET}\n"
    return [source(f"ricette/{n}.md", text) for n, text in enumerate(texts)]


def cut_here(sources: Sequence[Source], monkeypatch: pytest.MonkeyPatch) -> list[Cut]:
    with monkeypatch.context() as patch:
        patch.setattr(workers, "_start", lambda: pytest.fail("a process was started"))
        patch.setattr(cutting, "_MUCH", 10**9)
        return list(cut_all(sources, LANG, Roles.of(OWN)))


def test_processes_cut_as_this_one_does_in_the_order_of_the_files(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting.os, "sched_getaffinity", lambda _: {0, 1, 2}, raising=False)
    sources = many()
    made = list(cut_all(sources, LANG, Roles.of(OWN)))
    assert made == cut_here(sources, monkeypatch)
    assert [one.facts.role for one in made] == ["ricetta"] * len(sources)
    assert [len(one.redactions) for one in made] == [int(n == 3) for n in range(len(sources))]
    assert SECRET not in made[3].text
    assert not any(SECRET.lower() in stem for one in made for stems in one.stems for stem in stems)


def test_a_little_is_cut_here_and_pays_for_no_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workers, "_start", lambda: pytest.fail("a process was started"))
    assert [one.facts.title for one in cut_all([source("a.md", "# A\n\ntesto\n")], LANG, Roles.of())] == ["A"]


def test_what_a_process_does_not_survive_is_cut_by_its_lines_and_the_others_are_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(cutting, "budget_for", lambda text: 0.01 if "attesa" in text else 5.0)
    monkeypatch.setattr(cutting.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    slow = "# Attesa\n\n" + "- attesa di un'altra riga\n" * 40_000
    sources = [*many()[:2], source("lenta.md", slow), *many()[2:4]]
    made = list(cut_all(sources, LANG, Roles.of()))
    assert [bool(one.plain) for one in made] == [False, False, True, False, False]
    assert plain(slow).title == made[2].facts.title == "Attesa"
    lines = [n for piece in made[2].chunks for n in range(piece.start_line, piece.end_line + 1)]
    assert set(lines) >= {n for n, line in enumerate(slow.split("\n"), start=1) if line.strip()}


def broken(sources: Sequence[Source], monkeypatch: pytest.MonkeyPatch, fault: Callable[[], object]) -> list[Cut]:
    """Cut in this process, with a fault in the rules that read `rotta.md`, also as mere lines."""
    reading_of = cutting.reading_of
    monkeypatch.setattr(cutting.os, "sched_getaffinity", lambda _: {0}, raising=False)
    monkeypatch.setattr(
        cutting, "reading_of", lambda *args, path: (path == "rotta.md" and fault(), reading_of(*args, path=path))[1]
    )
    return list(cut_all(sources, LANG, Roles.of()))


def test_a_bug_that_one_file_brings_to_light_costs_its_blocks_and_no_other_file(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sources = [source("a.md", "# A\n\ntesto"), source("rotta.md", f"# Rotta\n\n**Apre** alle 9 {SECRET}")]
    good, bad = broken(sources, monkeypatch, lambda: [][0])
    assert good.plain is None
    assert bad.plain == "it could not be read (IndexError), so it is cut by its lines"
    assert (bad.facts.title, [piece.reading.splitlines()[0] for piece in bad.chunks]) == ("Rotta", ["# Rotta"])
    assert "**Apre** alle 9" in bad.read
    assert SECRET not in bad.text + bad.read


@pytest.mark.parametrize("error", [KeyboardInterrupt, MemoryError, CervellaError("x", remedy="y")])
def test_what_is_no_bug_of_the_file_goes_through(error: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fault() -> None:
        raise error

    with pytest.raises(error if isinstance(error, type) else type(error)):
        broken([source("rotta.md", "testo")], monkeypatch, fault)


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="Windows has no such timer")
def test_a_rule_that_does_not_end_costs_a_short_file_its_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "budget_for_cutting", lambda _: 0.2)
    endless = lambda: re.match(r"(?:a+)+$", "a" * 60 + "b")  # noqa: E731
    (made,) = broken([source("rotta.md", "# Rotta\n\nApre alle 9.")], monkeypatch, endless)
    assert made.plain == "it could not be read within 0.2 s, so it is cut by its lines"
    assert "Apre alle 9." in made.read
    assert signal.getsignal(signal.SIGVTALRM) == signal.SIG_DFL


def test_a_file_that_cannot_even_be_cut_by_its_lines_has_no_passages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "bare", lambda _: [][0])
    (made,) = broken([source("rotta.md", "testo")], monkeypatch, lambda: [][0])
    assert (made.chunks, made.text) == ((), "")
    assert made.plain == "it could not be read (IndexError), nor by its lines, so nothing of it is found"


def test_a_process_has_a_limit_for_all_that_it_does_with_a_file(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cutting, "budget_for", lambda _: 60.0)
    monkeypatch.setattr(cutting, "budget_for_cutting", lambda text: 0.05 if "attesa" in text else 60.0)
    monkeypatch.setattr(cutting.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    slow = "# Attesa\n\n" + "- attesa di un'altra riga\n" * 40_000
    made = list(cut_all([source("lenta.md", slow), *many()[:1]], LANG, Roles.of()))
    assert [one.plain for one in made] == [
        "it could not be read within 0.1 s, nor by its lines, so nothing of it is found",
        None,
    ]


def test_who_stops_it_leaves_no_process_and_waits_for_none(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    start = workers._start
    monkeypatch.setattr(workers, "_start", lambda: started.append(start()) or started[-1])
    monkeypatch.setattr(cutting.os, "sched_getaffinity", lambda _: {0, 1}, raising=False)
    cuts = cut_all(many(), LANG, Roles.of())
    next(cuts)
    cuts.close()
    assert started
    assert all(process.poll() is not None for process in started)
    assert not [thread for thread in threading.enumerate() if thread.name.startswith("cervella-cut")]


def test_a_call_that_raises_is_a_failure_and_the_next_one_is_answered() -> None:
    worker = Worker()
    try:
        with pytest.raises(FAILURES):
            worker.call("cervella.knowledge.documents.workers:nowhere", budget_seconds=5.0)
        assert worker.call(f"{parsing.__name__}:_is_no_document", "testo", budget_seconds=5.0) is None
    finally:
        worker.close()
