"""How a model comes from the Hugging Face hub to this disk.

huggingface_hub throws an interrupted file away since its 2.0; here what came stays beside the model's place, and the
next call goes on behind it. A file gets its name once its SHA-256 is the one that the hub states.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import importlib
import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx2

from cervella.brains.embedded.gguf import GgufError, read_facts
from cervella.errors import BrainError, BrainNotInstalledError, BrainUnavailableError, did_you_mean
from cervella.privacy.causes import keyless, known_keys, mask_keys
from cervella.process.files import locked, put_in_place, read_packaged
from cervella.types import Progress

_QUANTISATION = "Q4_K_M"
_SPARE_BYTES = 64 * 2**20
_MEGA = 10**6
_PATIENCE_SECONDS = 30.0
_NOT_A_NAME = "It is a suggested name, OWNER/REPOSITORY or OWNER/REPOSITORY/FILE.gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedModel:
    """A model with a short name."""

    name: str
    repository: str
    file: str
    gigabytes: float
    """10^9 bytes of the file."""
    ram_gigabytes: float
    """Estimated for a window of 8,192 tokens."""
    licence: str


def suggested_models() -> tuple[str, tuple[SuggestedModel, ...]]:
    """The day on which the list was made, ISO, and the models, smallest first."""
    data = read_packaged("cervella.brains.embedded", "models.toml")
    models = (SuggestedModel(name=name, **row) for name, row in data["models"].items())
    return data["date"], tuple(sorted(models, key=lambda model: model.gigabytes))


def models_folder() -> Path:
    """Where models are kept unless told otherwise: this user's data folder, as the system names it."""
    from platformdirs import user_data_path

    return user_data_path("cervella", appauthor=False) / "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledModel:
    """A model file on this disk, its checksum verified."""

    path: Path
    repository: str
    sha256: str
    size: int
    """Bytes."""
    fetched: int
    """Bytes that came over the network now; 0 where the file was there already."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Remote:
    repository: str
    file: str
    size: int
    sha256: str
    endpoint: str | None


def pull_model(
    model: str, folder: Path | None = None, *, endpoint: str | None = None, progress: Progress | None = None
) -> PulledModel:
    """Fetch a model, or what is missing of it, and verify it. Blocks.

    `model` is a suggested name, OWNER/REPOSITORY/FILE.gguf, or OWNER/REPOSITORY where it holds one file in Q4_K_M.
    Raises BrainError: no such model, no room, a wrong checksum; BrainUnavailableError without a network, or where the
    download broke off; what came is kept, and the next call goes on.
    """
    hub = _hub()
    try:
        return _pull(model, folder, endpoint, progress)
    except BrainError as error:
        keyless(error, known_keys() | {hub.get_token() or ""} - {""})
        raise


def _pull(model: str, folder: Path | None, endpoint: str | None, progress: Progress | None) -> PulledModel:
    folder = (folder or models_folder()).expanduser().absolute()
    with _told(folder):
        remote = _find(model, endpoint)
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / Path(remote.file).name
        if path.is_file() and path.stat().st_size == remote.size and _sha256(path, progress) == remote.sha256:
            return _pulled(path, remote, fetched=0)
        part = folder / f"{path.name}.{remote.sha256[:12]}.part"
        with locked(part.with_name(f"{part.name}.lock"), busy=lambda: _busy(part)):
            fetched = _fetch(remote, part, progress)
            _verify(remote, part, progress)
            put_in_place(part, path)
    return _pulled(path, remote, fetched=fetched)


def _pulled(path: Path, remote: _Remote, *, fetched: int) -> PulledModel:
    return PulledModel(path=path, repository=remote.repository, sha256=remote.sha256, size=remote.size, fetched=fetched)


def _find(model: str, endpoint: str | None) -> _Remote:
    suggested = {one.name: one for one in suggested_models()[1]}
    if model in suggested:
        repository, wanted = suggested[model].repository, suggested[model].file
    elif model.count("/") >= 1 and all(model.split("/")):
        owner, name, *rest = model.split("/", 2)
        repository, wanted = f"{owner}/{name}", rest[0] if rest else ""
    else:
        raise _error(
            f"No model is called {model!r}.",
            f"{did_you_mean(model, list(suggested))}{_NOT_A_NAME}; `cervella brains pull --list` shows some.",
            "model_unknown",
        )
    hub = _hub()
    try:
        api = hub.HfApi(endpoint=endpoint)
        held = api.model_info(repository, files_metadata=True, timeout=_PATIENCE_SECONDS).siblings or ()
    except hub.errors.GatedRepoError as error:
        raise _error(
            f"{repository} gives its files only to those who accepted its terms.",
            f"Accept them at https://huggingface.co/{repository}, then run `hf auth login`.",
            "model_gated",
        ) from error
    except (hub.errors.RepositoryNotFoundError, hub.errors.HFValidationError) as error:
        raise _error(
            f"The hub has no repository {repository!r} that you may see.",
            f"Check its spelling. {_NOT_A_NAME}.",
            "model_unknown",
        ) from error
    files = {entry.rfilename: entry for entry in held if entry.rfilename.endswith(".gguf") and entry.lfs}
    found = [wanted] if wanted in files else [name for name in files if not wanted and _QUANTISATION in name]
    if len(found) != 1:
        named = ", ".join(sorted(files)) or "no GGUF file at all"
        raise _error(
            f"{repository} has no file {wanted!r}." if wanted else f"{repository} is not one file in {_QUANTISATION}.",
            f"Name one of its files, as in `cervella brains pull {repository}/FILE.gguf`. It has: {named}.",
            "model_unknown",
        )
    entry = files[found[0]]
    return _Remote(
        repository=repository, file=entry.rfilename, size=entry.size, sha256=entry.lfs.sha256, endpoint=endpoint
    )


def _fetch(remote: _Remote, part: Path, progress: Progress | None) -> int:
    """Bring the part up to the file's size; gives the bytes that came now."""
    hub = _hub()
    from huggingface_hub.file_download import http_get

    done = part.stat().st_size if part.is_file() else 0
    if done > remote.size:
        part.unlink()
        done = 0
    free = shutil.disk_usage(part.parent).free
    if free < remote.size - done + _SPARE_BYTES:
        raise _full(part.parent, remote.size - done, free)
    with part.open("ab") as file:
        http_get(
            hub.hf_hub_url(remote.repository, remote.file, endpoint=remote.endpoint),
            file,
            resume_size=done,
            headers=hub.utils.build_hf_headers(library_name="cervella"),
            expected_size=remote.size,
            tqdm_class=_bar(f"{part.name.removesuffix('.part')} MB", progress),
        )
    return remote.size - done


def _verify(remote: _Remote, part: Path, progress: Progress | None) -> None:
    try:
        if _sha256(part, progress) != remote.sha256:
            raise GgufError("its SHA-256 is not the one that the hub states")
        read_facts(part)
    except GgufError as error:
        part.unlink()
        raise _error(
            f"{remote.file} did not come as it should: {error}.",
            "Run it again: it begins anew. If it stays so, take another model.",
            "model_damaged",
        ) from error


def _sha256(path: Path, progress: Progress | None) -> str:
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while piece := file.read(2**22):
            digest.update(piece)
            done += len(piece)
            if progress is not None:
                progress("checksum MB", done // _MEGA, size // _MEGA)
    return digest.hexdigest()


def _bar(what: str, progress: Progress | None) -> Any:
    """What huggingface_hub takes for its bar, and tells of every piece that came."""

    class Bar:
        def __init__(self, *_: object, total: int | None = None, initial: int = 0, **__: object) -> None:
            self.total, self.n = total, initial

        def update(self, count: float | None = 1) -> None:
            self.n += int(count or 0)
            if progress is not None and self.total:
                progress(what, self.n // _MEGA, self.total // _MEGA)

        def close(self) -> None:
            pass

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    return Bar


def _busy(part: Path) -> BrainError:
    return _error(
        f"Somebody else is fetching {part.name.split('.gguf')[0]}.gguf into {part.parent}.",
        "Wait until it is done, or give another folder with --to.",
        "model_busy",
    )


@contextlib.contextmanager
def _told(folder: Path) -> Iterator[None]:
    """Translates the failures of a download into BrainError."""
    hub = _hub()
    try:
        yield
    except (httpx2.HTTPError, hub.errors.HfHubHTTPError, ConnectionError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise _full(folder) from error
        said = mask_keys(str(error), known_keys(), parts=True).splitlines()
        raise BrainUnavailableError(
            f"The download broke off: {said[0] if said else type(error).__name__}.",
            brain="embedded",
            remedy="Look at the network, then run it again: what came is kept, and it goes on there.",
            code="download_failed",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder) from error
        raise _error(
            f"The model can't be written to {str(folder)!r}: {error.strerror or error}.",
            "Give this user the right to write there, or another folder with --to.",
            "model_not_written",
        ) from error


def _full(folder: Path, wanted: int | None = None, free: int | None = None) -> BrainError:
    numbers = "" if wanted is None or free is None else f": {wanted / 1e9:.2f} GB are wanted, {free / 1e9:.2f} are free"
    return _error(
        f"There is no room for the model in {str(folder)!r}{numbers}.",
        "Make room, or give a folder on another disk with --to; what came is kept.",
        "disk_full",
    )


def _error(message: str, remedy: str, code: str) -> BrainError:
    return BrainError(message, brain="embedded", remedy=remedy, code=code)


def _hub() -> Any:
    # Read once, when the library is loaded: it would otherwise ask the hub how to tell it who runs this.
    unset = "HF_HUB_DISABLE_TELEMETRY" not in os.environ
    if unset:
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        for name in ("huggingface_hub.constants", "huggingface_hub.errors", "huggingface_hub.utils"):
            importlib.import_module(name)
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise BrainNotInstalledError(
            f"To fetch models a package is needed that is not installed: {error}.",
            brain="embedded",
            remedy="Install it: `pip install 'cervella[embedded]'`.",
            extra="embedded",
        ) from error
    finally:
        if unset:
            del os.environ["HF_HUB_DISABLE_TELEMETRY"]
