"""The index under torture: killed, refused the disk, damaged, and read by others while it is written. `make torture`."""
