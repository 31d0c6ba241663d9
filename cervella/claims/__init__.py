"""Does an answer stand in its sources: citations, evidence, figures, arithmetic, names."""
