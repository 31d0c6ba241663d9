"""The subject of a document that its text may not repeat: its title, or the name of its file."""

from __future__ import annotations

import re

from cervella.knowledge.documents.markdown import Document
from cervella.text.language import Language

_DATE = re.compile(r"(?<!\d)(?:19|20)\d\d[-_. ]?\d\d[-_. ]?\d\d(?!\d)")
_SEPARATORS = re.compile(r"[\s_]+")
_ENDING = re.compile(r"(?<=\w)\.(?:md|mdx|markdown|txt)\b", re.IGNORECASE)
_OF_THE_FOLDER = frozenset({"readme", "index", "_index"})
"""Names of files that stand for the folder that contains them."""


def subject_of(document: Document, path: str) -> str:
    """What the document is about, if no heading above all of its text says so; else empty.

    It is the title in its front matter, else the name of its file, or of the folder for a README.
    """
    if document.front.title:
        return document.front.title
    return "" if document.named else name_of(path)


def name_of(path: str) -> str:
    """The name of a file in words: without folders, ending, dates and underscores. Empty if nothing else is left.

    Hyphens stay, because they may belong to a name such as that of a command.

    >>> name_of("prezzi/2026-01-12_nuova-caparra.md"), name_of("api/README.md"), name_of("2026-01-12.md")
    ('nuova-caparra', 'api', '')
    """
    folder, _, file = path.rpartition("/")
    name = file.rsplit(".", 1)[0] if "." in file else file
    if name.casefold() in _OF_THE_FOLDER:
        name = folder.rsplit("/", 1)[-1]
    words = _SEPARATORS.sub(" ", _DATE.sub(" ", name)).strip(" -–—")
    return words if any(map(str.isalpha, words)) else ""


def without_endings(text: str) -> str:
    """A question without the endings of the files that it names, so that their names are words like others.

    >>> without_endings("Che cosa c'è in prezzi.md?")
    "Che cosa c'è in prezzi?"
    """
    return _ENDING.sub("", text)


def file_names(path: str, lang: Language) -> tuple[str, ...]:
    """What a file is called: its name in words, and the date in it, in figures and in words with its year and without.

    >>> from cervella.text.language import language
    >>> file_names("diario/2026-01-12.md", language("it")), file_names("nuova-caparra.md", language("it"))
    (('2026-01-12', '12 gennaio 2026', '12 gennaio'), ('nuova-caparra',))
    """
    date = lang.find_date(path.rpartition("/")[2]) or ""
    spelled = lang.format_date(date) if date else ""
    return tuple(filter(None, (name_of(path), date, spelled, spelled.replace(date[:4], "").strip(" ,"))))
