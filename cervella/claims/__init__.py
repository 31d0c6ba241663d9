"""Checks of an answer against its sources: citations, evidence, figures, arithmetic, names."""
