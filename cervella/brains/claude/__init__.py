"""Answers with Claude, or with another server that has Anthropic's Messages API."""
