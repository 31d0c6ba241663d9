"""Checks the phrases, persona, stance, structure and facts of a text. Most checks need no model.

`run_check` runs one check. Plugins add kinds by the entry point group `cervella.checks`: each is a callable that takes
the check's args, the text and the context, and returns True, False, None (not scored) or a `Checked`.
"""

from __future__ import annotations

from cervella.checks.check import Check, Checked, Context, Judge, PersonaTraits
from cervella.checks.running import MOST_CHARACTERS, check_kinds, run_check

__all__ = ["MOST_CHARACTERS", "Check", "Checked", "Context", "Judge", "PersonaTraits", "check_kinds", "run_check"]
