"""What brains are asked in an evaluation: probes, tasks, questions."""
