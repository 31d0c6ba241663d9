"""Lists and reads the markdown files of a folder, and turns them into blocks, chunks and document facts."""
