"""A hub on loopback, written from the API as huggingface_hub 2.4 calls it; not verified against the real hub."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit


class Hub:
    """Repositories of files, and the faults that it plays."""

    def __init__(self) -> None:
        self.files: dict[str, dict[str, bytes]] = {}
        self.states: dict[str, str] = {}
        """A file's SHA-256 as the hub states it, where it is not the true one."""
        self.cut_after: list[int] = []
        """Bytes after which each next download is cut off; when the list is empty, none is."""
        self.ignores_ranges = False
        self.failing = False
        self.gated: set[str] = set()
        self.ranges: list[str | None] = []
        """The Range header of every download."""
        self.uncalled_for: list[str] = []
        """Whatever else it was asked."""
        self.sent = 0
        self.url = ""


def _handler(hub: Hub) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, *_: object) -> None:
            pass

        def do_GET(self) -> None:
            path = unquote(urlsplit(self.path).path)
            if hub.failing:
                return self._answer(503, b"")
            if path.startswith("/api/models/"):
                return self._info(path.removeprefix("/api/models/"))
            if "/resolve/main/" not in path:
                hub.uncalled_for.append(path)
                return self._answer(404, b"")
            repository, _, file = path.removeprefix("/cdn").strip("/").partition("/resolve/main/")
            if not path.startswith("/cdn"):  # large files come from another place
                return self._answer(302, b"", {"Location": f"/cdn/{repository}/resolve/main/{file}"})
            return self._file(hub.files[repository][file])

        def _info(self, repository: str) -> None:
            if repository in hub.gated:
                return self._answer(403, b"{}", {"X-Error-Code": "GatedRepo"})
            if repository not in hub.files:
                return self._answer(404, b"{}", {"X-Error-Code": "RepoNotFound"})
            siblings = []
            for path, content in hub.files[repository].items():
                row: dict[str, object] = {"rfilename": path, "size": len(content), "blobId": "0" * 40}
                if not path.endswith(".md"):
                    sha256 = hub.states.get(path, hashlib.sha256(content).hexdigest())
                    row["lfs"] = {"sha256": sha256, "size": len(content), "pointerSize": 134}
                siblings.append(row)
            data = {"id": repository, "siblings": siblings}
            return self._answer(200, json.dumps(data).encode(), {"Content-Type": "application/json"})

        def _file(self, content: bytes) -> None:
            asked = self.headers.get("Range")
            hub.ranges.append(asked)
            begin = 0
            if asked and not hub.ignores_ranges:
                begin = int(asked.removeprefix("bytes=").split("-")[0])
            piece = content[begin:]
            self.send_response(206 if begin else 200)
            self.send_header("Content-Length", str(len(piece)))
            if begin:
                self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
            self.end_headers()
            if hub.cut_after:
                piece = piece[: hub.cut_after.pop(0)]
                self.close_connection = True
            self.wfile.write(piece)
            hub.sent += len(piece)

        def _answer(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
            self.send_response(status)
            for name, value in (headers or {}).items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

    return Handler


@contextmanager
def running_hub() -> Iterator[Hub]:
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(hub))
    server.daemon_threads = True
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
