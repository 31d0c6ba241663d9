"""The values: frozen, checked at the door, and what they promise beyond their fields."""

from __future__ import annotations

import copy
import datetime
import pickle
import time
from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from cervella.errors import ConfigError
from cervella.prompt.history import history_of
from cervella.types import (
    Citation,
    CitedLines,
    Filters,
    Message,
    Passage,
    Prompt,
    Reply,
    Retrieval,
    Usage,
)
from cervella.types.filters import path_matches
from tests.conftest import PATIENCE, make_passage


def test_a_value_is_frozen_and_takes_keywords_only(passages: tuple[Passage, ...]) -> None:
    with pytest.raises(FrozenInstanceError):
        passages[0].text = "altro"  # type: ignore[misc]
    with pytest.raises(TypeError):
        Message("user", "ciao")  # type: ignore[call-arg, misc]


def test_an_unknown_count_is_none_never_zero() -> None:
    assert Usage() == Usage(input_tokens=None, cache_read_tokens=None, cache_write_tokens=None, output_tokens=None)
    assert Reply(text="x").cost_usd is None


# Retrieval


def test_a_retrieval_is_a_sequence_of_its_passages(passages: tuple[Passage, ...]) -> None:
    found = Retrieval(query="lancio", passages=list(passages))  # type: ignore[arg-type]
    assert len(found) == 3
    assert found[0] is passages[0]
    assert found[-1] is passages[-1]
    assert found[:2] == passages[:2]
    assert list(found) == list(passages)
    assert passages[1] in found
    assert found.index(passages[1]) == 1
    assert isinstance(found.passages, tuple)


def test_a_retrieval_keeps_its_passages_when_it_abstains(passages: tuple[Passage, ...]) -> None:
    assert len(Retrieval(query="x", passages=passages, abstain=True)) == 3
    assert not Retrieval(query="x", passages=())


def test_a_retrieval_takes_keywords_only() -> None:
    with pytest.raises(TypeError):
        Retrieval("x", ())  # type: ignore[call-arg, misc]


# Filters


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({}, ["rinvio", "prezzi", "margine"]),
        ({"role": "decision"}, ["rinvio"]),
        ({"role": ["decision", "research"]}, ["rinvio", "prezzi"]),
        ({"role": ("decision",), "project": "altro"}, []),
        ({"project": {"miracollo"}}, ["rinvio"]),
        ({"status": "current"}, ["rinvio", "prezzi", "margine"]),
        ({"path": "ricerche/*"}, ["prezzi"]),
        ({"path": ["riservato/**", "decisioni/**"]}, ["rinvio", "margine"]),
        ({"since": "2026-01-09"}, ["rinvio"]),
        ({"until": datetime.date(2026, 1, 9)}, ["rinvio"]),
        ({"since": datetime.datetime(2026, 1, 10, 8)}, []),
        ({"since": "2026-01-10", "until": "2026-01-01"}, []),
    ],
)
def test_all_conditions_of_a_filter_must_hold(
    filters: dict[str, Any], kept: list[str], passages: tuple[Passage, ...]
) -> None:
    wanted = Filters.of(filters)
    assert wanted is not None
    assert [passage.id for passage in passages if wanted.match(passage)] == kept
    assert wanted == Filters(**filters)


def test_filters_of_nothing_is_nothing_and_of_filters_is_itself() -> None:
    own = Filters(role="decision")
    assert Filters.of(None) is None
    assert Filters.of(own) is own


def test_an_unknown_filter_is_an_error_that_names_the_nearest() -> None:
    with pytest.raises(ConfigError, match="'projct'") as caught:
        Filters.of({"projct": "x"})
    assert caught.value.code == "unknown_filter"
    assert "Did you mean 'project'?" in str(caught.value.remedy)


@pytest.mark.parametrize(
    "filters",
    [
        {"role": ""},
        {"role": []},
        {"role": ["decision", ""]},
        {"role": 5},
        {"role": [5]},
        {"project": True},
        {"path": b"x"},
        {"tags": ""},
        {"tags": ["#"]},
        {"tags": 5},
        {"meta": {}},
        {"meta": "autore=Rossi"},
        {"meta": {"autore": ""}},
        {"meta": {"autore": []}},
        {"meta": {"autore": ["Rossi", None]}},
        {"meta": {"autore": {"nome": "Rossi"}}},
        {"meta": {" ": "Rossi"}},
        {"meta": {5: "Rossi"}},
        {"since": "ieri"},
        {"since": "2026-02-30"},
        {"since": 20260109},
        {"until": ["2026-01-09"]},
        {1: "x"},
        "decision",
        ["decision"],
    ],
)
def test_a_filter_that_can_not_be_used_is_a_config_error(filters: Any) -> None:
    with pytest.raises(ConfigError):
        Filters.of(filters)


@pytest.mark.parametrize(
    ("filters", "kept"),
    [
        ({"tags": "prezzi"}, True),
        ({"tags": "#PREZZI"}, True),
        ({"tags": ["orari", "citta/mare"]}, True),
        ({"tags": ["Città"]}, True),
        ({"tags": ["cit"]}, False),
        ({"tags": ["prezzi/estate/alta"]}, False),
        ({"meta": {"AUTORE": "anna  bianchi"}}, True),
        ({"meta": {"autore": ["Verdi", "Ugo Neri"], "stelle": 4}}, True),
        ({"meta": {"autore": "Anna"}}, False),
        ({"meta": {"attivo": True}}, True),
        ({"meta": {"attivo": False}}, False),
        ({"meta": {"prezzo": 12.5}}, True),
        ({"meta": {"rivisto": datetime.date(2026, 1, 9)}}, True),
        ({"meta": {"rivisto": "2026-01-09", "altro": "x"}}, False),
        ({"project": "cervella-baby"}, True),
        ({"project": "Cervella Baby"}, True),
        ({"status": "draft"}, False),
    ],
)
def test_a_passage_is_selected_by_its_tags_and_further_fields(filters: dict[str, Any], kept: bool) -> None:
    meta = {
        "Autore": ("Anna Bianchi", "Ugo Neri"),
        "stelle": "4",
        "attivo": "true",
        "prezzo": "12.5",
        "rivisto": "2026-01-09",
    }
    tags = ("Prezzi/Estate", "città/Mare")
    passage = Passage(id="x", path="x.md", text="x", start_line=1, end_line=1, tags=tags, meta=meta)
    wanted = Filters.of(filters)
    assert wanted is not None
    assert wanted.match(replace(passage, project="cervella baby")) is kept


def test_filters_are_values() -> None:
    assert hash(Filters(tags="a", meta={"b": 1})) == hash(Filters(tags=["a"], meta={"b": "1"}))
    assert pickle.loads(pickle.dumps(Filters(meta={"b": 1}))) == Filters(meta={"b": ["1"]})
    assert hash(Filters(role=["a", "b"])) == hash(Filters(role=("a", "b")))
    assert pickle.loads(pickle.dumps(Filters(path="a/**"))) == Filters(path="a/**")


@pytest.mark.parametrize(
    ("path", "pattern", "matches"),
    [
        ("a.md", "*.md", True),
        ("x/a.md", "*.md", False),
        ("x/a.md", "**/*.md", True),
        ("a.md", "**/*.md", True),
        ("x/y/a.md", "x/**", True),
        ("xy/a.md", "x/**", False),
        ("x/20260109_b.md", "x/2026????_*.md", True),
        ("x/a.md", "x?a.md", False),
        ("x/a[1].md", "x/a[1].md", True),
        ("x/a1.md", "x/a[1].md", False),
        ("X/a.md", "x/a.md", False),
        ("x/a.md.bak", "x/*.md", False),
        ("x/\n.md", "x/*.md", True),
        ("x/y/z/a.md", "x/**/a.md", True),
        ("x/a.md", "x/**/a.md", True),
    ],
)
def test_a_glob_stays_in_its_folder_unless_it_has_two_stars(path: str, pattern: str, matches: bool) -> None:
    assert path_matches(path, pattern) is matches


@pytest.mark.parametrize(
    "pattern", ["**" * 12 + "z", "*a" * 12 + "z", "**a" * 12 + "z", "***/" * 8 + "z", "?*" * 12 + "z"]
)
def test_no_glob_takes_long(pattern: str) -> None:
    started = time.perf_counter()
    assert not path_matches("a" * 60, pattern)
    assert time.perf_counter() - started < PATIENCE


# Prompt


def test_a_prompt_numbers_its_passages_and_keeps_given_marks(passages: tuple[Passage, ...]) -> None:
    prompt = Prompt(system="s", question="q", passages=list(passages))  # type: ignore[arg-type]
    assert prompt.marks == ("F1", "F2", "F3")
    assert list(prompt.sources) == ["F1", "F2", "F3"]
    assert Prompt(system="s", question="q", passages=passages, marks=("F4", "F2", "F9")).sources["F9"] is passages[2]


def test_marks_without_their_passages_are_refused(passages: tuple[Passage, ...]) -> None:
    with pytest.raises(ValueError, match="3 passages, but 1 marks"):
        Prompt(system="s", question="q", passages=passages, marks=("F1",))


def test_a_prompt_is_tainted_by_a_passage_or_by_a_turn(passages: tuple[Passage, ...]) -> None:
    clean = Prompt(system="s", question="q", passages=passages[:2])
    assert not clean.tainted
    assert replace(clean, passages=passages, marks=()).tainted
    assert replace(clean, history=(Message(role="user", content="x", tainted=True),)).tainted


# Citation


def citation(**facts: Any) -> Citation:
    known = {
        "mark": "F1",
        "path": "a.md",
        "heading": "",
        "start_line": 1,
        "end_line": 2,
        "quote": "x",
        "supported": True,
    }
    return Citation(**{**known, **facts})


def test_a_citation_reads_its_lines_until_it_is_pickled() -> None:
    live = citation(reader=lambda: CitedLines(text="ora", changed=True))
    assert live.read() == CitedLines(text="ora", changed=True)
    back = pickle.loads(pickle.dumps(live))
    assert back == live
    with pytest.raises(RuntimeError, match="no reader"):
        back.read()
    assert copy.deepcopy(citation()) == citation()
    assert "reader" not in repr(live)


def test_a_citation_keeps_through_a_pickle_whether_its_file_has_changed() -> None:
    assert [pickle.loads(pickle.dumps(citation(changed=one))).changed for one in (True, False, None)] == [
        True,
        False,
        None,
    ]
    assert citation().changed is None
    stale = Retrieval(query="x", passages=(), behind=3)
    assert pickle.loads(pickle.dumps(stale)) == stale


def test_the_flags_of_a_retrieval_are_those_that_are_not_zero() -> None:
    assert Retrieval(query="x", passages=()).index_flags() == {}
    assert Retrieval(query="x", passages=(), behind=3).index_flags() == {"index_behind": 3}
    assert Retrieval(query="x", passages=(), unchecked=2).index_flags() == {"index_unchecked": 2}


def test_a_reply_survives_pickling(passages: tuple[Passage, ...]) -> None:
    reply = Reply(text="x", citations=(citation(reader=lambda: CitedLines(text="", changed=False)),), passages=passages)
    assert pickle.loads(pickle.dumps(reply)) == reply


# History


def test_history_comes_in_every_form_that_callers_write() -> None:
    turns = [
        Message(role="user", content="a"),
        {"role": "assistant", "content": "b"},
        ("c", "d"),
        ["e", "f"],
        Reply(question="g", text="h", tainted=True),
        {"role": "user", "content": "i", "tainted": True},
    ]
    found = history_of(turns)
    assert [m.content for m in found] == list("abcdefghi")
    assert [m.role[0] for m in found] == list("uauauauau")
    assert [m.tainted for m in found] == [False] * 6 + [True] * 3
    assert history_of(None) == history_of([]) == ()


@pytest.mark.parametrize(
    "turn",
    [
        "ciao",
        ("solo una",),
        ("a", "b", "c"),
        ("a", 3),
        None,
        {"content": "x"},
        {"role": "system", "content": "sei un pirata"},
        Message(role="system", content="sei un pirata"),
        {"role": "tool", "content": "x"},
        {"role": ["user"], "content": "x"},
    ],
)
def test_history_that_is_none_is_a_config_error(turn: Any) -> None:
    with pytest.raises(ConfigError, match="history"):
        history_of([turn])


@pytest.mark.parametrize(
    "history", ["ciao", 5, {"role": "user", "content": "x"}, Reply(text="x"), Message(role="user", content="x")]
)
def test_history_that_is_no_list_is_a_config_error(history: Any) -> None:
    with pytest.raises(ConfigError, match="history"):
        history_of(history)


def test_a_reply_as_a_turn_keeps_its_taint() -> None:
    question, answer = Reply(question="q", text="a", tainted=True).as_turn()
    assert (question.role, answer.role) == ("user", "assistant")
    assert question.tainted
    assert answer.tainted


def test_a_line_is_what_commonmark_calls_one() -> None:
    assert make_passage("a\u2028b\x0bc\nd").end_line == 13
