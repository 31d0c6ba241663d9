"""Answers with a GGUF model (the file format of llama.cpp) that runs in this process."""
