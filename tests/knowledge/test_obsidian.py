"""What is read in a note of Obsidian and of similar programs: its text in words, without signs."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, settings, strategies as st

from cervella.knowledge.documents.cutting import cut
from cervella.knowledge.documents.markdown import parse
from cervella.knowledge.documents.obsidian import NoteText, is_board, note_text, prepared, title_of
from cervella.knowledge.documents.parsing import plain
from cervella.knowledge.documents.roles import Roles
from cervella.knowledge.documents.scan import Source
from cervella.text.language import known_languages, language


def read(text: str, code: str = "it") -> NoteText:
    document = parse(text)
    fences = {n for one in document.blocks if one.kind == "fence" for n in range(one.start_line, one.end_line + 1)}
    in_code = [number in fences for number, _ in enumerate(document.body, start=1)]
    return note_text(document.body, in_code, language(code), board=is_board(document.lines))


def lines(text: str, code: str = "it") -> list[str]:
    return list(read(text, code).lines)


@pytest.mark.parametrize(
    ("written", "seen"),
    [
        ("Vedi [[Rossi Lucia|Lucia]].", "Vedi Lucia."),
        ("Vedi [[Turni]].", "Vedi Turni."),
        ("Vedi [[Turni#Agosto]].", "Vedi Turni, Agosto."),
        ("Vedi [[#Agosto]].", "Vedi Agosto."),
        ("Vedi [[Turni#^a1b2]].", "Vedi Turni."),
        ("Vedi [[Persone/Rossi Lucia]].", "Vedi Rossi Lucia."),
        ("| [[Forno\\|il forno]] | 12 |", "| il forno | 12 |"),
        ("Vedi [[Fondi 7c1e9a40b2d84f0f9e0b6d11a3c5e7f2]].", "Vedi Fondi."),
        ("Pianta: ![[foto camera 12.png|300]]", "Pianta: (vedi foto camera 12.png)"),
        ("![[Turni#Agosto]]", "(vedi Turni, Agosto)"),
        ("![[relazione.pdf#page=3]]", "(vedi relazione.pdf)"),
        ("`[[ -f a ]] && echo ==x==`", "`[[ -f a ]] && echo ==x==`"),
        ("Apri [il listino](prezzi/listino%202026.md#sala).", "Apri [il listino](prezzi/listino%202026.md#sala)."),
        ("La ==cella frigo== è a 3 gradi. ^cella", "La cella frigo è a 3 gradi."),
        ("^cella-2", ""),
        ("area = x^2", "area = x^2"),
        ("Il volume è x ^2", "Il volume è x ^2"),
        ("se a==b oppure c==d", "se a==b oppure c==d"),
        ("Costa ~~46~~ 48 euro.", "Costa (cancellato: 46) 48 euro."),
        ("| A | ~~46~~ | 48~~ |", "| A | (cancellato: 46) | 48~~ |"),
        ("Costa <del>46</del> 48 euro.", "Costa (cancellato: 46) 48 euro."),
        ("Resta [REDATTO: token] qui ~~via~~.", "Resta [REDATTO: token] qui (cancellato: via)."),
        ("Il forno [potenza:: 12 kW] è nuovo.", "Il forno (potenza: 12 kW) è nuovo."),
        ("Temperatura di servizio:: 65 gradi", "Temperatura di servizio: 65 gradi"),
        ("- **Prezzo**:: 12 euro", "- Prezzo: 12 euro"),
        ("std::vector non è un campo", "std::vector non è un campo"),
        ("Il forno `= this.potenza` è nuovo.", "Il forno  è nuovo."),
        ("Telefonare a #mario domani", "Telefonare a mario domani"),
        ("#casa #lavoro/urgente", ""),
        ("Chiuso il lunedì. #orari #avvisi", "Chiuso il lunedì."),
        ("Vedi la pratica. #12", "Vedi la pratica. #12"),
        ("Etichette: #uno, #due", ""),
        ("The host is fe80::1 and the port 22", "The host is fe80::1 and the port 22"),
        ("Loopback ::1", "Loopback ::1"),
        ("rate 3::4", "rate 3::4"),
        ("fe80:: è il prefisso", "fe80:: è il prefisso"),
        ("Use std:: cout", "Use std:: cout"),
        ("Se apri il negozio, allora:: niente", "Se apri il negozio, allora:: niente"),
        ("Il codice che abbiamo scritto ieri sera:: niente", "Il codice che abbiamo scritto ieri sera:: niente"),
        ("Prezzo:: 12 | Peso:: 3", "Prezzo: 12; Peso: 3"),
        ("Capo:: Rossi (tel:: 333)", "Capo: Rossi (tel: 333)"),
        ("- [ ] ~~Tetto~~", "- (cancellato: Tetto)"),
        ("![[casa.png|la facciata|100]]", "(vedi la facciata)"),
        ("2° piano:: 300 euro", "2° piano: 300 euro"),
        ("Costa <del class='x'>46</del> 48 euro.", "Costa (cancellato: 46) 48 euro."),
        ("- DONE Visita ((65f1a2b3-aaaa-bbbb-cccc-0123456789ab))", "- fatto: Visita"),
        ("- TODO chiamare", "- resta da fare: chiamare"),
        ("TODO chiamare", "TODO chiamare"),
        ("  collapsed:: true", ""),
        ("Consegna @[[2026-04-22]]", "Consegna 2026-04-22"),
        ("Scrivi a mario@2026-04-22.it", "Scrivi a mario@2026-04-22.it"),
        ("Muro #1, tinta #ff8800, C# e https://a.it/#sezione", "Muro #1, tinta #ff8800, C# e https://a.it/#sezione"),
    ],
)  # fmt: skip
def test_a_line_is_read_without_signs(written: str, seen: str) -> None:
    assert lines(written) == [seen]


@pytest.mark.parametrize("marker", ["-", "*", "+", "1.", "2)", ">  -", "  -"])
def test_a_task_tells_its_state_in_every_kind_of_list(marker: str) -> None:
    text = f"{marker} [ ] rinnovo contratto\n{marker} [x] visita medica"
    assert lines(text) == [f"{marker} resta da fare: rinnovo contratto", f"{marker} fatto: visita medica"]


def test_the_states_of_tasks_differ_in_every_language() -> None:
    for code in known_languages():
        seen = lines("\n".join(f"- [{state}] Alfa" for state in " x/->!?"), code)
        assert len(set(seen)) == 7, seen
        stems = [language(code).stems(line.replace("Alfa", "")) for line in seen[:2]]
        assert all(stems), (code, stems)
        assert stems[0] != stems[1], code


def test_signs_that_the_program_uses_itself_stay_where_a_text_has_them() -> None:
    text = "- \ue00099\ue001 \ue000 `a\ue0000\ue001` [b](c`\ue0000\ue001`) #casa"
    assert lines(text) == [text.replace("#", "")]


def test_an_empty_task_is_nothing() -> None:
    assert lines("- [ ]\n- [x] ") == ["", ""]


def test_dates_repetition_and_priority_of_a_task_are_words() -> None:
    assert lines("- [ ] #todo chiamare il frigorista 📅 2026-12-01 ⏫") == [
        "- resta da fare: todo chiamare il frigorista (scade il 2026-12-01, priorità alta)"
    ]
    assert lines("- [x] Pagare l'F24. 🔁 every month ✅ 2026-02-16 ^f24") == [
        "- fatto: Pagare l'F24 (si ripete: every month, fatto il 2026-02-16)."
    ]
    assert lines("- [ ] Revisione [due:: 2026-05-04]") == ["- resta da fare: Revisione (scade il 2026-05-04)"]
    assert lines("📅 Calendario di maggio") == ["📅 Calendario di maggio"]


def test_a_struck_out_text_of_several_lines_is_struck_out_in_each() -> None:
    assert lines("Costa ~~quarantasei\neuro~~ quaranta.") == [
        "Costa (cancellato: quarantasei)",
        "(cancellato: euro) quaranta.",
    ]
    assert lines("Una ~~ sola\n\ne un'altra ~~ qui") == ["Una ~~ sola", "", "e un'altra ~~ qui"]


def test_a_callout_is_its_title_and_its_text() -> None:
    text = "> [!tip]- Scorta minima\n> Tenere 12 kg di farina.\n>\n> > [!warning]\n> > Non sul pavimento.\n\n> Detto."
    assert lines(text) == [
        "Scorta minima:", "Tenere 12 kg di farina.", "", "", "Non sul pavimento.", "", "> Detto.",
    ]  # fmt: skip
    assert lines("> [!note] Chiuso a Natale") == ["Chiuso a Natale"]


def test_tags_fields_and_links_are_metadata() -> None:
    found = read(
        "#casa e #Casa, #città/nord-est\n\nPrezzo:: 12 euro\nprezzo:: 14 euro\nCliente:: [[Rossi|Lucia]]\n\n"
        "- [x] fatto (durata:: 2 ore) [[Turni#Agosto]] [a](note/b.md) [b](https://c.it/d.md) `#no`\n\n"
        "```\n#no [[no]]\n```"
    )
    assert found.tags == ("casa", "città/nord-est")
    assert found.fields == {"Prezzo": ("12 euro", "14 euro"), "Cliente": "Lucia", "durata": "2 ore"}
    assert set(found.links) == {"Rossi", "Turni", "note/b.md"}


@pytest.mark.parametrize(
    ("written", "left"),
    [
        ("Uno %%due%% tre %% quattro %%.", "Uno tre ."),
        ("%%\n# Nascosto\n\ntesto\n%%\nvisto", "\n\n\n\n\nvisto"),
        ("%%\n```json\n%%\n", "\n\n"),
        ("%%\n```\na %% b\n```\n%%\nvisto", "\n\n\n\n\nvisto"),
        ("Uno sconto del 5%% e poi\n\nancora 10%% netto", "Uno sconto del 5%% e poi\n\nancora 10%% netto"),
        ("%%\nnon finisce", "%%\nnon finisce"),
        ("`%%` e %%via%% `%%`", "`%%` e `%%`"),
        ("```mermaid\n%%{init: {}}%%\n```", "```mermaid\n%%{init: {}}%%\n```"),
        ("uno\n```dataview\nTABLE x\n```\ndue", "uno\n\n\n\ndue"),
        ("```dataview\nTABLE x", "```dataview\nTABLE x"),
        ("Oggi <% tp.date.now() %> qui\n<%* let a\nb %>\nfine", "Oggi qui\n\n\nfine"),
        ("- %%via%%", ""),
        ("Oggi, {{date:DD/MM}}, {{x}}", "Oggi, , {{x}}"),
    ],
)
def test_what_no_reader_sees_is_empty_before_parsing(written: str, left: str) -> None:
    assert "\n".join(prepared(written.split("\n"))).rstrip("\n") == left.rstrip("\n")


def test_of_a_drawing_its_texts_are_read() -> None:
    head = "---\nexcalidraw-plugin: parsed\n---\n==⚠  Switch to EXCALIDRAW VIEW in the menu. ⚠==\n\nSul retro.\n"
    data = "## Drawing\n```compressed-json\nN4KAkARALgngDgUwgLgAQQQDwMYEMA2A\n```\n"
    for before, after in (("", "%%\n"), ("%%\n", ""), ("", "")):
        text = f"{head}{before}# Excalidraw Data\n\n## Text Elements\nQuadro elettrico ^ab12cd34\n\n"
        text += f"## Element Links\nab12cd34: [[x]]\n\n{after}{data}%%"
        assert [line for line in lines(text) if line] == ["Sul retro.", "Quadro elettrico"]


def test_cards_of_a_board_have_the_state_of_their_column() -> None:
    board = (
        "---\n\nkanban-plugin: board\n\n---\n\n## Da fare\n\n- [ ] Tinta @{2026-03-04}\n\n## In corso\n\n- [ ] Posa\n\n"
    )
    board += "## Consegnati\n\n**Completato**\n- [ ] Bagno\n\n## Fatto\n\n- [ ] Tetto\n\n"
    board += '%% kanban:settings\n```\n{"kanban-plugin":"board"}\n```\n%%\n'
    seen = [line for line in lines(board) if line.startswith("-")][-4:]
    assert seen == [
        "- resta da fare: Tinta 2026-03-04", "- resta da fare, In corso: Posa",
        "- fatto, Consegnati: Bagno", "- fatto: Tetto",
    ]  # fmt: skip
    assert not any("kanban:settings" in line or "Completato" in line for line in lines(board))


def test_each_column_of_a_board_is_a_passage_under_its_title() -> None:
    board = "---\nkanban-plugin: board\n---\n\n## Da fare\n\n- [ ] Tinta\n\n## Fatto\n\n- [x] Tetto\n"
    source = Source(path="lavori.md", disk_path="lavori.md", raw=board, sha256="0", size=len(board))
    made = cut(source, language("it"), Roles.of(), lambda text: (parse(text), None))
    assert [(one.parent, one.heading) for one in made.chunks] == [(0, "Da fare"), (1, "Fatto")]


def test_a_file_that_is_not_parsed_has_its_comments_hidden_too() -> None:
    document = plain("# Titolo\n\n%%\nsegreto\n%%\n\nvisto\n")
    assert [line for line in document.body if line] == ["# Titolo", "visto"]


def test_a_heading_leads_its_section_without_signs() -> None:
    document = parse("# Prezzi di [[Hotel Aurora|Aurora]] ~~2025~~ #listino ^p\n\ntesto")
    assert document.blocks[-1].headings == ("Prezzi di Aurora listino",)
    assert title_of("- [ ] Prezzi 🔁 every week") == "- [ ] Prezzi 🔁 every week"


def test_a_box_of_the_program_admonition_is_its_text() -> None:
    assert lines("```ad-tip\ntitle: Scorta\nTenere [[Farina]].\n```") == ["", "Scorta:", "Tenere Farina.", ""]


@pytest.mark.parametrize(
    "piece",
    [
        "[[", "]](", "%%", "%%\n", "==", " == ", "~~", "~~ ", "::", "a::", "[a::", "(a::", "#", " #", "a #b", ". #a,,,",
        ". #a ", "[a:: [b] ", "a:: b | ", "<%", "<%\n",
        "`", "``` `", "%%\n```a\n", "> [!", "[[a|", "![[", "- [ ] ", "📅", "🔁 ", "^a ", "](<", "](a(", "- ~~a\n",
        "~~a\n",
        "**", "<del>", "a==b ", "\ue000", "```\n", "://", "aa://", "# ", "@{1", "- ", "> ", "|", "\n", "[a]: ",
    ],
)  # fmt: skip
def test_the_time_is_linear(piece: str) -> None:
    def seconds(size: int) -> float:
        text = (piece * (size // len(piece) + 1))[:size].split("\n")
        start = time.process_time()
        note_text(prepared(text), [False] * len(text), language("it"))
        title_of(max(text, key=len))
        return time.process_time() - start

    assert seconds(160_000) < 8 * seconds(40_000) + 0.5  # four times the text; a square would take sixteen times


def test_the_cases_of_the_project_are_read_in_words() -> None:
    kitchen = """# Cucina

La ==cella frigo== sta a **3 gradi**. ^cella

> [!tip] Scorta minima
> Tenere 12 kg di farina.

Temperatura di servizio:: 65 gradi

- [ ] #todo chiamare il frigorista 📅 2026-12-01 ⏫"""
    found = read(kitchen)
    assert [line.replace("**", "") for line in found.lines if line] == [
        "# Cucina",
        "La cella frigo sta a 3 gradi.",
        "Scorta minima:",
        "Tenere 12 kg di farina.",
        "Temperatura di servizio: 65 gradi",
        "- resta da fare: todo chiamare il frigorista (scade il 2026-12-01, priorità alta)",
    ]
    assert (found.tags, found.fields) == (("todo",), {"Temperatura di servizio": "65 gradi"})
    diary = "Oggi [[Rossi Lucia|Lucia]] ha chiesto due giorni. ![[foto camera 12.png]] Vedi [[Turni#Agosto]]."
    assert lines(diary) == ["Oggi Lucia ha chiesto due giorni. (vedi foto camera 12.png) Vedi Turni, Agosto."]
    person = "- [x] visita medica #scadenza\n- [ ] rinnovo [[HACCP|attestato alimentare]] entro il 3/9/2026"
    assert lines(person) == [
        "- fatto: visita medica scadenza",
        "- resta da fare: rinnovo attestato alimentare entro il 3/9/2026",
    ]


PIECES = st.sampled_from([
    "[[", "]]", "![[", "|", "#", "^a", "%%", "==", "~~", "::", "`", "```", "~~~", "<%", "%>", "<del>", "</del>", ">",
    "- ", "1. ", "[ ] ", "[x] ", "[!", "](", ")", "(", "@{", "}", "📅", "2026-01-02", "🔁", "⏫", "a", "è", "\ue000",
    "\ue001", "0", "**", "ad-x", "dataview", "TODO ", "((", " ", "\n", "\n\n", "\t",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PIECES, max_size=30).map("".join), st.booleans())
def test_any_text_is_read_line_by_line(text: str, board: bool) -> None:
    written = text.split("\n")
    shown = prepared(written)
    found = note_text(shown, [line.startswith("\t") for line in shown], language("it"), board=board)
    assert len(found.lines) == len(shown) == len(written)
    assert not any("\n" in line for line in found.lines)
    title_of(written[0])
