"""A brain that generates nothing and quotes the sources."""
