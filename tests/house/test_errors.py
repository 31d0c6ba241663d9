"""Every error: its place in the tree, a stable code, its facts, and what pickling leaves of it."""

from __future__ import annotations

import copy
import pickle
from decimal import Decimal
from typing import Any

import pytest

from cervella import errors as E
from cervella.types import Attempt, Usage

ATTEMPT = Attempt(
    brain="claude", model="m", location="cloud", outcome="error", usage=Usage(input_tokens=3), error="brain"
)
BRAIN = {"brain": "claude", "model": "claude-sonnet", "remedy": "Cura.", "attempts": (ATTEMPT,)}

# kind: (its parent, its code, whether it is retryable, its facts)
TREE: dict[type[E.CervellaError], tuple[type, str, bool, dict[str, Any]]] = {
    E.CervellaError: (Exception, "cervella", False, {"remedy": "Cura."}),
    E.ConfigError: (E.CervellaError, "config", False, {"remedy": "Cura."}),
    E.UnknownBrainError: (E.ConfigError, "unknown_brain", False, {"name": "cluade", "known": ("claude", "echo")}),
    E.UnmatchedPatternError: (
        E.ConfigError,
        "local_only_unmatched",
        False,
        {"nearest": {"persnale/**": ("personale",)}},
    ),
    E.SoulError: (E.CervellaError, "soul", False, {"remedy": "Cura."}),
    E.SoulChangedError: (E.SoulError, "soul_changed", False, {"locked": "aa", "found": "bb"}),
    E.KnowledgeError: (E.CervellaError, "knowledge", False, {"remedy": None}),
    E.IndexMissingError: (E.KnowledgeError, "index_missing", False, {"remedy": "Cura."}),
    E.IndexMismatchError: (E.KnowledgeError, "index_mismatch", False, {"built_with": "a", "asked_for": "b"}),
    E.IndexLockedError: (E.KnowledgeError, "index_locked", False, {"pid": 42}),
    E.IndexDamagedError: (E.KnowledgeError, "index_damaged", False, {"remedy": "Cura."}),
    E.BrainError: (E.CervellaError, "brain", False, BRAIN),
    E.BrainNotInstalledError: (E.BrainError, "brain_not_installed", False, {**BRAIN, "extra": "embedded"}),
    E.BrainAuthError: (E.BrainError, "brain_auth", False, BRAIN),
    E.BrainUnavailableError: (E.BrainError, "brain_unavailable", True, BRAIN),
    E.BrainRateLimitError: (E.BrainError, "brain_rate_limit", True, {**BRAIN, "retry_after": 1.5}),
    E.BrainTimeoutError: (E.BrainError, "brain_timeout", True, BRAIN),
    E.PromptTooLongError: (E.BrainError, "prompt_too_long", False, {**BRAIN, "prompt_tokens": 9, "limit_tokens": 8}),
    E.PersonaTruncatedError: (
        E.BrainError,
        "persona_truncated",
        False,
        {**BRAIN, "prompt_tokens": 9, "seen_tokens": 8},
    ),
    E.BrainResponseError: (E.BrainError, "brain_response", False, BRAIN),
    E.StreamInterruptedError: (E.BrainError, "stream_interrupted", False, {**BRAIN, "partial": "Il lancio"}),
    E.BudgetError: (E.CervellaError, "budget", False, {"spent_usd": Decimal("1.2"), "limit_usd": Decimal("1")}),
    E.ConversationError: (E.CervellaError, "conversation", False, {"remedy": "Cura."}),
    E.LedgerError: (E.CervellaError, "ledger", False, {"remedy": "Cura."}),
    E.EvaluationError: (E.CervellaError, "evaluation", False, {"remedy": "Cura."}),
}
every_kind = pytest.mark.parametrize("kind", TREE, ids=lambda kind: kind.__name__)


def made(kind: type[E.CervellaError]) -> E.CervellaError:
    return kind("È successo questo.", **TREE[kind][3])


def test_the_tree_is_the_one_of_the_contract() -> None:
    found = {value for value in vars(E).values() if isinstance(value, type) and issubclass(value, E.CervellaError)}
    assert found == set(TREE)


@every_kind
def test_every_error_stands_at_its_place_with_its_code(kind: type[E.CervellaError]) -> None:
    parent, code, retryable, _ = TREE[kind]
    assert kind.__bases__ == (parent,)
    assert (kind.code, kind.retryable) == (code, retryable)
    assert kind.__name__ in (E.__doc__ or "")


def test_no_two_errors_share_a_code() -> None:
    assert len({kind.code for kind in TREE}) == len(TREE)


@every_kind
@pytest.mark.parametrize("copied", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_every_error_survives_pickling_with_its_facts(kind: type[E.CervellaError], copied: Any) -> None:
    error = made(kind)
    back = copied(error)
    assert type(back) is kind
    assert str(back) == back.message == "È successo questo."
    assert vars(back) == vars(error)
    assert all(getattr(back, name) == value for name, value in TREE[kind][3].items())


def test_a_special_code_survives_pickling_and_leaves_the_kinds_alone() -> None:
    back = pickle.loads(pickle.dumps(E.ConfigError("x", code="unknown_key")))
    assert back.code == "unknown_key"
    assert E.ConfigError.code == "config"


def test_a_note_survives_pickling() -> None:
    error = E.BrainError("x")
    error.add_note("visto qui")
    assert pickle.loads(pickle.dumps(error)).__notes__ == ["visto qui"]


def test_a_third_partys_error_survives_pickling() -> None:
    back = pickle.loads(pickle.dumps(ThirdParty("x", shard=3)))
    assert (type(back), back.shard, str(back)) == (ThirdParty, 3, "x")


class ThirdParty(E.BrainError):
    def __init__(self, message: str, *, shard: int) -> None:
        super().__init__(message)
        self.shard = shard


@pytest.mark.parametrize(
    ("word", "answer"), [("cluade", "Did you mean 'claude'? "), ("zzz", ""), ("", ""), ("CLAUDE", "")]
)
def test_the_nearest_word_is_named_only_where_one_is_near(word: str, answer: str) -> None:
    assert E.did_you_mean(word, ["claude", "echo"]) == answer
