"""Speed and quality beside peers, in the same process environment. Run by `make bench`; CI never fails on a clock."""

from __future__ import annotations

import resource
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
CORPORA = ROOT.parent / "shared" / "corpora"
SNCP, SNCP_QUESTIONS, SQUAD = (
    CORPORA / name for name in ("sncp-20260111", "questions-sncp-20260111.jsonl", "squad-it-dev.json.gz")
)


class Soul:
    """A soul of one sentence, where the benchmark does not depend on its text."""

    name, language, fingerprint = "bench", "it", "0" * 64

    def system_prompt(self) -> str:
        return "Sei Cervella.\n"


def cpu_seconds() -> float:
    """Seconds of CPU time that this process and its ended children have used."""
    uses = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(use.ru_utime + use.ru_stime for use in uses)
