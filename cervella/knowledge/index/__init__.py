"""The index on disk: generations, manifest, words, vectors."""
