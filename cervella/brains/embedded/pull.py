"""Downloads a model from the Hugging Face hub.

Since version 2.0 huggingface_hub deletes the file of an interrupted download. This module keeps it as a `.part` file,
and the next call resumes it. A file gets its final name after its SHA-256 is verified against the hub's.
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
"""Bytes that must remain free on the disk after a download."""
_MEGA = 10**6
_TIMEOUT_SECONDS = 30.0
_NOT_A_NAME = "It is a suggested name, OWNER/REPOSITORY or OWNER/REPOSITORY/FILE.gguf"


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedModel:
    """A model that can be downloaded by a short name."""

    name: str
    repository: str
    file: str
    gigabytes: float
    """Size of the file, in units of 10^9 bytes."""
    ram_gigabytes: float
    """Memory for a window of 8,192 tokens, estimated, in units of 10^9 bytes."""
    licence: str


def suggested_models() -> tuple[str, tuple[SuggestedModel, ...]]:
    """The models that can be downloaded by a short name, smallest first; before them, the ISO date of this list."""
    data = read_packaged("cervella.brains.embedded", "models.toml")
    models = (SuggestedModel(name=name, **facts) for name, facts in data["models"].items())
    return data["date"], tuple(sorted(models, key=lambda model: model.gigabytes))


def models_folder() -> Path:
    """The default folder for models, inside the user's data folder of the operating system."""
    from platformdirs import user_data_path

    return user_data_path("cervella", appauthor=False) / "models"


@dataclass(frozen=True, slots=True, kw_only=True)
class PulledModel:
    """A model file on this disk with a verified checksum."""

    path: Path
    repository: str
    sha256: str
    size: int
    """Bytes."""
    fetched: int
    """Bytes that this call downloaded; 0 if the file existed."""


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
    """Download a model, or resume its download, and verify its checksum. Blocks until it is done.

    `model` is a suggested name, OWNER/REPOSITORY/FILE.gguf, or OWNER/REPOSITORY if it has exactly one file in Q4_K_M.
    `folder` defaults to `models_folder()`. `endpoint` is the address of the hub, by default the public one. `progress`
    is called with a label, the megabytes done, and the megabytes in total.

    Raises BrainError for an unknown model, a full disk or a wrong checksum, and BrainUnavailableError for a failure of
    the network: then the next call resumes the download.
    """
    hub = _hub()
    try:
        return _pull(model, folder, endpoint, progress)
    except BrainError as error:
        keyless(error, known_keys() | {hub.get_token() or ""} - {""})
        raise


def _pull(model: str, folder: Path | None, endpoint: str | None, progress: Progress | None) -> PulledModel:
    folder = (folder or models_folder()).expanduser().absolute()
    with _translated(folder):
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
        entries = api.model_info(repository, files_metadata=True, timeout=_TIMEOUT_SECONDS).siblings or ()
    except hub.errors.GatedRepoError as error:
        raise _error(
            f"{repository} only gives its files to users who accepted its terms.",
            f"Accept them at https://huggingface.co/{repository}, then run `hf auth login`.",
            "model_gated",
        ) from error
    except (hub.errors.RepositoryNotFoundError, hub.errors.HFValidationError) as error:
        raise _error(
            f"The hub has no repository {repository!r}, or only a private one.",
            f"Check its spelling. {_NOT_A_NAME}.",
            "model_unknown",
        ) from error
    files = {entry.rfilename: entry for entry in entries if entry.rfilename.endswith(".gguf") and entry.lfs}
    found = [wanted] if wanted in files else [name for name in files if not wanted and _QUANTISATION in name]
    if len(found) != 1:
        named = ", ".join(sorted(files)) or "no GGUF file at all"
        raise _error(
            f"{repository} has no file {wanted!r}."
            if wanted
            else f"{repository} has not exactly one file in {_QUANTISATION}.",
            f"Name one of its files, as in `cervella brains pull {repository}/FILE.gguf`. It has: {named}.",
            "model_unknown",
        )
    entry = files[found[0]]
    return _Remote(
        repository=repository, file=entry.rfilename, size=entry.size, sha256=entry.lfs.sha256, endpoint=endpoint
    )


def _fetch(remote: _Remote, part: Path, progress: Progress | None) -> int:
    """Download the rest of the file into `part`. Returns the number of downloaded bytes."""
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
            raise GgufError("its SHA-256 differs from the one on the hub")
        read_facts(part)
    except GgufError as error:
        part.unlink()
        raise _error(
            f"The downloaded file {remote.file} is damaged: {error}.",
            "Run it again: it downloads the whole file. If it happens again, use another model.",
            "model_damaged",
        ) from error


def _sha256(path: Path, progress: Progress | None) -> str:
    digest, done, size = hashlib.sha256(), 0, path.stat().st_size
    with path.open("rb") as file:
        while chunk := file.read(2**22):
            digest.update(chunk)
            done += len(chunk)
            if progress is not None:
                progress("checksum MB", done // _MEGA, size // _MEGA)
    return digest.hexdigest()


def _bar(label: str, progress: Progress | None) -> Any:
    """A progress bar class for huggingface_hub that calls `progress` for each downloaded chunk."""

    class Bar:
        def __init__(self, *_: object, total: int | None = None, initial: int = 0, **__: object) -> None:
            self.total, self.n = total, initial

        def update(self, count: float | None = 1) -> None:
            self.n += int(count or 0)
            if progress is not None and self.total:
                progress(label, self.n // _MEGA, self.total // _MEGA)

        def close(self) -> None:
            pass

        def __enter__(self) -> Bar:
            return self

        def __exit__(self, *_: object) -> None:
            self.close()

    return Bar


def _busy(part: Path) -> BrainError:
    return _error(
        f"Another process is downloading {part.name.split('.gguf')[0]}.gguf into {part.parent}.",
        "Wait until it has finished, or choose another folder with --to.",
        "model_busy",
    )


@contextlib.contextmanager
def _translated(folder: Path) -> Iterator[None]:
    """Translate the failures of a download into BrainError."""
    hub = _hub()
    try:
        yield
    except (httpx2.HTTPError, hub.errors.HfHubHTTPError, ConnectionError) as error:
        if isinstance(error, OSError) and error.errno == errno.ENOSPC:
            raise _full(folder) from error
        lines = mask_keys(str(error), known_keys(), parts=True).splitlines()
        raise BrainUnavailableError(
            f"The download broke off: {lines[0] if lines else type(error).__name__}.",
            brain="embedded",
            remedy="Check the network, then run it again: it goes on from the part that was downloaded.",
            code="download_failed",
        ) from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise _full(folder) from error
        raise _error(
            f"The model can't be written to {str(folder)!r}: {error.strerror or error}.",
            "Give this user the right to write there, or choose another folder with --to.",
            "model_not_written",
        ) from error


def _full(folder: Path, needed: int | None = None, free: int | None = None) -> BrainError:
    numbers = "" if needed is None or free is None else f": {needed / 1e9:.2f} GB are needed, {free / 1e9:.2f} are free"
    return _error(
        f"The disk is too full for the model in {str(folder)!r}{numbers}.",
        "Free some space, or choose a folder on another disk with --to. The downloaded part is kept.",
        "disk_full",
    )


def _error(message: str, remedy: str, code: str) -> BrainError:
    return BrainError(message, brain="embedded", remedy=remedy, code=code)


def _hub() -> Any:
    # The library reads this variable when it is imported. Without it, it would send telemetry.
    unset = "HF_HUB_DISABLE_TELEMETRY" not in os.environ
    if unset:
        os.environ["HF_HUB_DISABLE_TELEMETRY"] = "1"
    try:
        for name in ("huggingface_hub.constants", "huggingface_hub.errors", "huggingface_hub.utils"):
            importlib.import_module(name)
        return importlib.import_module("huggingface_hub")
    except ImportError as error:
        raise BrainNotInstalledError(
            f"Downloading models needs a package that is not installed: {error}.",
            brain="embedded",
            remedy="Install it: `pip install 'cervella[embedded]'`.",
            extra="embedded",
        ) from error
    finally:
        if unset:
            del os.environ["HF_HUB_DISABLE_TELEMETRY"]
