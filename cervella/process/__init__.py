"""Handles files, forks, the threads of native libraries, and the background event loop."""
