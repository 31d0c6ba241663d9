"""Two or more brains on the same questions, and what follows from it."""
