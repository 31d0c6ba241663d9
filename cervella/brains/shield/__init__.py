"""Applies the rules that are the same for every brain: privacy, the window, the budget, retries, the end of a call."""
