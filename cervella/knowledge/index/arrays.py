"""Reads numpy arrays from a zip file that somebody else may have made: no objects, and no more than the file can have.

A header can ask for more memory than any machine has, and a compressed array can be a thousand times as long as its
bytes. So the size of an array is compared with its header and with the size of the file before it is read.
"""

from __future__ import annotations

import math
import zlib
from pathlib import Path
from typing import IO, TYPE_CHECKING
from zipfile import BadZipFile, ZipFile

from cervella.process.files import open_regular

if TYPE_CHECKING:
    import numpy as np

UNREADABLE = (
    *(OSError, ValueError, LookupError, EOFError, TypeError, MemoryError, OverflowError, NotImplementedError),
    *(RuntimeError, BadZipFile, zlib.error, SyntaxError),
)
"""The errors of a damaged file of arrays. numpy parses a header as Python, so a SyntaxError is one of them."""
_MOST_TIMES = 200
"""The space of an array over that of the file. In a large lexical index it is at most about 10."""
_ALWAYS = 16_000_000
"""Bytes that an array may have however small the file is."""
_KINDS = frozenset("biufU")


def read_arrays(file: Path | IO[bytes], *names: str) -> dict[str, np.ndarray]:
    """The arrays with these names. Raises the errors of `UNREADABLE`."""
    if isinstance(file, Path):
        with open_regular(file) as opened:
            return read_arrays(opened, *names)
    size = file.seek(0, 2)
    with ZipFile(file) as archive:
        return {name: _read(archive, f"{name}.npy", max(_ALWAYS, _MOST_TIMES * size)) for name in names}


def _read(archive: ZipFile, name: str, most_bytes: int) -> np.ndarray:
    from numpy.lib import format as npy

    size = archive.getinfo(name).file_size
    with archive.open(name) as part:
        version = npy.read_magic(part)
        header = npy.read_array_header_1_0 if version == (1, 0) else npy.read_array_header_2_0
        shape, _, kind = header(part)
        if kind.hasobject or kind.kind not in _KINDS:
            raise ValueError(f"{name!r} is an array of objects")
        if size > most_bytes or math.prod(shape) * kind.itemsize > size:
            raise ValueError(f"{name!r} is longer than its file")
    with archive.open(name) as part:
        return npy.read_array(part, allow_pickle=False)
