"""Ollama, through its own /api/chat."""
