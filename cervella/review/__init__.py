"""Reviews an answer: checks it without a model, asks a second brain for its opinion, and has it revised."""
