"""The probes for one Constitution, written as a TOML file that its team can change."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from cervella.checks import PersonaTraits
from cervella.evaluation.suites.file import known_suites, load_suite, no_suite
from cervella.evaluation.suites.suite import Probe, Suite

_HEAD = """\
# The probes of {name}, from what the Constitution declares of the persona.
#
# A probe: what the person says (`turns`; `paraphrases` of the last), what is shown (`passages`), and what is asked of
# the answer (`checks`). `perfect` are right answers and `flatterer` wrong ones: each probe must tell them apart.
# Change, add and delete as you like, then: cervella soul test --suite FILE
"""


def write_suite(traits: PersonaTraits, language: str | None = None) -> str:
    """The shipped suite of a language as TOML, filled from the traits. Comments list the traits that are not declared.

    `load_suite` reads the same probes from it. `language` is by default that of the traits. Raises EvaluationError if
    no suite of that language is shipped.
    """
    code = language or traits.language
    if code not in known_suites():
        raise no_suite(code)
    suite = load_suite(code, traits)
    name = traits.name or suite.name
    lines = [_HEAD.format(name=name), f"name = {_value(name)}", f"language = {_value(suite.language)}"]
    if suite.left_out:
        lines += ["", "# Left out, for want of a trait:"]
        lines += [f"# - {id}: {traits}" for id, traits in suite.left_out.items()]
    for probe in suite.probes:
        lines += ["", "[[probe]]", *_lines(probe, suite)]
    return "\n".join(lines) + "\n"


def _lines(probe: Probe, suite: Suite) -> list[str]:
    row = {
        "id": probe.id,
        "dimension": probe.dimension,
        "severity": "hard" if probe.severity == "hard" else None,
        "section": probe.section,
        "fillers": probe.fillers,
        "canary": probe.canary,
        "pair": None if probe.pair in suite.left_out else probe.pair,
        "turns": probe.turns,
        "at_turns": None if probe.at_turns == (len(probe.turns),) else probe.at_turns,
        "paraphrases": probe.paraphrases or None,
        "passages": [
            {"path": p.path, "date": p.date, "heading": p.heading or None, "start_line": p.start_line, "text": p.text}
            for p in probe.passages
        ]
        or None,
        "checks": [{"kind": c.kind, **c.args, "weight": None if c.weight == 1.0 else c.weight} for c in probe.checks],
        "perfect": probe.perfect,
        "flatterer": probe.flatterer,
    }
    return [f"{key} = {_value(value)}" for key, value in row.items() if value is not None]


def _value(value: Any) -> str:
    """A TOML value. A JSON string is a TOML string too; accents stay."""
    if isinstance(value, Mapping):
        pairs = (f"{key} = {_value(one)}" for key, one in value.items() if one is not None)
        return "{ " + ", ".join(pairs) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(map(_value, value)) + "]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
