"""Which names of files hold a secret. A file with one is not read, so ordinary names must never be taken for one."""

from __future__ import annotations

import pytest

from cervella.privacy.redaction import mask_path


@pytest.mark.parametrize(
    "path",
    [
        "password-policy-2026-v2.md",
        "Reset password Windows11Pro.md",
        "PIN 1305 Arduino.md",
        "codice-porta-5432-postgres.md",
        "pin-up_Pirelli1963.md",
        "combinazione-colori-RAL7016.md",
        "combinazioni 1024.md",
        "Alarm 4500 manuale.md",
        "PIN 560034 Pune.md",
        "contraseñas-politica_RGPD2016.md",
        "Sicurezza/Password-cracking_HashCat6.md",
        "Password NAS Synology-DS920.md",
        "router-password_TIM-Hub2.md",
        "Chiave_USB_SanDisk64GB.md",
        "pin-1001-gpio.md",
        "password-manager-bitwarden2024.md",
        "Password sicure - guida 2024.md",
    ],
)
def test_an_ordinary_name_is_read(path: str) -> None:
    assert mask_path(path) == path


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("it/wifi password Girasole77.md", "Girasole77"),
        ("la password è Girasole77.txt", "Girasole77"),
        ("Password - Girasole!x.md", "Girasole!x"),
        ("de/Passwort=Kirsche_44.md", "Kirsche_44"),
        ("password%20Girasole77.md", "Girasole77"),
        ("es/clave-router-Mezquita2020.md", "Mezquita2020"),
        ("alarm code 7254.md", "7254"),
    ],
)
def test_a_value_that_ends_the_name_right_after_a_password_is_masked(path: str, value: str) -> None:
    assert value not in mask_path(path)
