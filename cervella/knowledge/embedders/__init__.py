"""Embedders turn texts into vectors, and a cache keeps the vectors, so that no text is embedded twice."""
