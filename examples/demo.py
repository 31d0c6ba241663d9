"""The main job in one run: index, three questions with their sources, then another engine by one changed line.

The other engine is a very small test model, which invents facts: a review without a model checks its answer, and the
demo ends with the words of the source. `make demo` runs this program. Vendors' keys are removed from the environment
first, so it never costs money.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY")
QUESTIONS = (
    "Chi è Cervella?",
    "Quanto costa all'ora la RTX 4090 di RunPod?",
    "Su che macchina gira Cervella AI? È andata su Cloud Run?",
)
SHORT = "Quanto costa la RTX 4090 di RunPod al mese?"
"""Its first passage is short and contains a price: the test model has little to read, and invents one."""
LINE, CHANGED_LINE = 'brain = "extractive"', 'brain = "embedded"'
NO_REVISION = {"CERVELLA_REVIEW__ROUNDS": "0"}
"""A review without a revision: for a revision the slow model would have to read everything again."""


def cervella(*arguments: str, show: bool = True, **settings: str) -> str:
    """Run one command as a person would, and return its standard output."""
    environment = {
        key: value for key, value in os.environ.items() if key not in KEYS and not key.startswith("CERVELLA_")
    } | settings
    if show:
        print(f"\n$ cervella {shlex.join(arguments)}", flush=True)
    command = [sys.executable, "-m", "cervella", *arguments]
    run = subprocess.run(command, cwd=ROOT, env=environment, text=True, encoding="utf-8", stdout=subprocess.PIPE)
    if run.returncode:
        sys.exit(run.returncode)
    if show:
        print(run.stdout, end="", flush=True)
    return run.stdout


def answer(config: Path, question: str) -> dict[str, Any]:
    command = ("ask", "--config", str(config), "--top-k", "1", "--review", "--json", question)
    reply: dict[str, Any] = json.loads(cervella(*command, show=False, **NO_REVISION))
    return reply


def changed(config: Path) -> Path:
    """A copy of the configuration, beside it, with the one line that names the engine changed."""
    text = config.read_text(encoding="utf-8")
    if text.count(LINE) != 1:
        sys.exit(f"{config} has no line {LINE!r}, or several.")
    with tempfile.NamedTemporaryFile("w", suffix=".toml", dir=config.parent, delete=False, encoding="utf-8") as file:
        file.write(text.replace(LINE, CHANGED_LINE))
    return Path(file.name)


def same(before: dict[str, Any], after: dict[str, Any]) -> bool:
    """Whether nothing but the engine changed."""
    return bool(before["soul"] == after["soul"] and before["passages"] == after["passages"])


def compared(before: dict[str, Any], after: dict[str, Any]) -> Iterator[str]:
    """The lines to print: what the two replies share, the review of the second, and the quotation of the first."""
    tokens, seconds = after["usage"]["input_tokens"] or 0, after["timings"]["first_token_seconds"] or 0.0
    yield f"[{after['brain']}, {after['model']}: test-size and English, it shows that the engine runs]"
    yield after["answer"].strip() or "(it wrote nothing)"
    yield ""
    yield f"read {tokens} tokens, first text after {seconds:.0f} s"
    yield ""
    yield f"engine:   {before['brain']} ({before['model']}) -> {after['brain']} ({after['model']})"
    yield f"soul:     {before['soul'][:16]}… {'the same' if before['soul'] == after['soul'] else 'CHANGED'}"
    same_passages = before["passages"] == after["passages"]
    yield f"passages: {len(before['passages'])}, {'the same' if same_passages else 'CHANGED'}"
    yield ""
    yield from reviewed(after["review"])
    yield ""
    yield "What the source says, in its own words:"
    yield before["answer"].strip()
    for source in before["citations"]:
        yield f"[{source['mark']}] {source['path']}:{source['start_line']}-{source['end_line']}"


def reviewed(review: dict[str, Any]) -> Iterator[str]:
    """The verdict of the checks, which ask no model."""
    issues = [issue for issue in review["issues"] if issue["serious"]]
    if review["approved"]:
        yield f"The review found nothing that the lines do not say: {review['score']:g}/10."
        return
    yield f"The review does not let the model's answer stand: {review['score']:g}/10."
    for issue in issues:
        yield f"  {issue['kind']}: «{' '.join(issue['text'].split())}»: {issue['problem']}"


def main() -> None:
    started = time.monotonic()
    cervella("index")
    for question in QUESTIONS:
        cervella("ask", question)

    print(
        "\n--- The same soul and the same sources, another engine: one line of the configuration changes.", flush=True
    )
    own = ROOT / "cervella.toml"
    other = changed(own)
    try:
        print(f"-{LINE}\n+{CHANGED_LINE}", flush=True)
        settings = " ".join(f"{name}={value}" for name, value in NO_REVISION.items())
        print(f"\n$ {settings} cervella ask --top-k 1 --review {shlex.quote(SHORT)}", flush=True)
        before, after = answer(own, SHORT), answer(other, SHORT)
    finally:
        other.unlink()
    for line in compared(before, after):
        print(line)
    print(f"\nDone in {time.monotonic() - started:.0f} s.")
    if not same(before, after):
        sys.exit("The engine changed more than the engine.")


if __name__ == "__main__":
    main()
