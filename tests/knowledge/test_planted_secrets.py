"""A hundred secrets of twenty kinds, planted where people leave them: none is in any byte of what comes out.

The secrets are made here, from a seed; none of them is anybody's.
"""

from __future__ import annotations

import base64
import json
import logging
import random
import sqlite3
import string
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.cli import main
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.documents.chunking import chunk
from cervella.knowledge.documents.markdown import parse, split_lines
from cervella.privacy.redaction import find_secrets, mask_secrets
from cervella.testing import ScriptedBrain
from tests.fixtures.whole import whole

LETTERS = string.ascii_letters + string.digits
HEX = "0123456789abcdef"
WINDOW = 8  # characters in a row of a secret that may be nowhere


@dataclass(frozen=True)
class Plant:
    kind: str
    markdown: str
    """With its secret, under a heading of its own."""
    core: str
    """What is random in the secret."""


def made(rng: random.Random, letters: str, length: int) -> str:
    """At random, with a digit and a letter among the first: a key without them is not worth a test."""
    return "".join(rng.choice(letters) for _ in range(length - 2)) + "7a"


SHAPED: dict[str, Callable[[random.Random], str]] = {
    "Anthropic": lambda rng: "sk-ant-" + "api03-" + made(rng, LETTERS + "-_", 90),
    "OpenAI": lambda rng: "sk-" + "proj-" + made(rng, LETTERS + "-_", 48),
    "Google": lambda rng: "AI" + "za" + made(rng, LETTERS, 35),
    "AWS": lambda rng: "AK" + "IA" + made(rng, string.ascii_uppercase + string.digits, 15)[:-1].upper() + "7A",
    "GitHub": lambda rng: "gh" + "p_" + made(rng, LETTERS, 36),
    "GitLab": lambda rng: "glp" + "at-" + made(rng, LETTERS, 20),
    "Slack": lambda rng: "xo" + "xb-" + made(rng, string.digits, 12)[:-2] + "-" + made(rng, LETTERS, 24),
    "Stripe": lambda rng: "sk_" + "live_" + made(rng, LETTERS, 24),
    "Telegram": lambda rng: "5" + made(rng, string.digits, 10)[:-2] + ":AA" + made(rng, LETTERS, 33),
    "SendGrid": lambda rng: "S" + "G." + made(rng, LETTERS, 22) + "." + made(rng, LETTERS, 43),
    "Hugging Face": lambda rng: "h" + "f_" + made(rng, LETTERS, 34),
    "npm": lambda rng: "np" + "m_" + made(rng, LETTERS, 36),
    "PyPI": lambda rng: "py" + "pi-AgEIcHlwaS5vcmc" + made(rng, LETTERS, 80),
    "JWT": lambda rng: ".".join(
        ("ey" + "J" + made(rng, LETTERS, 33), "eyJ" + made(rng, LETTERS, 120), made(rng, LETTERS + "-_", 43))
    ),
}
AROUND_SHAPES = (
    "| Servizio | Valore | Note |\n|---|---|---|\n| {kind} | `{secret}` | rinnovata a gennaio |\n",
    "```bash\n# ambiente di produzione\nexport SERVIZIO_{name}={secret}\nexport PORTA=8080\n```\n",
    "### La nuova: {secret}\n\nSostituisce quella di dicembre.\n",
    '```json\n{{\n  "nome": "{kind}",\n  "valore": "{secret}",\n  "attivo": true\n}}\n```\n',
    "Abbiamo girato a Rafa {secret}, che vale fino a marzo.\n",
    "> **Nota:** in emergenza usare **{secret}** e poi cambiarla.\n",
    "- provato con https://api.esempio.it/v1/stato?k={secret}&lingua=it\n- funziona\n",
    "Vedi [il pannello](https://pannello.esempio.it/accesso/{secret}) prima di venerdì.\n",
    "<!-- da togliere: {secret} -->\n\nTesto che resta.\n",
    "1. Aprire il terminale.\n2. `curl -H 'X-Chiave: {secret}' https://esempio.it`\n",
)


def word(rng: random.Random) -> str:
    return (
        rng.choice(("Girasole", "Tramonto", "Lanterna", "Ciclamino", "Bussola"))
        + rng.choice("!?_+#%")
        + made(rng, LETTERS, 7)
    )


def aws_secret(rng: random.Random) -> str:
    return made(rng, LETTERS + "/+", 40)


def card(rng: random.Random) -> str:
    digits = rng.choice("45") + "".join(rng.choice(string.digits) for _ in range(14))
    doubled = sum(sum(divmod(2 * int(digit), 10)) for digit in digits[::2])
    return digits + str(-(doubled + sum(map(int, digits[1::2]))) % 10)


def private_key(rng: random.Random) -> tuple[str, str]:
    body = base64.b64encode(rng.randbytes(600)).decode()
    return "\n".join(body[n : n + 64] for n in range(0, len(body), 64)), body


def grouped(number: str) -> str:
    return " ".join(number[n : n + 4] for n in range(0, len(number), 4))


def plants() -> Iterator[Plant]:
    rng = random.Random(20260111)
    for number, (kind, make) in enumerate(SHAPED.items()):
        for turn in range(5):
            secret = make(rng)
            around = AROUND_SHAPES[(number + 2 * turn) % len(AROUND_SHAPES)]
            yield Plant(kind, around.format(kind=kind, name=kind.split()[0].upper(), secret=secret), secret)
    for around in (
        "| Utente | Password |\n|---|---|\n| admin | {} |\n| lettura | chiedere a Rafa |\n",
        "Sulla VM la password è {} e scade a marzo.\n",
        "```env\nDB_HOST=localhost\nDB_PASSWORD={}\nDB_PORTA=5432\n```\n",
        "**Credenziali:** admin / {}\n",
        "Password:\n\n```\n{}\n```\n",
    ):
        secret = word(rng)
        yield Plant("password", around.format(secret), secret)
    for around in (
        "AWS_SECRET_ACCESS_KEY={}\n",
        '```python\nclient = boto3.client("s3", aws_secret_access_key="{}")\n```\n',
        "| aws secret access key | {} |\n|---|---|\n",
        "- chiave segreta: `{}`\n- regione: eu-south-1\n",
        "```yaml\naws:\n  secret_key: '{}'\n  regione: eu-south-1\n```\n",
    ):
        secret = aws_secret(rng)
        yield Plant("AWS secret", around.format(secret), secret)
    for around in (
        "postgres://miracollo:{}@db.interno:5432/miracollo\n",
        "```\nServer=tcp:vm1,1433;Database=baby;User Id=sa;Password={};Encrypt=True\n```\n",
        "- coda: `redis://:{}@10.0.0.4:6379/0`\n",
        "| Indirizzo |\n|---|\n| mongodb+srv://app:{}@cluster0.esempio.net/test |\n",
        '```json\n{{"ConnectionString": "Host=vm1;Username=app;Password={};Pooling=true"}}\n```\n',
    ):
        secret = made(rng, LETTERS, 14)
        yield Plant("connection string", around.format(secret), secret)
    for begin, around in (
        ("RSA PRIVATE KEY", "```\n{}\n```\n"),
        ("OPENSSH PRIVATE KEY", "Chiave della VM:\n\n{}\n\nFine.\n"),
        ("PRIVATE KEY", "> {}\n"),
        ("EC PRIVATE KEY", "    {}\n"),
        ("PGP PRIVATE KEY BLOCK", "~~~text\n{}\n~~~\n"),
    ):
        lines, core = private_key(rng)
        prefix = around[: around.index("{")].rsplit("\n", 1)[-1]
        block = f"-----BEGIN {begin}-----\n{lines}\n-----END {begin}-----".replace("\n", f"\n{prefix}")
        yield Plant("private key", around.format(block), core)
    for around in (
        "Carta aziendale: {}\n",
        "| Carta | Scadenza |\n|---|---|\n| {} | 09/28 |\n",
        "- pagato con {} il 9 gennaio\n",
        "### Carta {}\n\nSolo per i server.\n",
        '```json\n{{"numero": "{}", "scadenza": "09/28"}}\n```\n',
    ):
        number = card(rng)
        yield Plant("card", around.format(grouped(number)), grouped(number))
    for around in (
        "TWILIO_AUTH_TOKEN={}\n",
        "token: {}\n",
        "Il token di accesso è `{}`.\n",
        "| Token | {} |\n|---|---|\n",
        '```toml\n[servizio]\nauth_token = "{}"\n```\n',
    ):
        secret = made(rng, HEX, 32)
        yield Plant("token by name", around.format(secret), secret)


PLANTS = list(plants())


def windows(core: str) -> Iterator[str]:
    folded = core.casefold()
    return (folded[n : n + WINDOW] for n in range(len(folded) - WINDOW + 1))


def leaks(text: str) -> list[str]:
    """The kinds of the plants of which a piece is in a text."""
    folded = text.casefold().replace("\n", "")
    return [plant.kind for plant in PLANTS if any(piece in folded for piece in windows(plant.core))]


def stored(folder: Path) -> Iterator[tuple[str, str]]:
    """All that a folder holds, byte for byte, and once more what is compressed in its databases."""
    for path in sorted(folder.rglob("*")):
        if path.is_file():
            yield path.name, path.read_bytes().decode("latin-1")
    for path in folder.rglob("*.sqlite*"):
        if path.suffix not in (".sqlite", ".sqlite3"):
            continue
        connection = sqlite3.connect(path)
        try:
            for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
                for row in connection.execute(f"SELECT * FROM '{table}'"):
                    for cell in row:
                        if isinstance(cell, bytes):
                            try:
                                yield f"{path.name}:{table}", zlib.decompress(cell).decode("utf-8", "replace")
                            except zlib.error:
                                yield f"{path.name}:{table}", cell.decode("latin-1")
                        else:
                            yield f"{path.name}:{table}", str(cell)
        finally:
            connection.close()


@pytest.fixture(scope="module")
def planted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of twenty pages, one a kind, five secrets in each."""
    folder = tmp_path_factory.mktemp("note")
    pages: dict[str, list[str]] = {}
    for plant in PLANTS:
        pages.setdefault(plant.kind, []).append(plant.markdown)
    for kind, parts in pages.items():
        sections = (
            f"## Servizio {number} di {kind}\n\nResta scritto: girandola.\n\n{part}"
            for number, part in enumerate(parts)
        )
        text = f"# Accessi: {kind}\n\n> **Data:** 9 gennaio 2026\n\n" + "\n".join(sections)
        (folder / f"accessi_{kind.replace(' ', '_').lower()}.md").write_text(text, encoding="utf-8")
    return folder


def test_there_are_a_hundred_of_twenty_kinds_and_they_are_really_planted(planted: Path) -> None:
    assert len(PLANTS) == 100
    assert len({plant.kind for plant in PLANTS}) == 20
    pages = "".join(
        path.read_text(encoding="utf-8").replace("> ", "").replace("    ", "") for path in planted.iterdir()
    )
    assert len(leaks(pages)) == 100


@pytest.mark.parametrize("plant", PLANTS, ids=[f"{plant.kind}-{number % 5}" for number, plant in enumerate(PLANTS)])
def test_a_planted_secret_is_masked_and_its_lines_stay(plant: Plant) -> None:
    masked, count = mask_secrets(plant.markdown)
    assert count == 1
    assert leaks(masked) == []
    assert len(split_lines(masked)) == len(split_lines(plant.markdown))
    assert mask_secrets(masked) == (masked, 0)


def test_no_secret_is_in_any_byte_of_the_index(planted: Path, index_dir: Path, make_embedder: Any) -> None:
    embedder = make_embedder()
    report = KnowledgeIndex(planted, index_dir, embedder=embedder).update()
    found = {name for name, text in stored(index_dir) if leaks(text)}
    assert not found
    assert not [text for text in embedder.embedded if leaks(text)]
    assert report.pending_embeddings == 0
    assert len(report.redactions) == 100
    assert not leaks(whole(report) + report._repr_html_())
    for one in report.redactions:
        line = split_lines((planted / one.path).read_text(encoding="utf-8"))[one.line - 1]
        assert mask_secrets(line)[1] == 1 or one.kind in ("private_key", "password")
    again = KnowledgeIndex(planted, index_dir, embedder=embedder).update()
    assert again.redactions == report.redactions
    assert again.unchanged == 20


def test_no_secret_is_in_an_answer_a_prompt_a_log_or_what_commands_print(
    planted: Path, isolated: Path, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    (isolated / "anima.md").write_text("# Cervella\n\n- nome: Cervella\n\nCalma.\n", encoding="utf-8")
    (isolated / "cervella.toml").write_text(
        'brain = "extractive"\n[soul]\nconstitution = "anima.md"\n'
        f'[knowledge]\nfolder = "{planted.as_posix()}"\nembedder = "none"\n',
        encoding="utf-8",
    )
    assert main(["index", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert len(report["redactions"]) == 100
    assert set(report["redactions"][0]) == {"path", "line", "kind"}
    assert main(["index"]) == 0
    printed = capsys.readouterr()
    assert "100 secrets in 20 files are masked" in printed.err
    for command in (
        ["search", "--json", "--top-k", "50"],
        ["search"],
        ["ask", "--json"],
        ["ask"],
        ["ask", "--show-prompt"],
    ):
        for question in ("Quali sono le password degli accessi?", "Qual è la chiave del servizio Stripe?"):
            main([*command, question])
            printed = capsys.readouterr()
            assert "Traceback" not in printed.err
            assert not leaks(printed.out + printed.err), command
    main(["doctor"])
    printed = capsys.readouterr()
    assert not leaks(printed.out + printed.err)
    near = ScriptedBrain("Ecco [F1].", location="local")
    with cervella.Agent(brain=near) as agent:
        reply = agent.ask("Qual è la password della VM?", top_k=50)
        again = reply.citations[0].read()
    assert not leaks(whole(near.prompts) + whole(reply) + whole(again))
    assert "[REDATTO: " in whole(near.prompts[0].passages)
    assert not again.changed
    assert not leaks(caplog.text)
    assert not [name for name, text in stored(isolated) if leaks(text)]


def test_what_is_read_back_is_masked_and_changes_only_with_the_words(tmp_path: Path, index_dir: Path) -> None:
    page = tmp_path / "nota.md"
    page.write_text("# VM\n\nLa password è Girasole77x, il server è a Zurigo.\n", encoding="utf-8")
    KnowledgeIndex(tmp_path, index_dir, embedder="none").update()
    with HybridRetriever(index_dir, folder=tmp_path, embedder="none") as retriever:
        passage = retriever.retrieve("server a Zurigo").passages[0]
        lines = (passage.path, passage.start_line, passage.end_line)
        assert "Girasole" not in passage.text
        assert retriever.lines(*lines) == passage.text
        page.write_text(page.read_text(encoding="utf-8").replace("Zurigo", "Milano"), encoding="utf-8")
        assert "[REDATTO: password]" in (retriever.lines(*lines) or "")
        assert retriever.lines(*lines) != passage.text


def test_new_rules_of_redaction_read_every_file_anew(
    tmp_path: Path, index_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "nota.md").write_text("# VM\n\nLa parola è xyzzy.\n", encoding="utf-8")
    KnowledgeIndex(tmp_path, index_dir, embedder="none").update()
    monkeypatch.setattr("cervella.knowledge.index.ingestion.REDACTION_VERSION", "next")
    monkeypatch.setattr(
        "cervella.knowledge.documents.scan.redact",
        lambda text, path, language: (text.replace("xyzzy", "[REDATTO]"), ()),
    )
    KnowledgeIndex(tmp_path, index_dir, embedder="none").update()
    with HybridRetriever(index_dir, folder=tmp_path, embedder="none") as retriever:
        assert "[REDATTO]" in retriever.retrieve("parola della VM").passages[0].text


def test_a_clean_corpus_raises_hardly_an_alarm(sncp: Path) -> None:
    alarms, chunks = [], 0
    for path in sorted(sncp.rglob("*.md")):
        text = path.read_bytes().decode("utf-8-sig", "replace")
        alarms += [(path.name, secret.kind) for secret in find_secrets(text)]
        chunks += len(chunk(parse(text)))
    assert len(alarms) <= chunks / 1000, alarms
