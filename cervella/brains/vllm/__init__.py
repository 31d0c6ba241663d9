"""Answers with a model of vLLM, or of another server with OpenAI's chat completions API."""
