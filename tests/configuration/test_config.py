"""cervella.toml, CERVELLA_* and arguments: which wins, and what is said when one is wrong."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cervella.configuration.config import Config, find_config, load_config
from cervella.configuration.file import read_config
from cervella.errors import ConfigError
from tests.conftest import SECRET


@pytest.fixture
def toml(tmp_path: Path) -> Any:
    """Writes a cervella.toml in a folder of its own and gives its path."""

    def write(text: str | bytes, folder: str = "casa") -> Path:
        file = tmp_path / folder / "cervella.toml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(text if isinstance(text, bytes) else text.encode())
        return file

    return write


def refused(*given: Any) -> ConfigError:
    with pytest.raises(ConfigError) as caught:
        load_config(*given)
    assert caught.value.remedy
    assert "\n" not in f"{caught.value}{caught.value.remedy}"
    return caught.value


# Precedence


def test_argument_beats_environment_beats_file_beats_default(toml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = toml('brain = "echo"\n[knowledge]\ntop_k = 3\nembedder = "none"\n')
    assert load_config(None).knowledge.top_k == 6
    assert load_config(file).knowledge.top_k == 3
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__TOP_K", "4")
    assert load_config(file).knowledge.top_k == 4
    config = load_config(file, {"knowledge": {"top_k": 5}})
    assert config.knowledge.top_k == 5
    assert config.knowledge.embedder == "none"  # one key of a section leaves the others alone
    assert config.brain == "echo"
    assert config.file == file


def test_nested_environment_reaches_every_section(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERVELLA_BRAIN", "extractive")
    monkeypatch.setenv("CERVELLA_SOUL__MAX_TOKENS", "123")
    monkeypatch.setenv("cervella_knowledge__embedder", "none")
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__EXCLUDE", '["a/**"]')
    config = load_config()
    assert (config.brain, config.soul.max_tokens, config.knowledge.embedder) == ("extractive", 123, "none")
    assert config.knowledge.exclude == ("a/**",)


def test_a_none_argument_is_not_given(toml: Any) -> None:
    file = toml('brain = "echo"\n')
    assert load_config(file, {"brain": None, "knowledge": {"index": None}}).brain == "echo"


def test_a_config_is_taken_as_it_is_and_arguments_beat_it(toml: Any) -> None:
    own = load_config(toml("[knowledge]\ntop_k = 3\n"), {"soul": {"max_tokens": 77}})
    assert load_config(own) is own
    other = load_config(own, {"knowledge": {"embedder": "none"}})
    assert (other.knowledge.top_k, other.soul.max_tokens, other.knowledge.embedder) == (3, 77, "none")
    assert other.knowledge.folder == own.knowledge.folder


def test_a_config_is_frozen() -> None:
    with pytest.raises(ValidationError):
        load_config().brain = "echo"


# Paths


def test_paths_are_relative_to_the_file_that_holds_them(
    toml: Any, isolated: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = toml('[soul]\nconstitution = "anima.md"\nalso = ["b.md", "/c.md"]\n[knowledge]\nfolder = "../note"\n')
    config = load_config(file)
    assert config.soul.constitution == file.parent / "anima.md"
    assert config.soul.also == (file.parent / "b.md", Path("/c.md"))
    assert config.knowledge.folder == file.parent / "../note"
    assert config.knowledge.index == file.parent / ".cervella/index"  # a default too
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__INDEX", "idx")
    config = load_config(file, {"knowledge": {"folder": "qui"}})
    assert config.knowledge.index == isolated / "idx"
    assert config.knowledge.folder == isolated / "qui"


def test_a_home_folder_is_expanded(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert load_config(None, {"knowledge": {"folder": "~/note"}}).knowledge.folder == tmp_path / "note"


def test_the_home_of_nobody_is_a_config_error(toml: Any) -> None:
    assert "~nessuno-mai" in str(refused(toml('[knowledge]\nfolder = "~nessuno-mai/note"\n')))


def test_the_nearest_file_in_this_folder_or_a_parent_is_used(toml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    far = toml('brain = "echo"\n', "a")
    near = toml('brain = "extractive"\n', "a/b")
    (near.parent / "c" / "d").mkdir(parents=True)
    monkeypatch.chdir(near.parent / "c" / "d")
    assert load_config().brain == "extractive"
    assert find_config() == near
    assert find_config(far.parent) == far
    (near.parent / "c" / "cervella.toml").mkdir()  # a folder is no configuration
    assert find_config() == near


def test_a_folder_stands_for_the_file_in_it(toml: Any, tmp_path: Path) -> None:
    file = toml('brain = "echo"\n')
    assert load_config(file.parent).file == file
    assert "can't be read" in str(refused(tmp_path))


# The file


@pytest.mark.parametrize(
    "text", [b'\xef\xbb\xbfbrain = "echo"\n', b'brain = "echo"\r\n\r\n[knowledge]\r\ntop_k = 3\r\n']
)
def test_a_byte_order_mark_and_windows_lines_are_read(toml: Any, text: bytes) -> None:
    assert load_config(toml(text)).brain == "echo"


def test_an_empty_file_is_the_defaults(toml: Any) -> None:
    config = load_config(toml(""))
    assert (config.brain, config.soul.language, config.knowledge.embedder) == (None, "it", "auto")
    assert config.knowledge_language == "it"


@pytest.mark.parametrize(
    ("text", "line"),
    [('brain = "echo"\nbrain = "x"\n', 2), ("brain = echo\n", 1), ("\n\n[knowledge\n", 3), ("a = [1,\n", 1)],
)
def test_broken_toml_names_the_line(toml: Any, text: str, line: int) -> None:
    file = toml(text)
    error = refused(file)
    assert str(file) in str(error)
    assert f"line {line}" in str(error) or "end of document" in str(error)


@pytest.mark.parametrize(
    ("text", "key", "near", "line"),
    [
        ('bran = "echo"\n', "bran", "brain", 1),
        ("# x\n[knowlege]\ntop_k = 3\n", "knowlege", "knowledge", 2),
        ("[knowledge]\n\ntopk = 3\n", "[knowledge] topk", "top_k", 3),
        ('[soul]\nconstituzione = "x"\n', "[soul] constituzione", "constitution", 2),
        ("[knowledge]\ntop_k = 3\n[soul]\ntop_kk = 1\n", "[soul] top_kk", None, 4),
        ('file = "x"\n', "file", None, 1),
    ],
)
def test_an_unknown_key_names_its_line_and_the_nearest(
    toml: Any, text: str, key: str, near: str | None, line: int
) -> None:
    error = refused(toml(text))
    assert error.code == "unknown_key"
    assert f"{key!r}" in str(error)
    assert f"line {line}" in str(error)
    assert "Known keys" in str(error.remedy)
    if near:
        assert f"Did you mean {near!r}?" in str(error.remedy)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("brain = 5\n", ["'brain'", "line 1"]),
        ('brain = ""\n', ["'brain'", "empty"]),
        ("brain = []\n", ["'brain'"]),
        ('brain = ["echo", ""]\n', ["'brain'"]),
        ("\n[knowledge]\ntop_k = 0\n", ["'knowledge.top_k'", "line 3"]),
        ('[knowledge]\ntop_k = "sei"\n', ["'knowledge.top_k'", "line 2"]),
        ('[soul]\nlanguage = "xx"\n', ["'soul.language'", "known language"]),
        ('[soul]\nlanguage = "IT"\n', ["'soul.language'", "Did you mean 'it'?"]),
        ('[soul]\nalso = "b.md"\n', ["'soul.also'"]),
        ("[soul]\nalso = [3]\n", ["'soul.also'"]),
        ('soul = "anima.md"\n', ["'soul'", "line 1"]),
        ("brains = 3\n", ["'brains'"]),
        ('[brains]\nclaude = "x"\n', ["'brains.claude'"]),
        ('[knowledge]\nembedder = ""\n', ["'knowledge.embedder'"]),
    ],
)
def test_a_value_that_can_not_be_used_is_named_with_its_place(toml: Any, text: str, words: list[str]) -> None:
    error = refused(toml(text))
    assert error.code == "bad_value"
    assert all(word in str(error) for word in words), str(error)


@pytest.mark.parametrize(
    "text",
    [
        f'[brains.claude]\napi_key = "{SECRET}"\n',
        '[brains.claude]\napi_key = "corta"\n',
        '[brains.x]\nauth_token = "qualcosa"\n',
        '[brains.x.headers]\npassword = "qualcosa"\n',
        f'brain = "{SECRET}"\n',
        f'[knowledge]\nexclude = ["a", "{SECRET}"]\n',
        f'[brains.x]\nurl = "https://utente:{"se" + "greta9"}@host/"\n',
    ],
)
def test_a_secret_in_the_file_is_refused_and_never_printed(toml: Any, text: str) -> None:
    error = refused(toml(text))
    assert error.code == "secret_in_config"
    assert "environment" in str(error.remedy)
    shown = f"{error!r}{error}{error.remedy}{error.__cause__!r}"
    assert not any(secret in shown for secret in (SECRET, "corta", "qualcosa", "greta9"))


def test_a_secret_in_a_wrong_value_is_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__TOP_K", SECRET)
    error = refused()
    assert SECRET not in f"{error!r}{error}{error.remedy}{error.__cause__!r}"


@pytest.mark.parametrize("data", [b"\xff\xfeb\x00", b'brain = "caff\xe8"\n'])
def test_a_file_that_is_not_utf8_says_so(toml: Any, data: bytes) -> None:
    assert "not UTF-8" in str(refused(toml(data)))


def test_a_missing_file_says_so(tmp_path: Path) -> None:
    error = refused(tmp_path / "manca.toml")
    assert "can't be read" in str(error)
    assert "--config" in str(error.remedy)


# The environment


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CERVELLA_BRIAN", "echo", "CERVELLA_BRIAN"),
        ("CERVELLA_FILE", "x", "CERVELLA_FILE"),
        ("CERVELLA_KNOWLEDGE__TOPK", "3", "CERVELLA_KNOWLEDGE__TOP_K?"),
        ("CERVELLA_KNOWLEDGE__TOP_K", "sei", "top_k"),
        ("CERVELLA_KNOWLEDGE", "non è json", "CERVELLA_KNOWLEDGE"),
        ("CERVELLA_SOUL__ALSO", "b.md", "CERVELLA_SOUL"),
        ("CERVELLA_BRAINS", "[", "CERVELLA_BRAINS"),
        ("CERVELLA_BRAIN", "", "brain"),
    ],
)
def test_a_wrong_variable_is_a_config_error_that_names_it(
    monkeypatch: pytest.MonkeyPatch, name: str, value: str, words: str
) -> None:
    monkeypatch.setenv(name, value)
    error = refused()
    assert words in f"{error} {error.remedy}"


def test_a_wrong_variable_is_not_blamed_on_the_file(toml: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    file = toml('brain = "echo"\n')
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__TOPK", "3")
    assert str(file) not in str(refused(file))


def test_named_brains_stay_a_mapping(toml: Any) -> None:
    config = load_config(toml('[brains.gpu-box]\nkind = "vllm"\nurl = "http://gpu-box:8000/v1"\nmax_tokens = 3\n'))
    assert config.brains == {"gpu-box": {"kind": "vllm", "url": "http://gpu-box:8000/v1", "max_tokens": 3}}
    assert isinstance(config, Config)


def test_roles_are_read_with_their_own_names(toml: Any) -> None:
    file = toml('[knowledge.roles]\ndeprecated = ["oggi.md"]\n[knowledge.roles.verbale]\npaths = ["verbali"]\n')
    roles = load_config(file).knowledge.roles
    assert roles.model_dump(exclude_defaults=True) == {"deprecated": ("oggi.md",), "verbale": {"paths": ("verbali",)}}


@pytest.mark.parametrize(
    ("line", "message", "remedy"),
    [
        ('[knowledge.roles]\ndeprecatd = ["x"]', "[knowledge.roles] deprecatd", "Did you mean 'deprecated'?"),
        ("[knowledge.roles.resume]\nwieght = 2", "[knowledge.roles.resume] wieght", "Did you mean 'weight'?"),
        ("[knowledge.roles.resume]\nweight = -1", "'knowledge.roles.resume.weight'", "1 is neutral"),
    ],
)
def test_a_wrong_key_of_a_role_is_named_with_its_line(toml: Any, line: str, message: str, remedy: str) -> None:
    with pytest.raises(ConfigError) as raised:
        load_config(toml(line))
    assert message in raised.value.message
    assert "line 2" in raised.value.message
    assert remedy in raised.value.remedy


@pytest.mark.parametrize(
    "text",
    ["a = " + "[" * 5_000, "a" + "={a" * 3_000, "a." * 5_000 + "b = 1", "# " + "x" * 1_000_001],
    ids=["brackets", "braces", "dots", "a megabyte"],
)
def test_a_file_that_is_no_configuration_is_refused_at_once(tmp_path: Path, text: str) -> None:
    file = tmp_path / "cervella.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError):
        read_config(file)
