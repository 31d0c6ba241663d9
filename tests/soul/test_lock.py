"""soul.lock: what it pins, how it is read and written, and what a changed soul meets."""

from __future__ import annotations

import logging
import os
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, strategies as st

import cervella
from cervella.errors import SoulChangedError, SoulError
from cervella.prompt.layout import LAYOUT_VERSION
from cervella.soul import Constitution
from cervella.soul.lock import BrainTokens, Lock, record_verdict
from cervella.soul.lock_check import held_against_lock
from cervella.testing import EchoBrain, FixedRetriever
from tests.conftest import PlainSoul

TEXT = "# Io\n\nSono Cervella. Parlo\npoco.\n\n## Regole\n\n- Una cosa alla volta.\n"
SAID = {"brain": "claude", "model": "m-1", "verdict": "PASS", "score": 0.94, "suite": "a" * 64, "date": "2026-01-20"}
TESTED = {**SAID, "language": "it"}


@pytest.fixture(autouse=True)
def no_ci(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("CI", raising=False)


@pytest.fixture
def page(tmp_path: Path) -> Path:
    path = tmp_path / "anima" / "COSTITUZIONE.md"
    path.parent.mkdir()
    path.write_text(TEXT, encoding="utf-8")
    return path


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "soul.lock"


def pinned(page: Path, path: Path, **options: object) -> Lock:
    lock = Lock.of(Constitution.load(page), path, today="2026-01-15", **options)  # type: ignore[arg-type]
    lock.write(path)
    return lock


def test_what_is_pinned_is_read_back(page: Path, path: Path) -> None:
    brains = [
        BrainTokens(brain="claude", model="m-1", tokens=31, counted=True),
        BrainTokens(brain="vllm", model="m-2", tokens=None, counted=True),
    ]
    lock = pinned(page, path, brains=brains)
    soul = Constitution.load(page)
    assert Lock.load(path) == lock
    assert (lock.fingerprint, lock.text, lock.layout) == (soul.fingerprint, TEXT, LAYOUT_VERSION)
    assert lock.files == {"anima/COSTITUZIONE.md": soul.files[0][1]}
    document = tomllib.loads(path.read_text(encoding="utf-8"))
    assert document["version"] == 1
    assert "tokens" not in document["brains"][1], "unknown is absent, never 0"


def test_the_text_stands_in_the_file_as_people_read_it(page: Path, path: Path) -> None:
    pinned(page, path)
    written = path.read_text(encoding="utf-8")
    assert TEXT in written
    assert str(path.parent) not in written


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\r\0"), min_size=1))
def test_any_text_survives(tmp_path_factory: pytest.TempPathFactory, text: str) -> None:
    path = tmp_path_factory.mktemp("lock") / "soul.lock"
    lock = Lock.of(PlainSoul(text=text), path)
    lock.write(path)
    assert Lock.load(path) == lock
    crlf = path.read_bytes().replace(b"\n", b"\r\n")  # as git checks it out elsewhere
    path.write_bytes(crlf)
    assert Lock.load(path).text == text


def test_a_lock_that_says_the_same_is_not_written_again(page: Path, path: Path) -> None:
    lock = pinned(page, path)
    before = path.stat().st_mtime_ns, path.stat().st_ino
    assert not lock.write(path)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    assert sorted(item.name for item in path.parent.iterdir()) == ["anima", "cwd", "soul.lock"]


def test_a_change_of_the_same_soul_keeps_day_verdicts_and_counts(page: Path, path: Path) -> None:
    lock = pinned(page, path, brains=[BrainTokens(brain="claude", model="m-1", tokens=31, counted=True)])
    assert record_verdict(path, fingerprint=lock.fingerprint, **TESTED)
    earlier = Lock.load(path)
    away = BrainTokens(brain="claude", model="m-1", tokens=None, counted=True)
    other = BrainTokens(brain="echo", model="e", tokens=9, counted=False)
    again = Lock.of(Constitution.load(page), path, brains=[away, other], earlier=earlier, today="2026-02-02")
    assert (again.locked, again.verdicts) == ("2026-01-15", earlier.verdicts)
    assert {one.brain: one.tokens for one in again.brains} == {"claude": 31, "echo": 9}
    assert Lock.of(Constitution.load(page), path, earlier=earlier).brains == earlier.brains


def test_a_changed_soul_keeps_no_verdict(page: Path, path: Path) -> None:
    lock = pinned(page, path, brains=[BrainTokens(brain="claude", model="m-1", tokens=31, counted=True)])
    record_verdict(path, fingerprint=lock.fingerprint, **TESTED)
    page.write_text(TEXT.replace("poco", "molto"), encoding="utf-8")
    new = Lock.of(Constitution.load(page), path, earlier=Lock.load(path), today="2026-02-02")
    assert (new.verdicts, new.brains, new.locked) == ({}, (), "2026-02-02")


def test_the_owners_own_keys_and_the_comments_at_the_head_stay(page: Path, path: Path) -> None:
    lock = pinned(page, path)
    own = '# Approved in the meeting of January.\n\nversion = 1\napproved_by = ["A", "B"]\n'
    tables = '\n[notes]\nwhy = "sì"\n\n[[reviews]]\non = 2026-01-16\ngood = true\n'
    path.write_text(own + path.read_text(encoding="utf-8").partition("version = 1\n")[2] + tables, encoding="utf-8")
    record_verdict(path, fingerprint=lock.fingerprint, **TESTED)
    written = path.read_text(encoding="utf-8")
    assert written.startswith("# Approved in the meeting of January.\n")
    document = tomllib.loads(written)
    assert document["approved_by"] == ["A", "B"]
    assert document["notes"] == {"why": "sì"}
    assert document["reviews"][0]["good"] is True
    assert len(document["verdicts"]) == 1


def test_sentences_that_changed_are_shown_with_their_section(page: Path, path: Path) -> None:
    lock = pinned(page, path)
    page.write_text(
        TEXT.replace("poco", "molto").replace("- Una cosa", "- Mai di fretta.\n- Una cosa"), encoding="utf-8"
    )
    [first, second] = lock.changes_to(Lock.of(Constitution.load(page), path))
    assert (first.section, first.removed, first.added) == ("Io", ("Parlo poco.",), ("Parlo molto.",))
    assert (second.section, second.removed, second.added) == ("Regole", (), ("- Mai di fretta.",))


def test_line_breaks_change_the_soul_and_no_sentence(page: Path, path: Path) -> None:
    lock = pinned(page, path)
    page.write_text(TEXT.replace("Parlo\npoco", "Parlo poco"), encoding="utf-8")
    found = Lock.of(Constitution.load(page), path)
    assert not lock.same_soul(found)
    assert lock.changes_to(found) == ()


def test_a_file_that_changed_outside_the_prompt_changes_no_soul(page: Path, path: Path) -> None:
    lock = pinned(page, path)
    page.write_text(f"{TEXT}## Storia\n<!-- cervella: solo-ricerca -->\n\nTanto tempo fa.\n", encoding="utf-8")
    found = Lock.of(Constitution.load(page), path)
    assert lock.same_soul(found)
    assert lock.changed_files(found) == ("anima/COSTITUZIONE.md",)
    held_against_lock(Constitution.load(page), path, strict=True)


# Verdicts


def test_the_last_verdict_of_a_brain_and_model_is_kept(page: Path, path: Path) -> None:
    lock = pinned(page, path)
    for model, score in (("m-1", 0.5), ("m-2", None), ("m-1", 0.94)):
        assert record_verdict(path, fingerprint=lock.fingerprint, **{**TESTED, "model": model, "score": score})
    verdicts = Lock.load(path).verdicts
    assert {key: one.score for key, one in verdicts.items()} == {("claude", "m-1"): 0.94, ("claude", "m-2"): None}


def test_a_verdict_of_another_soul_or_without_a_lock_is_not_kept(page: Path, path: Path) -> None:
    assert not record_verdict(path, fingerprint="f" * 64, **TESTED)
    assert not path.exists()
    pinned(page, path)
    before = path.read_bytes()
    assert not record_verdict(path, fingerprint="f" * 64, **TESTED)
    other = {**TESTED, "language": "en"}
    assert not record_verdict(path, fingerprint=Lock.load(path).fingerprint, **other)
    assert path.read_bytes() == before


def test_a_verdict_on_another_layout_is_stale_and_never_an_error(
    page: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = pinned(page, path)
    record_verdict(path, fingerprint=lock.fingerprint, **TESTED, layout=LAYOUT_VERSION)
    held_against_lock(Constitution.load(page), path, strict=True)
    assert caplog.records == []
    record_verdict(path, fingerprint=lock.fingerprint, **TESTED, layout=LAYOUT_VERSION - 1)
    assert [one.model for one in Lock.load(path).stale_verdicts] == ["m-1"]
    held_against_lock(Constitution.load(page), path, strict=True)
    [record] = caplog.records
    assert "claude (m-1)" in record.getMessage()
    assert "stale" in record.getMessage()


def test_two_who_record_at_once_both_keep_their_verdict(
    page: Path, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = pinned(page, path)
    real = os.open
    rival = iter([True])

    def interrupted(name: object, *arguments: object) -> int:
        if next(rival, False):
            assert record_verdict(path, fingerprint=lock.fingerprint, **{**TESTED, "brain": "vllm"})
        return real(name, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(os, "open", interrupted)
    assert record_verdict(path, fingerprint=lock.fingerprint, **TESTED)
    assert {brain for brain, _ in Lock.load(path).verdicts} == {"claude", "vllm"}


# A lock that is not one


@pytest.mark.parametrize(
    ("text", "code", "words"),
    [
        ("version = [", "lock_damaged", "damaged"),
        ("", "lock_damaged", "version"),
        ("version = true\n", "lock_damaged", "version"),
        ("version = 2\n[soul]\n", "lock_version", "version 2"),
        ("version = 1\n", "lock_damaged", "'soul' is missing"),
        ("version = 1\nsoul = 3\n", "lock_damaged", "damaged"),
        ("<<<<<<< HEAD\nversion = 1\n", "lock_damaged", "line 1"),
        (b"version = 1 # \xe8\n", "lock_damaged", "utf-8"),
    ],
)
def test_a_lock_that_can_not_be_read_is_an_error_and_is_not_overwritten(
    page: Path, path: Path, text: str | bytes, code: str, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    data = text if isinstance(text, bytes) else text.encode()
    path.write_bytes(data)
    for call in (
        lambda: Lock.load(path),
        lambda: Lock.of(Constitution.load(page), path).write(path),
        lambda: record_verdict(path, fingerprint="f" * 64, **TESTED),
        lambda: held_against_lock(Constitution.load(page), path, strict=True),
    ):
        with pytest.raises(SoulError, match=words) as caught:
            call()
        assert caught.value.code == code
        assert caught.value.remedy
    assert path.read_bytes() == data
    held_against_lock(Constitution.load(page), path)
    assert words in caplog.text


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("Sono Cervella", "Sono Altra", "fingerprint is not that of the text"),
        ("layout = 1", 'layout = "1"', "'layout' is '1'"),
        ("counted = true", "counted = 3", "'counted'"),
        ("score = 0.94", 'score = "alto"', "damaged"),
        ("score = 0.94", "score = nan", "'score' is nan"),
        ("score = 0.94", "score = 7.5", "'score' is 7.5"),
    ],
)
def test_a_lock_that_was_edited_by_hand_is_damaged(page: Path, path: Path, old: str, new: str, words: str) -> None:
    lock = pinned(page, path, brains=[BrainTokens(brain="claude", model="m-1", tokens=31, counted=True)])
    record_verdict(path, fingerprint=lock.fingerprint, **TESTED)
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(SoulError, match=words) as caught:
        Lock.load(path)
    assert caught.value.code == "lock_damaged"


def test_no_lock_and_no_place_for_one(tmp_path: Path, page: Path, path: Path) -> None:
    with pytest.raises(SoulError, match="There is no lock") as caught:
        Lock.load(path)
    assert caught.value.code == "lock_missing"
    with pytest.raises(SoulError, match="can't be read"):
        Lock.load(tmp_path)
    with pytest.raises(SoulError, match="can't be written") as caught:
        Lock.of(PlainSoul(), path).write(page / "soul.lock")
    assert caught.value.code == "lock_unwritable"


# A soul that changed


@pytest.fixture
def house(page: Path, path: Path) -> Path:
    config = path.with_name("cervella.toml")
    config.write_text('[soul]\nconstitution = "anima/COSTITUZIONE.md"\n', encoding="utf-8")
    return config


def agent(house: Path, **options: object) -> cervella.Agent:
    return cervella.Agent(config=house, brain=EchoBrain(), retriever=FixedRetriever(), **options)  # type: ignore[arg-type]


def warned(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]


def test_replies_and_ledger_rows_carry_the_locked_fingerprint(
    house: Path, page: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = pinned(page, path)
    with agent(house) as one:
        reply = one.ask("Ciao?")
        [row] = one.ledger.rows()
    assert reply.soul == row.soul == lock.fingerprint
    assert warned(caplog) == []


def test_a_changed_soul_is_warned_of_once(
    house: Path, page: Path, path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    lock = pinned(page, path)
    page.write_text(TEXT.replace("poco", "molto"), encoding="utf-8")
    with agent(house) as one:
        reply = one.ask("Ciao?")
        one.ask("Ancora?")
        one.with_brain("echo").ask("E tu?")
    assert reply.soul != lock.fingerprint
    [told] = warned(caplog)
    assert lock.fingerprint[:12] in told
    assert "`cervella soul lock`" in told


@pytest.mark.parametrize("how", ["ci", "setting"])
def test_a_changed_soul_is_an_error_in_ci_and_where_the_owner_says_so(
    house: Path, page: Path, path: Path, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    lock = pinned(page, path)
    page.write_text(TEXT.replace("poco", "molto"), encoding="utf-8")
    if how == "ci":
        monkeypatch.setenv("CI", "true")
    else:
        house.write_text(house.read_text(encoding="utf-8") + "strict = true\n", encoding="utf-8")
    with agent(house) as one, pytest.raises(SoulChangedError) as caught:
        one.ask("Ciao?")
    assert (caught.value.locked, caught.value.found) == (lock.fingerprint, Constitution.load(page).fingerprint)
    monkeypatch.setenv("CERVELLA_SOUL__STRICT", "false")
    with agent(house) as one:
        assert one.ask("Ciao?").text


def test_another_language_is_another_soul(house: Path, page: Path, path: Path) -> None:
    pinned(page, path)
    with pytest.raises(SoulChangedError, match="language") as caught:
        held_against_lock(Constitution.load(page, language="pt"), path, strict=True)
    assert (caught.value.locked, caught.value.found) == ("it", "pt")


def test_who_has_no_lock_or_brings_another_soul_hears_nothing(
    house: Path, page: Path, path: Path, caplog: pytest.LogCaptureFixture, tmp_path: Path
) -> None:
    with agent(house) as one:
        one.ask("Ciao?")
    pinned(page, path)
    (tmp_path / "altra.md").write_text("# Altra\n\nAltra.\n", encoding="utf-8")
    with agent(house, constitution=tmp_path / "altra.md") as one:
        one.ask("Ciao?")
    with agent(house, soul=PlainSoul()) as one:
        one.ask("Ciao?")
    assert warned(caplog) == []


def test_a_link_to_the_lock_stays_one(page: Path, tmp_path: Path) -> None:
    real = tmp_path / "cwd" / "soul.lock"
    link = tmp_path / "soul.lock"
    real.write_bytes(b"")
    real.unlink()
    lock = Lock.of(PlainSoul(), real)
    lock.write(real)
    try:
        link.symlink_to(real)
    except OSError:
        pytest.skip("this system makes no links")
    replace(lock, head="# Nostro.\n").write(link)
    assert link.is_symlink()
    assert Lock.load(real).head == "# Nostro.\n"
