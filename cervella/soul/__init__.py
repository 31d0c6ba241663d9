"""Reads the soul of the persona: the Constitution, its sections and the traits that it declares."""

from cervella.soul.constitution import Constitution as Constitution, Section as Section
from cervella.soul.traits import Traits as Traits
