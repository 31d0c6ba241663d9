"""Computes intervals, paired differences, drift, equivalence and agreement from scores."""
