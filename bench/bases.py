"""Bases as people have them: what is indexed and skipped, what it costs, and whether markup shows in an answer.

`python -m bench.bases [FOLDER …] [--embedder none] [--answers]`. Each folder has `kb/` and `questions.jsonl`. Without
folders: the three of tests/data/bases, made after public ones (a site, decision records, the docs of a repository with
node_modules and a history), and those of `VAULTS` that exist.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from bench import CORPORA, ROOT, cpu_seconds
from cervella import Agent
from cervella.evaluation.search.indexed import manifest_of
from tests.fixtures.notes import SOUL, missing, said

BASES = ROOT / "tests" / "data" / "bases"
VAULTS = (CORPORA.parent / "cases" / "agriturismo", CORPORA.parent / "cases" / "dentista", CORPORA / "sncp-20260111")
MARKUP = re.compile(
    r"""
    \[\[ | \]\] | ==\w | %% | \[![\w-]+\] | (?<=\s)\^[\w-]{4,}\s*$          # notes
    | </?(?:t[rdh]|table|thead|tbody|br|p|b|i|strong|em|div|span|details|summary|ul|li|dl|dt|dd|img|a)\b
    | &(?:\w{2,8}|\#x?\w{2,6}); | <!-- | \*\*\w | ~~\w | \]\( | ^:::         # HTML and markdown
    | \{\{[<%{] | ^\+\+\+ | ^---\s*$ | \w::\s | ^[-*]\s\[[ xX]\]             # templates, front matter, fields, tasks
    | ^\s*(?:title|linkTitle|tags|date|aliases|weight|draft|lastmod)\s*[:=]
    | data:image/ | [A-Za-z0-9+/]{80,}
    """,
    re.VERBOSE | re.MULTILINE,
)
"""What no answer of quotations may show."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path)
    parser.add_argument("--embedder", default="none")
    parser.add_argument("--answers", action="store_true", help="print the answers that are not right, or show markup")
    asked = parser.parse_args()
    folders = asked.folders or [*sorted(BASES.iterdir()), *(vault for vault in VAULTS if vault.is_dir())]
    for folder in folders:
        with tempfile.TemporaryDirectory() as work:
            print(json.dumps(measured(folder, Path(work), asked.embedder, answers=asked.answers), ensure_ascii=False))


def measured(base: Path, work: Path, embedder: str = "none", *, answers: bool = False) -> dict[str, Any]:
    """Index one base in an empty folder, ask its questions, and count."""
    kb = built(base, work / "base")
    soul = kb / "COSTITUZIONE.md"
    if not soul.exists():
        soul = work / "soul.md"
        soul.write_text(SOUL, encoding="utf-8")
    with Agent(knowledge=kb, constitution=soul, index=work / "index", embedder=embedder, brain="extractive") as agent:
        with Agent(knowledge=_warm(work / "warm"), constitution=soul, index=work / "other", embedder=embedder) as other:
            other.index()  # what a process loads once is not the cost of a base
        before = cpu_seconds()
        report = agent.index()
        seconds = cpu_seconds() - before
        with manifest_of(agent) as manifest:
            read = sum(file.size for file in manifest.files().values()) if manifest else 0
        rows = list(_answers(agent, base / "questions.jsonl"))
    for row in rows if answers else ():
        if row["markup"] or (row["answerable"] and not row["fact"]):
            print(row, file=sys.stderr)
    answerable = [row for row in rows if row["answerable"]]
    return {
        "base": base.name,
        "seen": report.files_seen,
        "indexed": report.files_indexed,
        "skipped": dict(Counter(one.reason for one in report.files_skipped)),
        "left_out": dict(report.left_out),
        "chunks": report.chunks_total,
        "CPU s": round(seconds, 3),
        "MB": round(read / 1e6, 3),
        "CPU s per MB": round(seconds / read * 1e6, 2) if read else None,
        "answers with markup": sum(bool(row["markup"]) for row in rows),
        "answers": len(rows),
        "fact": f"{sum(row['fact'] for row in answerable)} of {len(answerable)}",
        "first source": f"{sum(row['first'] for row in answerable)} of {len(answerable)}",
    }


def _warm(folder: Path) -> Path:
    folder.mkdir()
    (folder / "nota.md").write_text("# Nota\n\nIl canone è di 12 euro.\n", encoding="utf-8")
    return folder


def built(base: Path, to: Path) -> Path:
    """A copy of the base's folder of notes; built by its own script where it has one."""
    if (base / "build.py").exists():
        subprocess.run([sys.executable, base / "build.py", to], check=True, stdout=subprocess.DEVNULL)
        return to / "kb"
    kb = base / "kb" if (base / "kb").is_dir() else base
    shutil.copytree(kb, to)
    return to


def _answers(agent: Agent, questions: Path) -> Iterator[dict[str, Any]]:
    lines = questions.read_text(encoding="utf-8").splitlines() if questions.exists() else ()
    for line in lines:
        row = json.loads(line)
        reply = agent.ask(row["question"])
        text, first = said(reply)
        yield {
            **{name: row[name] for name in ("id", "question", "answerable")},
            "fact": not reply.abstained and not missing(text, row["must"]),
            "first": first in row["files"],
            "markup": [match.group() for match in MARKUP.finditer(text)],
            "text": reply.text,
        }


if __name__ == "__main__":
    main()
