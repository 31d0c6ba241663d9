"""Measures brains and the search: suites of probes (test questions with checks), the soul test, the comparison of
brains, and the evaluation of retrieval."""

from __future__ import annotations

from cervella.evaluation.suites.file import known_suites, load_suite
from cervella.evaluation.suites.suite import DIMENSIONS, Probe, RubricTask, Suite, Tier

__all__ = ["DIMENSIONS", "Probe", "RubricTask", "Suite", "Tier", "known_suites", "load_suite"]
