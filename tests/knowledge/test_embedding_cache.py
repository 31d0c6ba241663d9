from __future__ import annotations

import logging
import multiprocessing
import os
import sqlite3
import stat
from pathlib import Path

import numpy as np
import pytest

from cervella.knowledge.embedders.cache import EmbeddingCache, default_cache_folder

TEXTS = [f"testo {number}" for number in range(40)]


def vectors(seed: int = 0, count: int = len(TEXTS)) -> np.ndarray:
    made = np.random.default_rng(seed).standard_normal((count, 384)).astype(np.float32)
    return made / np.linalg.norm(made, axis=1, keepdims=True)


@pytest.fixture
def cache(tmp_path: Path) -> EmbeddingCache:
    return EmbeddingCache(tmp_path / "cache")


def file_of(cache: EmbeddingCache) -> Path:
    [file] = cache.folder.glob("*.sqlite")
    return file


def held(cache: EmbeddingCache, fingerprint: str = "a", texts: list[str] = TEXTS) -> int:
    return sum(vector is not None for vector in cache.get(fingerprint, texts))


def test_what_is_put_is_found_bit_by_bit_by_another_cache_of_the_same_folder(cache: EmbeddingCache) -> None:
    cache.put("a", TEXTS, vectors())
    found = EmbeddingCache(cache.folder).get("a", [*TEXTS, "mai visto"])
    assert found.pop() is None
    assert np.array(found).dtype == np.float32
    assert np.array_equal(np.array(found).view(np.uint32), vectors().view(np.uint32))


def test_another_embedder_finds_nothing(cache: EmbeddingCache) -> None:
    cache.put("a", TEXTS, vectors())
    assert held(cache, "b") == 0


def test_the_first_vector_of_a_text_stays(cache: EmbeddingCache) -> None:
    cache.put("a", TEXTS[:1], vectors(1, 1))
    cache.put("a", TEXTS[:1], vectors(2, 1))
    [found] = cache.get("a", TEXTS[:1])
    assert np.array_equal(found, vectors(1, 1)[0])


def test_texts_that_are_no_unicode_are_told_apart(cache: EmbeddingCache) -> None:
    cache.put("a", ["mezzo \ud83d", "mezzo ?", ""], vectors(0, 3))
    assert np.array_equal(np.array(cache.get("a", ["mezzo \ud83d", "mezzo ?", ""])), vectors(0, 3))


def test_an_accident_of_the_embedder_is_not_kept(cache: EmbeddingCache) -> None:
    broken = vectors(0, 2)
    broken[1, 7] = np.nan
    cache.put("a", TEXTS[:2], broken)
    assert [vector is not None for vector in cache.get("a", TEXTS[:2])] == [True, False]


def test_looking_makes_no_file(cache: EmbeddingCache) -> None:
    assert held(cache) == 0
    cache.forget(TEXTS)
    cache.put("a", [], [])
    assert not cache.folder.exists()


@pytest.mark.skipif(os.name != "posix", reason="rights are POSIX's")
def test_it_is_nobody_elses_business(cache: EmbeddingCache) -> None:
    cache.put("a", TEXTS, vectors())
    assert stat.S_IMODE(cache.folder.stat().st_mode) == 0o700
    assert {stat.S_IMODE(file.stat().st_mode) for file in cache.folder.iterdir()} == {0o600}


def test_no_text_is_in_it(cache: EmbeddingCache) -> None:
    cache.put("impronta-dell-embedder", ["parolaintrovabile"], vectors(0, 1))
    for file in cache.folder.iterdir():
        assert b"parolaintrovabile" not in file.read_bytes()
        assert b"impronta" not in file.read_bytes()


def test_what_is_forgotten_is_in_no_byte_of_it(cache: EmbeddingCache) -> None:
    cache.put("a", TEXTS, vectors(0))
    cache.put("b", TEXTS, vectors(1))
    cache.forget(TEXTS[:5])
    assert (held(cache, "a"), held(cache, "b")) == (35, 35)
    left = b"".join(file.read_bytes() for file in cache.folder.iterdir())
    for seed in (0, 1):
        assert not any(vector[:8].tobytes() in left for vector in vectors(seed)[:5])
        assert all(vector[:8].tobytes() in left for vector in vectors(seed)[5:])


def test_beyond_its_bound_the_oldest_go(tmp_path: Path) -> None:
    cache = EmbeddingCache(tmp_path / "cache", max_bytes=200_000)  # of about 120 vectors
    for number in range(20):
        cache.put("a", [f"{number} {text}" for text in TEXTS], vectors(number))
        assert held(cache, texts=[f"{number} {text}" for text in TEXTS]) == len(TEXTS), "the newest are there"
    assert held(cache, texts=[f"0 {text}" for text in TEXTS]) == 0
    assert file_of(cache).stat().st_size < 400_000


def _put(folder: Path, number: int) -> None:
    cache = EmbeddingCache(folder)
    for start in range(0, len(TEXTS), 4):
        cache.put("a", TEXTS[start : start + 4], vectors()[start : start + 4])
        cache.put(f"own {number}", TEXTS[start : start + 4], vectors(number)[start : start + 4])


def test_several_processes_share_it(cache: EmbeddingCache) -> None:
    context = multiprocessing.get_context("spawn")
    processes = [context.Process(target=_put, args=(cache.folder, number)) for number in range(3)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0, 0, 0]
    assert np.array_equal(np.array(cache.get("a", TEXTS)), vectors())
    for number in range(3):
        assert np.array_equal(np.array(cache.get(f"own {number}", TEXTS)), vectors(number))


@pytest.mark.parametrize("damage", ["no database", "empty", "cut", "another layout"])
def test_a_damaged_file_is_thrown_away_and_said(
    cache: EmbeddingCache, damage: str, caplog: pytest.LogCaptureFixture
) -> None:
    cache.put("a", TEXTS, vectors())
    file = file_of(cache)
    if damage == "another layout":
        database = sqlite3.connect(file)
        with database:
            database.execute("DROP TABLE vectors")
            database.execute("CREATE TABLE vectors (altro TEXT)")
        database.close()
    else:
        data = file.read_bytes()
        kinds = {"no database": b"non e' un database" * 500, "empty": b"", "cut": data[: len(data) // 2]}
        file.write_bytes(kinds[damage])
    with caplog.at_level(logging.WARNING, "cervella"):
        assert held(cache) == 0
    if damage != "empty":  # that is a cache that holds nothing
        assert "deleted" in caplog.text
    cache.put("a", TEXTS, vectors())
    assert np.array_equal(np.array(cache.get("a", TEXTS)), vectors())


def test_a_flipped_byte_is_never_taken_for_a_vector(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    cache = EmbeddingCache(tmp_path / "cache")
    cache.put("a", TEXTS, vectors())
    file = file_of(cache)
    whole = file.read_bytes()
    rng = np.random.default_rng(4)
    places = {*range(100), *(int(place) for place in rng.integers(0, len(whole), 150))}
    for place in places:
        broken = bytearray(whole)
        broken[place] ^= 0xFF
        file.write_bytes(broken)
        for found, vector in zip(EmbeddingCache(cache.folder).get("a", TEXTS), vectors(), strict=True):
            assert found is None or np.array_equal(found, vector), place
    assert "deleted" in caplog.text


@pytest.mark.parametrize("trouble", ["a file in its way", "busy", "not ours to read"])
def test_a_cache_that_cant_be_used_costs_a_warning_and_no_more(
    tmp_path: Path, trouble: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = EmbeddingCache(tmp_path / "cache")
    blocker: sqlite3.Connection | None = None
    if trouble == "a file in its way":
        cache.folder.write_text("un file")
    else:
        cache.put("a", TEXTS, vectors())
    if trouble == "busy":
        monkeypatch.setattr("cervella.knowledge.embedders.cache._BUSY_SECONDS", 0.05)
        blocker = sqlite3.connect(file_of(cache), isolation_level=None)
        blocker.execute("BEGIN EXCLUSIVE")
    if trouble == "not ours to read":

        def refuse(*_: object, **__: object) -> object:
            raise PermissionError("vietato")

        monkeypatch.setattr(Path, "exists", refuse)
    with caplog.at_level(logging.WARNING, "cervella"):
        cache.put("a", ["nuovo"], vectors(3, 1))
        assert cache.get("a", ["nuovo"]) == [None]
        cache.forget(["nuovo"])
    assert [record.message.count("is ignored") for record in caplog.records] == [1], "it is said once"
    if blocker:
        blocker.close()
        assert held(EmbeddingCache(cache.folder)) == len(TEXTS), "nothing was thrown away"


def test_by_default_it_is_the_users_and_no_projects() -> None:
    assert default_cache_folder().is_absolute()
    assert "cervella" in default_cache_folder().parts
