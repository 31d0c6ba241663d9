"""`python -m cervella` is `cervella`."""

from cervella.cli import entry

if __name__ == "__main__":
    entry()
