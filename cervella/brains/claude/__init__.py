"""Claude, and every server that speaks the Messages API."""
