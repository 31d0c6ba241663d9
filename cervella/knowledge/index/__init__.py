"""Builds, checks and opens the index on disk.

Each update writes a new generation: a folder with the manifest (files and chunks), the words and the vectors.
"""
