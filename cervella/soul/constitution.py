"""Reads the Constitution, a markdown document whose text is the system prompt."""

from __future__ import annotations

import errno
import hashlib
import os
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path

from cervella.errors import SoulError, refused
from cervella.privacy.redaction import find_secrets
from cervella.prompt.layout import estimate_tokens
from cervella.text.language import DEFAULT_LANGUAGE, known_languages, language as language_of

RETRIEVAL_ONLY = "<!-- cervella: solo-ricerca -->"
"""A comment (`solo-ricerca` is Italian for "search only") that its author writes on the line after a heading. It
excludes the section from the system prompt; a search still finds the section."""

_MARKER = re.compile(r"<!--\s*cervella:\s*solo-ricerca\s*-->", re.IGNORECASE)
_ANY_MARKER = re.compile(r"<!--\s*cervella:.*?(?:-->|\Z)", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A heading and the text below it, up to the next heading."""

    title: str
    """The heading. Empty for the text before the first heading."""
    level: int
    """Level of the heading, 1 to 6. 0 for the text before the first heading."""
    path: Path
    start_line: int
    """1-based, inclusive."""
    end_line: int
    """1-based, inclusive."""
    text: str
    kept: bool
    """Whether the section is part of the system prompt."""

    @property
    def tokens(self) -> int:
        """The estimated number of tokens of the section: ceil(characters / 3)."""
        return estimate_tokens(self.text)


@dataclass(frozen=True, kw_only=True)
class Constitution:
    """A soul read from markdown. Load one with `Constitution.load`."""

    name: str
    language: str
    sections: tuple[Section, ...]
    files: tuple[tuple[Path, str], ...]
    """The path of each file, with the SHA-256 of its bytes."""
    fingerprint: str = field(init=False)
    """SHA-256 of the system prompt in UTF-8."""

    def __post_init__(self) -> None:
        prompt = self.system_prompt().encode()
        object.__setattr__(self, "fingerprint", hashlib.sha256(prompt).hexdigest())

    def system_prompt(self) -> str:
        """The text of all files, without the excluded sections, with a blank line between the files.

        The library adds no text. Line ends become \\n, so that the soul is the same on every operating system.
        """
        texts = []
        for path, _ in self.files:
            texts.append("".join(section.text for section in self.sections if section.path == path and section.kept))
        *earlier, last = [text for text in texts if text.strip()] or [""]
        return "".join(f"{text}\n" if text.endswith("\n") else f"{text}\n\n" for text in earlier) + last

    @property
    def tokens(self) -> int:
        """The estimated number of tokens of the system prompt: ceil(characters / 3)."""
        return estimate_tokens(self.system_prompt())

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        also: Iterable[str | os.PathLike[str]] = (),
        *,
        language: str = DEFAULT_LANGUAGE,
        max_tokens: int = 3000,
        name: str | None = None,
    ) -> Constitution:
        """Read the Constitution from a file, followed by the files in `also`.

        `language` is the ISO 639-1 code of the persona's language. `max_tokens` limits the system prompt, estimated as
        ceil(characters / 3). `name` is the persona's name; the default is the trait `nome: …` ("name"), else the first
        heading, else the name of the file. Raises SoulError if a file can't be read or contains a secret, or if the
        system prompt is empty or too long.
        """
        paths = [Path(path), *map(Path, also)]
        if len(set(paths)) < len(paths):
            raise SoulError(
                "A file is named twice as part of the soul.", remedy="Name it once, in constitution or in also."
            )
        files, sections = [], []
        for file in paths:
            text, digest = _read(file)
            files.append((file, digest))
            sections += sections_of(text, file)
        soul = cls(
            name=name or _name(sections) or paths[0].stem,
            language=language,
            sections=tuple(sections),
            files=tuple(files),
        )
        if not soul.system_prompt().strip():
            raise SoulError(
                f"The Constitution {str(paths[0])!r} leaves no text for the system prompt.",
                remedy=f"Describe the persona in it, or remove {RETRIEVAL_ONLY} from sections that belong to her.",
            )
        if soul.tokens > max_tokens:
            raise _over_budget(soul, max_tokens)
        return soul


def _read(path: Path) -> tuple[str, str]:
    with refused(
        SoulError,
        f"The Constitution {str(path)!r} can't be read",
        remedy="Check that it is a file and that you may read it.",
    ):
        if not path.exists():
            raise SoulError(
                f"There is no Constitution at {str(path)!r}.",
                remedy="Write one there (`cervella init` makes a first one), or point [soul] constitution at yours.",
                code="soul_missing",
            )
        if not path.is_file():  # reading a pipe could block forever
            raise OSError(errno.EINVAL, "it is not a regular file", str(path))
        data = path.read_bytes()
        text = data.decode("utf-8-sig")
    if "\0" in text:
        raise SoulError(
            f"The Constitution {str(path)!r} is not text: it contains NUL bytes.",
            remedy="Set [soul] constitution to a markdown file.",
        )
    text = text.replace("\r\n", "\n").replace("\r", "\n")
    for secret in find_secrets(text):
        raise SoulError(
            f"The Constitution {str(path)!r} contains a secret ({secret.kind.replace('_', ' ')}) at line "
            f"{text.count(chr(10), 0, secret.start) + 1}.",
            remedy="Remove it, because the Constitution is sent to every brain.",
            code="secret_in_soul",
        )
    return text, hashlib.sha256(data).hexdigest()


def sections_of(text: str, path: Path = Path()) -> list[Section]:
    """Split a markdown text at its headings into sections, in order.

    Raises SoulError if a comment such as `RETRIEVAL_ONLY` is misspelt or is not on the line after a heading, because it
    would then exclude no section. `path` is the file of the text.
    """
    from markdown_it import MarkdownIt

    lines = re.findall(r"[^\n]*\n|[^\n]+", text)  # str.splitlines would also cut at form feeds
    tokens = MarkdownIt("commonmark").parse(text)
    heads: list[tuple[int, int, str]] = [(0, 0, "")]  # line, level, title; first the text before the first heading
    cut: set[int] = set()  # numbers in `heads` of the sections that a marker keeps from the prompt
    ends: dict[int, int] = {}  # line after a heading -> its number in `heads`
    for number, token in enumerate(tokens):
        if token.type == "heading_open" and token.level == 0 and token.map:
            ends[token.map[1]] = len(heads)
            heads.append((token.map[0], int(token.tag[1]), tokens[number + 1].content))
        elif token.type == "html_block" and token.map and _ANY_MARKER.search(token.content):
            if token.map[0] not in ends or not _MARKER.match(token.content.lstrip()):
                raise _misplaced(path, token.map[0])
            cut.add(ends[token.map[0]])
        elif any(child.type == "html_inline" and _ANY_MARKER.search(child.content) for child in token.children or ()):
            # In a paragraph or on the line of the heading, the comment would not exclude the section.
            raise _misplaced(path, token.map[0] if token.map else 0)
    sections = []
    below: int | None = None  # the level of the cut section that we are in
    for number, (start, level, title) in enumerate(heads):
        end = heads[number + 1][0] if number + 1 < len(heads) else len(lines)
        if number == 0 and end == 0 and len(heads) > 1:
            continue  # the text begins with a heading
        if below is not None and level <= below:
            below = None
        if below is None and number in cut:
            below = level
        sections.append(
            Section(
                title=title,
                level=level,
                path=path,
                start_line=start + 1,
                end_line=end,
                text="".join(lines[start:end]),
                kept=below is None,
            )
        )
    return sections


def _misplaced(path: Path, line: int) -> SoulError:
    return SoulError(
        f"The comment in {str(path)!r}, line {line + 1}, excludes no section.",
        remedy=f"Write it as {RETRIEVAL_ONLY}, on the line right after the heading of the section.",
        code="soul_marker",
    )


@lru_cache(maxsize=1)
def _named() -> re.Pattern[str]:
    """The pattern of the trait `name` in a list item, in all languages."""
    names = "|".join(re.escape(name) for code in known_languages() for name in language_of(code).traits["name"])
    return re.compile(rf"(?im)^[ \t]*[-*+]\s*\**(?:{names})\**\s*:\s*\**\s*(?P<name>[^\n*]+)")


def _name(sections: Sequence[Section]) -> str | None:
    for section in sections:
        if match := _named().search(section.text):
            return match["name"].strip()
    return next((section.title for section in sections if section.title), None)


def _over_budget(soul: Constitution, max_tokens: int) -> SoulError:
    kept = sorted((s for s in soul.sections if s.kept), key=lambda s: s.tokens, reverse=True)[:3]
    longest = "; ".join(f"{s.title or '(before the first heading)'!r} {s.tokens}" for s in kept)
    return SoulError(
        f"The Constitution takes {soul.tokens} tokens (characters / 3), over its budget of {max_tokens}. "
        f"Its longest sections: {longest}.",
        remedy=f"Shorten them, put {RETRIEVAL_ONLY} on the line after the heading of what need not be in every prompt, "
        "or raise [soul] max_tokens.",
        code="soul_over_budget",
    )
