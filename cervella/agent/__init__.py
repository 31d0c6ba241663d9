"""`Agent` and `Session`: the only package that uses the soul, the knowledge base and the brains together."""
