"""The main job in one run: index, three questions with their sources, then another engine by one changed line.

`make demo` calls it. No key is used: vendors' keys are taken out of the environment first, so it never bills.
"""

from __future__ import annotations

import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEYS = ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "OPENAI_API_KEY")
QUESTIONS = (
    "Chi è Cervella?",
    "Quanto costa all'ora la RTX 4090 di RunPod?",
    "Su che macchina gira Cervella AI? È andata su Cloud Run?",
)


def cervella(*arguments: str, show: bool = True) -> str:
    """Run one command as a person would, and give what it printed."""
    environment = {
        key: value for key, value in os.environ.items() if key not in KEYS and not key.startswith("CERVELLA_")
    }
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
    # Two passages: the test-size model reads forty tokens a second here, and the rest of the prompt is the soul.
    command = ("ask", "--config", str(config), "--top-k", "2", "--json", question)
    reply: dict[str, Any] = json.loads(cervella(*command, show=False))
    return reply


def main() -> None:
    started = time.monotonic()
    cervella("index")
    for question in QUESTIONS:
        cervella("ask", question)

    print(
        "\n--- The same soul and the same sources, another engine: one line of the configuration changes.", flush=True
    )
    own = ROOT / "cervella.toml"
    text = own.read_text(encoding="utf-8")
    changed = text.replace('brain = "extractive"', 'brain = "embedded"')
    with tempfile.NamedTemporaryFile("w", suffix=".toml", dir=ROOT, delete=False, encoding="utf-8") as file:
        file.write(changed)
    other = Path(file.name)
    try:
        print('-brain = "extractive"\n+brain = "embedded"')
        question = QUESTIONS[1]
        before, after = answer(own, question), answer(other, question)
    finally:
        other.unlink()

    same_soul = before["soul"] == after["soul"]
    same_passages = before["passages"] == after["passages"]
    print(f"\n$ cervella ask --top-k 2 {shlex.quote(question)}")
    print(f"[{after['brain']}, {after['model']}: test-size and English, it shows that the engine runs]")
    print(after["answer"].strip())
    seconds, tokens = after["timings"]["first_token_seconds"], after["usage"]["input_tokens"]
    print(f"\nread {tokens} tokens, first text after {seconds:.0f} s")
    print(f"\nengine:   {before['brain']} ({before['model']}) -> {after['brain']} ({after['model']})")
    print(f"soul:     {before['soul'][:16]}… {'the same' if same_soul else 'CHANGED'}")
    print(f"passages: {len(before['passages'])}, {'the same' if same_passages else 'CHANGED'}")
    print(f"\nDone in {time.monotonic() - started:.0f} s.")
    if not (same_soul and same_passages):
        sys.exit("The engine changed more than the engine.")


if __name__ == "__main__":
    main()
