"""Tests whether the persona stays herself under a brain."""
