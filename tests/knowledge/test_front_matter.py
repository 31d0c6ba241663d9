from __future__ import annotations

import time

import pytest

from cervella.knowledge.documents.front_matter import FrontMatter, front_matter
from cervella.knowledge.documents.markdown import parse, split_lines
from cervella.knowledge.documents.metadata import metadata_of
from cervella.knowledge.documents.roles import DocumentFacts, facts_of
from cervella.text.language import language


def read(text: str) -> FrontMatter:
    return front_matter(split_lines(text))


def facts(head: str, path: str = "x.md") -> DocumentFacts:
    return facts_of(path, parse(f"---\n{head}\n---\n\nTesto.\n"), language("it"))


def test_the_values_of_yaml_stay_as_they_are_written() -> None:
    found = read(
        "---\ntitle: Listino\ndate: 2026-03-14\nattivo: yes\ninterno: 0123\nturno: 12:30\nprezzo: 3.50\n---\nX"
    )
    assert found == FrontMatter(
        lines=8,
        fields={
            "title": "Listino",
            "date": "2026-03-14",
            "attivo": "yes",
            "interno": "0123",
            "turno": "12:30",
            "prezzo": "3.50",
        },
    )


@pytest.mark.parametrize(
    "head",
    [
        "---\nbibtex_key: {}\ntitle: Voto\n---\n",
        "---\nbibtex_key: {}\ntitle: Voto: {{non YAML\n---\n",
        "+++\nbibtex_key = '{}'\ntitle = 'Voto'\n+++\n",
        '{{"bibtex_key": "{}", "title": "Voto"}}\n',
    ],
)
@pytest.mark.parametrize("mask", ["[REDACTED: API key]", "abc [REDATTO: password] x", "[REDATTO: token]"])
def test_a_masked_value_is_a_text_under_its_own_key(head: str, mask: str) -> None:
    assert read(f"{head.format(mask)}\nTesto.\n").fields["bibtex_key"] == mask


def test_a_masked_item_of_a_list_is_a_text_too() -> None:
    found = read("---\nchiavi: [uno, [REDATTO: token]]\naltre:\n  - [REDATTO: token]\n  - due\n---\n").fields
    assert found == {"chiavi": ("uno", "[REDATTO: token]"), "altre": ("[REDATTO: token]", "due")}


@pytest.mark.parametrize(
    "more",
    [
        "",
        "\n- x: {",  # no YAML
    ],
)
def test_entities_in_front_matter_are_decoded(more: str) -> None:
    title = "Rabble-rousers in the king&#x27;s court &amp; more"
    found = read(f"---\ntitle: {title}\ntags: [q&amp;a]\nluogo: caff&egrave; R&D a?b=1&copy=2{more}\n---\nTesto.\n")
    assert found.title == "Rabble-rousers in the king's court & more"
    assert found.fields["tags"] == ("q&a",)
    assert str(found.fields["luogo"]).startswith("caffè R&D a?b=1&copy=2")


def test_nested_tables_have_keys_with_dots_and_lists_are_tuples() -> None:
    found = read("---\nauthor:\n  name: Anna\n  mail: a@b.it\nteam:\n  - {name: Ugo}\n  - {name: Ida}\nvuoto:\n---\n")
    assert found.fields == {"author.name": "Anna", "author.mail": "a@b.it", "team.name": ("Ugo", "Ida")}


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff---\r\ntitle: Verbale\r\n---\r\nX",
        "---   \ntitle: Verbale\n---\t\nX",
        "---\n\ntitle: Verbale\n...\nX",
        "---\n# generato dal gestionale\n# due righe\ntitle: Verbale\n---\nX",
        "\n\n---\ntitle: Verbale\n---\nX",
        "<!-- non toccare -->\n---\ntitle: Verbale\n---\nX",
        '+++\ntitle = "Verbale"\n+++\nX',
        '---toml\ntitle = "Verbale"\n---\nX',
        '{"title": "Verbale"}\n\nX',
        '{\n  "title": "Verbale",\n  "tags": ["a"]\n}\nX',
        "---\nTitolo: 'Verbale'\n---\nX",
        "---\ntítulo: Verbale\n---\nX",
        "---\ntitle:Verbale\n---\nX",
    ],
)
def test_every_usual_form_gives_the_title_and_hides_nothing_below(text: str) -> None:
    found = read(text)
    assert found.title == "Verbale"
    assert [line for line in split_lines(text)[found.lines :] if line] == ["X"]


def test_toml_keeps_its_own_dates_and_numbers() -> None:
    found = read("+++\ndate = 2025-03-14\nat = 2025-03-14T10:00:00Z\nprezzo = 3.50\nok = true\n[params]\nn = 1\n+++\n")
    assert found.fields == {
        "date": "2025-03-14",
        "at": "2025-03-14T10:00:00Z",
        "prezzo": "3.50",
        "ok": "true",
        "params.n": "1",
    }


@pytest.mark.parametrize(
    ("head", "fields"),
    [
        ("title: Pressa: uso\ntags: [a, b]", {"title": "Pressa: uso", "tags": ("a", "b")}),
        ('nota: "aperta\ntitle: Cassa', {"nota": "aperta", "title": "Cassa"}),
        ("responsabile:\n\tnome: Gilda\ntitle: Luci", {"responsabile.nome": "Gilda", "title": "Luci"}),
        ("parole: [velluto, rosso\ntitle: Sipario", {"parole": ("velluto", "rosso"), "title": "Sipario"}),
        ("title: @Home\ntags:\n- a\n- b", {"title": "@Home", "tags": ("a", "b")}),
        ("title: !Attenzione lavori", {"title": "!Attenzione lavori"}),
        ("title: *Stella*", {"title": "*Stella*"}),
        ("title: X\ndescription: una frase\nche va a capo: male: qui\n", {"title": "X", "description": "una frase"}),
    ],
)
def test_the_readable_lines_of_broken_yaml_count(head: str, fields: dict[str, object]) -> None:
    found = read(f"---\n{head}\n---\nX")
    assert found.fields.items() >= fields.items()
    assert found.lines == head.count("\n") + 3


def test_the_readable_lines_of_broken_toml_and_json_count() -> None:
    assert read("+++\ntitle = Smalti trasparenti\ndata = 14/03/2026\n[extra]\nx = 1\n+++\nX") == FrontMatter(
        lines=6, fields={"title": "Smalti trasparenti", "data": "14/03/2026", "extra.x": "1"}
    )
    assert read('{\n  "title": "Terre",\n  "tags": ["a", "b"],\n}\nX') == FrontMatter(
        lines=4, fields={"title": "Terre", "tags": ("a", "b")}
    )


@pytest.mark.parametrize(
    "text",
    [
        "---\n\nUna frase senza chiave.\n\n---\nX",
        "---\nAttenzione: la piscina è chiusa fino a lunedì.\n---\nX",
        "---\n# Titolo\n---\nX",
        "---\n- uno\n- due\n---\nX",
        "---\nNota: senza fine.\n\nX",
        "# Titolo\n\n---\ntitle: non qui\n---\nX",
        "{{< figure src='a.png' >}}\n\nX",
        "{% include a %}\nX",
        "{ una parentesi\nX",
        " ---\ntitle: rientrato\n---\n",
        "+++\n\nX\n",
        "",
    ],
)
def test_text_is_no_front_matter(text: str) -> None:
    assert read(text) == FrontMatter()


@pytest.mark.parametrize(
    "below",
    [
        "\n# Prezzi\n\nIl letto costa 20 euro.\n",
        "\nIl letto costa 20 euro.\n\n---\n\nAltro.\n",
        "\n# Orari\n\nLunedì: 8-12\nMartedì: 9-13\n\n---\n\nAltro.\n",
        "# Regole\n- chiedere prima\n\n---\n",
        "Il letto costa 20 euro al giorno.\n---\n",
    ],
)
def test_front_matter_that_is_not_closed_hides_no_text(below: str) -> None:
    found = read(f"---\ntitle: Listino\ndata: 2025-01-02\n{below}")
    assert found == FrontMatter(lines=3, fields={"title": "Listino", "data": "2025-01-02"})


def test_aliases_of_yaml_that_multiply_are_read_as_text() -> None:
    bomb = "\n".join(f"k{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12))
    found = read(f"---\ntitle: X\nk0: &a0 [x]\n{bomb}\n---\nX")
    assert found.title == "X"
    assert sum(len(value) for value in found.fields.values()) < 2_000
    assert read("---\ntitle: X\nbase: &b {uno: 1}\naltro:\n  <<: *b\n  due: 2\n---\n").fields["altro.uno"] == "1"


@pytest.mark.parametrize("unit", ["[", "{", "- ", "a: [", "a.", "[[a|b]] ", "&a [*a]\n", '"', "#a ", "k: |\n ", "é: "])
@pytest.mark.parametrize("fence", ["---", "+++"])
def test_a_megabyte_of_hostile_front_matter_is_read_in_linear_time(fence: str, unit: str) -> None:
    start = time.process_time()
    for size in (60_000, 190_000, 1_000_000):
        found = front_matter(f"{fence}\ntitle: x\n{unit * (size // len(unit))}\n{fence}\nX".split("\n"))
        metadata_of(found, None)
    assert time.process_time() - start < 5


def test_tags_are_read_in_every_usual_form() -> None:
    assert facts("tags: [Ricette, 'dolci di casa', \"#cucina/fritti\"]").tags == (
        "Ricette",
        "dolci di casa",
        "cucina/fritti",
    )
    assert facts("tags: #lavoro #casa").tags == ("lavoro", "casa")
    assert facts("tags: lavoro casa").tags == ("lavoro", "casa")
    assert facts("tags: lavoro, casa al mare").tags == ("lavoro", "casa al mare")
    assert facts("etiquetas:\n  - #uma\n  - duas").tags == ("uma", "duas")
    assert facts("tags: [Casa, casa]\ncategories: [Mare]\nkeywords: sole, vento forte").tags == (
        "Casa",
        "Mare",
        "sole",
        "vento forte",
    )


def test_other_names_are_read_in_every_usual_form_and_addresses_are_none() -> None:
    assert facts("aliases: [il Bestione, forno grande]").aliases == ("il Bestione", "forno grande")
    assert facts("alias: la Scatoletta").aliases == ("la Scatoletta",)
    assert facts("altri nomi: Fiati, filarmonica").aliases == ("Fiati", "filarmonica")
    hugo = facts("aliases: [/vecchio/, https://a.it/b, Listino]")
    assert (hugo.aliases, hugo.meta) == (("Listino",), {"aliases": ("/vecchio/", "https://a.it/b")})


def test_links_in_front_matter_are_links_and_read_as_their_words() -> None:
    found = facts('up: "[[Progetti#Estate|i progetti]]"\nrelated:\n  - [[Nota A]]\n  - "[[Nota B]]"')
    assert found.links == ("Progetti", "Nota A", "Nota B")
    assert found.meta == {"up": "i progetti", "related": ("Nota A", "Nota B")}


@pytest.mark.parametrize(
    ("head", "date"),
    [
        ("date: 2026-03-14T10:00:00+01:00", "2026-03-14"),
        ("publishDate: 2026-03-14", "2026-03-14"),
        ("ultimo_aggiornamento: 14 marzo 2026", "2026-03-14"),
        ("atualizado-em: 14 de março de 2026", "2026-03-14"),
        ("datum: 14. März 2026", "2026-03-14"),
        ("created: 202603141230", "2026-03-14"),
        ("created: [[2026-03-14]]", "2026-03-14"),
        ("date:\n  created: 2024-01-01\n  updated: 2026-03-14", "2026-03-14"),
        ("date: 2024-01-01\nlastmod: 2026-03-14", "2026-03-14"),
        ("scadenza: 2026-03-14", None),
        ("title: X", None),
    ],
)
def test_the_date_of_front_matter(head: str, date: str | None) -> None:
    assert facts(head).date == date


@pytest.mark.parametrize(
    ("head", "status"),
    [
        ("stato: superato # vedi il nuovo", "superseded"),
        ("estado: substituído", "superseded"),
        ("status: superseded by ADR-12", "superseded"),
        ("superseded_by: adr-12.md", "superseded"),
        ("superseded_by: none", "current"),
        ("status: deprecated", "deprecated"),
        ("status: rejected", "deprecated"),
        ("archived: true", "archived"),
        ("archiviato: 2024-05-01", "archived"),
        ("archived: false\ndraft: no", "current"),
        ("draft: true", "draft"),
        ("bozza: sì", "draft"),
        ("rascunho: sim", "draft"),
        ("stato: in bozza", "draft"),
        ("Status: WIP", "draft"),
        ("status: proposed", "draft"),
        ("entwurf: ja", "draft"),
        ("stato: in vigore", "current"),
        ("deprecated: false", "current"),
    ],
)
def test_the_status_of_front_matter(head: str, status: str) -> None:
    assert facts(head).status == status


def test_the_project_is_as_written_and_comes_before_the_folder() -> None:
    assert facts('progetto: "[[Sala B]]"', "progetti/altro/x.md").project == "Sala B"
    assert facts("title: X", "progetti/altro/x.md").project == "altro"


def test_what_has_no_place_of_its_own_is_meta() -> None:
    found = facts("title: X\ntags: [a]\ndate: 2026-01-01\nstatus: in corso\nautore: Rossi\nprezzo: 12")
    assert found.meta == {"status": "in corso", "autore": "Rossi", "prezzo": "12"}
