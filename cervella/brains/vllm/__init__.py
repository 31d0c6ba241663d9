"""vLLM, and every server that speaks OpenAI's chat completions."""
