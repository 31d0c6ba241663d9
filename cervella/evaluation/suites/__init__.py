"""Reads, fills and drafts the probes, tasks and questions of an evaluation."""
