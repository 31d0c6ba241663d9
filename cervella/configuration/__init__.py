"""cervella.toml, CERVELLA_* and arguments become one frozen Config."""
