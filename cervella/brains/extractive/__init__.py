"""Answers with quotations from the sources, and generates nothing."""
