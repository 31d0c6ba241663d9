"""Keeps the answers of an evaluation, so that every score can be computed again.

A run is a folder: `run.json` has its settings, `outputs.jsonl` one line for each answer, written as soon as it comes.
Secrets in the answers are masked. Apart from `measured`, a line is the same whenever a deterministic brain is asked
again.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import secrets
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import IO, Any, Literal, TypeAlias

from cervella.errors import EvaluationError, refused
from cervella.privacy.stored import masked
from cervella.process.files import (
    append_line,
    locked,
    make_private_folder,
    open_private,
    remove_incomplete_line,
    replace_file,
)

Condition: TypeAlias = Literal["soul", "none", "scrambled"]
"""The system prompt that a probe is asked with: the soul, nothing at all (`none`), or the soul's words in random
order."""
CONDITIONS: tuple[Condition, ...] = ("soul", "none", "scrambled")
Key: TypeAlias = tuple[str, str, str, int, int, int]
"""Identifies one answer of a run: brain, condition, probe, variant, repeat, turn."""

_FACTS, _OUTPUTS, _LOCK = "run.json", "outputs.jsonl", ".lock"
_MEASURED = ("seconds", "first_token_seconds", "cache_read_tokens", "cost_usd")
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One answer of one brain, or the error in its place."""

    brain: str
    """The name by which it was asked."""
    model: str
    """The model that answered; empty if it is not known."""
    condition: Condition
    probe: str
    """The id of the probe, question or task."""
    variant: int
    """0: the probe as written; n: its nth paraphrase."""
    repeat: int
    """Number of the repeat of the probe, counted from 0."""
    turn: int
    """The turn of the conversation that it answers, 1-based."""
    asked_sha256: str
    """The SHA-256 of the questions and passages of the probe up to this turn. If the suite changes one of them later,
    the digest differs, and this answer is not used for the changed probe."""
    prompt_sha256: str
    """A digest of the messages as they were laid out, before a shield (the filter of local-only text and secrets in
    front of a brain) removed anything."""
    system_sha256: str
    """A digest of the system prompt's UTF-8 bytes; empty if there was none."""
    text: str
    """For an answer that broke off, the text until then; empty for a refusal."""
    finish_reason: str = "stop"
    input_tokens: int | None = None
    """Prompt tokens, cached ones included; None if the engine did not report them."""
    cache_read_tokens: int | None = None
    """Prompt tokens served from the engine's prefix cache; None if not reported."""
    output_tokens: int | None = None
    """Generated tokens, reasoning included; None if not reported."""
    cost_usd: Decimal | None = None
    """Cost in US dollars; None if it is not known."""
    tainted: bool = False
    """The brain was shown something local-only: later turns may reach local and private brains only."""
    abstained: bool | None = None
    """Whether the reply said that she does not know: see `Reply.abstained`. None in runs that did not keep it, and
    where there is no reply."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """Counts of what the shield removed: see `cervella.types.Completion`."""
    error: str | None = None
    """The error's `code`, or `refusal` or `empty_answer`; None if there is an answer."""
    message: str | None = None
    """The error's message."""
    seconds: float | None = None
    """Wall time from the question to the end of the answer."""
    first_token_seconds: float | None = None
    """Wall time from the question to the first token."""

    @property
    def key(self) -> Key:
        return (self.brain, self.condition, self.probe, self.variant, self.repeat, self.turn)

    @property
    def empty(self) -> bool:
        """Whether the brain said nothing, or refused.

        Both count as an answer, with the score 0; they are no failed call.
        """
        return self.error in ("empty_answer", "refusal")

    @property
    def failed(self) -> bool:
        """Whether there is no answer to score."""
        return self.error is not None and not self.empty

    def as_dict(self) -> dict[str, Any]:
        own = {item.name: getattr(self, item.name) for item in fields(self)}
        own["flags"] = dict(self.flags)
        own["cost_usd"] = None if self.cost_usd is None else str(self.cost_usd)
        measured = {name: own.pop(name) for name in _MEASURED}
        return {**own, "measured": measured}

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Output:
        """Build an output from the data that `as_dict` returns.

        Raises KeyError, TypeError or ValueError for other data.
        """
        own = {**data, **data["measured"]}
        del own["measured"]
        if own["cost_usd"] is not None:
            own["cost_usd"] = Decimal(own["cost_usd"])
        return cls(**own)


class Run:
    """The folder of one run.

    When a run continues, a question that has an answer is not asked again; a question that ended in an error is.
    """

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self.facts = dict(facts)

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def settings(self) -> dict[str, Any]:
        """The settings that identify a run: with the same settings, the same brains are asked the same questions."""
        settings: dict[str, Any] = self.facts["settings"]
        return settings

    @property
    def finished(self) -> bool:
        return bool(self.facts.get("finished"))

    @classmethod
    def create(cls, root: Path, settings: Mapping[str, Any], **beside: Any) -> Run:
        """Create a run in a new folder under `root`.

        `beside` are further facts that are kept with the settings, but do not identify the run.
        """
        now = datetime.datetime.now(datetime.UTC)
        key = canonical_sha256(settings)
        folder = root / f"{now:%Y%m%d-%H%M%S}-{key[:8]}"
        while folder.exists():
            folder = root / f"{now:%Y%m%d-%H%M%S}-{key[:8]}-{secrets.token_hex(2)}"
        with unwritable(folder):
            make_private_folder(root)
            folder.mkdir(mode=0o700)
        run = cls(folder, {"format": _FORMAT, "key": key, "settings": dict(settings), **beside})
        run._write(started=now.isoformat(timespec="seconds"), finished=None)
        return run

    @classmethod
    def open(cls, folder: Path) -> Run:
        """Open the run of a folder. Raises EvaluationError if there is none, or if it can't be read."""
        try:
            facts = json.loads((folder / _FACTS).read_text(encoding="utf-8"))
            if facts["format"] != _FORMAT or not isinstance(facts["settings"], dict):
                raise ValueError(f"its format is {facts['format']!r}")
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EvaluationError(
                f"There is no run at {str(folder)!r} that can be read: {error}.",
                remedy="Name the folder of a run, or its id: runs are kept under .cervella/evaluations.",
                code="run_missing",
            ) from error
        return cls(folder, facts)

    @classmethod
    def unfinished(cls, root: Path, settings: Mapping[str, Any]) -> Run | None:
        """The newest unfinished run of the same settings."""
        key = canonical_sha256(settings)
        for path in sorted(root.glob(f"*-{key[:8]}*/{_FACTS}"), reverse=True):
            with contextlib.suppress(EvaluationError):
                run = cls.open(path.parent)
                if run.facts.get("key") == key and not run.finished:
                    return run
        return None

    def finish(self) -> None:
        """Record that the run has all its answers."""
        if not self.finished:
            now = datetime.datetime.now(datetime.UTC)
            self._write(started=self.facts["started"], finished=now.isoformat(timespec="seconds"))

    def _write(self, **times: Any) -> None:
        self.facts.update(times)
        with unwritable(self.folder):
            replace_file(self.folder / _FACTS, json.dumps(masked(self.facts), ensure_ascii=False, indent=1) + "\n")

    def outputs(self) -> dict[Key, Output]:
        """The answers by key. A later line replaces an earlier one; an incomplete last line is left out."""
        found: dict[Key, Output] = {}
        for number, line in enumerate(complete_lines(self.folder / _OUTPUTS), 1):
            try:
                output = Output.of(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise EvaluationError(
                    f"Line {number} of {str(self.folder / _OUTPUTS)!r} can't be read: {error}.",
                    remedy="Delete that line: its question is then asked again.",
                    code="run_damaged",
                ) from error
            found[output.key] = output
        return found

    @contextlib.contextmanager
    def writing(self, *, unmasked: Collection[str] = ()) -> Iterator[Callable[[Output], None]]:
        """Lock the run; gives a function that appends an answer, which is on the disk when the function returns.

        Secrets are masked, except in the answers to the probes with the ids `unmasked`: probes that plant a canary (a
        secret phrase of their own), which their checks must find in the kept answer.

        Raises EvaluationError if another process is writing to the run.
        """

        def busy() -> EvaluationError:
            return EvaluationError(
                f"The run {self.id} is being written by another process.",
                remedy="Wait until it has ended, or start another run with --fresh.",
                code="run_locked",
            )

        with contextlib.ExitStack() as held:
            with unwritable(self.folder):
                held.enter_context(locked(self.folder / _LOCK, busy=busy))
            append = held.enter_context(appending(self.folder / _OUTPUTS))

            def keep(output: Output) -> None:
                data = output.as_dict()
                append(data if output.probe in unmasked else masked(data))

            yield keep


def complete_lines(path: Path) -> list[bytes]:
    """The lines of a file, without an incomplete last one. Empty if there is no such file."""
    try:
        lines = path.read_bytes().splitlines(keepends=True)
    except FileNotFoundError:
        return []
    return lines if not lines or lines[-1].endswith(b"\n") else lines[:-1]


@contextlib.contextmanager
def appending(path: Path) -> Iterator[Callable[[Mapping[str, Any]], None]]:
    """Give a function that appends one row to a file of JSON Lines in a run folder, as `append_row` does.

    An incomplete last line is removed first: it counts as not written.
    """
    with contextlib.ExitStack() as held:
        with unwritable(path.parent):
            remove_incomplete_line(path)
            file = held.enter_context(open_private(path, "ab", buffering=0))
        yield lambda row: append_row(file, row, path.parent)


def append_row(file: IO[bytes], row: Mapping[str, Any], folder: Path) -> None:
    """Append one row of JSON Lines to an open file of a run folder; it is on the disk when the function returns."""
    with unwritable(folder):
        append_line(file, json.dumps(row, ensure_ascii=False, sort_keys=True))


def unwritable(folder: Path) -> AbstractContextManager[None]:
    """Turn a failure to write a file inside the block into an EvaluationError about the run in this folder."""
    return refused(
        EvaluationError,
        f"The run at {str(folder)!r} can't be written",
        remedy="Make room on its disk or give this user the right to write there, then go on with the same command: "
        "what was answered is kept.",
        code="run_unwritable",
    )


def canonical_sha256(data: Any) -> str:
    """A digest of JSON data that does not depend on the order of keys."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
