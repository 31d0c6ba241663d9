"""The traits that a soul declares: read in any language, won by the configuration, never guessed."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from cervella.configuration.config import load_config
from cervella.errors import ConfigError
from cervella.soul import Constitution, Traits
from cervella.soul.constitution import RETRIEVAL_ONLY
from tests.conftest import ROOT, PlainSoul


def traits(items: str, **configured: object) -> Traits:
    return Traits.of(PlainSoul(text=f"# Io\n\nSono io.\n\n{items}"), configured)


def test_the_shipped_constitution_declares_what_the_probes_need() -> None:
    found = Traits.of(Constitution.load(ROOT / "knowledge" / "COSTITUZIONE.md"))
    assert (found.name, found.gender, found.language, found.role) == ("Cervella", "feminine", "it", "partner")
    assert found.rules == ("ragionare", "ricercare", "dissentire", "proteggere")
    assert found.never_called == ("utente",)
    assert (found.emoji, found.says_unknown, found.max_tokens) == (False, True, 500)
    assert "Hai perfettamente ragione!" in found.empty_phrases
    assert "Fatto BENE > Fatto VELOCE" in found.mottos
    assert "libertà" in str(found.aim)
    assert "decide" in str(found.person)


@pytest.mark.parametrize(
    "items",
    [
        "## TRATTI\n\n- nome: Ada\n- genere: femminile\n- lingua: inglese\n- ruolo: socia\n- tono: calmo, netto\n"
        "- emoji: mai\n- quando non sa: lo dice\n- lunghezza: al massimo 1.200 token\n- si rivolge: mai «cliente»\n",
        "## Traits\n\n* **Name:** Ada\n* gender: feminine\n* LANGUAGE: English\n* role: socia\n* tone: calmo; netto\n"
        "* emojis: never\n* when she doesn't know: says so\n* length: 1200\n* never called: «cliente»\n",
        "## TRAÇOS\n\n+ nome: Ada\n+ Gênero: feminino\n+ língua: inglês\n+ papel: socia\n+ tom:\n  - calmo\n  - netto\n"
        "+ emoji: nunca\n+ quando não sabe: di-lo\n+ comprimento: 1200 tokens\n+ tratamento: por tu, nunca “cliente”\n",
    ],
    ids=["it", "en", "pt"],
)
def test_keys_are_known_in_every_language(items: str) -> None:
    found = traits(items)
    assert (found.name, found.gender, found.language, found.role) == ("Ada", "feminine", "en", "socia")
    assert found.tone == ("calmo", "netto")
    assert (found.emoji, found.says_unknown, found.max_tokens) == (False, True, 1200)
    assert found.never_called == ("cliente",)


def test_what_is_not_declared_is_not_guessed() -> None:
    found = traits("## Chi sono\n\nSono una partner, parlo al femminile e non uso emoji.\n\n- regole: una, due\n")
    assert found == Traits(name="Cervella", language="it")
    vague = traits(
        "## Tratti\n- genere: come capita\n- emoji: poche\n- lunghezza: 150 parole\n- lingua: klingon\n- tono:\n"
    )
    assert (vague.gender, vague.emoji, vague.max_tokens, vague.language, vague.tone) == (None, None, None, "it", ())
    assert vague.declared["emoji"] == "poche"


def test_a_false_trait_is_declared() -> None:
    assert traits("## Tratti\n- emoji: mai\n").emoji is False
    assert traits("## Tratti\n- emoji:\n").emoji is None


def test_a_list_keeps_a_quoted_phrase_whole_and_a_line_may_go_on() -> None:
    found = traits(
        "## Tratti\n\n- parole vuote: Fantastico!, «Sì sì, faccio subito»,\n  Ecco fatto!\n- mantra:\n"
        "  1. Una cosa\n     alla volta\n  2. Calma: sempre\n- scopo: vivere\n  bene\n"
    )
    assert found.empty_phrases == ("Fantastico!", "Sì sì, faccio subito", "Ecco fatto!")
    assert found.mottos == ("Una cosa alla volta", "Calma: sempre")
    assert found.aim == "vivere bene"


def test_the_section_ends_at_the_next_of_its_level_and_holds_what_is_below_it() -> None:
    found = traits("## Tratti\n\n### Voce\n- tono: calmo\n### Altro\n- ruolo: guida\n## Storia\n- scopo: nessuno\n")
    assert (found.tone, found.role, found.aim) == (("calmo",), "guida", None)


def test_what_no_brain_is_sent_declares_nothing(tmp_path: Path) -> None:
    path = tmp_path / "C.md"
    path.write_text(f"# Io\n\nSono io.\n\n## Tratti\n{RETRIEVAL_ONLY}\n- ruolo: partner\n", encoding="utf-8")
    assert Traits.of(Constitution.load(path)).role is None


def test_a_trait_of_ones_own_is_kept_as_written_and_the_first_of_two_wins() -> None:
    found = traits("## Tratti\n- Colore preferito: blu\n- ruolo: partner\n- ruolo: serva\n")
    assert found.declared["colore preferito"] == "blu"
    assert (found.role, found.declared["role"]) == ("partner", "partner")


def test_the_configuration_wins_key_by_key(tmp_path: Path) -> None:
    items = "## Tratti\n- ruolo: partner\n- tono: calmo\n- emoji: mai\n"
    (tmp_path / "cervella.toml").write_text(
        '[soul.traits]\nrole = "guida"\nemoji = true\nmottos = ["Piano, piano"]\nmax_tokens = 80\n', encoding="utf-8"
    )
    configured = load_config(tmp_path).soul.traits.model_dump(exclude_none=True)
    found = traits(items, **configured)
    assert (found.role, found.tone, found.emoji, found.mottos) == ("guida", ("calmo",), True, ("Piano, piano",))
    assert (found.max_tokens, found.declared["role"]) == (80, "guida")
    assert traits(items, emoji=None).emoji is False


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"rol": "x"}, "Did you mean 'role'"),
        ({"declared": {}}, "no trait"),
        ({"emoji": "mai"}, "true or false"),
        ({"max_tokens": 0}, "above 0"),
        ({"gender": "f"}, "feminine or masculine"),
        ({"tone": [1]}, "list of texts"),
        ({"role": " "}, "text"),
    ],
)
def test_a_configured_trait_that_can_not_be_is_an_error(given: dict[str, object], words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        traits("", **given)
    assert words in f"{caught.value} {caught.value.remedy}"


def test_an_unknown_key_in_the_file_names_the_nearest(tmp_path: Path) -> None:
    (tmp_path / "cervella.toml").write_text('[soul.traits]\nrol = "x"\n', encoding="utf-8")
    with pytest.raises(ConfigError, match=r"\[soul.traits\] rol.*line 2") as caught:
        load_config(tmp_path)
    assert "'role'" in str(caught.value.remedy)


def test_traits_travel() -> None:
    found = traits("## Tratti\n- ruolo: partner\n")
    assert pickle.loads(pickle.dumps(found)) == found
