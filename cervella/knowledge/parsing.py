"""Parsing that ends: a long file is parsed by a process that its own clock stops; then its lines are all there is.

Markdown that somebody built to keep a parser busy, or a program wrote without end, takes a parser minutes. Ordinary
files are parsed here and pay nothing.
"""

from __future__ import annotations

import pickle
import signal
import struct
import subprocess
import sys
import threading
from contextlib import suppress
from types import MappingProxyType
from typing import IO

from cervella.knowledge.markdown import Block, Document, parse, split_lines

__all__ = ["SafeParser", "plain"]

_ORDINARY = 50_000  # characters; what takes a parser longest takes well under a second up to here
_SECONDS, _SECONDS_PER_MILLION = (
    0.4,
    1.1,
)  # of processor time; prose takes 0.1 s a million characters, lists ten times that
_MANY_LINES, _SHORT = 5_000, 10  # more lines than that, of fewer characters on average, are no document
_PATIENCE = 60.0  # seconds on the wall, where the processor's time is counted
_HEAD_LINES, _HEAD = 30, 4_000  # what is looked at for the title and the header of a file that is not parsed
_LENGTH = struct.Struct(">Qd")


class SafeParser:
    """Parses texts, however they are made. Not thread-safe. Close it: a process may wait for more."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def close(self) -> None:
        """End the process, where there is one."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None

    def __enter__(self) -> SafeParser:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def parse(self, text: str, *, budget_seconds: float | None = None) -> tuple[Document, str | None]:
        """A file's text parsed; where that takes too long, its plain lines, and why.

        `budget_seconds` of processor time hold for texts of more than 50,000 characters; by default they are 0.25
        and 0.95 for each million characters.
        """
        lines = text.count("\n")
        if lines > _MANY_LINES and len(text) < _SHORT * lines:
            return plain(text), "it has too many short lines to be a document, so it is cut by its lines"
        if len(text) <= _ORDINARY:
            return parse(text), None
        budget = _SECONDS + _SECONDS_PER_MILLION * len(text) / 1e6 if budget_seconds is None else budget_seconds
        try:
            answer = self._ask(text, budget)
        except (OSError, EOFError, pickle.UnpicklingError):
            self.close()
            return plain(text), f"it could not be parsed within {budget:.1f} s, so it is cut by its lines"
        blocks, title, header = answer
        return Document(
            lines=tuple(split_lines(text)), blocks=blocks, title=title, header=MappingProxyType(header)
        ), None

    def _ask(self, text: str, budget: float) -> tuple[tuple[Block, ...], str, dict[str, str]]:
        process = self._process = self._process or _start()
        assert process.stdin is not None
        assert process.stdout is not None
        # The child's own clock counts its work, so that a busy machine cuts a file like an idle one. Windows has none.
        guard = threading.Timer(4 * budget + (_PATIENCE if hasattr(signal, "setitimer") else 1), process.kill)
        guard.start()
        try:
            data = text.encode("utf-8", "surrogatepass")
            process.stdin.write(_LENGTH.pack(len(data), budget) + data)
            process.stdin.flush()
            (size, _) = _LENGTH.unpack(_exactly(process.stdout, _LENGTH.size))
            answer: tuple[tuple[Block, ...], str, dict[str, str]] = pickle.loads(_exactly(process.stdout, size))
            return answer
        finally:
            guard.cancel()


def plain(text: str) -> Document:
    """A document of one block, which the chunker cuts at its lines; title and header as its first lines give them."""
    lines = split_lines(text)
    head = parse("\n".join(lines[:_HEAD_LINES])[:_HEAD])
    filled = [number for number, line in enumerate(lines, start=1) if line.strip()]
    blocks = (Block(kind="paragraph", start_line=filled[0], end_line=filled[-1]),) if filled else ()
    return Document(lines=tuple(lines), blocks=blocks, title=head.title, header=head.header)


def _start() -> subprocess.Popen[bytes]:
    # Not multiprocessing: its children run the user's own script once more, guarded by __name__ or not.
    code = f"import sys; sys.path[:] = {sys.path!r}; from cervella.knowledge import parsing; parsing._serve()"
    return subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )


def _exactly(stream: IO[bytes], size: int) -> bytes:
    data = stream.read(size)
    if len(data) < size:
        raise EOFError
    return data


def _serve() -> None:
    """What the process does: texts come in, documents without their lines go out, until nobody asks."""
    with suppress(EOFError):
        while True:
            size, budget = _LENGTH.unpack(_exactly(sys.stdin.buffer, _LENGTH.size))
            text = _exactly(sys.stdin.buffer, size).decode("utf-8", "surrogatepass")
            _stop_after(budget)
            document = parse(text)
            _stop_after(0)
            data = pickle.dumps((document.blocks, document.title, dict(document.header)))
            sys.stdout.buffer.write(_LENGTH.pack(len(data), 0) + data)
            sys.stdout.buffer.flush()


def _stop_after(seconds: float) -> None:
    """Have the system end this process when it has worked for so long; 0 for never. Not a handler: a regular
    expression lets none run."""
    if hasattr(signal, "setitimer"):
        signal.signal(signal.SIGPROF, signal.SIG_DFL)
        signal.setitimer(signal.ITIMER_PROF, seconds)
