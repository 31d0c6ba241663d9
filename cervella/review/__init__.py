"""A second pair of hands on an answer: the verdict, the second opinion, the revision."""
