"""The index under torture: killed, refused the disk, damaged, read while it is written. `make torture`."""
