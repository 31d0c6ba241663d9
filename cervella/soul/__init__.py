"""Who speaks: the Constitution, read once and kept as it stands."""

from cervella.soul.constitution import Constitution, Section
from cervella.soul.traits import Traits

__all__ = ["Constitution", "Section", "Traits"]
