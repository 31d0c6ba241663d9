"""Deterministic checks of a text: phrases, persona, stance, structure, facts. Traits and passages come as arguments.

`run_check` runs one. Further kinds come by the entry point group `cervella.checks`: a callable that takes the check's
args, the text and the context, and gives True, False, None (not scored) or a `Checked`.
"""

from __future__ import annotations

from cervella.checks.check import Check, Checked, Context, Judge, PersonaTraits
from cervella.checks.running import MOST_CHARACTERS, check_kinds, run_check

__all__ = ["MOST_CHARACTERS", "Check", "Checked", "Context", "Judge", "PersonaTraits", "check_kinds", "run_check"]
