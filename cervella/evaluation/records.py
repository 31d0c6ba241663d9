"""What brains answered in an evaluation, kept so that every score can be derived again.

A run is a folder: `run.json` says what was asked of whom, `outputs.jsonl` holds one line for each answer, written the
moment it is there. What a line holds besides `measured` is the same whenever a deterministic brain is asked again.
"""

from __future__ import annotations

import contextlib
import datetime
import hashlib
import json
import secrets
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, fields
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypeAlias

from cervella.errors import EvaluationError, refused
from cervella.process.files import append_line, locked, make_private_folder, open_private, replace_file

__all__ = ["CONDITIONS", "Condition", "Key", "Output", "Run", "append_row", "canonical_sha256", "unwritable"]

Condition: TypeAlias = Literal["soul", "none", "scrambled"]
"""What stood in the system prompt: the soul; nothing; the soul's words in another order."""
CONDITIONS: tuple[Condition, ...] = ("soul", "none", "scrambled")
Key: TypeAlias = tuple[str, str, str, int, int, int]
"""Brain, condition, probe, variant, repeat, turn."""

_FACTS, _OUTPUTS, _LOCK = "run.json", "outputs.jsonl", ".lock"
_MEASURED = ("seconds", "first_token_seconds", "cache_read_tokens", "cost_usd")
_FORMAT = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """One answer of one brain, or the error that came in its place."""

    brain: str
    """As it was asked for."""
    model: str
    """The weights that answered."""
    condition: Condition
    probe: str
    variant: int
    """0: the probe as it is written; n: its nth paraphrase."""
    repeat: int
    turn: int
    """1-based: which of the conversation's questions it answers."""
    asked_sha256: str
    """Of the probe's own words and passages up to this turn: tells whether a suite still asks the same."""
    prompt_sha256: str
    """Of the messages as they were laid out, before a shield took anything away."""
    system_sha256: str
    """Of the system prompt's UTF-8 bytes; empty where there was none."""
    text: str
    """Where an answer broke off, what had come of it; of a refusal nothing, it is not the brain's answer."""
    finish_reason: str = "stop"
    input_tokens: int | None = None
    cache_read_tokens: int | None = None
    output_tokens: int | None = None
    cost_usd: Decimal | None = None
    """None where it is not known."""
    tainted: bool = False
    """The brain was shown something local-only: later turns may reach local and private brains only."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """What the shield took away, counted: see `cervella.types.Completion`."""
    error: str | None = None
    """The error's `code`, or `refusal`; None for an answer."""
    message: str | None = None
    """The error in words."""
    seconds: float | None = None
    """Wall time from the question to the end."""
    first_token_seconds: float | None = None

    @property
    def key(self) -> Key:
        return (self.brain, self.condition, self.probe, self.variant, self.repeat, self.turn)

    @property
    def empty(self) -> bool:
        """The brain said nothing, or refused: a fact about it, not a failure to reach it. It scores 0."""
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
        """Raises KeyError, TypeError or ValueError where the data are none of an output."""
        own = {**data, **data["measured"]}
        del own["measured"]
        if own["cost_usd"] is not None:
            own["cost_usd"] = Decimal(own["cost_usd"])
        return cls(**own)


class Run:
    """The folder of one run. What is in it is never asked again; an error is, when the run goes on."""

    def __init__(self, folder: Path, facts: Mapping[str, Any]) -> None:
        self.folder = folder
        self.facts = dict(facts)

    @property
    def id(self) -> str:
        return self.folder.name

    @property
    def settings(self) -> dict[str, Any]:
        """What makes two runs the same: whoever is asked the same in the same way."""
        settings: dict[str, Any] = self.facts["settings"]
        return settings

    @property
    def finished(self) -> bool:
        return bool(self.facts.get("finished"))

    @classmethod
    def create(cls, root: Path, settings: Mapping[str, Any], **beside: Any) -> Run:
        """A new run in a folder of its own under `root`; `beside` is kept with it, and does not make it another."""
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
        """Raises EvaluationError where there is no run, or one that can't be read."""
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
        """The newest run of the same settings that did not come to its end."""
        key = canonical_sha256(settings)
        for path in sorted(root.glob(f"*-{key[:8]}*/{_FACTS}"), reverse=True):
            with contextlib.suppress(EvaluationError):
                run = cls.open(path.parent)
                if run.facts.get("key") == key and not run.finished:
                    return run
        return None

    def finish(self) -> None:
        """Say that nothing is left to ask."""
        if not self.finished:
            now = datetime.datetime.now(datetime.UTC)
            self._write(started=self.facts["started"], finished=now.isoformat(timespec="seconds"))

    def _write(self, **times: Any) -> None:
        self.facts.update(times)
        with unwritable(self.folder):
            replace_file(self.folder / _FACTS, json.dumps(self.facts, ensure_ascii=False, indent=1) + "\n")

    def outputs(self) -> dict[Key, Output]:
        """The answers by key; of an error and a later answer to the same, the later. A row that was cut off is none."""
        found: dict[Key, Output] = {}
        lines = self._lines()
        for number, line in enumerate(lines, 1):
            if not line.endswith(b"\n"):
                break
            try:
                output = Output.of(json.loads(line))
            except (ValueError, KeyError, TypeError) as error:
                raise EvaluationError(
                    f"The line {number} of {str(self.folder / _OUTPUTS)!r} is no output: {error}.",
                    remedy="Take that line out: what it held is asked again.",
                    code="run_damaged",
                ) from error
            found[output.key] = output
        return found

    def _lines(self) -> list[bytes]:
        try:
            return (self.folder / _OUTPUTS).read_bytes().splitlines(keepends=True)
        except FileNotFoundError:
            return []

    @contextlib.contextmanager
    def writing(self) -> Iterator[Writer]:
        """Append to the run, alone: raises EvaluationError where another process does."""

        def busy() -> EvaluationError:
            return EvaluationError(
                f"The run {self.id} is being written by another process.",
                remedy="Wait for its end, or start another run with --fresh.",
                code="run_locked",
            )

        with contextlib.ExitStack() as held:
            with unwritable(self.folder):
                held.enter_context(locked(self.folder / _LOCK, busy=busy))
                lines = self._lines()
                file = held.enter_context(open_private(self.folder / _OUTPUTS, "ab", buffering=0))
                if lines and not lines[-1].endswith(b"\n"):  # cut off by a crash: asked again
                    file.truncate(sum(map(len, lines[:-1])))
            yield Writer(file, self.folder)


class Writer:
    """Appends answers; each is on the disk before the next is asked for."""

    def __init__(self, file: Any, folder: Path) -> None:
        self._file = file
        self._folder = folder

    def append(self, output: Output) -> None:
        append_row(self._file, output.as_dict(), self._folder)


def append_row(file: Any, row: Mapping[str, Any], folder: Path) -> None:
    """Append one row of JSON Lines to an open file of a run's folder, and have it on the disk."""
    with unwritable(folder):
        append_line(file, json.dumps(row, ensure_ascii=False, sort_keys=True))


def unwritable(folder: Path) -> AbstractContextManager[None]:
    """What the system refuses inside is said of the run in this folder."""
    return refused(
        EvaluationError,
        f"The run at {str(folder)!r} can't be written",
        remedy="Make room on its disk or give this user the right to write there, then go on with the same command: "
        "what was answered is kept.",
        code="run_unwritable",
    )


def canonical_sha256(data: Any) -> str:
    """One digest for data of JSON, whatever the order of their keys."""
    text = json.dumps(data, ensure_ascii=False, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(text.encode("utf-8", "replace")).hexdigest()
