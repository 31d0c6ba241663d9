"""Chooses the brain that answers: fallback, router, cooldown."""
