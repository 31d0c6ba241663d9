"""Code that is shared by the brains with an HTTP server."""
