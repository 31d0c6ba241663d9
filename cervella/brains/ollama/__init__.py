"""Answers with a model of an Ollama server, through Ollama's own API."""
