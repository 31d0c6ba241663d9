"""Measures whether the search finds the passages that answer a question."""
