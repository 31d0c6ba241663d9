"""The models that are suggested for this process, and where models are kept."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from cervella.process.files import read_packaged

__all__ = ["SuggestedModel", "models_folder", "suggested_models"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SuggestedModel:
    """A model with a short name."""

    name: str
    repository: str
    file: str
    gigabytes: float
    """10^9 bytes of the file."""
    ram_gigabytes: float
    """Reckoned for a window of 8,192 tokens."""
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
