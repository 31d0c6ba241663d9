"""Finds models of the Hugging Face hub on this disk, and downloads them."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable
from pathlib import Path

_logger = logging.getLogger("cervella")
_OTHER_ENGINES = ("onnx/", "openvino/", "coreml/")
_OTHER_WEIGHTS = (".onnx", ".h5", ".msgpack", ".ot", ".gguf", ".mlmodel", ".ckpt")


def is_offline() -> bool:
    """Whether the environment variable HF_HUB_OFFLINE forbids connections to the hub."""
    return os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "ON", "YES", "TRUE")


def local_folder(model: str) -> Path | None:
    """The folder of a model on this disk; None if it is not there. The network is not used.

    `model` is the path of a folder, or a name on the hub; a model with a name is searched in the hub's cache.
    """
    if Path(model).is_dir():
        return Path(model)
    from huggingface_hub import try_to_load_from_cache

    try:
        # snapshot_download would demand all files of the repository, even weights in other formats.
        found = [try_to_load_from_cache(model, name) for name in ("config.json", "modules.json")]
    except ValueError:  # not a valid name of a model
        return None
    return next((Path(file).parent for file in found if isinstance(file, str)), None)


def is_complete(folder: Path) -> bool:
    """Whether a folder of the hub's cache contains weights. An interrupted download has only the small files."""
    return any(file.suffix in (".safetensors", ".bin") for file in folder.rglob("*"))


def download(model: str) -> Path:
    """Download the missing files of a model, after their size was logged. Raises OSError if that fails."""
    try:
        return _download(model)
    except OSError:
        raise
    except Exception as error:  # the HTTP client, and so its exceptions, depend on the library's version
        raise OSError(f"the download from the hub failed: {error}") from error


def _download(model: str) -> Path:
    from huggingface_hub import model_info, snapshot_download, try_to_load_from_cache

    sizes = {item.rfilename: item.size for item in model_info(model, files_metadata=True).siblings or ()}
    files = wanted_files(sizes)
    missing = [name for name in files if not isinstance(try_to_load_from_cache(model, name), str)]
    known = [size for name in missing if (size := sizes[name]) is not None]
    amount = _readable(sum(known)) if len(known) == len(missing) else "an unknown number of bytes"
    _logger.warning("the model %s is not on this disk: downloading %s from the Hugging Face hub", model, amount)
    return Path(snapshot_download(model, allow_patterns=files))


def wanted_files(names: Iterable[str]) -> list[str]:
    """Those of a model's files that sentence-transformers loads, sorted.

    These are the weights in one format, safetensors if there is one, and all files that contain no weights.
    """
    kept = [name for name in names if not name.startswith(_OTHER_ENGINES) and not name.endswith(_OTHER_WEIGHTS)]
    if any(name.endswith(".safetensors") for name in kept):
        kept = [name for name in kept if not Path(name).name.startswith("pytorch_model")]
    return sorted(kept)


def _readable(size: int) -> str:
    """A number of bytes with a unit of measure, in powers of ten."""
    for unit, factor in (("GB", 10**9), ("MB", 10**6), ("kB", 10**3)):
        if size >= factor:
            return f"{size / factor:.1f} {unit}"
    return f"{size} bytes"
