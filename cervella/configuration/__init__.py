"""Builds one frozen Config from cervella.toml, CERVELLA_* variables and arguments."""
