"""Brains compared on the same questions, and the decision on each."""
