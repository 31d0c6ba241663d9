"""Intervals, paired differences, drift, equivalence, agreement."""
