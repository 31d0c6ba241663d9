"""Models of the Hugging Face hub: where they are on this disk, and how much a download of one is before it starts."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

_logger = logging.getLogger("cervella")
_OTHER_ENGINES = ("onnx/", "openvino/", "coreml/")
_OTHER_WEIGHTS = (".onnx", ".h5", ".msgpack", ".ot", ".gguf", ".mlmodel", ".ckpt")


def is_offline() -> bool:
    """Whether the owner forbade the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def local_folder(model: str) -> Path | None:
    """The model's folder on this disk, named or in the hub's cache; None where there is none. It asks no network."""
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import try_to_load_from_cache

    try:
        # By any of its files: snapshot_download wants all of them, other engines' weights too.
        found = [try_to_load_from_cache(model, name) for name in ("config.json", "modules.json")]
    except ValueError:  # no name of a model
        return None
    return next((Path(file).parent for file in found if isinstance(file, str)), None)


def is_complete(folder: Path) -> bool:
    """Whether a folder of the hub's cache holds weights: of a download that was stopped the small files are there."""
    return any(file.suffix in (".safetensors", ".bin") for file in folder.rglob("*"))


def download(model: str) -> Path:
    """Fetch what is not here yet of a model that the owner named, and log how many bytes that is before it starts.

    Raises OSError where it can't.
    """
    try:
        return _download(model)
    except OSError:
        raise
    except Exception as error:  # of the HTTP client that this version of the hub's library uses
        raise OSError(f"the hub does not give it: {error}") from error


def _download(model: str) -> Path:
    from huggingface_hub import model_info, snapshot_download, try_to_load_from_cache

    sizes = {item.rfilename: item.size for item in model_info(model, files_metadata=True).siblings or ()}
    files = wanted_files(sizes)
    missing = [name for name in files if not isinstance(try_to_load_from_cache(model, name), str)]
    known = [size for name in missing if (size := sizes[name]) is not None]
    amount = _readable(sum(known)) if len(known) == len(missing) else "a size that the hub does not tell"
    _logger.warning("the model %s is not on this disk: downloading %s from the Hugging Face hub", model, amount)
    return Path(snapshot_download(model, allow_patterns=files))


def wanted_files(names: Iterable[str]) -> list[str]:
    """Of a model's files those that sentence-transformers loads: one form of the weights, and what is not weights."""
    kept = [name for name in names if not name.startswith(_OTHER_ENGINES) and not name.endswith(_OTHER_WEIGHTS)]
    if any(name.endswith(".safetensors") for name in kept):
        kept = [name for name in kept if not Path(name).name.startswith("pytorch_model")]
    return sorted(kept)


def _readable(size: int) -> str:
    """Bytes as people say them, in powers of ten as the hub's pages do."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
