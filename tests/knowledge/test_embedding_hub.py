"""Models of sentence-transformers that are not on this disk. No test leaves the machine: the hub is a stub."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from cervella.cli.output import warnings_shown
from cervella.errors import KnowledgeError
from cervella.knowledge.embedders.model_hub import wanted_files
from cervella.knowledge.embedders.registry import SentenceTransformer
from tests.conftest import ROOT


class FakeModel:
    asked: ClassVar[list[tuple[str, bool]]] = []
    texts: ClassVar[list[str]] = []

    def __init__(self, where: str, *, device: Any, local_files_only: bool) -> None:
        self.asked.append((Path(where).name, local_files_only))

    def encode(self, texts: list[str], **_: Any) -> np.ndarray:
        self.texts.extend(texts)
        return np.full((len(texts), 2), np.sqrt(0.5))


@pytest.fixture
def fake_model(monkeypatch: pytest.MonkeyPatch) -> type[FakeModel]:
    module = type(sys)("sentence_transformers")
    module.SentenceTransformer = FakeModel  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "sentence_transformers", module)
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    FakeModel.asked.clear()
    FakeModel.texts.clear()
    return FakeModel


def test_only_a_model_that_was_named_is_fetched(
    monkeypatch: pytest.MonkeyPatch, fake_model: type[FakeModel], tmp_path: Path
) -> None:
    fetched: list[str] = []

    def fetch(model: str) -> Path:
        fetched.append(model)
        return tmp_path / model

    here = {"intfloat/multilingual-e5-small": tmp_path / "e5"}
    monkeypatch.setattr("cervella.knowledge.embedders.registry.local_folder", here.get)
    monkeypatch.setattr("cervella.knowledge.embedders.registry.download", fetch)
    assert SentenceTransformer().embed_query("ciao").dtype == np.float32
    assert fetched == []
    SentenceTransformer("altri/modello").embed_passages(["uno"])
    assert fetched == ["altri/modello"]
    monkeypatch.setenv("HF_HUB_OFFLINE", "true")
    here.clear()
    for model in ("", "altri/modello"):
        with pytest.raises(KnowledgeError, match="not on this disk"):
            SentenceTransformer(model).embed_query("x")
    assert fetched == ["altri/modello"]
    assert fake_model.asked == [("e5", True), ("modello", True)]
    assert fake_model.texts == ["query: ciao", "uno"]


def test_a_hub_that_does_not_answer_is_an_error_with_its_cure(
    monkeypatch: pytest.MonkeyPatch, fake_model: type[FakeModel]
) -> None:
    def gone(*_: Any, **__: Any) -> Any:
        raise RuntimeError("no route to the hub")

    monkeypatch.setattr("cervella.knowledge.embedders.registry.local_folder", lambda model: None)
    monkeypatch.setattr("huggingface_hub.model_info", gone)
    with pytest.raises(KnowledgeError, match="no route") as caught:
        SentenceTransformer("altri/modello").embed_query("x")
    assert "name its folder" in str(caught.value.remedy)


def test_what_the_library_warns_of_is_shown_by_the_command(capsys: pytest.CaptureFixture[str]) -> None:
    with warnings_shown():
        logging.getLogger("cervella").warning("downloading %s", "471 MB\x1b[2J")
    logging.getLogger("cervella").warning("after it")
    assert capsys.readouterr().err == "warning: downloading 471 MB\\x1b[2J\n"


def test_of_a_model_one_form_of_the_weights_is_fetched() -> None:
    names = ["1_Pooling/config.json", "model.safetensors", "onnx/model.onnx", "pytorch_model.bin", "tf_model.h5"]
    assert wanted_files(names) == ["1_Pooling/config.json", "model.safetensors"]
    assert wanted_files(["config.json", "pytorch_model.bin"]) == ["config.json", "pytorch_model.bin"]


class FakeHub(BaseHTTPRequestHandler):
    """A stub of the Hugging Face hub with one model, written from the documentation of its API: `/api/models/ID`, its
    tree, and `/ID/resolve/REVISION/FILE`."""

    revision = "a" * 40
    files: ClassVar[dict[str, bytes]] = {
        "config.json": b"{}",
        "model.safetensors": b"w" * 1_200_000,
        "pytorch_model.bin": b"p" * 1_300_000,
        "onnx/model.onnx": b"o" * 1_400_000,
    }
    asked: ClassVar[list[str]] = []

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        path = urllib.parse.urlparse(self.path).path
        self.asked.append(path)
        siblings = [{"rfilename": name, "size": len(data), "blobId": "0"} for name, data in self.files.items()]
        tree = [{"type": "file", "path": one["rfilename"], "size": one["size"], "oid": "0"} for one in siblings]
        if path.startswith("/api/models/prove/modello/tree/"):
            self.answer(json.dumps(tree).encode(), "application/json")
        elif path.startswith("/api/models/prove/modello"):
            about = {"id": "prove/modello", "sha": self.revision, "siblings": siblings}
            self.answer(json.dumps(about).encode(), "application/json")
        elif path.startswith("/prove/modello/resolve/") and path.split("/", 5)[5] in self.files:
            name = path.split("/", 5)[5]
            self.answer(self.files[name], "application/octet-stream", etag=name.replace("/", "-"))
        else:
            self.send_error(404)

    def answer(self, body: bytes, kind: str, etag: str = "x") -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("ETag", f'"{etag}"')
        self.send_header("X-Repo-Commit", self.revision)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        pass


@pytest.fixture
def hub() -> Iterator[str]:
    FakeHub.asked.clear()
    server = ThreadingHTTPServer(("127.0.0.1", 0), FakeHub)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()
    thread.join()


SCRIPT = """
import logging, sys, types
import numpy as np
from cervella.knowledge.embedders.registry import SentenceTransformer

class Model:
    def __init__(self, where, *, device, local_files_only):
        assert local_files_only

    def encode(self, texts, **_):
        return np.full((len(texts), 2), 0.5 ** 0.5)

sys.modules["sentence_transformers"] = types.ModuleType("sentence_transformers")
sys.modules["sentence_transformers"].SentenceTransformer = Model
logging.basicConfig(format="%(name)s %(levelname)s %(message)s")
SentenceTransformer("prove/modello").embed_query("x")
"""


def test_a_download_is_announced_with_its_size_and_asked_for_once(hub: str, tmp_path: Path) -> None:
    # In processes of their own: the hub's library reads its environment when it is imported.
    environment = {
        **os.environ,
        "PYTHONPATH": str(ROOT),
        "HF_ENDPOINT": hub,
        "HF_HOME": str(tmp_path),
        "HF_HUB_DISABLE_PROGRESS_BARS": "1",
        "NO_PROXY": "127.0.0.1",
    }

    def load() -> str:
        command = [sys.executable, "-c", SCRIPT]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stderr

    said = load()
    assert said.count("cervella WARNING the model prove/modello is not on this disk: downloading 1.2 MB") == 1
    fetched = {path.split("/", 5)[5] for path in FakeHub.asked if "/resolve/" in path}
    assert fetched == {"config.json", "model.safetensors"}, "one form of the weights"
    FakeHub.asked.clear()
    assert (load(), FakeHub.asked) == ("", [])
