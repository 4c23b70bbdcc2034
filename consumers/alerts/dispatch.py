"""Carries what waits in the outbox to its channels, each at its own pace: none can hold up another.

In a channel what is urgent (serta merta) goes first, and each of the two in the order in which it became so; what comes after waits until
what is before it was accepted, refused or given up. A delivery is tried until its channel takes it, while its episode goes on; of one that is
over, for `give_up_seconds`. Of an episode that was over for `oldest_seconds` before its channel could be told, the channel is told nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping

import structlog
from tenacity import AsyncRetrying, RetryCallState, RetryError, retry_if_exception_type, wait_exponential, wait_random
from tenacity.wait import wait_base

from bus import metrics
from bus.clock import Clock
from bus.errors import TransientError
from bus.indicators.windows import to_micros
from bus.settings import AlertsSettings
from consumers.alerts.sender import Outcome, Sender
from consumers.alerts.store import Store, Waiting

_log = structlog.get_logger(__name__)

_FIRST_WAIT_SECONDS = 0.5


class _Failed(TransientError):
    """An attempt that is followed by another, after `seconds` if the other side has asked for that."""

    def __init__(self, problem: str, seconds: float) -> None:
        self.seconds = seconds
        super().__init__(problem)


class _Patience(wait_base):
    """Waits longer and longer, and as long as the other side asks for, within the longest wait."""

    def __init__(self, first: float, longest: float) -> None:
        self._growing = wait_exponential(multiplier=first, max=longest) + wait_random(0, first)
        self._longest = longest

    def __call__(self, retry_state: RetryCallState) -> float:
        error = retry_state.outcome.exception() if retry_state.outcome is not None else None
        asked = error.seconds if isinstance(error, _Failed) else 0.0
        return max(min(asked, self._longest), self._growing(retry_state))


class Lane:
    """One channel's deliveries."""

    def __init__(self, name: str, sender: Sender, store: Store, settings: AlertsSettings, clock: Clock) -> None:
        self.name = name
        self._sender = sender
        self._store = store
        self._settings = settings
        self._clock = clock
        self._woken = asyncio.Event()
        self._stopping = False
        #: A mark that the disk did not take: it is made before anything else is sent, or what was accepted would be sent again.
        self._owed: Callable[[], None] | None = None
        self.problem = ""

    def wake(self) -> None:
        """There is something new."""
        self._woken.set()

    def stop(self) -> None:
        """Finish what is under way, and no more."""
        self._stopping = True
        self.wake()

    async def run(self) -> None:
        """Deliver until stopped."""
        longest = self._settings.longest_wait_seconds
        while not self._stopping:
            self._woken.clear()
            if self._owed is None and self._store.next(self.name) is None:
                await self._woken.wait()
                continue
            retrying = AsyncRetrying(
                sleep=self._rest,
                wait=_Patience(min(_FIRST_WAIT_SECONDS, longest), longest),
                stop=lambda _: self._stopping,
                retry=retry_if_exception_type(TransientError),
            )
            with contextlib.suppress(RetryError):
                await retrying(self._deliver_next)

    async def _deliver_next(self) -> None:
        if self._owed is not None:
            self._pay(self._owed)
        elif (head := self._store.next(self.name)) is not None:
            await self.deliver(head)

    def _pay(self, mark: Callable[[], None]) -> None:
        self._owed = mark
        mark()
        self._owed = None

    async def _rest(self, seconds: float) -> None:
        """Wait, or until something more urgent than what waits has come."""
        head = self._store.next(self.name)
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(contextlib.suppress(TimeoutError))
            await stack.enter_async_context(asyncio.timeout(seconds))
            while not self._stopping:
                self._woken.clear()
                await self._woken.wait()
                now = self._store.next(self.name)
                if now is not None and (head is None or now.seq != head.seq):
                    return

    async def deliver(self, delivery: Waiting) -> None:
        """Try one delivery once, and write down how it ended. Raises `TransientError` when it has to be tried again."""
        now = to_micros(self._clock.now())
        if self._past(delivery, now):
            self._end(delivery, "skipped", now)
            return
        outcome = await self._sender.send(delivery)
        now = to_micros(self._clock.now())
        if outcome.accepted:
            self._end(delivery, "sent", now)
            seconds = max(0.0, (now - delivery.log_us) / 1_000_000)
            metrics.alert_delivery.labels(self._sender.kind, str(delivery.urgent).lower()).observe(seconds)
        elif outcome.final:
            self._end(delivery, "refused", now)
            self._note(outcome.problem, hint="it is not tried again")
        elif delivery.ended_us is not None and now - delivery.made_us > self._settings.give_up_seconds * 1_000_000:
            self._end(delivery, "given_up", now)
            self._note(outcome.problem, hint="given up: its episode is over")
        else:
            self._retry(delivery, outcome)

    def _past(self, delivery: Waiting, now: int) -> bool:
        """Whether it would tell of what is long over to somebody who was never told that it began."""
        if delivery.kind != "begun" and delivery.begun in {"skipped", "refused", "given_up"}:
            return True
        untold = delivery.kind == "begun" or delivery.begun == "waiting"
        return untold and delivery.ended_us is not None and now - delivery.ended_us > self._settings.oldest_seconds * 1_000_000

    def _end(self, delivery: Waiting, state: str, now: int) -> None:
        self._pay(lambda: self._store.done(delivery.seq, state, now))
        metrics.alert_messages.labels(self.name, state).inc()
        if state == "sent":
            self.problem = ""

    def _retry(self, delivery: Waiting, outcome: Outcome) -> None:
        self._pay(lambda: self._store.attempted(delivery.seq, outcome.reached))
        metrics.alert_messages.labels(self.name, "failed").inc()
        self._note(outcome.problem, hint="it is tried again")
        raise _Failed(outcome.problem, outcome.wait_seconds)

    def _note(self, problem: str, *, hint: str) -> None:
        if problem != self.problem:
            _log.warning("alerts.channel_failed", channel=self.name, problem=problem, hint=hint)
        self.problem = problem


class Dispatcher:
    """The lanes of all channels."""

    def __init__(self, senders: Mapping[str, Sender], store: Store, settings: AlertsSettings, clock: Clock) -> None:
        self._store = store
        self._senders = senders
        self.lanes = {name: Lane(name, sender, store, settings, clock) for name, sender in senders.items()}

    def wake(self) -> None:
        """Let every lane look at the outbox."""
        for lane in self.lanes.values():
            lane.wake()

    def stop(self) -> None:
        """Finish what is under way, and no more."""
        for lane in self.lanes.values():
            lane.stop()

    def measure(self) -> None:
        """Set the gauges."""
        waiting = self._store.waiting()
        for name in self.lanes:
            metrics.alert_waiting.labels(name).set(waiting.get(name, 0))
        metrics.alert_episodes.set(self._store.open_episodes())

    async def run(self) -> None:
        """Deliver until stopped or cancelled. What is not the other side's fault ends it."""
        try:
            async with asyncio.TaskGroup() as group:
                for lane in self.lanes.values():
                    group.create_task(lane.run())
        except BaseExceptionGroup as errors:
            raise errors.exceptions[0] from errors
        finally:
            for sender in self._senders.values():
                await sender.close()
