"""The checks, held against rows written by hand: what is said, what is only quoted, negated or reported."""

from __future__ import annotations

import json
import unicodedata
from typing import Any

import numpy as np
import pytest

from cervella.checks import Check, Checked, Context, check_kinds, run_check
from cervella.errors import EvaluationError
from cervella.soul import Constitution, Traits
from cervella.types import Passage
from tests.conftest import ROOT

TRAITS = Traits.of(Constitution.load(ROOT / "knowledge" / "COSTITUZIONE.md"))
ROWS = [json.loads(line) for line in (ROOT / "tests/data/checks-it.jsonl").read_text("utf-8").splitlines()]
SPELLINGS = {
    "apostrophes for accents": lambda text: text.translate(
        str.maketrans({v: f"{u}'" for u, v in zip("eeauoi", "èéàùòì", strict=True)})
    ),
    "typographic apostrophes": lambda text: text.replace("'", "’"),
    "decomposed": lambda text: unicodedata.normalize("NFD", text),
    "bold": lambda text: f"**{text}**",
    "no-break spaces": lambda text: text.replace(" ", "\u00a0"),
    "lower case": str.lower,
    "capitals": str.upper,
}
BY_CAPITAL = {"Sono Alice", "adesso sono Nova", "è stato Giorgio", "Si chiama Giorgio"}
"""Names that no list holds are told by their capital: in another case these can't be seen."""


def context(row: dict[str, Any] | None = None, **given: Any) -> Context:
    passages = tuple(
        Passage(id=str(n), start_line=1, end_line=1 + one["text"].count("\n"), **one)
        for n, one in enumerate((row or {}).get("passages", ()))
    )
    return Context(language="it", traits=TRAITS, passages=passages, question=(row or {}).get("question", ""), **given)


def run(kind: str, text: str, given: Context | None = None, **args: Any) -> Checked:
    return run_check(Check(kind=kind, args=args), text, given or context())


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row['check']}: {row['text'][:50]}")
def test_a_check_reads_a_text_as_a_person_does(row: dict[str, Any]) -> None:
    found = run(row["check"], row["text"], context(row), **row.get("args", {}))
    assert found.passed is row["expected"], found.detail


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_accents_apostrophes_and_case_never_decide(spelling: str) -> None:
    exact = {"language", "no_canary", "structure", "length"}
    for row in ROWS:
        named = spelling in ("lower case", "capitals") and any(name in row["text"] for name in BY_CAPITAL)
        if row["check"] in exact or named:
            continue
        text = SPELLINGS[spelling](row["text"])
        assert run(row["check"], text, context(row), **row.get("args", {})).passed is row["expected"], text


def test_there_are_rows_of_every_kind_that_reads_a_language() -> None:
    free = {
        "regex",
        "not_regex",
        "similar",
        "judge",
        "no_leak",
        "contains_all",
        "contains_some",
        "fact",
        "agrees_to",
        "does_not_ask",
    }
    assert len(ROWS) >= 250
    assert set(check_kinds()) - free <= {row["check"] for row in ROWS}


@pytest.mark.parametrize("kind", ["not_contains", "gender", "no_empty_phrases", "identity", "no_emoji", "no_canary"])
def test_an_empty_text_passes_no_check(kind: str) -> None:
    assert run(kind, " \n", terms=["x"]).passed is False


def test_what_cannot_be_scored_is_neither_passed_nor_failed() -> None:
    bare = Context(language="it")
    assert run("gender", "Sono pronta.", bare).passed is None
    assert run("no_empty_phrases", "Certamente!", bare).passed is None
    assert run("similar", "Sì.", texts=["Sì."], at_least=0.5).passed is None
    assert run("judge", "Sì.", rubric="È calda?").passed is None
    assert run("dissents", "No.", Context(language="xx", traits=TRAITS)).passed is None


class Letters:
    """An embedder of first letters: enough to tell two texts apart."""

    name, dimensions, fingerprint = "letters", 26, "letters-1"

    def embed_passages(self, texts: Any, /) -> Any:
        rows = np.array([[text.lower().count(chr(97 + n)) for n in range(26)] for text in texts], dtype="float32")
        return rows / np.linalg.norm(rows, axis=1, keepdims=True)

    def embed_query(self, text: str, /) -> Any:
        return self.embed_passages([text])[0]


def test_similarity_is_scored_by_the_pinned_embedder_only() -> None:
    given = context(embedder=Letters())
    assert run("similar", "una cosa alla volta", given, texts=["una cosa alla volta"], at_least=0.99).passed is True
    assert run("similar", "zzz", given, texts=["una cosa alla volta"], at_least=0.5).passed is False
    other = run("similar", "zzz", given, texts=["a"], at_least=0.5, embedder="another")
    assert (other.passed, other.how) == (None, "embedder")


def test_a_judge_is_asked_where_there_is_one() -> None:
    given = context(judge=lambda rubric, text: "caldo" in text)
    assert run("judge", "Un abbraccio caldo.", given, rubric="È calda?") == Checked(
        kind="judge", passed=True, how="judge"
    )


def test_a_leak_is_seen_whole_encoded_and_backwards_and_a_summary_is_none() -> None:
    import base64

    system = " ".join(f"parola{n}" for n in range(60))
    given = context(system=system)
    assert run("no_leak", f"Ecco: {system}", given).passed is False
    assert run("no_leak", base64.b64encode(system.encode()).decode(), given).passed is False
    assert run("no_leak", " ".join(system.split()[::-1]), given).passed is False
    assert run("no_leak", "In breve: parola1, parola2 e parola3.", given).passed is True


def test_an_unknown_check_and_wrong_arguments_say_so() -> None:
    with pytest.raises(EvaluationError, match="no check 'gendr'") as raised:
        run("gendr", "Sì.")
    assert "gender" in str(raised.value.remedy)
    with pytest.raises(EvaluationError, match="can't be run"):
        run("contains_all", "Sì.")


def test_checks_come_from_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    from cervella.checks import running

    class Point:
        name = "short"

        def load(self) -> Any:
            return lambda args, text, context: len(text) < args["most"]

    monkeypatch.setattr(running, "_plugins", lambda: {"short": Point()})
    assert run("short", "Sì.", most=5).passed is True
    assert "short" in check_kinds()
