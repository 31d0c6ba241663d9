"""What every language promises: its files, and that what they say is understood by the same language."""

from __future__ import annotations

import ast
import datetime
import json
import re
import tomllib
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import cervella
from cervella.checks import Check, Context, run_check
from cervella.cli import main
from cervella.knowledge import HybridRetriever, KnowledgeIndex
from cervella.privacy.redaction import find_secrets
from cervella.text.folder import folder_of, required
from cervella.text.folding import any_of, fold
from cervella.text.language import known_languages, language
from tests.conftest import DATA

LANGUAGES = known_languages()
PACKAGE = Path(cervella.__file__).parent
WHO_ARE_YOU = {
    "de": "Wer bist du?",
    "en": "Who are you?",
    "es": "¿Quién eres?",
    "it": "Chi sei?",
    "pt": "Quem és tu?",
}
AND_HOW_MUCH = {
    "de": "Und wie viel kostet das?",
    "en": "And how much is it?",
    "es": "¿Y cuánto cuesta?",
    "it": "E quanto costa?",
    "pt": "E quanto custa?",
}


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_language_has_every_required_file_and_key(code: str) -> None:
    folder_of(code).check()


@pytest.mark.parametrize("code", LANGUAGES)
@pytest.mark.parametrize("file", required())
def test_every_file_of_data_says_at_its_top_what_it_is(code: str, file: str) -> None:
    path = PACKAGE / "text" / "languages" / code / file
    if path.exists() and path.suffix != ".md":
        assert path.read_text(encoding="utf-8").startswith("# ")


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_day_is_written_and_found_again(code: str) -> None:
    lang = language(code)
    assert (len(lang.months), len(lang.weekdays)) == (12, 7)
    for number in range(0, 3 * 365, 7):
        iso = (datetime.date(2024, 1, 1) + datetime.timedelta(days=number)).isoformat()
        assert lang.find_date(lang.format_date(iso)) == iso
        [(_, month)] = lang.find_months(lang.format_date(iso))
        assert month == int(iso[5:7])


@pytest.mark.parametrize("code", LANGUAGES)
def test_what_she_says_when_she_does_not_know_is_read_as_that(code: str) -> None:
    lang = language(code)
    assert lang.abstains(lang.abstention)
    assert lang.abstains(lang.abstention.partition(":")[0])
    assert not lang.abstains(lang.prompt["refusal"])
    assert not any(lang.abstains(text) for text in (*lang.off_topic, lang.file("small-talk.toml")["idle"]))


@pytest.mark.parametrize("code", LANGUAGES)
def test_an_abstention_is_scored_in_every_language(code: str) -> None:
    lang, check = language(code), Check(kind="abstains")
    said = lang.abstention.partition(":")[0]
    verdicts = [
        run_check(check, text, Context(language=code)).passed
        for text in (lang.abstention, f"{said}.", f"{said}. 94603.", lang.file("small-talk.toml")["idle"])
    ]
    assert verdicts == [True, True, False, False]
    assert (
        run_check(Check(kind="abstains", args={"guesses": ["xyzzy"]}), f"{said}. Xyzzy.", Context(language=code)).passed
        is False
    )


@pytest.mark.parametrize("code", WHO_ARE_YOU)
def test_a_question_about_herself_is_recognised(code: str) -> None:
    assert language(code).asks_identity(WHO_ARE_YOU[code]) == ""


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_question_about_a_matter_is_none_about_herself(code: str) -> None:
    lang = language(code)
    assert [lang.asks_identity(question, "Cervella") for question in lang.off_topic] == [None] * len(lang.off_topic)


@pytest.mark.parametrize("code", AND_HOW_MUCH)
def test_a_question_that_only_the_one_before_explains_follows_it_up(code: str) -> None:
    assert language(code).follows_up(AND_HOW_MUCH[code])


@pytest.mark.parametrize("code", LANGUAGES)
def test_a_question_that_stands_alone_follows_nothing_up(code: str) -> None:
    lang = language(code)
    assert not any(lang.follows_up(question) for question in lang.file("questions.toml")["other_matters"][:1])


@pytest.mark.parametrize("code", LANGUAGES)
def test_stop_words_leave_no_stem_and_forms_of_a_word_share_one(code: str) -> None:
    lang = language(code)
    assert lang.stems(" ".join(sorted(lang.stop_words))) == []
    assert all(lang.stems(question) for question in lang.off_topic)


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_places_in_what_is_said_are_those_that_are_filled(code: str) -> None:
    lang = language(code)
    lang.prompt["instructions"].format(today="x", abstention="y")
    lang.prompt["without_passages"].format(today="x", abstention="y")
    lang.prompt["lines"].format(start=1, end=2)
    lang.prompt["line"].format(start=1)
    assert "{abstention}" in lang.prompt["instructions"]
    assert "[F1]" in lang.prompt["instructions"]
    lang.review["revise"].format(issues="x")
    assert set(lang.review["issues"]) == set(language("it").review["issues"])
    assert set(lang.status) == {"superseded", "deprecated", "archived", "draft"}
    lang.redaction["mark"].format(kind="x")
    assert set(lang.redaction["kinds"]) == {"api_key", "token", "password", "private_key", "card"}
    drafts = dict(lang.file("questions.toml"))
    assert len(drafts.pop("other_matters")) >= 9
    places = dict.fromkeys(("title", "heading", "date", "column", "row"), "x")
    assert all("{" not in text.format(**places) for text in drafts.values())


@pytest.mark.parametrize("code", LANGUAGES)
def test_every_list_of_the_quoting_brain_and_of_the_router_has_words(code: str) -> None:
    for file in ("quotes.toml", "intents.toml", "claims.toml"):
        empty = [key for key, value in language(code).file(file).items() if not value or value == any_of(())]
        assert empty == []


@pytest.mark.parametrize("code", LANGUAGES)
def test_the_questions_of_a_starter_are_read_by_its_owner_and_not_by_every_engine(tmp_path: Path, code: str) -> None:
    path = tmp_path / "SOUL.md"
    path.write_text(language(code).file("constitution.md").format(today="2026-01-09"), encoding="utf-8")
    soul = cervella.Constitution.load(path, language=code)
    [questions] = [section for section in soul.sections if not section.kept]
    assert questions is soul.sections[-1]
    assert questions.text.count("\n- ") == 5
    assert questions.title not in soul.system_prompt()
    assert "<!--" not in soul.system_prompt(), "nothing is paid for that says nothing"
    bodies = [section.text.partition("\n")[2].strip() for section in soul.sections]
    assert all(bodies), "no heading stands alone"
    assert (soul.name, cervella.Traits.of(soul).language) == ("Cervella", code)


@pytest.mark.parametrize("code", WHO_ARE_YOU)
def test_init_makes_a_base_in_the_language_that_answers_who_she_is(
    tmp_path: Path, code: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CERVELLA_KNOWLEDGE__EMBEDDER", "none")
    assert main(["init", "--language", code]) == 0
    assert main(["index"]) == 0
    capsys.readouterr()
    assert main(["ask", "--json", WHO_ARE_YOU[code]]) == 0
    reply = json.loads(capsys.readouterr().out)
    own = (tmp_path / "knowledge" / language(code).file("documents.toml")["constitution"]).read_text(encoding="utf-8")
    name, says = reply["answer"].split(".", 1)
    assert "Cervella" in name
    assert says.strip() in own, "what she is, in the words of her Constitution"
    assert (reply["citations"], reply["abstained"]) == ([], False)
    assert main(["ask", "--json", language(code).off_topic[0]]) == 0
    assert json.loads(capsys.readouterr().out)["answer"] == language(code).abstention


def code_names_in(module: Path) -> set[str]:
    """The codes of languages that stand alone in a module: as keys, as defaults, as arguments."""
    tree = ast.parse(module.read_text(encoding="utf-8"))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    return texts & set(LANGUAGES)


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_names_a_language(module: Path) -> None:
    allowed = {
        "text/language.py": {"it"},  # what she speaks where nobody says otherwise
        "evaluation/comparison/rubric_run.py": {"en"},  # what its judge is asked in
        "text/small_talk.py": {"en"},  # what one word of small talk may be in, whatever the base is in
    }
    assert code_names_in(module) == allowed.get(module.relative_to(PACKAGE).as_posix(), set())


ALTERNATIVE = re.compile(r"(?<=[|(:])[^\W\d_]{2,}(?:\w?\?)?(?=[|)])")
FUNCTION_WORDS = frozenset().union(*(language(code).stop_words for code in LANGUAGES if code != "en"))
ALLOWED = {
    "brains/http/chat_templates.py": {"el"},  # `elif` of a template
    "brains/http/messages.py": {"un"},  # `unsupported`
    "knowledge/documents/encoding.py": {"àáâãäåæçèéêëìíîïñòóôõöøùúûüýÿßœ", "nº"},  # what bytes are read as
    "knowledge/documents/inline.py": {"⁰¹²³⁴⁵⁶⁷⁸⁹"},
    "privacy/beside.py": {"em", "li"},  # elements of HTML
    "privacy/context.py": {"mA"},  # milliampere, among the units
    "privacy/scanning.py": {"ſ", "İ", "ſıİ"},  # what `re.IGNORECASE` equates with letters of ASCII
    "text/showing.py": {"com", "de", "es", "eu"},  # ends of addresses
    "privacy/values.py": {"com", "de", "es", "eu", "io", "os"},  # ends of addresses, a module of Python
    "knowledge/documents/obsidian.py": {"del", "TODO"},  # the element of HTML, the mark of a task in Logseq
}


def words_of_languages_in(module: Path) -> set[str]:
    """Words of human languages in a module: alternatives of a regular expression, and keys that have an accent.

    English ones count as words of the code, and the examples of the testing kit are Italian texts.
    """
    tree = ast.parse(module.read_text(encoding="utf-8"))
    docstrings = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docstrings:
            found |= {word for word in ALTERNATIVE.findall(node.value) if fold(word) in FUNCTION_WORDS}
            found |= (
                {node.value} if re.fullmatch(r"\w+", node.value) and fold(node.value) != node.value.lower() else set()
            )
    return found - language("en").stop_words


@pytest.mark.parametrize("module", sorted(PACKAGE.rglob("*.py")), ids=lambda path: str(path.relative_to(PACKAGE)))
def test_no_module_has_words_of_a_human_language(module: Path) -> None:
    assert words_of_languages_in(module) == ALLOWED.get(module.relative_to(PACKAGE).as_posix(), set())


@pytest.mark.parametrize(
    ("source", "words"),
    [
        (r'A = re.compile(r"(?:yours?|tuo|tua|seu|example)")', {"tuo", "tua", "seu"}),
        (r'A = r"(?:/|su|of|out of|de|em)"', {"su", "de", "em"}),
        ('A = {"utility": 1, "utilità": 2}', {"utilità"}),
        ('A = "C\'è chi sa"', set()),
    ],
)
def test_words_of_a_human_language_are_found_in_code(tmp_path: Path, source: str, words: set[str]) -> None:
    (tmp_path / "module.py").write_text(source, encoding="utf-8")
    assert words_of_languages_in(tmp_path / "module.py") == words


@pytest.mark.parametrize(
    "path", sorted(set(PACKAGE.rglob("*.toml")) - set((PACKAGE / "text" / "languages").rglob("*")))
)
def test_no_file_of_data_outside_the_folders_of_languages_has_their_words(path: Path) -> None:
    text = "".join(line for line in path.read_text(encoding="utf-8").splitlines(True) if not line.startswith("#"))
    words = {word for word in re.findall(r"(?<![\w./])[^\W\d_]{3,}(?![\w./])", text) if fold(word) in FUNCTION_WORDS}
    assert words - language("en").stop_words <= {"due"}  # "past due"


@pytest.mark.parametrize(
    "value",
    [
        "la-tua-password-123",
        "tuo_token_2026",
        "esempio",
        "exemplo",
        "Ejemplo",
        "dein-Passwort",
        "beispiel",
        "tu-clave",
        "your-password",
        "YOUR_PASSWORD_HERE",
        "changeme",
        "my_secret",
        "super_password",
    ],
)
def test_an_example_as_it_is_written_in_any_language_is_no_secret(value: str) -> None:
    assert find_secrets(f"password = {value}") == []


@pytest.mark.parametrize(
    "value", ["tuono-9Kdf02!x", "seul-9Kdf02!x", "beispielhaft9Kdf", "themysecret-9", "esempio-9Kdf02", "your-9Kdf02!x"]
)
def test_a_value_that_only_begins_like_an_example_is_a_secret(value: str) -> None:
    assert len(find_secrets(f"password = {value}")) == 1


@pytest.mark.parametrize("path", sorted((PACKAGE / "text").glob("*.toml")), ids=lambda path: path.name)
def test_no_file_of_data_outside_the_folders_of_languages_has_a_table_for_a_language(path: Path) -> None:
    assert not set(tomllib.loads(path.read_text(encoding="utf-8"))) & set(LANGUAGES)


def rows_of(name: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (DATA / name).read_text(encoding="utf-8").splitlines()]


def reads(row: dict[str, Any]) -> bool:
    """What the library makes of a row, by its kind."""
    lang = language(row["language"])
    if row["kind"] == "abstains":
        scored = run_check(Check(kind="abstains"), row["text"], Context(language=row["language"])).passed
        assert scored is lang.abstains(row["text"])
        return scored
    if row["kind"] == "who_are_you":
        return lang.asks_identity(row["text"], "Cervella") is not None
    return bool(run_check(Check(kind="refuses"), row["text"], Context(language=row["language"])).passed)


@pytest.mark.parametrize("kind", ["abstains", "who_are_you", "refuses"])
@pytest.mark.parametrize("code", ["es", "de"])
def test_of_24_sentences_by_another_hand_at_least_23_are_read_rightly(code: str, kind: str) -> None:
    rows = [row for row in rows_of("spanish-german.jsonl") if (row["language"], row["kind"]) == (code, kind)]
    wrong = [row["text"] for row in rows if reads(row) is not row["is"]]
    assert len(rows) == 24
    assert len(wrong) <= 1, wrong


@pytest.mark.parametrize(("code", "first", "among_three"), [("es", 6, 13), ("de", 4, 7)])
def test_questions_whose_words_stand_in_five_wrong_passages_find_the_right_one_by_words_alone(
    tmp_path: Path, code: str, first: int, among_three: int
) -> None:
    rows = [row for row in rows_of("search-es-de.jsonl") if row["language"] == code]
    for number, row in enumerate(rows):
        (tmp_path / "notes" / f"q{number}").mkdir(parents=True)
        for place, text in enumerate(row["passages"]):
            (tmp_path / "notes" / f"q{number}" / f"{place}.md").write_text(f"{text}\n", encoding="utf-8")
    KnowledgeIndex(tmp_path / "notes", tmp_path / "index", embedder="none", language=code).update()
    ranks: Counter[int] = Counter()
    with HybridRetriever(tmp_path / "index", folder=tmp_path / "notes", embedder="none", language=code) as retriever:
        for number, row in enumerate(rows):
            found = retriever.retrieve(row["question"], top_k=6, filters={"path": f"q{number}/*"})  # type: ignore[arg-type]
            paths = [passage.path for passage in found]
            right = f"q{number}/{row['right']}.md"
            ranks[paths.index(right) if right in paths else 6] += 1
    assert ranks[0] >= first
    assert ranks[0] + ranks[1] + ranks[2] >= among_three
