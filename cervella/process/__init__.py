"""What this process is: forks, threads of native libraries, the background event loop."""
