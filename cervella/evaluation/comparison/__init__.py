"""Compares brains on the same questions, and decides on each brain: GO, CONDITIONAL, INCOMPLETE or NO-GO."""
