"""A note's name and headings count for the lines below; a note that only links gives way to what it links to."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from cervella.brains.extractive.brain import ExtractiveBrain
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.documents.linking import link_texts, links_of
from cervella.knowledge.index.words import LexicalIndex
from cervella.types import Finished, Passage, Prompt, Retrieval

Write = Callable[[Path, str, str | bytes], Path]


def search(tmp_path: Path, write: Write, files: dict[str, str], query: str) -> Retrieval:
    for path, text in files.items():
        write(tmp_path / "base", path, text)
    KnowledgeIndex(tmp_path / "base", tmp_path / "index", embedder="none").update()
    with HybridRetriever(tmp_path / "index", folder=tmp_path / "base") as retriever:
        return retriever.retrieve(query)


COMMANDS = (
    "# Comandi\n\n## riapri\n\nRimette in stato aperto un conto.\n\n## storna\n\nAnnulla una riga già stampata.\n"
)
EXAMPLES = (
    "# Esempi\n\nUsati: [riapri](comandi.md#riapri), [storna](comandi.md#storna)\n\n- [storna](comandi.md#storna)\n"
)


def test_the_heading_leads_over_the_notes_that_link_to_it(tmp_path: Path, write: Write) -> None:
    found = search(tmp_path, write, {"comandi.md": COMMANDS, "esempi.md": EXAMPLES}, "Che cosa fa storna?")
    assert [one.path for one in found] == ["comandi.md", "esempi.md"]
    assert not found.abstain


def test_a_note_that_links_is_found_when_it_is_asked_for_itself(tmp_path: Path, write: Write) -> None:
    files = {"comandi.md": COMMANDS, "Esempi di serata.md": EXAMPLES.replace("# Esempi", "# Esempi di serata")}
    assert search(tmp_path, write, files, "esempi di serata")[0].path == "Esempi di serata.md"


def test_the_map_of_a_vault_stands_below_what_it_links_to(tmp_path: Path, write: Write) -> None:
    files = {
        "Cantina.md": "# Cantina\n\n- [[Pulizia botti|pulizia delle botti grandi]]\n- [[Travasi]]: quando e come\n",
        "vino/Pulizia botti.md": "Acqua a 60 gradi, poi zolfo.\n",
        "vino/Travasi.md": "Due volte, a luna calante.\n",
    }
    assert search(tmp_path, write, files, "pulizia delle botti grandi")[0].path == "vino/Pulizia botti.md"


def quoted(question: str, passages: Sequence[Passage]) -> str:
    prompt = Prompt(system="", question=question, passages=passages, hints={"language": "en"})

    async def collect() -> str:
        *_, last = [event async for event in ExtractiveBrain().stream(prompt)]
        assert isinstance(last, Finished)
        return last.completion.text

    return asyncio.run(collect())


ELECTIONS = {
    "topic.md": "# Italian elections\n\nWork on them.\n\n## Papers\n\n- [[Rossi2019]]\n- [[Neri2021]]\n- [[Verdi]]\n",
    "Rossi2019.md": "# Partisan news in the Italian elections of 2018\n\n## Summary\n\n"
    "The paper finds that partisan news in the Italian elections got 41 % more shares.\n",
    "other.md": "# Bread\n\nBake it for an hour.\n",
}


def test_a_note_that_only_links_stands_below_a_linked_note_that_has_its_name(tmp_path: Path, write: Write) -> None:
    found = search(tmp_path, write, ELECTIONS, "Which papers are on Italian elections?")
    assert [passage.path for passage in found][:2] == ["Rossi2019.md", "topic.md"]
    assert search(tmp_path, write, ELECTIONS, "italian elections")[0].path == "topic.md"


def test_links_are_no_answer_below_the_note_that_they_lead_to(tmp_path: Path, write: Write) -> None:
    question = "Which papers are on Italian elections?"
    passages = list(search(tmp_path, write, ELECTIONS, question))
    answer = quoted(question, passages)
    assert "41 %" in answer
    assert "Neri2021" not in answer
    assert "Neri2021" in quoted(question, passages[1:2])


@pytest.mark.parametrize("question", ["14 marzo 2026", "14/03/2026", "2026-03-14", "che cosa è successo il 14 marzo?"])
def test_the_note_of_a_day_is_found_by_its_date(tmp_path: Path, write: Write, question: str) -> None:
    days = ("2026-03-13", "2026-03-14", "2026-04-14")
    files = {f"diario/{day}.md": f"Consegna numero {n}.\n" for n, day in enumerate(days)}
    assert search(tmp_path, write, files, question)[0].path == "diario/2026-03-14.md"


def test_a_question_that_names_a_heading_is_not_refused_for_its_other_words(tmp_path: Path, write: Write) -> None:
    files = {"voci.md": "# Voci\n\n## Bava\n\nRicciolo di metallo.\n\n## Spoglia\n\nAngolo dietro al filo.\n"}
    assert not search(tmp_path, write, files, "che cosa vuol dire bava?").abstain
    assert search(tmp_path, write, files, "che cosa mangia il gatto di Ermete la domenica?").abstain


@pytest.mark.parametrize(
    "query", ["che cosa c'è scritto in Garanzie.md?", "che dice il file «Garanzie»?", "garanzie.md"]
)
def test_a_question_that_quotes_the_name_of_a_file_finds_it(tmp_path: Path, write: Write, query: str) -> None:
    files = {
        "Garanzie.md": "Due anni sul motore.\n",
        "Indice.md": "# Indice\n\n- [[Garanzie]]: motore e forno\n- [[Turni]]\n",
        "Turni.md": "Ivo apre, Nedda chiude.\n",
    }
    found = search(tmp_path, write, files, query)
    assert found[0].path == "Garanzie.md"
    assert not found.abstain


def test_links_are_told_from_text_and_from_addresses() -> None:
    found = links_of(["Vedi [[Gas#costi|il gas]], [il sito](https://example.org) e [le note](note/a%20b.md#x)."])
    assert found.targets == ("Gas", "note/a b.md")
    assert not links_of(["Il tecnico di [[Gas]] viene [martedì](https://example.org) alle nove."]).mostly
    assert list(link_texts("[[a/Gas]] [[Gas|il gas]] [le note](b.md) [fuori](https://example.org)")) == [
        "Gas",
        "il gas",
        "le note",
    ]


def test_a_day_with_links_in_its_sentences_is_no_index() -> None:
    lines = [
        "- [[Rossi]] ha chiamato, vuole anticipare la consegna a martedì",
        "- pagato [[Bianchi]]: 300 euro in tutto",
    ]
    assert not links_of(lines).mostly
    assert links_of(["- [[Rossi]]: cliente dal 2019", "- **[[Bianchi]]**"]).mostly


def test_a_subject_counts_by_what_it_shares_with_the_query() -> None:
    stems = [["camer", "singol", "doppi", "cost"], ["camer"], ["giardin"]]
    index = LexicalIndex.of(stems, [[["camer", "singol"], ["camer", "doppi"]], [["camer"]], []])
    shares = index.subject_shares(["camer", "singol"])
    assert shares[0] == pytest.approx(1.0)
    assert shares[0] > shares[1] > shares[2] == 0
    named = index.subjects.named(["cost", "camer", "singol"], ["camer", "singol"], 3)
    assert named.tolist() == [2, 1, 0]
    assert np.array_equal(LexicalIndex.of(stems).subject_shares(["camer"]), np.zeros(3))


@pytest.mark.parametrize("piece", ["[", "[[", "[](", "[a](b ", "[[a|", "![", "[a](<"])
def test_hostile_links_are_read_in_linear_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.perf_counter()
    links_of([text])
    list(link_texts(text[:16_000]))
    assert time.perf_counter() - started < 5
