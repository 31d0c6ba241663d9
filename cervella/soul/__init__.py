"""Who speaks: the Constitution, read once and kept as it stands."""

from cervella.soul.constitution import Constitution, Section

__all__ = ["Constitution", "Section"]
