"""Builds one frozen Config from cervella.toml, CERVELLA_* variables and arguments.

An argument beats the environment, the environment beats the file, the file beats the default.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from cervella.configuration.file import explained, read_config
from cervella.configuration.settings import ENV_PREFIX, PATHS, SECTIONS, SWITCHABLE, Config
from cervella.errors import ConfigError
from cervella.text.folder import FOLDERS, check_folders

__all__ = ["CONFIG_NAME", "Config", "find_config", "load_config"]

CONFIG_NAME = "cervella.toml"


def find_config(start: Path | None = None) -> Path | None:
    """The nearest cervella.toml in a folder (by default the current one) or a parent; None if there is none."""
    folder = (start or Path.cwd()).absolute()
    return next((path for path in (f / CONFIG_NAME for f in (folder, *folder.parents)) if path.is_file()), None)


def load_config(
    path: str | os.PathLike[str] | Config | None = None, arguments: Mapping[str, Any] | None = None
) -> Config:
    """Read the configuration from `path`, or from the nearest cervella.toml, or take the defaults.

    `path` may also be a Config. `arguments` is nested like the file and overrides it; None values are ignored.
    Raises ConfigError for a missing file, broken TOML, an unknown key, a wrong value, or a secret in the file.
    """
    arguments = _without_none(arguments or {})
    if isinstance(path, Config):
        if not arguments:
            return path
        return _validated(_merge(path.model_dump(exclude_unset=True), _resolved(arguments, Path.cwd())), path.file, {})
    file = Path(path).expanduser().absolute() if path is not None else find_config()
    if file is not None and file.is_dir():
        file = file / CONFIG_NAME
    from_file = read_config(file) if file is not None else {}
    base = file.parent if file is not None else Path.cwd()
    defaults: dict[str, dict[str, Any]] = {section: {} for section in SECTIONS}
    for section, key in PATHS:
        defaults[section][key] = SECTIONS[section].model_fields[key].default
    merged = _resolved(defaults, base)
    for layer, root in ((from_file, base), (_environment(), Path.cwd()), (arguments, Path.cwd())):
        merged = _merge(merged, _resolved(layer, root))
    return _validated(merged, file, from_file)


def _validated(merged: dict[str, Any], file: Path | None, from_file: Mapping[str, Any]) -> Config:
    try:
        return Config(**{**merged, "file": file})
    except ValidationError as error:
        raise explained(error, file, from_file) from None


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    cut = {key: _without_none(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    return {key: value for key, value in cut.items() if value is not None and value != {}}


def _environment() -> dict[str, Any]:
    known = [name for name in Config.model_fields if name != "file"]
    check_folders()
    variables = [one for one in os.environ if one.upper().startswith(ENV_PREFIX) and one != FOLDERS]
    for variable in variables:
        first, *deeper = variable[len(ENV_PREFIX) :].lower().split("__")
        section = SECTIONS.get(first)
        if first not in known or (deeper and section is not None and deeper[0] not in section.model_fields):
            raise _unknown_variable(variable, known)
    return _read_variables(known) if variables else {}


def _read_variables(known: Sequence[str]) -> dict[str, Any]:
    # A slow import, needed only if such a variable is set.
    from pydantic_settings import BaseSettings, EnvSettingsSource, SettingsConfigDict
    from pydantic_settings.exceptions import SettingsError

    class Variables(Config, BaseSettings):
        model_config = SettingsConfigDict(
            env_prefix=ENV_PREFIX, env_nested_delimiter="__", nested_model_default_partial_update=True
        )

    try:
        return EnvSettingsSource(Variables)()
    except SettingsError as error:
        # The original message contains the value, which may be a secret: only the variable is named.
        field = next((name for name in known if f'"{name}"' in str(error)), "")
        culprits = [v for v in os.environ if v.upper().startswith(f"{ENV_PREFIX}{field}".upper())]
        raise ConfigError(
            f"The environment variable {' or '.join(sorted(culprits))} can't be read.",
            remedy='A section or a list is written there as JSON, such as ["a.md", "b.md"].',
            code="bad_value",
        ) from None


def _unknown_variable(variable: str, known: Sequence[str]) -> ConfigError:
    """The error for a variable `CERVELLA_…` that sets nothing.

    It suggests a variable with the right section and key.
    """
    spelled: dict[str, list[str]] = {}
    for section, model in SECTIONS.items():
        for key in model.model_fields:
            for wrong in (key, f"{section}_{key}", f"{section}__{key}"):
                spelled.setdefault(wrong.upper(), []).append(f"{ENV_PREFIX}{section.upper()}__{key.upper()}")
    spelled |= {key.upper(): [f"{ENV_PREFIX}BRAINS__NAME__{key.upper()}"] for key in ("kind", "model", "url")}
    spelled |= {name.upper(): [f"{ENV_PREFIX}{name.upper()}"] for name in known}
    near = get_close_matches(variable.upper().removeprefix(ENV_PREFIX), spelled, n=1, cutoff=0.6)
    meant = f"Did you mean {' or '.join(spelled[near[0]])}? " if near else ""
    names = ", ".join(f"{ENV_PREFIX}{name.upper()}" for name in known)
    return ConfigError(
        f"The environment variable {variable} sets nothing that Cervella knows.",
        remedy=f"{meant}Unset it, or use one of {names}; write two underscores between a section and its key, "
        "and name the file with --config.",
        code="unknown_key",
    )


def _merge(low: dict[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _resolved(data: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The data with their relative paths made absolute, as paths inside the folder `base`."""
    out = dict(data)
    for section, key in PATHS:
        value = out[section].get(key) if isinstance(out.get(section), Mapping) else None
        if (section, key) in SWITCHABLE and str(value).lower() == "false":  # variables are text
            resolved: Any = False
        elif isinstance(value, (str, Path)) and str(value):
            resolved = base / _at_home(value)
        elif isinstance(value, (list, tuple)) and all(isinstance(item, (str, Path)) for item in value):
            resolved = [base / _at_home(item) for item in value]
        else:
            continue
        out[section] = {**out[section], key: resolved}
    brains = out.get("brains")
    if isinstance(brains, Mapping):
        out["brains"] = {name: _with_brain_paths(own, base) for name, own in brains.items()}
    return out


def _with_brain_paths(own: Any, base: Path) -> Any:
    if not isinstance(own, Mapping):
        return own
    paths = {
        key: str(base / Path(value).expanduser())
        for key, value in own.items()
        # a model that ends in .gguf is a file
        if isinstance(value, str) and value and (key == "slots" or (key == "model" and value.endswith(".gguf")))
    }
    return {**own, **paths}


def _at_home(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"The path {str(path)!r} names a home folder that does not exist.",
            remedy="Write the path in full.",
            code="bad_value",
        ) from error
