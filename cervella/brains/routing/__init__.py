"""Which brain answers: fallback, router, cooldown."""
