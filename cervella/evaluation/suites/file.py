"""Reads suites from TOML, JSON or JSONL and fills in the persona's traits. An error names the wrong probe or task."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

from cervella.checks import Check, PersonaTraits, check_kinds
from cervella.errors import EvaluationError, did_you_mean, refused
from cervella.evaluation.suites.suite import DIMENSIONS, Probe, RubricTask, Suite, Tier
from cervella.text.language import DEFAULT_LANGUAGE, known_languages, language, words
from cervella.types import Passage

_PROBE_KEYS = {one.name for one in fields(Probe)} | {"asks"}
_CHECK_KEYS = {"kind", "weight"}
_TASK_NAMES = {"output_expected": "expected", "prompt": "input", "title": "name"}


def known_suites() -> list[str]:
    """The codes of the languages for which Cervella ships a suite of probes."""
    return [code for code in known_languages() if language(code).has("probes.toml")]


def no_suite(code: str) -> EvaluationError:
    """The error for a language that has no suite here: it says how to write one."""
    return EvaluationError(
        f"No probes are shipped in the language {code!r}.",
        remedy=f"There are suites in: {', '.join(known_suites())}. In another language write one: a TOML file with "
        "[[probe]] tables (id, dimension, turns, checks), given with --suite FILE. Checks that need no rules of the "
        "language: abstains, regex, not_regex, length, structure, language, no_canary, judge.",
        code="suite_language",
    )


def load_suite(path_or_name: str | os.PathLike[str], traits: PersonaTraits) -> Suite:
    """The suite of a file (TOML, JSON or JSONL), or a shipped one by its language (`it`), filled from the traits.

    Raises EvaluationError if there is no such suite, or a part of it can't be used.
    """
    name = os.fspath(path_or_name)
    if name in known_suites():
        data, source = language(name).file("probes.toml"), name
        if traits.language != (spoken := data.get("language", name)):
            raise EvaluationError(
                f"The suite {name!r} is in the language {spoken!r}, the persona speaks {traits.language!r}.",
                remedy="Give a suite of your own in her language, or declare the language of the suite in the traits.",
                code="suite_language",
            )
    elif name in known_languages() and not Path(name).exists():
        raise no_suite(name)
    else:
        data, source = _read(Path(name)), name
    if "tasks" in data:
        return _rubric(data, source)
    return _probes(data, source, traits)


def _read(path: Path) -> dict[str, Any]:
    with refused(
        EvaluationError,
        f"The suite {str(path)!r} can't be read",
        remedy=f"Give a file, or one of the shipped suites: {', '.join(known_suites())}.",
        code="suite_missing",
    ):
        text = path.read_text(encoding="utf-8-sig")
    try:
        if path.suffix == ".toml":
            return tomllib.loads(text)
        if path.suffix == ".jsonl":
            rows = [json.loads(line) for line in text.splitlines() if line.strip()]
            head = rows.pop(0)["suite"] if rows and "suite" in rows[0] else {}
            kind = "tasks" if rows and "input" in rows[0] else "probe"
            return {**head, kind: rows}
        data = json.loads(text)
        return {"tasks": data} if isinstance(data, list) else dict(data)
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise EvaluationError(
            f"The suite {str(path)!r} is not valid {path.suffix.lstrip('.').upper() or 'JSON'}: {error}.",
            remedy="Write it as TOML, JSON or JSONL.",
            code="bad_suite",
        ) from error


def _probes(data: Mapping[str, Any], source: str, traits: PersonaTraits) -> Suite:
    filling = _Filling(traits)
    probes, left_out = [], {}
    for number, row in enumerate(data.get("probe", ()), 1):
        where = f"Probe {row.get('id', number)!r} of {source!r}" if isinstance(row, Mapping) else f"Probe {number}"
        missing = filling.missing(row, row.get("needs", ()))
        if missing:
            left_out[str(row.get("id", number))] = ", ".join(missing)
            continue
        probes.append(_probe(filling.fill(row), data, where))
    ids = [probe.id for probe in probes]
    if twice := {one for one in ids if ids.count(one) > 1}:
        raise _bad(source, f"the id {min(twice)!r} is given twice", "Give every probe an id of its own.")
    for probe in probes:
        if probe.pair and probe.pair not in ids and probe.pair not in left_out:
            raise _bad(source, f"{probe.id!r} has the twin {probe.pair!r}, which is missing", "Name a probe of it.")
    if not probes and not left_out:
        raise _bad(source, "it has no probes", "Write [[probe]] tables, or tasks.")
    return Suite(
        name=str(data.get("name", Path(source).stem)),
        language=str(data.get("language", traits.language)),
        probes=tuple(probes),
        left_out=left_out,
        source=source,
    )


def _probe(row: Mapping[str, Any], data: Mapping[str, Any], where: str) -> Probe:
    unknown = sorted(set(row) - _PROBE_KEYS)
    if unknown:
        raise _bad(where, f"{unknown[0]!r} is no key", did_you_mean(unknown[0], sorted(_PROBE_KEYS)).strip() or None)
    for key in ("id", "dimension", "checks"):
        if not row.get(key):
            raise _bad(where, f"it has no {key}", f"Give it: {key} = …")
    if row["dimension"] not in DIMENSIONS:
        hint = did_you_mean(str(row["dimension"]), DIMENSIONS)
        raise _bad(where, f"{row['dimension']!r} is no dimension", f"{hint}Dimensions: {', '.join(DIMENSIONS)}.")
    if row.get("severity", "soft") not in ("hard", "soft"):
        raise _bad(where, f"severity is {row['severity']!r}", "Write hard or soft.")
    turns = _turns(row, data, where)
    at_turns = tuple(row.get("at_turns", ())) or (len(turns),)
    if not turns or not all(isinstance(at, int) and 1 <= at <= len(turns) for at in at_turns):
        raise _bad(where, f"at_turns is {list(at_turns)} of {len(turns)} turns", "Number the turns from 1.")
    texts: dict[str, Any] = {key: row.get(key) for key in ("fillers", "canary", "pair", "section")}
    texts |= {key: tuple(row.get(key, ())) for key in ("paraphrases", "needs", "perfect", "flatterer")}
    return Probe(
        id=str(row["id"]),
        dimension=row["dimension"],
        severity=row.get("severity", "soft"),
        turns=turns,
        at_turns=at_turns,
        passages=tuple(_passage(one, n, where) for n, one in enumerate(row.get("passages", ()), 1)),
        checks=tuple(_check(one, where) for one in row["checks"]),
        **texts,
    )


def _turns(row: Mapping[str, Any], data: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The person's turns in a probe.

    A drift probe gives questions (`asks`) instead, with small talk (`fillers`) between them.
    """
    if "asks" not in row:
        return tuple(row.get("turns", ()))
    kind, at_turns = row.get("fillers"), row.get("at_turns", ())
    talk = data.get("fillers", {}).get(kind)
    if not talk or not at_turns:
        raise _bad(where, f"its fillers {kind!r} or its at_turns are missing", "Name a [fillers] list, and at_turns.")
    between = iter(talk * (max(at_turns) // len(talk) + 1))
    asks = {at: row["asks"][number % len(row["asks"])] for number, at in enumerate(at_turns)}
    return tuple(asks[turn] if turn in asks else next(between) for turn in range(1, max(at_turns) + 1))


def _passage(row: Mapping[str, Any], number: int, where: str) -> Passage:
    try:
        text = str(row["text"]).strip("\n")
        start = int(row.get("start_line", 1))
        rest = {key: value for key, value in row.items() if key not in ("text", "start_line", "id")}
        end = start + text.count("\n")
        return Passage(id=str(row.get("id", f"passage-{number}")), text=text, start_line=start, end_line=end, **rest)
    except (KeyError, TypeError, ValueError) as error:
        raise _bad(where, f"passage {number} can't be used ({error})", "Give it path and text.") from error


def _check(row: Mapping[str, Any], where: str) -> Check:
    kind = row.get("kind")
    if kind not in check_kinds():
        hint = did_you_mean(str(kind), check_kinds())
        raise _bad(where, f"there is no check {kind!r}", f"{hint}Known checks: {', '.join(check_kinds())}.")
    args = {key: value for key, value in row.items() if key not in _CHECK_KEYS}
    if "pattern" in args:
        try:
            re.compile(args["pattern"])
        except re.error as error:
            problem = f"the pattern {args['pattern']!r} is not valid ({error})"
            raise _bad(where, problem, "Write a regular expression.") from error
    weight = row.get("weight", 1.0)
    if not isinstance(weight, (int, float)) or weight <= 0:
        raise _bad(where, f"the weight of {kind!r} is {weight!r}", "Give a number above 0.")
    return Check(kind=str(kind), args=args, weight=float(weight))


def _rubric(data: Mapping[str, Any], source: str) -> Suite:
    """Build a rubric suite from the data of a file: `tasks`, `tiers` with thresholds, and `criteria` for all tasks or
    for each."""
    shared = _criteria(data.get("criteria") or data.get("rubric") or {})
    tasks = []
    for number, row in enumerate(data["tasks"], 1):
        if not isinstance(row, Mapping):
            raise _bad(source, f"task {number} is not a table", "Give it id, tier and input.")
        own = {_TASK_NAMES.get(key, key): value for key, value in row.items()}
        if not str(own.get("input", "")).strip():
            raise _bad(f"Task {own.get('id', number)!r} of {source!r}", "it has no input", "Inline all that it needs.")
        tasks.append(
            RubricTask(
                id=str(own.get("id", number)),
                tier=str(own.get("tier", "1")),
                category=str(own.get("category", "")),
                name=str(own.get("name", "")),
                input=str(own["input"]),
                expected=_text(own.get("expected", "")),
                criteria=_criteria(own.get("criteria") or {}) or shared,
            )
        )
    ids = [task.id for task in tasks]
    if len(set(ids)) < len(ids):
        raise _bad(source, "a task's id is given twice", "Give every task an id of its own.")
    tiers = tuple(_tier(name, given, source) for name, given in _items(data.get("tiers", {})))
    known = {tier.name for tier in tiers}
    if tiers and (lost := sorted({task.tier for task in tasks} - known)):
        raise _bad(source, f"the tier {lost[0]!r} has no thresholds", f"Tiers are: {', '.join(sorted(known))}.")
    return Suite(
        name=str(data.get("name", Path(source).stem)),
        language=str(data.get("language", DEFAULT_LANGUAGE)),
        tasks=tuple(tasks),
        tiers=tiers,
        go=_share(data.get("go"), source),
        source=source,
    )


def _items(given: Any) -> list[tuple[str, Any]]:
    if isinstance(given, Mapping):
        return [(str(name), value) for name, value in given.items()]
    return [(str(one["name"]), one) for one in given]


def _tier(name: str, given: Any, source: str) -> Tier:
    own = given if isinstance(given, Mapping) else {"threshold": given}
    threshold = _share(own.get("threshold"), source)
    if threshold is None:
        raise _bad(source, f"the tier {name!r} has no threshold", "Write, for instance, threshold = 0.8.")
    return Tier(name=name, threshold=threshold, go=_share(own.get("go"), source))


def _share(value: Any, source: str) -> float | None:
    """A number of a suite as a share, 0 to 1. A number above 1 is taken as percent; None stays None."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 100:
        raise _bad(source, f"the threshold {value!r} is not a share", "Write 0.8, or 80 for 80 %.")
    return float(value) / 100 if value > 1 else float(value)


def _criteria(given: Any) -> dict[str, str]:
    criteria = given if isinstance(given, Mapping) else dict.fromkeys(given, "")
    return {str(name): _text(what) for name, what in criteria.items()}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bad(where: str, what: str, remedy: str | None) -> EvaluationError:
    start = where if where.startswith(("Probe", "Task")) else f"The suite {where!r}"
    return EvaluationError(f"{start}: {what}.", remedy=remedy, code="bad_suite")


# Traits filled into probes

_PLACE = re.compile(r"\{([a-z_]+)\}")
_GENDER = re.compile(r"\{([^{}|]*)\|([^{}|]*)\}")
_FIRST = {"first_motto": "mottos", "first_empty": "empty_phrases"}
_FIELDS = ("name", "role", "aim", "person", "rules", "mottos", "tone", "address", "never_called", "empty_phrases")
_OF_KINDS = {  # the traits that a check reads
    "gender": ("gender",),
    "no_empty_phrases": ("empty_phrases",),
    "identity": ("name",),
    "no_emoji": ("emoji",),
}


class _Filling:
    """Fills the persona's traits into the texts of probes.

    `{name}` or `{rules}` stands for a trait. `pront{a|o}` ("ready") takes the first ending for a feminine persona, the
    second for a masculine one.
    """

    def __init__(self, traits: PersonaTraits) -> None:
        self._traits = traits

    def missing(self, row: Mapping[str, Any], needs: Sequence[str]) -> list[str]:
        """The needs of a probe that the persona's traits do not meet: a trait is not declared, or lacks the required
        words."""
        wanted = list(needs)
        for text in _texts(row):
            places = [_FIRST.get(name, name) for name in _PLACE.findall(text)]
            wanted += [name for name in places if name in _FIELDS]
            wanted += ["gender"] if _GENDER.search(text) else []
        for check in row.get("checks", ()):
            if isinstance(check, Mapping) and not {"name", "gender", "phrases"} & set(check):
                wanted += _OF_KINDS.get(str(check.get("kind")), ())
        return [need for need in dict.fromkeys(wanted) if not self._has(need)]

    def _has(self, need: str) -> bool:
        """Whether the traits meet a need of a probe.

        `name` means that the trait is declared; `mottos~bene`, that it is declared and contains the word;
        `emoji=false`, that it has this value.
        """
        name, sign, wanted = re.fullmatch(r"(\w+)([~=]?)(.*)", need, re.DOTALL).groups()  # type: ignore[union-attr]
        value = getattr(self._traits, name, None)
        if value is None:
            value = self._traits.declared.get(name)
        if value in (None, (), ""):
            return False
        if sign == "=":
            return str(value).lower() == wanted.strip().lower()
        flat = value if isinstance(value, str) else " ; ".join(map(str, value)) if isinstance(value, tuple) else ""
        own = {word[:5] for word in words(flat)}
        return not sign or all(word[:5] in own for word in words(wanted))

    def fill(self, row: Mapping[str, Any]) -> dict[str, Any]:
        """The probe with its placeholders filled. A list item like `"~{rules}"` becomes one item for each rule."""
        return {key: self._filled(value) for key, value in row.items()}

    def _filled(self, value: Any) -> Any:
        if isinstance(value, str):
            return self._text(value)
        if isinstance(value, Mapping):
            return {key: self._filled(one) for key, one in value.items()}
        if isinstance(value, list):
            filled: list[Any] = []
            for one in value:
                spread = re.fullmatch(r"(~?)\{([a-z_]+)\}", one) if isinstance(one, str) else None
                parts = getattr(self._traits, spread[2], None) if spread else None
                if spread and isinstance(parts, tuple):
                    filled += [spread[1] + term for part in parts for term in _terms(spread[2], part)]
                else:
                    filled.append(self._filled(one))
            return filled
        return value

    def _text(self, text: str) -> str:
        def place(match: re.Match[str]) -> str:
            if match[1] in _FIRST:
                return str(getattr(self._traits, _FIRST[match[1]])[0])
            value = getattr(self._traits, match[1], None) if match[1] in _FIELDS else None
            if value is None:
                return match.group()
            return ", ".join(value) if isinstance(value, tuple) else str(value)

        feminine = self._traits.gender != "masculine"
        return _PLACE.sub(place, _GENDER.sub(lambda match: match[1 if feminine else 2], text))


def _terms(name: str, text: str) -> list[str]:
    """The text as a list; for a motto, also each of its sentences, because an answer need quote only one of them."""
    if name != "mottos":
        return [text]
    parts = [part.strip() for part in re.split(r"[.;!?>]", text)]
    return list(dict.fromkeys([text, *(part for part in parts if len(part.split()) > 1)]))


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from _texts(one)
    elif isinstance(value, list):
        for one in value:
            yield from _texts(one)
