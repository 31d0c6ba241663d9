"""Is it still her, and does she find the truth: the soul test, the comparison of brains, their statistics."""
