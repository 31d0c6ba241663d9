"""Notes with figures, and what people ask of them: data/notes/figures.jsonl, by somebody who had not read the rules."""

from __future__ import annotations

from pathlib import Path

from cervella import Agent
from tests.fixtures.notes import failing


def test_the_cases_of_figures(tmp_path: Path) -> None:
    assert failing("figures.jsonl", tmp_path) == {}


def test_an_invoice_is_found_by_its_amount_in_any_spelling(tmp_path: Path) -> None:
    kb = tmp_path / "kb"
    kb.mkdir()
    (kb / "conti.md").write_text("# Conti\n\nIl mutuo è di 1.250.000 €.\n\nIl leasing è di 1 234,50 €.\n", "utf-8")
    for number in range(12):
        (kb / f"nota{number}.md").write_text(
            f"# Nota {number}\n\nSi parla di turni, lavanderia e colazioni.\n", "utf-8"
        )
    with Agent(knowledge=kb, index=tmp_path / "index", embedder="none", brain="extractive") as agent:
        agent.index()
        for query in ("1250000", "1234,50", "mutuo 1250000 euro", "un milione e duecentocinquantamila"):
            found = agent.search(query)
            assert not found.abstain, query
            assert found.passages[0].path == "conti.md", query
