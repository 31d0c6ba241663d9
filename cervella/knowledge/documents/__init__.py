"""Files become blocks, chunks and file facts."""
