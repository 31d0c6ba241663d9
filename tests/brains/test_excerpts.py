"""Which parts of a passage can be quoted, and what says their subjects."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from cervella import Agent
from cervella.brains.extractive.brain import ExtractiveBrain
from cervella.brains.extractive.excerpts import Excerpt, excerpts
from cervella.text.language import language
from cervella.types import Finished, Passage, Prompt

IT = language("it")
ROOMS = "| Camera | Adulti | Soci CAI | Bambini |\n|---|---|---|---|\n| Dormitorio | 20 € | 15 € | 10 € |\n"
MEALS = "| Pasto | Prezzo |\n|---|---|\n| Polenta concia | 13,50 € |\n"
MEALS_IN_HTML = (
    "<table>\n<tr><th>Pasto</th><th>Prezzo</th></tr>\n<tr><td>Polenta concia</td><td>13,50 €</td></tr>\n</table>\n"
)


def passage(text: str, start_line: int = 1) -> Passage:
    return Passage(id="1", path="nota.md", text=text, start_line=start_line, end_line=start_line + text.count("\n"))


def found(text: str, start_line: int = 1) -> list[Excerpt]:
    return excerpts("F1", passage(text, start_line), 0, IT)


def one(text: str, said: str) -> Excerpt:
    """The only excerpt of a text with these words."""
    (excerpt,) = [excerpt for excerpt in found(text) if said in excerpt.text]
    return excerpt


def above(excerpt: Excerpt) -> list[str]:
    return [excerpt.passage.reading[start:end] for start, end in excerpt.above]


def answer(question: str, text: str, start_line: int = 1) -> str:
    prompt = Prompt(system="", question=question, passages=[passage(text, start_line)], hints={"language": "it"})

    async def told() -> str:
        *_, last = [event async for event in ExtractiveBrain().stream(prompt)]
        assert isinstance(last, Finished)
        return last.completion.text

    return asyncio.run(told())


def indexed_answer(folder: Path, question: str, note: str) -> str:
    (folder / "kb").mkdir()
    (folder / "kb" / "nota.md").write_text(note, encoding="utf-8")
    (folder / "soul.md").write_text("# Cervella\n\nSono Cervella.\n", encoding="utf-8")
    (folder / "cervella.toml").write_text(
        'brain = "extractive"\n[soul]\nconstitution = "soul.md"\nlanguage = "it"\n'
        '[knowledge]\nfolder = "kb"\nindex = "index"\nembedder = "none"\n',
        encoding="utf-8",
    )
    with Agent(config=folder / "cervella.toml") as agent:
        agent.index()
        return agent.ask(question).text


# Tables


@pytest.mark.parametrize(("parted", "meals"), [("\n", MEALS), ("\n", MEALS_IN_HTML), ("", MEALS_IN_HTML)])
def test_a_row_is_quoted_under_the_header_of_its_own_table(parted: str, meals: str, tmp_path: Path) -> None:
    said = indexed_answer(tmp_path, "quanto costa la polenta concia?", f"# Prezzi\n\n{ROOMS}{parted}{meals}")
    assert "| Pasto " in said
    assert "13,50 €" in said
    assert "Soci CAI" not in said


def test_tables_one_below_the_other_are_groups_of_their_own_and_no_header_is_a_row() -> None:
    wines = "| Vino | Prezzo |\n|---|---|\n| Barbera | 4 € |\n"
    rows = found(f"{ROOMS}\n{MEALS}\n{wines}")
    assert [row.text.split("|")[1].strip() for row in rows] == ["Dormitorio", "Polenta concia", "Barbera"]
    assert [row.header.split("|")[1].strip() for row in rows] == ["Camera", "Pasto", "Vino"]
    assert len({row.group for row in rows}) == 3


def test_a_table_without_a_header_does_not_take_that_of_the_table_above() -> None:
    rows = found(f"{MEALS}\n|  |  |\n|---|---|\n| Grappa | 3 € |\n| Genepì | 4 € |\n")
    assert [row.header for row in rows[1:]] == ["", ""]
    assert rows[0].group != rows[1].group == rows[2].group


def test_a_header_of_single_letters_is_a_header() -> None:
    assert [row.header for row in found("| A | B |\n|---|---|\n| uno | due |\n")] == ["| A | B |"]


def test_one_table_keeps_its_header_below_rules_blank_lines_and_empty_rows() -> None:
    first = "| Vino | Prezzo |\n|---|---|\n| Barbera | 4 € |\n|---|---|\n|  |  |\n| Nebbiolo | 6 € |\n"
    rows = found(f"{first}\n| Dolcetto | 5 € |\n")
    assert [row.text.split("|")[1].strip() for row in rows] == ["Barbera", "Nebbiolo", "Dolcetto"]
    assert {row.header for row in rows} == {"| Vino | Prezzo |"}
    assert len({row.group for row in rows}) == 1


def test_the_rest_of_a_table_that_was_split_has_the_header_in_its_lead_and_the_next_table_its_own() -> None:
    lead = "Prezzi\n| Vino | Prezzo |\n|---|---|"
    part = Passage(id="1", path="a.md", text=f"| Barbera | 4 € |\n\n{MEALS}", start_line=9, end_line=13, lead=lead)
    assert [row.header for row in excerpts("F1", part, 0, IT)] == ["| Vino | Prezzo |", "| Pasto | Prezzo |"]


# Questions of the notes


@pytest.mark.parametrize(
    "pair",
    [
        "**D: Serve il sacco lenzuolo?**\nR: Sì, si compra al banco.",
        "**D:** Serve il sacco lenzuolo?\n**R:** Sì, si compra al banco.",
        "**D1: Serve il sacco lenzuolo?**\n\nR1: Sì, si compra al banco.",
        "Q: Serve il sacco lenzuolo?\nA: Sì, si compra al banco.",
        "F: Serve il sacco lenzuolo?\n\nA: Sì, si compra al banco.",
        "P: Serve il sacco lenzuolo?\nR: Sì, si compra al banco.",
        "- D: Serve il sacco lenzuolo?\n- R: Sì, si compra al banco.",
        "- **D:** Serve il sacco lenzuolo? **R:** Sì, si compra al banco.",
        "1. Serve il sacco lenzuolo?\n   Sì, si compra al banco.",
        "1. Serve il sacco lenzuolo? Sì, si compra al banco.",
        "1. **Serve il sacco lenzuolo?**\n\n   Sì, si compra al banco.",
        "**Serve il sacco lenzuolo?**\n\nSì, si compra al banco.",
    ],
)
def test_the_answer_of_a_pair_has_its_own_question_as_its_subject_and_not_the_heading_above(pair: str) -> None:
    text = f"# Rifugio\n\n## Si può arrivare in bicicletta?\n\nFino al bivio.\n\n{pair}\n"
    said = one(text, "si compra al banco")
    assert [each.strip("*") for each in above(said)] == ["Serve il sacco lenzuolo?"]
    assert said.is_answer
    assert said.text.replace("*", "") == "Sì, si compra al banco."
    assert "Si può arrivare in bicicletta?" not in said.subjects
    assert "Rifugio" in said.subjects
    assert "«Serve il sacco lenzuolo?» › «Sì, si compra al banco» [F1]." in answer("serve il sacco lenzuolo?", text)
    assert "banco" not in answer("si può arrivare in bicicletta?", text)


def test_each_of_several_pairs_in_one_paragraph_has_its_own_question() -> None:
    text = (
        "## Dubbi?\n\nD: Si può fumare?\nR: No\nD: Si può cenare?\nR: Sì, e perché no?\nD: Si può dormire?\nR: Sempre\n"
    )
    pairs = {each.text: above(each) for each in found(text) if each.above}
    assert pairs == {
        "No": ["Si può fumare?"],
        "Sì, e perché no?": ["Si può cenare?"],
        "Sempre": ["Si può dormire?"],
    }


def test_a_question_that_only_opens_a_sentence_of_the_answer_leaves_the_heading_its_subject() -> None:
    text = "## Si può portare il cane?\n\nSì. Perché no? Basta il guinzaglio.\n"
    assert "Si può portare il cane?" in one(text, "guinzaglio").subjects


def test_of_headings_that_are_questions_the_nearest_is_the_subject() -> None:
    text = "# Come si arriva?\n\nA piedi.\n\n## E il cane?\n\nAl guinzaglio.\n\n## Orari\n\nSempre.\n"
    assert "Come si arriva?" in one(text, "A piedi").subjects
    assert one(text, "guinzaglio").headings[1:] == ("E il cane?",)
    assert one(text, "guinzaglio").is_answer
    assert one(text, "Sempre").headings[1:] == ("Come si arriva?", "Orari")


def test_a_capital_with_a_colon_outside_of_a_pair_is_quoted() -> None:
    assert [each.text for each in found("Le aule sono due.\n\nA: primo piano\nB: cortile\n")][1:] == [
        "A: primo piano",
        "B: cortile",
    ]


def test_pairs_with_other_letters_may_follow_each_other() -> None:
    text = "Q: Is there wifi?\nA: No, never.\n\n- D: Serve la tessera?\n- R: Sì, sempre.\n"
    assert above(one(text, "sempre")) == ["Serve la tessera?"]
    assert above(one(text, "never")) == ["Is there wifi?"]


# Metadata

PUMP = (
    "# Pompa\n\nData: 2026-01-02\nOwner: Ivo Neri\n\n- Stato: bozza\n\nLa pompa sta nel locale tecnico.\n\n"
    "## Interventi\n\n- Owner: Dana Wolf\n- Stato: guasta da martedì\n"
)


def test_a_label_in_the_head_of_a_note_is_metadata_and_in_its_body_a_statement() -> None:
    heads = {each.text: each.in_head for each in found(PUMP)}
    assert heads == {
        "Data: 2026-01-02": True,
        "Owner: Ivo Neri": True,
        "Stato: bozza": True,
        "La pompa sta nel locale tecnico.": False,
        "Owner: Dana Wolf": False,
        "Stato: guasta da martedì": False,
    }
    assert not any(each.in_head for each in found(PUMP, start_line=40))
    assert "guasta da martedì" in answer("la pompa è guasta?", PUMP)
    assert "Dana Wolf" in answer("chi è Dana Wolf?", PUMP)
    assert "Ivo Neri" not in answer("dove sta Ivo Neri?", PUMP)


def test_the_fields_of_front_matter_are_not_quoted(tmp_path: Path) -> None:
    said = indexed_answer(tmp_path, "chi è Dana Wolf?", f"---\nowner: Nora Blu\n---\n\n{PUMP}")
    assert "Dana Wolf" in said
    assert "Nora Blu" not in said


# What is no statement


@pytest.mark.parametrize(
    "text",
    [
        "a" * 60,
        "(((((((((((((((a",
        "$$ E = mc^2 $$",
        "$$\ncosto = prezzo \\cdot notti\n$$",
        "\\[\ncosto = prezzo\n\\]",
        "\\[ costo = prezzo \\]",
        "![Vista della valle dal rifugio](valle.png)",
        "- ![Vista della valle dal rifugio](valle.png)",
    ],
)
def test_letters_without_a_word_formulas_and_images_are_no_excerpts(text: str) -> None:
    assert [each.text for each in found(f"Il rifugio apre a maggio.\n\n{text}\n")] == ["Il rifugio apre a maggio."]


def test_the_words_of_an_image_are_no_answer(tmp_path: Path) -> None:
    note = (
        "# Rifugio\n\nSi dorme in camerata.\n\n![Vista della valle dal rifugio](valle.png)\n\n"
        '<img src="a.png" alt="La valle in inverno">\n\n![[b.png|La valle a maggio]]\n'
    )
    said = indexed_answer(tmp_path, "com'è la valle?", note)
    assert "Vista" not in said
    assert "inverno" not in said
    assert "maggio" not in said


@pytest.mark.parametrize("text", ["No.", "42", "| 3 | 4 |", "Il costo $$c$$ cresce.", "[^1]: Chiuso a maggio."])
def test_short_answers_figures_and_footnotes_are_excerpts(text: str) -> None:
    assert len(found(text)) == 1


def test_labels_and_formulas_take_linear_time_in_a_hostile_text() -> None:
    for sign in ("![", "D: ?\n", "$$ ", "\\[\n", '<img alt="', "a|", "| a |\n\n"):
        assert len(found(sign * 4_000)) <= 4_000
