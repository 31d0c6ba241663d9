"""Drafts of questions: from the base's own words, the same every time, and nothing in them that may not leave it."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.cli import main
from cervella.errors import EvaluationError, IndexMissingError
from cervella.evaluation.search.retrieval import evaluate_retrieval, plain
from cervella.evaluation.suites.proposing import phrased, propose_questions, write_drafts
from cervella.evaluation.suites.question_file import load_questions
from cervella.testing import EchoBrain, FixedRetriever, ScriptedBrain
from cervella.text.language import known_languages, language
from tests.conftest import ROOT, SECRET, PlainSoul

OLD = (
    "# Decisione: hosting su Cloud Run\n\n> **Data:** 9 gennaio 2026\n> **Stato:** superata\n\n"
    "Gira su Cloud Run, a consumo.\n"
)
NEW = (
    "# Decisione: hosting sulla VM\n\n> **Data:** 10 gennaio 2026\n\n"
    "Il servizio gira sulla VM, al posto di [quella](20260109_hosting.md), per 12 euro al mese.\n"
)
PRICES = (
    "# Prezzi\n\n## Canoni\n\n| Piano | Canone mensile |\n|---|---|\n| Piccolo | 12,50 € |\n| Grande | 94 € |\n\n"
    "## Sconti\n\nChi paga per l'anno intero risparmia il 10 per cento.\n"
)
CREW = "# Gente\n\n## Turni\n\n| Persona | Giorno libero |\n|---|---|\n| Marta | martedì |\n"
HIDDEN = "# Margini\n\nIl margine riservato del lancio è 41 per cento quest'anno.\n"
KEYS = f"# Accessi\n\nLa chiave di prova del servizio è {SECRET} da gennaio 2026.\n"


@pytest.fixture
def house(tmp_path: Path) -> Path:
    notes = tmp_path / "notes"
    for path, text in {
        "decisioni/20260109_hosting.md": OLD,
        "decisioni/20260110_hosting.md": NEW,
        "prezzi.md": PRICES,
        "gente.md": CREW,
        "riservato/margini.md": HIDDEN,
        "accessi.md": KEYS,
    }.items():
        (notes / path).parent.mkdir(parents=True, exist_ok=True)
        (notes / path).write_text(text, encoding="utf-8")
    config = tmp_path / "cervella.toml"
    config.write_text(
        'brain = "echo"\n[knowledge]\nfolder = "notes"\nembedder = "none"\nlocal_only = ["riservato/**"]\n',
        encoding="utf-8",
    )
    with cervella.Agent(config=config) as agent:
        agent.index()
    return config


@pytest.fixture
def agent(house: Path) -> Any:
    with cervella.Agent(config=house, soul=PlainSoul()) as agent:
        yield agent


def test_every_draft_is_marked_and_its_evidence_stands_in_its_file(agent: cervella.Agent, house: Path) -> None:
    rows = propose_questions(agent).rows()
    assert rows
    for row in rows:
        assert row["draft"] is True
        assert row["why"]
        assert row["question"].endswith("?")
        for file in row["files"]:
            assert plain(row["evidence"]) in plain((house.parent / "notes" / file).read_text(encoding="utf-8"))
    assert {row["kind"] for row in rows} == {"fact", "table", "newest_wins", "unanswerable"}
    [table] = [
        row for row in rows if "Canone mensile" in row["question"] and "Grande" in row["question"] and row["files"]
    ]
    assert (table["answer"], table["evidence"]) == ("94 €", "| Grande | 94 € |")


def test_what_was_replaced_is_asked_for_with_both_files(agent: cervella.Agent) -> None:
    [row] = [row for row in propose_questions(agent).rows() if row["kind"] == "newest_wins"]
    assert row["files"] == ["decisioni/20260110_hosting.md"]
    assert row["superseded"] == "decisioni/20260109_hosting.md"


def test_a_row_and_a_column_that_nothing_joins_make_a_question_without_an_answer(agent: cervella.Agent) -> None:
    crossed = [draft for draft in propose_questions(agent).drafts if draft.origin == "crossed"]
    assert crossed
    for draft in crossed:
        assert draft.file is None
        assert not ("Marta" in draft.question and "Giorno libero" in draft.question)


def test_nothing_local_only_and_no_secret_is_in_a_draft(agent: cervella.Agent) -> None:
    proposal = propose_questions(agent, limit=500)
    text = json.dumps(proposal.rows(), ensure_ascii=False)
    assert proposal.local_only == 1
    for word in ("margin", "41 per cento", "riservato", SECRET, "REDATTO", "chiave di prova"):
        assert word not in text


def test_the_same_index_gives_the_same_drafts_and_another_seed_others(tmp_path: Path) -> None:
    shutil.copytree(ROOT / "knowledge", tmp_path / "knowledge")
    with cervella.Agent(
        knowledge=tmp_path / "knowledge", index=tmp_path / "index", embedder="none", brain=EchoBrain(), soul=PlainSoul()
    ) as agent:
        agent.index()
        first = propose_questions(agent)
        assert first == propose_questions(agent)
        assert first != propose_questions(agent, seed=1)
        assert len(first.drafts) == 30
        assert len(propose_questions(agent, limit=7).drafts) == 7
        places = [(draft.file.path, draft.evidence) for draft in first.drafts if draft.file]
        assert len(set(places)) == len(places), "no two of one sentence"
        used = [draft.file.path for draft in first.drafts if draft.file]
        assert len(set(used)) >= 20, "spread over the base"
        write_drafts(tmp_path / "q.jsonl", first)
        report = evaluate_retrieval(agent, load_questions(tmp_path / "q.jsonl", for_retrieval=True))
    assert (report.drafts, report.unknown_files) == (30, ())
    assert len(load_questions(tmp_path / "q.jsonl").questions) == 30, "a comparison of brains reads it too"


def test_a_file_that_is_there_is_never_overwritten(agent: cervella.Agent, tmp_path: Path) -> None:
    path = tmp_path / "q.jsonl"
    path.write_text("corrected\n", encoding="utf-8")
    with pytest.raises(EvaluationError) as caught:
        write_drafts(path, propose_questions(agent))
    assert caught.value.code == "file_exists"
    assert path.read_text(encoding="utf-8") == "corrected\n"


def test_a_brain_may_word_them_and_is_shown_their_lines_alone(agent: cervella.Agent) -> None:
    brain = ScriptedBrain(["Ecco:\n«Quanto spendiamo al mese?» [F1]", "Non saprei.", f"Vale {SECRET} o no?"])
    proposal = propose_questions(agent)
    worded = phrased(agent, proposal, brain)
    asked = [(old, new) for old, new in zip(proposal.drafts, worded.drafts, strict=True) if old.file]
    assert asked[0][1].question == "Quanto spendiamo al mese?"
    assert "Worded by scripted" in asked[0][1].why
    assert asked[0][1].evidence == asked[0][0].evidence
    assert all(old == new for old, new in asked[1:]), "no question, or one with a secret: the draft stays"
    assert len(brain.prompts) == len(asked)
    assert brain.prompts[0].system == ""
    assert [passage.text for passage in brain.prompts[0].passages] == [asked[0][0].evidence]
    assert all(old == new for old, new in zip(proposal.drafts, worded.drafts, strict=True) if not old.file)


@pytest.mark.parametrize("code", known_languages())
def test_every_language_words_the_same_drafts(code: str) -> None:
    assert {key: type(value) for key, value in language(code).file("questions.toml").items()} == {
        key: type(value) for key, value in language("it").file("questions.toml").items()
    }
    assert len(language(code).file("questions.toml")["other_matters"]) == len(
        language("it").file("questions.toml")["other_matters"]
    )


def test_without_an_index_or_anything_to_ask_it_is_an_error(tmp_path: Path) -> None:
    agent = cervella.Agent(brain=EchoBrain(), retriever=FixedRetriever(), soul=PlainSoul())
    with agent, pytest.raises(IndexMissingError):
        propose_questions(agent)
    (tmp_path / "vuoto").mkdir()
    (tmp_path / "vuoto" / "a.md").write_text("# Niente\n\nPoco.\n", encoding="utf-8")
    with cervella.Agent(
        knowledge=tmp_path / "vuoto", index=tmp_path / "i", embedder="none", brain=EchoBrain(), soul=PlainSoul()
    ) as agent:
        agent.index()
        with pytest.raises(EvaluationError, match="nothing that a question"):
            propose_questions(agent)


def test_the_command_writes_the_file_and_says_what_comes_next(
    house: Path, isolated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["questions", "propose", "--config", str(house), "--limit", "5"]) == 0
    said = capsys.readouterr()
    assert "questions.jsonl: 5 questions" in said.out
    assert "1 document left out" in said.err
    assert len(load_questions(isolated / "questions.jsonl", for_retrieval=True).questions) == 5
    assert main(["questions", "propose", "--config", str(house)]) == 1
    assert "not overwritten" in capsys.readouterr().err
    assert main(["questions", "propose", "altre.jsonl", "--config", str(house), "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["path"] == "altre.jsonl"
    assert all(row["draft"] for row in data["questions"])
