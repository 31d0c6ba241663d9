"""Embedders: they turn texts into vectors. Also the cache of these vectors."""
