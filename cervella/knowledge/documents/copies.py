"""Recognises the copies of a document, whatever their names, places, encodings and line ends."""

from __future__ import annotations

import hashlib
import unicodedata

from cervella.text.folding import without_invisible


def document_digest(text: str) -> str:
    """The SHA-256 of a document's text in hexadecimal, the same for all its copies; empty if it has no text.

    The Unicode form, invisible characters such as a byte order mark, line ends and the amount of white space are
    ignored.

    >>> document_digest("# Nota\\n\\nUno.") == document_digest("\\ufeff# Nota\\r\\n\\r\\nUno.  \\r\\n")
    True
    """
    words = " ".join(without_invisible(unicodedata.normalize("NFC", text)).split())
    return hashlib.sha256(words.encode("utf-8", "replace")).hexdigest() if words else ""
