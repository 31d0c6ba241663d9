"""Texts that are not UTF-8: cases by somebody who had not read the rules, and the five languages' letters."""

from __future__ import annotations

import base64
import codecs
import json
import random
import time
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.knowledge.documents.encoding import decoded
from cervella.text.language import fold
from tests.conftest import DATA, PATIENCE, PlainSoul

CASES = [json.loads(line) for line in (DATA / "encodings.jsonl").read_text(encoding="utf-8").splitlines()]

WORDS = {"binary": "not_text"}
"""The author's words for reasons, and ours."""
ABSTAINS = {"dove arriva la posta della sede?"}
"""Questions for which the base is too small: with the same file in UTF-8 she abstains too."""


def bare(text: str) -> str:
    return fold(text).replace(" ", "")


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["id"])
def test_a_text_in_another_encoding_answers(case: dict[str, Any], tmp_path: Path, isolated: Path) -> None:
    base, report = tmp_path / "base", case.get("report", {})
    for path, text in case["files"].items():
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_bytes(text.encode())
    for path, encoded in case.get("bytes", {}).items():
        (base / path).parent.mkdir(parents=True, exist_ok=True)
        (base / path).write_bytes(base64.b64decode(encoded))
    with cervella.Agent(knowledge=base, brain="extractive", soul=PlainSoul()) as agent:
        done = agent.index()
        skipped = {one.path: one.reason for one in done.files_skipped}
        assert {
            path: WORDS.get(word, word) for path, word in report.get("skipped", {}).items()
        }.items() <= skipped.items()
        assert not skipped.keys() & set(report.get("indexed", ()))
        for path, names in report.get("told", {}).items():
            assert done.encodings[path] in names
        for row in case.get("ask", ()):
            reply = agent.ask(row["question"])
            first = agent.search(row["question"]).passages[0]
            text = bare(reply.text if row["question"] not in ABSTAINS else first.reading)
            assert all(any(bare(one) in text for one in either) for either in row["must"])
            assert not any(bare(one) in bare(reply.text) for one in row.get("must_not", ()))
            assert first.path == row["source"]
        for row in case.get("search", ()):
            found = agent.search(row["query"]).passages
            assert found[0].path == row["first"]
            assert any(row.get("lines_hold", "") in one.text for one in found if one.path == row["first"])
        for row in case.get("passages", ()):
            found = agent.search(row["holding"]).passages
            [held, *_] = [one for one in found if one.path == row["path"] and row["holding"] in one.text]
            assert all(one in held.reading for one in row.get("reading_has", ()))
            assert not any(one in held.reading for one in row.get("reading_lacks", ()))
            with HybridRetriever(agent.config.knowledge.index, folder=base, embedder="auto") as retriever:
                assert retriever.lines(held.path, held.start_line, held.end_line) == held.text


def texts_of(code: str) -> list[str]:
    rows = map(json.loads, (DATA / "texts-languages.jsonl").read_text(encoding="utf-8").splitlines())
    more = map(json.loads, (DATA / "spanish-german.jsonl").read_text(encoding="utf-8").splitlines())
    return [row["text"] for row in (*rows, *more) if row["language"] == code and not row["text"].isascii()]


@pytest.mark.parametrize("encoding", ["cp1252", "mac_roman", "cp850", "utf-16"])
@pytest.mark.parametrize("code", ["it", "pt", "es", "de"])
def test_each_usual_encoding_of_a_language_is_told_apart(code: str, encoding: str) -> None:
    data = "\n".join(texts_of(code)).encode(encoding, "replace")
    assert decoded(data, code) == (data.decode(encoding), encoding)


@pytest.mark.parametrize("base", ["it", "en", "pt", "es", "de"])
@pytest.mark.parametrize("code", ["it", "pt", "es", "de"])
def test_one_sentence_of_windows_keeps_its_letters_in_a_base_of_any_language(code: str, base: str) -> None:
    texts = [text for text in texts_of(code) if not text.encode("cp1252", "ignore").isascii()]
    wrong = [text for text in texts if decoded(text.encode("cp1252", "ignore"), base) is None]
    wrong += [text for text in texts if decoded(text.encode("cp1252", "ignore"), base)[0] not in text]
    assert len(wrong) <= len(texts) // 25, wrong


@pytest.mark.parametrize(
    ("text", "encoding"),
    [
        ("Costa 30 € e l’anno prossimo “forse” di più…", "cp1252"),
        ("It costs £30 – “all in” – and that’s it.", "cp1252"),
        ("It’s the guests’ own choice.", "cp1252"),
        ("Il po’ di città che c’è", "mac_roman"),
        ("Привет, это заметка о погоде. Завтра будет дождь, и мы не поедем в город.", "cp1251"),
        ("これはテストのメモです。明日は雨が降るでしょう。", "cp932"),
        ("Zażółć gęślą jaźń. Jutro będzie padać deszcz, więc nie pojedziemy.", "cp1250"),
    ],
)
def test_signs_and_other_alphabets_are_read_in_an_italian_base(text: str, encoding: str) -> None:
    assert decoded(text.encode(encoding), "it") == (text, encoding)


@pytest.mark.parametrize("mark", ["utf-8-sig", "utf-16", "utf-32"])
def test_a_mark_at_the_start_decides_and_is_no_text(mark: str) -> None:
    found = decoded("# Perché\r\n".encode(mark), "it")
    assert found == ("# Perché\r\n", "" if mark == "utf-8-sig" else mark)
    assert decoded(codecs.BOM_UTF16_BE + "però\n".encode("utf-16-be"), "it") == ("però\n", "utf-16")


def test_a_character_written_as_two_surrogates_is_one_and_half_of_one_is_lost() -> None:
    assert decoded(b"# ok \xed\xa0\xbd\xed\xb8\x80 a\xed\xa0\x80b\n", "it") == ("# ok \U0001f600 a\ufffdb\n", "")


def test_a_pasted_line_of_another_encoding_spoils_no_other_line() -> None:
    data = "# Perché no\n\nLa città è così.\n".encode() + "Una virtù più antica\n".encode("cp1252")
    assert decoded(data, "it") == ("# Perché no\n\nLa città è così.\nUna virtù più antica\n", "utf-8+cp1252")


@pytest.mark.parametrize(
    "data",
    [
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR",
        b"testo\0",
        b"\xff\xfe\x00\x01",
        bytes(range(256)),
        b"\xff\xfb\x90\x44" + bytes(range(1, 255)) * 4,
        codecs.BOM_UTF16_LE + bytes(random.Random(1).randbytes(4_000)),
    ],
    ids=["png", "nul", "wide", "all", "audio", "noise"],
)
def test_what_is_no_text_is_not_guessed(data: bytes) -> None:
    assert decoded(data, "it") is None
    assert decoded(data, "de") is None


@pytest.mark.parametrize(
    "piece",
    [b"\xe8", "perché ".encode("cp1252"), bytes(range(32, 256)), "è ".encode() + b"\xe8 ", b"a" * 99 + b"\n\xe8"],
    ids=["one byte", "words", "all bytes", "mixed", "lines"],
)
def test_five_megabytes_are_decoded_in_bounded_time(piece: bytes) -> None:
    started = time.process_time()
    assert decoded(piece * (5_000_000 // len(piece)), "it") is not None
    assert time.process_time() - started < PATIENCE / 6


def test_the_lines_of_a_text_are_those_of_the_disk(tmp_path: Path, isolated: Path) -> None:
    text = "# Caffè\r\n\r\nPerché sì.\r\nPiù giù."
    encodings = {"a.md": "cp1252", "b.txt": "utf-16"}
    for name, encoding in encodings.items():
        (tmp_path / name).write_bytes(f"{text} Il caffè {encoding} è buono.".encode(encoding))
    KnowledgeIndex(tmp_path, isolated / "index", embedder="none").update()
    with HybridRetriever(isolated / "index", folder=tmp_path, embedder="none") as retriever:
        for name, encoding in encodings.items():
            assert retriever.lines(name, 3, 4) == f"Perché sì.\nPiù giù. Il caffè {encoding} è buono."
        found = retriever.retrieve("caffè")
        assert {passage.path for passage in found.passages} == {"a.md", "b.txt"}
        assert found.behind == 0
        assert not any(retriever.changed(passage) for passage in found.passages)
