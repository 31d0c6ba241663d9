"""Checks the budget before each call of an engine, and writes the cost of the call into the ledger afterwards.

If the ledger can't be written, an answer neither fails nor waits longer than a second.
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
from cervella.privacy.stored import masked
from cervella.process.forks import ForkLock
from cervella.prompt.layout import estimate_tokens, render
from cervella.protocols import Brain, optional_members
from cervella.records.ledger import Ledger, Limit, Prices, Row
from cervella.records.ledger.budget import limits_of
from cervella.types import Attempt, Location, Prompt

_logger = logging.getLogger("cervella")

_MAX_UNWRITTEN = 10_000
"""Rows kept in memory while the ledger can't be written. Above this number the oldest rows are lost."""
_RETRY_SECONDS = 5.0
"""Seconds between two attempts to write a ledger that can't be written."""
_MAX_WAIT_SECONDS = 1.0
"""Maximum seconds that an answer waits until its calls are written."""
_DEFAULT_OUTPUT_TOKENS, _IMAGE_TOKENS = 4096, 1600
"""Tokens assumed in cost estimates: for an answer without a maximum length, and for one image."""
_SHARED = tuple({one.name for one in fields(Attempt)} & {one.name for one in fields(Row)})
"""Fields that Attempt (a call) and Row (its line in the ledger) have in common: their values are copied."""


@dataclass(eq=False)
class _Open:
    """The records of a reply that is not finished."""

    session: str | None = None
    soul: str = ""
    question: str | None = None
    costs: list[Decimal | None] = field(default_factory=list)
    calls: dict[str, int] = field(default_factory=dict)
    reserved: list[tuple[str, int, Decimal]] = field(default_factory=list)
    """Reserved budget: brain, number of the reservation, amount in US dollars."""
    writing: list[Future[None]] = field(default_factory=list)


class Bookkeeping:
    """The callbacks of every shield, the wrapper around a brain: `guard` before a call, `on_attempt` after it.
    Thread-safe.

    It also adds up the cost of each reply.
    """

    def __init__(
        self,
        config: Config,
        *,
        guard: Guard | None = None,
        on_attempt: Callable[[Attempt], None] | None = None,
    ) -> None:
        """`guard` and `on_attempt` are the caller's own callbacks, called in addition. Raises ConfigError for a wrong
        price or limit."""
        own, budget = config.ledger, config.budget
        self._brains = config.brains
        self._guard = guard
        self._also = on_attempt
        self._keep_text = own.keep_text
        self._language = config.knowledge_language
        self._prices = Prices(config.brains)
        self._limits: tuple[Limit, ...] = limits_of(budget.usd_per_day, budget.usd_per_month, config.brains)
        self._refuse_unknown = budget.unknown == "refuse"
        if self._limits and not own.enabled:
            raise ConfigError(
                "[budget] has a limit, but [ledger] enabled is false.",
                remedy="The spending is computed from the ledger. Enable the ledger, or delete [budget].",
            )
        self._enabled = own.enabled
        self._ledger = Ledger(own.path, keep_days=own.keep_days)
        self._lock = ForkLock()
        self._replies: dict[str, _Open] = {}
        self._outside = _Open()
        self._unwritten: deque[tuple[Row, int | None]] = deque(maxlen=_MAX_UNWRITTEN)
        self._writer: ThreadPoolExecutor | None = None
        self._pid = os.getpid()
        self._retry_at = 0.0
        self._warnings: set[str] = set()

    @property
    def ledger(self) -> Ledger:
        """The ledger, after all pending rows are written."""
        self._flush()
        return self._ledger

    # A reply

    @contextmanager
    def reply(self, id: str, *, session: str | None, soul: str, question: str) -> Iterator[None]:
        """Context manager around the making of a reply. At its end, unused reservations of the budget are released."""
        words = masked(question, self._language) if self._keep_text else None
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
        """The cost of all calls of a reply, in US dollars. None if no call was made or the cost of one is not known."""
        costs = self._replies[reply].costs
        return None if not costs or None in costs else sum((cost for cost in costs if cost is not None), Decimal(0))

    async def written(self, reply: str, answer: str) -> None:
        """Store the answer if the ledger keeps texts. Wait, at most a second, until the reply's calls are written."""
        writing = self._replies[reply].writing
        if writing and self._keep_text:
            words = masked(answer, self._language)
            writing.append(self._submit(lambda: self._quietly(lambda: self._ledger.keep_answer(reply, words))))
        if not all(one.done() for one in writing):
            await anyio.to_thread.run_sync(wait, list(writing), _MAX_WAIT_SECONDS)

    def feedback(self, reply: str, *, good: bool, note: str | None) -> None:
        """Store a judgement of a reply. Raises LedgerError."""
        words = None if note is None else masked(note, self._language)
        self._submit(lambda: self._ledger.add_feedback(reply, good=good, note=words)).result()

    # Callbacks of the shield

    async def guard(self, brain: Brain, prompt: Prompt) -> None:
        """Reserve the estimated cost of a call. Raises BudgetError if the call could exceed a spending limit."""
        if self._guard is not None:
            allowed = self._guard(brain, prompt)
            if inspect.isawaitable(allowed):
                await allowed
        location = self._location(brain)
        limits = [limit for limit in self._limits if limit.holds_for(brain.name)]
        if limits or location == "cloud":  # in a thread, because loading the price list is slow
            await anyio.to_thread.run_sync(self._reserve, brain, prompt, location, limits)

    def affordable(self, brain: Brain, prompt: Prompt) -> bool:
        """Whether the budget allows this call now. Nothing is reserved."""
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
            output_tokens=int(
                prompt.max_output_tokens or optional_members(brain).max_output_tokens or _DEFAULT_OUTPUT_TOKENS
            ),
            at=_now(),
        )

    def _reserve(self, brain: Brain, prompt: Prompt, location: Location, limits: list[Limit]) -> None:
        estimate = self._estimate(brain, prompt, location)
        if not limits:
            return  # the estimate has loaded the price list, so that `on_attempt` need not load it on the event loop
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

    def _unknown(self, problem: str, brain: str) -> None:
        if self._refuse_unknown:
            raise BudgetError(
                f"{problem}, and [budget] unknown is 'refuse'.",
                remedy=f'Set a price in [brains.{brain}.price], or set [budget] unknown = "allow".',
            )
        self._warn(f"{problem}: the call is made, because [budget] unknown is 'allow'")

    def on_attempt(self, attempt: Attempt) -> None:
        """Compute the cost of a finished call and write it into the ledger in the background."""
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

    # The writer: a thread of its own, so that no event loop waits for the disk

    def _submit(self, work: Callable[[], None]) -> Future[None]:
        with self._lock:
            if self._pid != os.getpid():  # a forked child has no threads, and the parent writes the pending rows
                self._pid, self._writer = os.getpid(), None
                self._unwritten.clear()
            if self._writer is None:
                self._writer = ThreadPoolExecutor(max_workers=1, thread_name_prefix="cervella-ledger")
            try:
                return self._writer.submit(work)
            except RuntimeError:  # the interpreter is shutting down and starts no more threads
                done: Future[None] = Future()
        try:
            work()
            done.set_result(None)
        except CervellaError as error:
            done.set_exception(error)
        return done

    def _write(self, row: Row, reserved: int | None) -> None:
        self._unwritten.append((row, reserved))
        if time.monotonic() >= self._retry_at:
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
            if not self._retry_at:
                _logger.warning("%s; calls are kept in memory until it can be written", error.message.rstrip("."))
            self._retry_at = time.monotonic() + _RETRY_SECONDS
        else:
            self._unwritten.clear()
            self._retry_at = 0.0

    def _quietly(self, work: Callable[[], None]) -> None:
        try:
            work()
        except LedgerError as error:
            self._warn(error.message.rstrip("."))

    def _warn(self, message: str) -> None:
        if message not in self._warnings:
            self._warnings.add(message)
            _logger.warning("%s", message)

    def _flush(self) -> None:
        if self._writer is not None or self._unwritten:
            self._submit(self._write_all).result()

    def close(self) -> None:
        """Write the pending rows and close the ledger. The object can be used again."""
        self._flush()
        with self._lock:
            writer, self._writer = self._writer, None
        if writer is not None:
            writer.shutdown()
        self._ledger.close()


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)
