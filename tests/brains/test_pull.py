"""Fetching a model: from a stub of the hub on loopback, driven by huggingface_hub's own client."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from filelock import FileLock

from cervella.brains.embedded.pull import PulledModel, models_folder, pull_model, suggested_models
from cervella.cli import main
from cervella.errors import BrainError, BrainNotInstalledError, BrainUnavailableError
from tests.fixtures.hub_stub import Hub, running_hub

huggingface_hub = pytest.importorskip("huggingface_hub", reason="wants pip install 'cervella[embedded]'")

REPOSITORY, FILE = "owner/small-GGUF", "small-Q4_K_M.gguf"
MODEL = b"GGUF" + (3).to_bytes(4, "little") + bytes(16) + random.Random(0).randbytes(300_000)
NAME = f"{REPOSITORY}/{FILE}"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    from huggingface_hub import constants, file_download

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr(constants, "DOWNLOAD_CHUNK_SIZE", 2**14)
    monkeypatch.setattr(file_download, "time", SimpleNamespace(sleep=lambda _: None))
    huggingface_hub.close_session()
    with running_hub() as made:
        made.files[REPOSITORY] = {FILE: MODEL, "small-Q8_0.gguf": MODEL + b"8", "README.md": b"# small"}
        yield made
    huggingface_hub.close_session()


def pull(hub: Hub, folder: Path, model: str = NAME, **more: Any) -> PulledModel:
    return pull_model(model, folder, endpoint=hub.url, **more)


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock")) if folder.exists() else []


def test_a_model_comes_whole_and_verified(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "models"
    steps: list[tuple[str, int, int]] = []
    pulled = pull(hub, folder, progress=lambda *step: steps.append(step))
    assert pulled.path == folder / FILE
    assert pulled.path.read_bytes() == MODEL
    assert (pulled.size, pulled.fetched) == (len(MODEL), len(MODEL))
    assert pulled.sha256 == hashlib.sha256(MODEL).hexdigest()
    assert left(folder) == [FILE]
    assert {what.split(" ")[-1] for what, _, _ in steps} == {"MB"}
    assert len(steps) > 10


def test_what_is_there_is_verified_and_not_fetched_again(hub: Hub, tmp_path: Path) -> None:
    pull(hub, tmp_path / "m")
    assert pull(hub, tmp_path / "m").fetched == 0
    (tmp_path / "m" / FILE).write_bytes(MODEL[:-1] + b"x")
    assert pull(hub, tmp_path / "m").fetched == len(MODEL), "a damaged file of the right size is replaced"
    assert (tmp_path / "m" / FILE).read_bytes() == MODEL


def test_who_interrupts_it_goes_on_where_it_was(hub: Hub, tmp_path: Path) -> None:
    folder, pieces = tmp_path / "m", 0

    def interrupt(*_: object) -> None:
        nonlocal pieces
        pieces += 1
        if pieces == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(hub, folder, progress=interrupt)
    (part,) = left(folder)
    assert part.endswith(".part")
    kept = (folder / part).stat().st_size
    assert 0 < kept < len(MODEL)
    pulled = pull(hub, folder)
    assert hub.ranges[-1] == f"bytes={kept}-"
    assert pulled.fetched == len(MODEL) - kept
    assert pulled.path.read_bytes() == MODEL
    assert left(folder) == [FILE]


def test_a_connection_that_breaks_off_is_taken_up_again_in_the_same_run(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = [100_000, 50_000]
    assert pull(hub, tmp_path / "m").path.read_bytes() == MODEL
    assert hub.ranges[0] is None
    assert len(hub.ranges) == 3
    assert all(asked and asked != "bytes=0-" for asked in hub.ranges[1:])


def test_a_network_that_stays_away_is_an_error_and_what_came_is_kept(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    hub.cut_after = [100_000, *[0] * 20]
    with pytest.raises(BrainUnavailableError) as raised:
        pull(hub, folder)
    assert (raised.value.code, raised.value.retryable) == ("download_failed", True)
    assert "goes on" in str(raised.value.remedy)
    hub.cut_after = []
    pulled = pull(hub, folder)
    assert pulled.fetched < len(MODEL) - 80_000
    assert pulled.path.read_bytes() == MODEL


def test_a_server_that_knows_no_ranges_sends_it_all_again(hub: Hub, tmp_path: Path) -> None:
    folder = tmp_path / "m"
    folder.mkdir()
    sha256 = hashlib.sha256(MODEL).hexdigest()
    (folder / f"{FILE}.{sha256[:12]}.part").write_bytes(MODEL[:1000])
    hub.ignores_ranges = True
    assert pull(hub, folder).path.read_bytes() == MODEL


@pytest.mark.parametrize("how", ["wrong checksum", "no model", "part of another"])
def test_what_did_not_come_as_it_should_never_gets_its_name(hub: Hub, tmp_path: Path, how: str) -> None:
    folder = tmp_path / "m"
    if how == "wrong checksum":
        hub.states[FILE] = "ab" * 32
    elif how == "no model":
        hub.files[REPOSITORY][FILE] = b"<html>" * 1000
    else:
        folder.mkdir()
        sha256 = hashlib.sha256(MODEL).hexdigest()
        (folder / f"{FILE}.{sha256[:12]}.part").write_bytes(b"x" * 1000)
    with pytest.raises(BrainError) as raised:
        pull(hub, folder)
    assert raised.value.code == "model_damaged"
    assert raised.value.remedy
    assert left(folder) == [], "the next run begins anew"
    if how == "part of another":
        assert pull(hub, folder).path.read_bytes() == MODEL


def test_no_room_is_said_before_anything_is_fetched(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("cervella.brains.embedded.pull.shutil.disk_usage", lambda _: SimpleNamespace(free=1000))
    with pytest.raises(BrainError) as raised:
        pull(hub, tmp_path / "m")
    assert raised.value.code == "disk_full"
    assert "0.00 are free" in raised.value.message
    assert "--to" in str(raised.value.remedy)
    assert hub.sent == 0


def test_a_disk_that_fills_up_on_the_way_is_told_as_that(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr("huggingface_hub.file_download.http_get", full)
    with pytest.raises(BrainError) as raised:
        pull(hub, tmp_path / "m")
    assert raised.value.code == "disk_full"


def test_a_folder_that_cannot_be_made_is_told(hub: Hub, tmp_path: Path) -> None:
    (tmp_path / "m").write_text("a file", encoding="utf-8")
    with pytest.raises(BrainError) as raised:
        pull(hub, tmp_path / "m")
    assert raised.value.code == "model_not_written"


def test_two_at_once_do_not_write_into_one_file(hub: Hub, tmp_path: Path) -> None:
    sha256 = hashlib.sha256(MODEL).hexdigest()
    with FileLock(tmp_path / f"{FILE}.{sha256[:12]}.part.lock"), pytest.raises(BrainError) as raised:
        pull(hub, tmp_path)
    assert raised.value.code == "model_busy"
    assert FILE in raised.value.message


@pytest.mark.parametrize(
    ("model", "says"),
    [
        (f"{REPOSITORY}/other.gguf", "small-Q8_0.gguf"),
        ("owner/nothing", "no repository"),
        ("qwen3-4bb", "Did you mean 'qwen3-4b'"),
        ("owner/", "OWNER/REPOSITORY"),
        ("../../etc/passwd", "no repository"),
        ("", "pull --list"),
    ],
)
def test_a_model_that_there_is_not_is_an_error_that_names_what_there_is(
    hub: Hub, tmp_path: Path, model: str, says: str
) -> None:
    with pytest.raises(BrainError) as raised:
        pull(hub, tmp_path / "m", model)
    assert raised.value.code == "model_unknown"
    assert says in f"{raised.value.message} {raised.value.remedy}"


def test_a_repository_alone_stands_for_its_one_file_in_the_usual_quantisation(hub: Hub, tmp_path: Path) -> None:
    assert pull(hub, tmp_path / "m", REPOSITORY).path.name == FILE
    hub.files[REPOSITORY]["large-Q4_K_M.gguf"] = MODEL
    with pytest.raises(BrainError, match="not exactly one file"):
        pull(hub, tmp_path / "m", REPOSITORY)


def test_a_file_in_a_folder_of_its_repository_stays_in_ours(hub: Hub, tmp_path: Path) -> None:
    hub.files[REPOSITORY]["deep/er-Q6_K.gguf"] = MODEL
    assert pull(hub, tmp_path / "m", f"{REPOSITORY}/deep/er-Q6_K.gguf").path == tmp_path / "m" / "er-Q6_K.gguf"


def test_a_gated_repository_says_where_its_terms_are(hub: Hub, tmp_path: Path) -> None:
    hub.gated.add(REPOSITORY)
    with pytest.raises(BrainError) as raised:
        pull(hub, tmp_path / "m")
    assert raised.value.code == "model_gated"
    assert f"https://huggingface.co/{REPOSITORY}" in str(raised.value.remedy)


def test_without_the_package_the_error_names_the_extra(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(BrainNotInstalledError) as raised:
        pull_model("qwen3-4b", tmp_path)
    assert raised.value.extra == "embedded"


def test_the_suggested_models_are_dated_and_whole() -> None:
    date, models = suggested_models()
    assert date.count("-") == 2
    assert len(models) >= 4
    for model in models:
        assert model.file.endswith("Q4_K_M.gguf")
        assert model.repository.count("/") == 1
        assert 0 < model.gigabytes < model.ram_gigabytes < 2 * model.gigabytes + 1
        assert model.licence


def run(hub: Hub, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "cervella", "brains", "pull", *arguments],
        env={**os.environ, "HF_ENDPOINT": hub.url, "NO_PROXY": "127.0.0.1"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_the_command_prints_the_lines_to_paste_and_no_progress_off_a_terminal(hub: Hub, tmp_path: Path) -> None:
    import tomllib

    done = run(hub, NAME, "--to", str(tmp_path / "m"))
    assert done.returncode == 0, done.stderr
    assert tomllib.loads(done.stdout) == {"brains": {"embedded": {"model": str(tmp_path / "m" / FILE)}}}
    assert len(done.stderr.splitlines()) == 1
    assert hub.uncalled_for == []
    again = run(hub, NAME, "--to", str(tmp_path / "m"), "--json")
    assert json.loads(again.stdout)["fetched_bytes"] == 0
    hub.failing = True
    failed = run(hub, NAME, "--to", str(tmp_path / "n"))
    assert (failed.returncode, failed.stdout) == (1, "")
    assert [line.split(":")[0] for line in failed.stderr.splitlines()] == ["error", "help"]


def test_the_list_is_shown_without_any_network(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["brains", "pull", "--list"]) == 0
    assert "qwen3-4b" in capsys.readouterr().out
    assert main(["brains", "pull", "--list", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert set(data["models"][0]) == {"name", "repository", "file", "gigabytes", "ram_gigabytes", "licence"}
    assert data["folder"] == str(models_folder())
    assert main(["brains", "pull"]) == 2
    assert "--list" in capsys.readouterr().err


def test_no_network_at_all_is_an_error_with_its_cure(tmp_path: Path, hub: Hub) -> None:
    with pytest.raises(BrainUnavailableError) as raised:
        pull_model(NAME, tmp_path / "m", endpoint="http://127.0.0.1:9")
    assert raised.value.code == "download_failed"
