"""Writes a comparison as one HTML page."""
