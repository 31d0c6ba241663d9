"""Speed and quality beside peers, in the same process environment. Run by `make bench`; CI never fails on a clock."""
