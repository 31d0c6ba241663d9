"""Is she still herself under this brain?"""
