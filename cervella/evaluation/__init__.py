"""Is it still her? Suites of probes, brains held against them, and what comes out."""

from __future__ import annotations

from cervella.evaluation.suite import DIMENSIONS, Probe, RubricTask, Suite, Tier
from cervella.evaluation.suite_file import known_suites, load_suite

__all__ = ["DIMENSIONS", "Probe", "RubricTask", "Suite", "Tier", "known_suites", "load_suite"]
