"""The SNCP in knowledge/: fit to be shipped, and the demo's three questions find their sources in it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator

import pytest

import cervella
from cervella.privacy.redaction import find_secrets
from cervella.soul import Constitution
from tests.conftest import ROOT

BASE = ROOT / "knowledge"
QUESTIONS = [
    json.loads(line)
    for line in (ROOT / "tests" / "data" / "questions-knowledge.jsonl").read_text(encoding="utf-8").splitlines()
]


@pytest.fixture(scope="module")
def agent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[cervella.Agent]:
    with cervella.Agent(
        config=ROOT / "cervella.toml", index=tmp_path_factory.mktemp("shipped") / "index", embedder="none"
    ) as agent:
        agent.index()
        yield agent


def test_who_she_is_comes_from_the_constitution(agent: cervella.Agent) -> None:
    reply = agent.ask("Chi è Cervella?")
    assert reply.citations[0].path == "COSTITUZIONE.md"
    assert "Sono Cervella" in reply.text


README = {
    "Perché non c'è un piano intermedio?": "nelle prove interne tutti prendevano quella di mezzo",
    "Quanto paga al mese una persona con il piano Pro?": "| Pro   | $20     | una persona",
    "Quanta VRAM ha la RTX 4090 di RunPod e quanto costa al mese?": "RTX 4090 di RunPod: 24 GB di VRAM, $248 al mese",
    "Chi è Cervella?": "Sono Cervella, una partner",
}


def test_every_question_of_the_readme_gets_a_short_answer_that_its_lines_support(agent: cervella.Agent) -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    assert set(re.findall(r'\bask\(?\s?"([^"]+)"', readme)) == set(README), "a question without its answer here"
    for question, fact in README.items():
        reply = agent.ask(question)
        assert fact in reply.text, question
        assert all(citation.supported for citation in reply.citations), question
        assert len(reply.text.split()) <= 150, question


def test_the_search_of_the_readme_finds_its_subject_first(agent: cervella.Agent) -> None:
    [(query, project)] = re.findall(
        r'cervella search "([^"]+)" --project (\S+)', (ROOT / "README.md").read_text(encoding="utf-8")
    )
    found = agent.search(query, filters={"project": project})
    assert found[0].path == "idee/20260113_RICERCA_PAREGGIO_IN_DETTAGLIO.md"


@pytest.mark.parametrize("question", ["chi è la Cervella?", "Parlami di Cervella"])
def test_who_she_is_is_answered_by_the_constitution_if_it_is_asked_by_name(
    agent: cervella.Agent, question: str
) -> None:
    reply = agent.ask(question)
    assert {citation.path for citation in reply.citations} == {"COSTITUZIONE.md"}
    assert "Sono Cervella, una partner e non un'assistente" in reply.text


@pytest.mark.parametrize("question", ["Cervella, chi sei?", "Presentati", "Ciao! Chi sei e cosa fai?"])
def test_who_she_is_is_said_in_the_words_of_the_constitution_without_a_source(
    agent: cervella.Agent, question: str
) -> None:
    reply = agent.ask(question)
    assert reply.citations == ()
    assert "Sono Cervella, una partner e non un'assistente" in reply.text


def test_a_table_cell_comes_with_its_header_and_its_row(agent: cervella.Agent) -> None:
    reply = agent.ask("Quanto costa all'ora la RTX 4090 di RunPod?")
    cited = {citation.path: citation.supported for citation in reply.citations}
    assert cited["idee/20260110_RICERCA_HOSTING_BREAK_EVEN.md"]
    assert all(cited.values())
    rows = [line for line in reply.text.splitlines() if line.startswith("|")]
    assert rows.count("| Fornitore | GPU      | All'ora |") == 1
    assert "| RunPod    | RTX 4090 | $0,34   |" in rows
    assert not any("Vast" in row or "T4" in row for row in rows), "another row"


def test_of_two_decisions_the_newer_one_answers(agent: cervella.Agent) -> None:
    reply = agent.ask("Su che macchina gira Cervella AI? È andata su Cloud Run?")
    assert reply.citations[0].path == "memoria/decisioni/20260110_HOSTING_VM_ESISTENTE.md"
    assert "non va su Cloud Run" in reply.text
    assert not any("20260109_HOSTING_CLOUD_RUN" in citation.path for citation in reply.citations)


def test_every_file_is_markdown_and_is_indexed(agent: cervella.Agent) -> None:
    report = agent.index()
    assert (report.files_skipped, report.unchanged) == ((), report.files_seen)
    assert report.files_seen == sum(path.is_file() for path in BASE.rglob("*")) >= 35


def test_the_constitution_fits_its_budget_and_keeps_her_story_for_retrieval() -> None:
    soul = Constitution.load(BASE / "COSTITUZIONE.md")
    assert soul.name == "Cervella"
    assert [section.title for section in soul.sections if not section.kept] == ["DA DOVE VENGO"]
    assert "DA DOVE VENGO" not in soul.system_prompt()


def test_it_holds_no_address_and_no_secret() -> None:
    for path in BASE.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        assert not re.search(r"\b\d{1,3}(?:\.\d{1,3}){3}\b|[\w.]+@[\w.]+\.\w+|https?://(?!localhost)", text), path.name
        assert find_secrets(text) == [], path.name


def test_every_question_has_its_evidence_in_its_file() -> None:
    assert len(QUESTIONS) == 60
    for row in QUESTIONS:
        assert all((BASE / file).is_file() for file in row["files"]), row["id"]
        if row["files"]:
            assert row["evidence"] in (BASE / row["files"][0]).read_text(encoding="utf-8"), row["id"]
