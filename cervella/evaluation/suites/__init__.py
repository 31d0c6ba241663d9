"""The probes, tasks and questions of an evaluation."""
