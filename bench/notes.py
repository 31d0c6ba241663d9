"""How many cases of notes are right: `python -m bench.notes FILE.jsonl … [--rows] [--only KIND] [--embedder auto]`.

The cases are those of tests/data/notes, or others in the same form (see tests/fixtures/notes.py). Prints, for each
kind, the rows that are right of all; with `--rows` each fault.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections import Counter
from pathlib import Path

from tests.fixtures.notes import faults


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--rows", action="store_true")
    parser.add_argument("--only", default="", help="part of a kind or id")
    parser.add_argument("--embedder", default="none")
    asked = parser.parse_args()
    right: Counter[str] = Counter()
    total: Counter[str] = Counter()
    checks, wrong = 0, 0
    for file in asked.files:
        for line in file.read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if asked.only not in f"{row['kind']} {row['id']}":
                continue
            with tempfile.TemporaryDirectory() as folder:
                found = faults(row, Path(folder), embedder=asked.embedder)
            checks += sum(len(row.get(name, ())) for name in ("ask", "search", "passages", "report"))
            wrong += len(found)
            total[row["kind"]] += 1
            right[row["kind"]] += not found
            if asked.rows:
                for fault in found:
                    print(f"{row['id']} {row['kind']}: {fault}")
    for kind in sorted(total):
        print(f"{right[kind]:4} of {total[kind]:3}  {kind}")
    print(f"{right.total():4} of {total.total():3}  rows right; {wrong} faults in {checks} checks")


if __name__ == "__main__":
    main()
