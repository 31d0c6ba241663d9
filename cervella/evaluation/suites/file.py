"""Suites as files: TOML, JSON or JSONL in, values out; a wrong line says what is wrong with it."""

from __future__ import annotations

import json
import os
import re
import tomllib
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from typing import Any

from cervella.checks import Check, PersonaTraits, check_kinds
from cervella.errors import EvaluationError, did_you_mean
from cervella.evaluation.suites.filling import Filling
from cervella.evaluation.suites.suite import DIMENSIONS, Probe, RubricTask, Suite, Tier
from cervella.text.language import DEFAULT_LANGUAGE, known_languages, language
from cervella.types import Passage

__all__ = ["known_suites", "load_suite"]

_PROBE_KEYS = {one.name for one in fields(Probe)} | {"asks"}
_CHECK_KEYS = {"kind", "weight"}
_TASK_NAMES = {"output_expected": "expected", "prompt": "input", "title": "name"}
_CRITERIA = {"utility": "utilita", "utilità": "utilita", "stile_cervella": "stile"}


def known_suites() -> list[str]:
    """The codes of the languages that have a suite of probes here."""
    return [code for code in known_languages() if language(code).has("probes.toml")]


def load_suite(path_or_name: str | os.PathLike[str], traits: PersonaTraits) -> Suite:
    """The suite of a file (TOML, JSON or JSONL), or a shipped one by its language (`it`), filled from the traits.

    Raises EvaluationError: no such suite, or a line of it that can't be used.
    """
    name = os.fspath(path_or_name)
    if name in known_suites():
        data, source = language(name).file("probes.toml"), name
        if traits.language != data["language"]:
            raise EvaluationError(
                f"The suite {name!r} is in the language {data['language']!r}, the persona speaks {traits.language!r}.",
                remedy="Give a suite of your own in her language, or declare the language of the suite in the traits.",
                code="suite_language",
            )
    else:
        data, source = _read(Path(name)), name
    if "tasks" in data:
        return _rubric(data, source)
    return _probes(data, source, traits)


def _read(path: Path) -> dict[str, Any]:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        known = known_suites()
        raise EvaluationError(
            f"The suite {str(path)!r} can't be read: {getattr(error, 'strerror', None) or error}.",
            remedy=f"Give a file, or one of the shipped suites: {', '.join(known)}.",
            code="suite_missing",
        ) from error
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
            f"The suite {str(path)!r} is no {path.suffix.lstrip('.') or 'suite'}: {error}.",
            remedy="Write it as TOML, JSON or JSONL.",
            code="bad_suite",
        ) from error


def _probes(data: Mapping[str, Any], source: str, traits: PersonaTraits) -> Suite:
    filling = Filling(traits)
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
            raise _bad(
                source, f"{probe.id!r} has a twin {probe.pair!r} that is not there", "Name a probe of this suite."
            )
    if not probes and not left_out:
        raise _bad(source, "it holds no probe", "Write [[probe]] tables, or tasks.")
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
    return Probe(
        id=str(row["id"]),
        dimension=row["dimension"],
        severity=row.get("severity", "soft"),
        turns=turns,
        at_turns=at_turns,
        fillers=row.get("fillers"),
        paraphrases=tuple(row.get("paraphrases", ())),
        passages=tuple(_passage(one, n, where) for n, one in enumerate(row.get("passages", ()), 1)),
        checks=tuple(_check(one, where) for one in row["checks"]),
        canary=row.get("canary"),
        pair=row.get("pair"),
        section=row.get("section"),
        needs=tuple(row.get("needs", ())),
        perfect=tuple(row.get("perfect", ())),
        flatterer=tuple(row.get("flatterer", ())),
    )


def _turns(row: Mapping[str, Any], data: Mapping[str, Any], where: str) -> tuple[str, ...]:
    """The turns as written; of a drift probe, its questions (`asks`) with the talk of its fillers between."""
    if "asks" not in row:
        return tuple(row.get("turns", ()))
    kind, at_turns = row.get("fillers"), row.get("at_turns", ())
    talk = data.get("fillers", {}).get(kind)
    if not talk or not at_turns:
        raise _bad(where, f"its fillers {kind!r} or its at_turns are not there", "Name a [fillers] list, and at_turns.")
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
            raise _bad(
                where, f"the pattern {args['pattern']!r} is none ({error})", "Write a regular expression."
            ) from error
    weight = row.get("weight", 1.0)
    if not isinstance(weight, (int, float)) or weight <= 0:
        raise _bad(where, f"the weight of {kind!r} is {weight!r}", "Give a number above 0.")
    return Check(kind=str(kind), args=args, weight=float(weight))


def _rubric(data: Mapping[str, Any], source: str) -> Suite:
    """A rubric suite, as an owner writes it: `tasks`, `tiers` with thresholds, `criteria` for all or for each."""
    shared = _criteria(data.get("criteria") or data.get("rubric") or {})
    tasks = []
    for number, row in enumerate(data["tasks"], 1):
        if not isinstance(row, Mapping):
            raise _bad(source, f"task {number} is no table", "Give it id, tier and input.")
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
    """A share of 1; 80 is read as 80 %."""
    if value is None:
        return None
    if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value <= 100:
        raise _bad(source, f"the threshold {value!r} is no share", "Write 0.8, or 80 for 80 %.")
    return float(value) / 100 if value > 1 else float(value)


def _criteria(given: Any) -> dict[str, str]:
    if isinstance(given, Mapping):
        return {_CRITERIA.get(str(name), str(name)): _text(what) for name, what in given.items()}
    return {_CRITERIA.get(str(name), str(name)): "" for name in given}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _bad(where: str, what: str, remedy: str | None) -> EvaluationError:
    start = where if where.startswith(("Probe", "Task")) else f"The suite {where!r}"
    return EvaluationError(f"{start}: {what}.", remedy=remedy, code="bad_suite")
