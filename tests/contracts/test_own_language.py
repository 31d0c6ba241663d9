"""A language of an owner's own: one folder of data, and no line of code. The one here is English in ROT13."""

from __future__ import annotations

import codecs
import json
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest
import tomli_w

import cervella
from cervella.checks import Check, Context, run_check
from cervella.errors import ConfigError
from cervella.text.detection import foreign_language, language_of
from cervella.text.folder import required
from cervella.text.language import known_languages, language

CODE = "tlon"
ENGLISH = Path(cervella.__file__).parent / "text" / "languages" / "en"
REQUIRED = [file for file, keys in required().items() if not all(kind.endswith("?") for kind, _ in keys.values())]
NOTE = "The launch is postponed because the load tests are missing."


def turned(value: Any) -> Any:
    """A value in the invented language: letters are turned; places like {today}, commands and escapes stay."""
    if isinstance(value, str):
        pieces = re.split(r"(\{\w+\}|\[F1\]|<!--.*?-->|\\[A-Za-z]|\[a-z\])", value)
        return "".join(piece if n % 2 else codecs.encode(piece, "rot13") for n, piece in enumerate(pieces))
    if isinstance(value, list):
        return [turned(one) for one in value if not one.startswith("/")]
    if isinstance(value, dict):
        return {key: turned(one) for key, one in value.items()}
    return value


def written(folder: Path) -> Path:
    """The folder of the invented language, with every required file and no other."""
    own = folder / CODE
    own.mkdir(parents=True)
    for file in REQUIRED:
        keys = required()[file]
        text = (ENGLISH / file).read_text(encoding="utf-8")
        if not file.endswith(".toml"):
            (own / file).write_text(turned(text), encoding="utf-8")
            continue
        data = {key: value for key, value in tomllib.loads(text).items() if not keys[key][0].endswith("?")}
        data = turned(data)
        if file == "language.toml":
            data["snowball"] = "none"
        if file == "abstention.toml":
            data["forms"] = turned(["i don't know...", "i do not know..."])
        if file == "numbers.toml":
            data["numbers"] = {turned(word): number for word, number in data["numbers"].items()}
        if file == "documents.toml":
            data |= {"constitution": "PBAFGVGHGVBA.md", "date_keys": [turned("date")]}
        (own / file).write_text(tomli_w.dumps(data), encoding="utf-8")
    return own


@pytest.fixture
def languages(tmp_path: Path) -> Path:
    written(tmp_path / "languages")
    return tmp_path / "languages"


def run(folder: Path, languages: Path, *command: str) -> subprocess.CompletedProcess[str]:
    environment = {key: value for key, value in os.environ.items() if not key.startswith("CERVELLA_")}
    environment |= {"CERVELLA_LANGUAGES": str(languages), "CERVELLA_KNOWLEDGE__EMBEDDER": "none"}
    return subprocess.run(
        [sys.executable, *command], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )


def cervella_says(folder: Path, languages: Path, *command: str) -> str:
    done = run(folder, languages, "-m", "cervella", *command)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_an_invented_language_is_indexed_searched_asked_and_reviewed(tmp_path: Path, languages: Path) -> None:
    base = tmp_path / "base"
    base.mkdir()
    cervella_says(base, languages, "init", "--language", CODE)
    assert (base / "knowledge" / "PBAFGVGHGVBA.md").exists()
    note = turned(f"# Decision\n\n> **Date:** {language('en').format_date('2026-01-09')}\n\n{NOTE}\n")
    (base / "knowledge" / "note.md").write_text(note, encoding="utf-8")
    cervella_says(base, languages, "index")
    found = json.loads(cervella_says(base, languages, "search", "--json", turned("load tests")))
    assert (found["passages"][0]["path"], found["passages"][0]["date"]) == ("note.md", "2026-01-09")
    answered = json.loads(cervella_says(base, languages, "ask", "--json", turned("Why is the launch postponed?")))
    assert turned("load tests are missing") in answered["answer"]
    assert answered["citations"][0]["supported"]
    unknown = json.loads(cervella_says(base, languages, "ask", "--json", turned("Who won the football match?")))
    assert (unknown["abstained"], unknown["answer"]) == (True, turned(language("en").abstention))
    (base / "answer.txt").write_text(turned(f"{NOTE[:-1]}, for 14 months [F1]."), encoding="utf-8")
    question = turned("Why is the launch postponed?")
    reviewed = cervella_says(base, languages, "review", "--text", "answer.txt", "--question", question)
    said = " ".join([*map(str, answered.values()), *map(str, unknown.values()), reviewed])
    italian = {"fonte", "non", "righe", "domanda", "della", "perché", "superata", "cifra"}
    assert not italian & set(re.findall(r"\w+", said.casefold()))


def test_an_invented_language_brings_its_own_words_around_figures_negations_clauses_and_dates(
    tmp_path: Path, languages: Path
) -> None:
    own = languages / CODE
    numbers = tomllib.loads((own / "numbers.toml").read_text(encoding="utf-8"))
    around = {"million": "zvyyvba", "percent": "cre prag", "monthly": "zbaguyl", "dozen": "qbmra", "range": "hagvy"}
    (own / "numbers.toml").write_text(tomli_w.dumps(around | numbers), encoding="utf-8")
    (own / "units.toml").write_text('eur = "rheb"\nday = "qnl qnlf"\n', encoding="utf-8")
    claims = tomllib.loads((own / "claims.toml").read_text(encoding="utf-8"))
    words = {"turns": ["ohg"], "denials": ["jvgubhg"], "not_only": ["bayl"], "joins": ["naq"]}
    (own / "claims.toml").write_text(tomli_w.dumps(claims | words), encoding="utf-8")
    dates = (own / "dates.toml").read_text(encoding="utf-8")
    (own / "dates.toml").write_text(re.sub(r"(?s)ordinals = \[.*?\]", 'ordinals = ["gu"]', dates), encoding="utf-8")
    script = f"""
from cervella.text.language import known_languages, language
from cervella.text.reading import ReadText
def read(text): return ReadText(text, language({CODE!r}))
print([sorted(one.readings) for one in read("3 zvyyvba rheb, 5 cre prag, gjb qbmra").figures])
print([one.senses[0][0] for one in read("3 hagvy 5 qnlf").figures], read("9 rheb zbaguyl").figures[0].rate)
print([one.denies for one in read("jvgubhg n cyna ohg abj").statements], read("abg bayl").statements[0].denies)
print(len(read("n naq o ohg p").clauses), read("{turned("January")} 9gu, 2026").dates)
"""
    done = run(tmp_path, languages, "-c", script)
    assert done.stdout.splitlines() == [
        "[['3000000'], ['5'], ['24']]",
        "['time', 'time'] month",
        "[True, False] False",
        "3 frozenset({'2026-01-09'})",
    ], done.stderr


def test_checks_in_an_invented_language_are_run_or_not_scored(tmp_path: Path, languages: Path) -> None:
    script = f"""
from cervella.checks import Check, Context, check_kinds, run_check
args = {{"terms": ["x"], "pattern": "x", "values": ["x"], "about": ["x"], "claim": "true", "rubric": "x",
         "texts": ["x"], "at_least": 1, "max_words": 9, "canary": "x", "phrases": ["x"]}}
needs = {{"length": {{"max_words": 9}}, "structure": {{"bullets": 1}}}}
for kind in check_kinds():
    check = Check(kind=kind, args=needs.get(kind, args))
    found = run_check(check, "Gur ynhapu vf cbfgcbarq.", Context(language={CODE!r}))
    print(kind, found.passed)
"""
    done = run(tmp_path, languages, "-c", script)
    assert done.returncode == 0, done.stderr
    verdicts = dict(line.split() for line in done.stdout.splitlines())
    assert verdicts["not_regex"] == "True"
    assert verdicts["dissents"] == verdicts["gender"] == "None"
    assert verdicts["abstains"] == "False", "its own forms are enough"


@pytest.mark.parametrize("file", REQUIRED)
def test_a_language_without_a_required_file_says_which(
    languages: Path, file: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (languages / CODE / file).unlink()
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(languages))
    with pytest.raises(ConfigError, match=f"'{CODE}' has no file {file}") as error:
        language(CODE)
    assert str(languages / CODE) in error.value.remedy


@pytest.mark.parametrize(
    ("file", "before", "after", "said"),
    [
        ("dates.toml", "months", "mouths", "unknown key 'mouths' in dates.toml"),
        ("dates.toml", "written = ", "# ", "lacks the key 'written' in dates.toml"),
        ("small-talk.toml", "most_stems = 2", 'most_stems = "2"', "another kind of value for 'most_stems'"),
        ("abstention.toml", "forms = [", 'forms = [\n    "a (b",', "a bad pattern for 'forms' in abstention.toml"),
        ("dates.toml", '    "Wnahnel",\n', "", "11 texts for 'months' in dates.toml"),
        ("prompt.toml", "{today}", "{tomorrow}", "a place that nothing fills, or a lone brace, in 'instructions'"),
        ("constitution.md", "{today}", "{", "a lone brace, in constitution.md"),
        ("review.toml", "unread = ", "read = ", "lacks unread under 'issues' in review.toml"),
        ("prompt.toml", "line = ", "line ", "prompt.toml that is no TOML"),
        ("numbers.toml", "= 12\n", '= "12"\n', "another kind of value for 'gjryir' in numbers.toml"),
        ("numbers.toml", "= 12\n", "= [12]\n", "another kind of value for 'gjryir' in numbers.toml"),
        ("numbers.toml", "= 12\n", "= true\n", "another kind of value for 'gjryir' in numbers.toml"),
        ("dates.toml", '"Wnahnel"', '" "', "an empty text for 'months' in dates.toml"),
        ("dates.toml", "{day}", "{day.number}", "a place that nothing fills"),
        ("small-talk.toml", "most_stems = 2", "most_stems = true", "another kind of value for 'most_stems'"),
        ("claims.toml", "negations = [", 'negations = [\n    "a (b",', "a bad pattern for 'negations' in claims.toml"),
        ("secrets.toml", "tokens = [", 'tokens = [\n    "a)|(b",', "a bad pattern for 'tokens' in secrets.toml"),
        ("secrets.toml", "others = [", 'others = [\n    "(?i)x",', "a bad pattern for 'others' in secrets.toml"),
        ("secrets.toml", "others = [", 'others = [\n    "(?P<said>x)",', "a named group in a pattern for 'others'"),
        ("review.toml", '[marks]\nfacts = "', '[marks]\nfacts = "(', "a bad pattern for 'marks' in review.toml"),
        ("language.toml", '"none"', '"klingon"', "names the stemmer 'klingon'"),
    ],
)
def test_a_broken_folder_is_an_error_with_a_cure(
    languages: Path, file: str, before: str, after: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = languages / CODE / file
    path.write_text(path.read_text(encoding="utf-8").replace(before, after, 1), encoding="utf-8")
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(languages))
    with pytest.raises(ConfigError) as error:
        language(CODE)
    assert said in error.value.message
    assert error.value.remedy


@pytest.mark.parametrize(
    ("file", "text", "said"),
    [
        ("units.toml", 'eur = ["rheb"]', "another kind of value for 'eur' in units.toml"),
        ("units.toml", "[eur]\none = 1", "another kind of value for 'eur' in units.toml"),
        ("documents.toml", 'openings = ["(", "x"]', "a bad pattern for 'openings' in documents.toml"),
        ("documents.toml", "superseded = [1]", "another kind of value for 'superseded' in documents.toml"),
        ("documents.toml", 'superseded = [""]', "an empty text for 'superseded' in documents.toml"),
        ("documents.toml", '[paths]\nlesson = "*x*"', "another kind of value for 'lesson' in documents.toml"),
        ("documents.toml", "[first_words]\nlesson = [1]", "another kind of value for 'lesson' in documents.toml"),
    ],
)
def test_a_broken_optional_value_is_an_error_and_other_languages_go_on(
    languages: Path, file: str, text: str, said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = languages / CODE / file
    before = path.read_text(encoding="utf-8") if path.exists() else ""
    whole = f"{before}\n{text}\n" if text.startswith("[") else f"{text}\n{before}"  # keys come before tables
    path.write_text(whole, encoding="utf-8")
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(languages))
    with pytest.raises(ConfigError) as error:
        language(CODE)
    assert said in error.value.message
    assert str(languages / CODE) in error.value.remedy
    assert CODE not in known_languages()
    assert language("it").find_date("9 gennaio 2026") == "2026-01-09"
    with pytest.raises(ConfigError, match=f"'{CODE}'"):
        cervella.load_config()


def test_no_text_is_foreign_to_a_language_that_has_stop_words_alone(
    languages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    swedish = "och i att det som en på är av för med till den har de inte om ett han men var jag sig från vi så kan"
    (languages / CODE / "stop-words.txt").write_text(f"# Swedish.\n{swedish}\n", encoding="utf-8")
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(languages))
    text = "Hundar får komma in i butiken."
    assert foreign_language(text, [CODE]) is None
    assert foreign_language(text, ["it", CODE]) is None
    assert language_of(text, language(CODE)).code == CODE
    frequent = f"{swedish} hundar får komma in ut butiken butik hund alla över under när där här vara blir"
    (languages / CODE / "detection.txt").write_text(f"{frequent}\n", encoding="utf-8")
    monkeypatch.setenv("CERVELLA_LANGUAGES", f"{languages}/")  # read anew
    assert foreign_language(text, [CODE]) is None
    assert foreign_language("The dogs are not allowed to come into the shop.", [CODE]) == "en"


@pytest.mark.parametrize("text", ['[patterns]\nrefuses = ["/(/"]', "[patterns]\nrefuses = [1]", 'macros = "x"'])
def test_rules_of_checks_that_cannot_be_used_name_their_file(
    languages: Path, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (languages / CODE / "checks.toml").write_text(text, encoding="utf-8")
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(languages))
    with pytest.raises(ConfigError, match=f"'{CODE}' has a checks.toml that can't be used"):
        run_check(Check(kind="refuses"), "Ab.", Context(language=CODE))


def test_a_stemmer_that_snowball_lacks_names_those_that_it_has(
    languages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = languages / CODE / "language.toml"
    path.write_text(path.read_text(encoding="utf-8").replace('"none"', '"klingon"'), encoding="utf-8")
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(languages))
    with pytest.raises(ConfigError, match="klingon") as error:
        language(CODE)
    assert "spanish" in error.value.remedy


@pytest.mark.parametrize("key", ["months", "between", "ordinals"])
def test_a_bracket_in_a_calendar_is_a_character_like_any(
    languages: Path, key: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = languages / CODE / "dates.toml"
    dates = tomllib.loads(path.read_text(encoding="utf-8"))
    dates[key] = [f"{one} (" for one in dates[key]] or ["("]
    path.write_text(tomli_w.dumps(dates), encoding="utf-8")
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(languages))
    assert language(CODE).find_date("2026-01-09") == "2026-01-09"


def test_a_bracket_among_the_articles_of_a_name_is_a_character_like_any(
    languages: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = languages / CODE / "identity.toml"
    data = tomllib.loads(path.read_text(encoding="utf-8"))
    path.write_text(tomli_w.dumps(data | {"articles": ["("]}), encoding="utf-8")
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(languages))
    assert language(CODE).asks_identity("x", "Cervella") is None
    assert language(CODE).own_name("x") is None


def test_a_folder_whose_name_is_no_code_is_not_passed_over(languages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (languages / CODE).rename(languages / "pt-BR")
    (languages / ".git").mkdir()
    (languages / "Old notes").mkdir()
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(languages))
    for call in (cervella.load_config, lambda: language("pt-BR")):
        with pytest.raises(ConfigError, match="'pt-BR' has a name that is no code") as error:
            call()
        assert "ptbr" in error.value.remedy


def test_a_tilde_is_the_home_folder(languages: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(languages.parent))
    monkeypatch.setenv("CERVELLA_LANGUAGES", "~/languages")
    assert CODE in known_languages()


def test_a_language_of_the_library_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "own" / "it").mkdir(parents=True)
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(tmp_path / "own"))
    assert language("it").name == "italiano"
    with pytest.raises(ConfigError, match="'it' comes with the library"):
        cervella.load_config()


def test_the_variable_names_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CERVELLA_LANGUAGES", str(tmp_path / "nowhere"))
    with pytest.raises(ConfigError, match="nowhere"):
        cervella.load_config()


def test_a_command_says_in_two_lines_what_a_folder_lacks(tmp_path: Path, languages: Path) -> None:
    (languages / CODE / "dates.toml").unlink()
    (tmp_path / "cervella.toml").write_text("", encoding="utf-8")
    done = run(tmp_path, languages, "-m", "cervella", "search", "x")
    assert done.returncode == 2
    assert [line.partition(":")[0] for line in done.stderr.strip().splitlines()] == ["error", "help"]
    assert "no file dates.toml" in done.stderr
    assert run(tmp_path, languages, "-m", "cervella", "init", "--language", CODE).returncode == 2
