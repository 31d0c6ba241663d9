"""What each call of an engine cost, written into the ledger; and whether the budget allows it, asked before.

An answer never fails, and never waits long, because the ledger can't be written.
"""

from __future__ import annotations

import datetime
import inspect
import logging
import os
import time
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from decimal import Decimal

import anyio.to_thread

from cervella.brains.shield.fitting import location_of
from cervella.brains.shield.shield import Guard
from cervella.configuration.config import Config
from cervella.errors import BudgetError, CervellaError, ConfigError, LedgerError
from cervella.privacy.redaction import mask_secrets
from cervella.process.forks import ForkLock
from cervella.prompt.layout import estimate_tokens, render
from cervella.protocols import Brain, optional_members
from cervella.records.ledger import Ledger, Limit, Prices, Row
from cervella.records.ledger.budget import limits_of
from cervella.types import Attempt, Location, Prompt

_logger = logging.getLogger("cervella")

_MOST_UNWRITTEN = 10_000
_AGAIN_SECONDS = 5.0
_LONGEST_WAIT_SECONDS = 1.0
"""An answer waits so long for the ledger, then it is given all the same."""
_LONGEST_ANSWER, _IMAGE_TOKENS = 4096, 1600
"""Tokens estimated for an answer whose length nobody limits, and for an image."""
_SHARED = tuple({one.name for one in fields(Attempt)} & {one.name for one in fields(Row)})
"""Fields that an Attempt and its Row have in common."""


@dataclass(eq=False)
class _Open:
    """The books of a reply that is being made."""

    session: str | None = None
    soul: str = ""
    question: str | None = None
    costs: list[Decimal | None] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    reserved: list[tuple[str, int, Decimal]] = field(default_factory=list)
    """Brain, number and amount of what is set aside."""
    writing: list[Future[None]] = field(default_factory=list)


class Bookkeeping:
    """Gives the shield its guard and its `on_attempt`, and the agent the cost of a reply. Thread-safe."""

    def __init__(
        self,
        config: Config,
        *,
        guard: Guard | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        """`guard` and `on_attempt` are called too. Raises ConfigError for a price or a limit that can't be used."""
        own, budget = config.ledger, config.budget
        self._brains = config.brains
        self._guard = guard
        self._also = on_attempt
        self._keep_text = own.keep_text
        self._prices = Prices(config.brains)
        self._limits: tuple[Limit, ...] = limits_of(budget.usd_per_day, budget.usd_per_month, config.brains)
        self._refuse_unknown = budget.unknown == "refuse"
        if self._limits and not own.enabled:
            raise ConfigError(
                "There is a budget, and [ledger] enabled is false.",
                remedy="A budget is computed from the ledger: enable it, or delete [budget].",
            )
        self._enabled = own.enabled
        self._ledger = Ledger(own.path, keep_days=own.keep_days)
        self._lock = ForkLock()
        self._replies: dict[str, _Open] = {}
        self._outside = _Open()
        self._unwritten: deque[tuple[Row, int | None]] = deque(maxlen=_MOST_UNWRITTEN)
        self._writer: ThreadPoolExecutor | None = None
        self._pid = os.getpid()
        self._again = 0.0
        self._said: set[str] = set()

    @property
    def ledger(self) -> Ledger:
        """The ledger, with every call so far written."""
        self._flush()
        return self._ledger

    # A reply

    @contextmanager
    def reply(self, id: str, *, session: str | None, soul: str, question: str) -> Iterator[None]:
        """While a reply is made. At its end, whatever became of it, what is still set aside for it is given back."""
        words = mask_secrets(question)[0] if self._keep_text else None
        with self._lock:
            made = self._replies[id] = _Open(session=session, soul=soul, question=words)
        try:
            yield
        finally:
            with self._lock:
                del self._replies[id]
            if made.reserved:
                numbers = [number for _, number, _ in made.reserved]
                self._submit(lambda: self._quietly(lambda: self._ledger.release(numbers)))

    def cost(self, reply: str) -> Decimal | None:
        """What the calls of a reply cost together; None where one of them is not known."""
        costs = self._replies[reply].costs
        return None if not costs or None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    async def written(self, reply: str, answer: str) -> None:
        """Wait until the calls of a reply are written; not for long."""
        writing = self._replies[reply].writing
        if writing and self._keep_text:
            words = mask_secrets(answer)[0]
            writing.append(self._submit(lambda: self._quietly(lambda: self._ledger.keep_answer(reply, words))))
        if not all(one.done() for one in writing):
            await anyio.to_thread.run_sync(wait, list(writing), _LONGEST_WAIT_SECONDS)

    def feedback(self, reply: str, *, good: bool, note: str | None) -> None:
        """Keep a judgement of a reply. Raises LedgerError."""
        words = None if note is None else mask_secrets(note)[0]
        self._submit(lambda: self._ledger.add_feedback(reply, good=good, note=words)).result()

    # What the shield calls

    async def guard(self, brain: Brain, prompt: Prompt) -> None:
        """Raises BudgetError where the call could pass a limit."""
        if self._guard is not None:
            allowed = self._guard(brain, prompt)
            if inspect.isawaitable(allowed):
                await allowed
        location = self._location(brain)
        limits = [limit for limit in self._limits if limit.holds_for(brain.name)]
        if limits or location == "cloud":  # a price list takes its time to load: not on the event loop
            await anyio.to_thread.run_sync(self._set_aside, brain, prompt, location, limits)

    def affordable(self, brain: Brain, prompt: Prompt) -> bool:
        """Whether the budget allows this call now; nothing is set aside for it."""
        limits = [limit for limit in self._limits if limit.holds_for(brain.name)]
        if not limits:
            return True
        location = self._location(brain)
        estimate = self._estimate(brain, prompt, location)
        if estimate is None:
            return location != "cloud" or not self._refuse_unknown
        try:
            self._ledger.check(brain.name, estimate, limits)
        except BudgetError:
            return False
        except LedgerError:
            return not self._refuse_unknown
        return True

    def _location(self, brain: Brain) -> Location:
        return location_of(brain, self._brains.get(brain.name, {}).get("location"))

    def _estimate(self, brain: Brain, prompt: Prompt, location: Location) -> Decimal | None:
        return self._prices.estimate(
            brain.name,
            brain.model,
            location,
            input_tokens=estimate_tokens(render(prompt)) + _IMAGE_TOKENS * len(prompt.images),
            output_tokens=int(prompt.max_output_tokens or optional_members(brain).max_output_tokens or _LONGEST_ANSWER),
            at=_now(),
        )

    def _set_aside(self, brain: Brain, prompt: Prompt, location: Location, limits: list[Limit]) -> None:
        estimate = self._estimate(brain, prompt, location)
        if not limits:
            return
        if estimate is None:
            if location == "cloud":
                self._unknown(f"No price is known for {brain.model!r} of the brain {brain.name!r}", brain.name)
            return
        try:
            number = self._ledger.reserve(brain.name, estimate, limits)
        except LedgerError as error:
            self._unknown(f"The budget can't be computed: {error.message.rstrip('.')}", brain.name)
            return
        with self._lock:
            self._reply(prompt.reply).reserved.append((brain.name, number, estimate))

    def _unknown(self, what: str, brain: str) -> None:
        if self._refuse_unknown:
            raise BudgetError(
                f"{what}, and [budget] unknown is 'refuse'.",
                remedy=f'Give [brains.{brain}.price], or set unknown = "allow".',
            )
        self._warn(f"{what}: the call is made all the same, as [budget] unknown says")

    def on_attempt(self, attempt: Attempt) -> None:
        """Price a call, and write it in the background."""
        at = _now()
        cost = self._prices.cost(attempt, at)
        with self._lock:
            reply = self._reply(attempt.reply)
            retries = reply.calls.get(attempt.brain, 0)
            reserved = next((one for one in reply.reserved if one[0] == attempt.brain), None)
            if reserved is not None:
                reply.reserved.remove(reserved)
            if reply is not self._outside:
                reply.calls[attempt.brain] = retries + 1
                reply.costs.append(cost.usd)
        row = Row(
            **{name: getattr(attempt, name) for name in _SHARED},
            **asdict(attempt.usage),
            at=at.isoformat(timespec="milliseconds"),
            session=reply.session,
            soul=reply.soul,
            retries=retries,
            cost_usd=cost.usd,
            price_source=cost.source,
            price_date=cost.date,
            estimate_usd=reserved[2] if reserved is not None and cost.usd is None else None,
            question=reply.question,
        )
        if self._enabled:
            written = self._submit(lambda: self._write(row, None if reserved is None else reserved[1]))
            if reply is not self._outside:
                reply.writing.append(written)
        if self._also is not None:
            self._also(attempt)

    def _reply(self, reply: str) -> _Open:
        return self._replies.get(reply, self._outside)

    # The writer: one thread, so that nobody's event loop waits for a disk

    def _submit(self, work: Callable[[], None]) -> Future[None]:
        with self._lock:
            if self._pid != os.getpid():  # a fork: threads stay behind, and what was unwritten is the parent's to write
                self._pid, self._writer = os.getpid(), None
                self._unwritten.clear()
            if self._writer is None:
                self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cervella-ledger")
            try:
                return self._writer.submit(work)
            except RuntimeError:  # the interpreter is on its way out: it starts no thread any more
                done: Future[None] = Future()
        try:
            work()
            done.set_result(None)
        except CervellaError as error:
            done.set_exception(error)
        return done

    def _write(self, row: Row, reserved: int | None) -> None:
        self._unwritten.append((row, reserved))
        if time.monotonic() >= self._again:
            self._write_all()

    def _write_all(self) -> None:
        if not self._unwritten:
            return
        waiting = list(self._unwritten)
        try:
            self._ledger.record(
                [row for row, _ in waiting], reserved=[number for _, number in waiting if number is not None]
            )
        except LedgerError as error:
            if not self._again:
                _logger.warning("%s; calls are kept in memory until it can be written", error.message.rstrip("."))
            self._again = time.monotonic() + _AGAIN_SECONDS
        else:
            self._unwritten.clear()
            self._again = 0.0

    def _quietly(self, work: Callable[[], None]) -> None:
        try:
            work()
        except LedgerError as error:
            self._warn(error.message.rstrip("."))

    def _warn(self, what: str) -> None:
        if what not in self._said:
            self._said.add(what)
            _logger.warning("%s", what)

    def _flush(self) -> None:
        if self._writer is not None or self._unwritten:
            self._submit(self._write_all).result()

    def close(self) -> None:
        """Write what is left, and close the file. It can be used again."""
        self._flush()
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.shutdown()
        self._ledger.close()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
