"""Secrets whose name stands in another line, and lines after a name that are no secrets."""

from __future__ import annotations

import pytest

from cervella.privacy.redaction import find_secrets, mask_secrets

X, Y = "Mario.Rossi85", "Luigi.Verdi77"


@pytest.mark.parametrize(
    "text",
    [
        "D: Qual è la password del wifi?\n\nR: X",
        "[12/03/26] Anna: la pass del wifi?\n[12/03/26] Bruno: X",
        "Q: What's the wifi password?\nA: X",
        "P: ¿Cuál es la contraseña?\nR: X",
        "Wie ist das WLAN-Passwort?\nX",
        "Qual é a senha?\n\n**R:** X",
        "Password.......... X",
        "Password NAS ........ X\nPassword router .... Y",
        "Passwords:\nNAS X\nRouter Y",
        "Password:\n- NAS X\n- Router Y",
        "## Accesso NAS\n\nanna\nX",
        "pwd;X",
        "Password:\n: X",
        "> [!warning] Password\n> X",
        "### Wi-Fi password\n\n```\nX\n```",
        "Wi-Fi password:\n\n```text\nX\n```",
    ],
)
def test_a_value_in_another_line_than_its_name_is_masked(text: str) -> None:
    masked, count = mask_secrets(text.replace("X", X).replace("Y", Y))
    assert masked == text.replace("X", "[REDATTO: password]").replace("Y", "[REDATTO: password]")
    assert count == text.count("X") + text.count("Y")
    assert mask_secrets(masked) == (masked, 0)


@pytest.mark.parametrize(
    "text",
    [
        "Add the password of SABnzbd.\n\n- `SABnzbd API key:`",
        "## Password\n\n- `HTTP port:`\n- `Username:`",
        "# Modificatori di accesso\n\n| Classe85x | Package85x |\n|---|---|\n| Public | sì |",
        "## Password\n\n| Comando85x | Effetto |\n|---|---|\n| cambia | nuova |",
        "```yaml\nvars: password\n```\n\n```\nOutput85x\n```",
        "Password:\n\n```\n```\n\n```\nOutput85x\n```",
        "| Pin | Funzione |\n|---|---|\n| GPIO21 | SDA |\n| GPIO22 | SCL |",
        '"seed": 1431310695,\n"version": 12,\n"id": "Zk81mQp0aXs",\n"color": "#1e1e1e"',
        "[[password hashing]] e [[8 - Crittografia/1 - Concetti/2 - Dimostrare]]",
        "La password è in [[Rete/NAS Synology DS920]], vedi ![[wpa2-handshake.png]].",
        "Hai cambiato la password?\n\nSì, ieri sera.",
        "Che cos'è una password?\nUna parola segreta.",
        "Password policy .......... 12\nPassword .......... 145",
        "password;username",
        "- name: password\n  type: string\n  description: Casa85x",
    ],
)
def test_a_label_a_header_and_another_block_are_no_values(text: str) -> None:
    assert mask_secrets(text) == (text, 0)


def test_a_wikilink_to_a_value_or_to_a_file_with_one_in_its_name_is_masked() -> None:
    assert X not in mask_secrets(f"password: [[{X}]]")[0]
    assert "cedrata1960" not in mask_secrets("![[img/password_nas_cedrata1960.png]]")[0]


def test_many_footnotes_and_links_are_looked_at_once() -> None:
    text = "la password[^a] e [[b c]]\n" * 2_000 + f"[^a]: {X}\n"
    assert [secret.start for secret in find_secrets(text)] == [text.index(X)]
