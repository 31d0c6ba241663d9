"""Secrets found and masked. The shapes are assembled here: none of them is anybody's."""

from __future__ import annotations

import time

import pytest
from hypothesis import given, strategies as st

from cervella.privacy.redaction import find_secrets, mask_secrets
from tests.conftest import PATIENCE

SECRETS = {
    "anthropic": "sk-ant-" + "api03-" + "aB3_" * 8,
    "openai": "sk-" + "aB3d" * 8,
    "google": "AIza" + "aB3dE" * 7,
    "aws": "AKIA" + "AB3D" * 4,
    "stripe": "sk_live_" + "aB3d" * 6,
    "huggingface": "hf_" + "aB3d" * 9,
    "github": "ghp_" + "aB3d" * 10,
    "github fine": "github_pat_" + "aB3d" * 12,
    "gitlab": "glpat-" + "aB3d" * 6,
    "slack": "xoxb-" + "1234-" * 4 + "aB3d",
    "jwt": "eyJ" + "aB3d" * 4 + ".eyJ" + "aB3d" * 4 + "." + "aB3d" * 4,
}
KEY = "-----BEGIN RSA " + "PRIVATE KEY-----\n" + "aB3d\n" * 20 + "-----END RSA " + "PRIVATE KEY-----"


@pytest.mark.parametrize("secret", [*SECRETS.values(), KEY], ids=[*SECRETS, "private key"])
@pytest.mark.parametrize("around", ["{}", "usa {} adesso", "`{}`", "chiave={},", "«{}».", "| {} |", "(\n{}\n)"])
def test_a_secret_is_masked_whole_wherever_it_stands(secret: str, around: str) -> None:
    masked, count = mask_secrets(around.format(secret))
    assert count == 1
    assert secret not in masked
    assert "aB3d" not in masked
    assert "[REDATTO: " in masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("password: Segreta99!", "password: [REDATTO: password]"),
        ("PASSWORD = 'Segreta99'", "PASSWORD = '[REDATTO: password]'"),
        ('"api_key": "abc12345"', '"api_key": "[REDATTO: chiave API]"'),
        ("**password**: Segreta99", "**password**: [REDATTO: password]"),
        ("postgres://utente:segreta@host/db", "postgres://utente:[REDATTO: password]@host/db"),
        ("Authorization: Bearer " + "aB3d" * 8, "Authorization: Bearer [REDATTO: token]"),
    ],
)
def test_what_is_around_a_secret_stays(text: str, masked: str) -> None:
    assert mask_secrets(text) == (masked, 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "La password: chiedila al team.",
        "password: ",
        "La nostra decisione task-1234567890123456789 vale.",
        "sk-learn",
        "token: 1200 al giorno",
        "max_tokens = 3000",
        "https://esempio.it:8443/percorso?x=1",
        "mail a nome@esempio.it: ciao",
        "password: [REDATTO: password]",
        "Bearer [REDATTO: token]",
    ],
)
def test_plain_text_holds_no_secret(text: str) -> None:
    assert mask_secrets(text) == (text, 0)


def test_secrets_are_counted_in_order_and_their_text_is_not_kept() -> None:
    text = " e ".join(SECRETS.values())
    found = find_secrets(text)
    assert len(found) == len(SECRETS)
    assert [secret.start for secret in found] == sorted(secret.start for secret in found)
    assert all(value not in repr(found) for value in SECRETS.values())


def test_a_key_that_is_cut_off_is_masked_where_it_begins() -> None:
    masked, count = mask_secrets("-----BEGIN " + "PRIVATE KEY-----\nMIIaB3d")
    assert count == 1
    assert "BEGIN" not in masked


@given(
    st.lists(st.sampled_from([*SECRETS.values(), " ", "\n", "testo", ":", "password: Segreta99"]), max_size=12).map(
        " ".join
    )
)
def test_masking_twice_is_masking_once(text: str) -> None:
    masked, count = mask_secrets(text)
    assert mask_secrets(masked) == (masked, 0)
    assert count == masked.count("[REDATTO: ")
    assert not any(secret in masked for secret in SECRETS.values())


@pytest.mark.parametrize(
    "text",
    [
        ("-----BEGIN " + "PRIVATE KEY-----") * 1000,
        "password:" * 4000,
        ("sk-" + "aB3d" * 5 + " ") * 4000,
        "sk-" * 20000,
        "://" * 20000,
        "://" + "a" * 40000,
        "eyJ" + "a" * 40000,
        "bearer" + " " * 40000,
        "password" + '"' * 40000,
        "password" + " " * 40000,
        "-----BEGIN " + "AB " * 20000,
    ],
    ids=lambda text: text[:14],
)
def test_secrets_are_looked_for_in_linear_time(text: str) -> None:
    started = time.perf_counter()
    find_secrets(text)
    assert time.perf_counter() - started < PATIENCE


@pytest.mark.parametrize(
    "text",
    [
        "ANTHROPIC_API_KEY=abcdef1234567890",
        "DB_PASSWORD=Segreta99!",
        'OPENAI_API_KEY: "abcd1234efgh5678"',
        "AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI7MDENGbPxRfi",
        "token: ab12cd34ef56",
        "PASSWORD = correcthorsebattery",
        "la password è Segreta99!",
        "chiave API: ab12cd34ef56",
        "Authorization: Basic dXNlcjpwYXNz",
        "gsk_" + "a1B2" * 8,
        "npm_" + "a1B2" * 9,
    ],
)
def test_secrets_are_found_in_the_shapes_that_people_write(text: str) -> None:
    masked, found = mask_secrets(text)
    assert found == 1
    assert "REDATTO" in masked


@pytest.mark.parametrize(
    "text",
    [
        "Il limite è di 4096 token: 500 in ingresso.",
        "tokens: 1024, cache: 300",
        "la password è obbligatoria",
        "secret santa",
    ],
)
def test_prose_about_tokens_and_passwords_is_no_secret(text: str) -> None:
    assert mask_secrets(text) == (text, 0)
