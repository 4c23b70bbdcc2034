"""Trying again what may work later: with growing waits, and not for ever."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type

from bus.clock import Clock
from bus.errors import TransientError

_log = structlog.get_logger(__name__)

Sleep = Callable[[float], Awaitable[None]]
#: The longest wait between two tries, in seconds.
_LONGEST_WAIT = 10.0


class Retry:
    """Tries of one thing. `give_up_seconds` since the last success end them; None: never."""

    def __init__(self, name: str, clock: Clock, *, give_up_seconds: float | None, sleep: Sleep = asyncio.sleep) -> None:
        self._name = name
        self._clock = clock
        self._give_up_seconds = give_up_seconds
        self._sleep = sleep
        self._failures = 0
        self._last_success = clock.monotonic()

    async def run(self, once: Callable[[], Awaitable[None]]) -> None:
        """Until it returns. Raises its last `TransientError` when it is given up."""
        retrying = AsyncRetrying(
            retry=retry_if_exception_type(TransientError), stop=self._gives_up, wait=self._wait, sleep=self._sleep, reraise=True,
            before_sleep=self._note_failure,
        )  # fmt: skip
        self._last_success = self._clock.monotonic()
        await retrying(once)

    def succeeded(self) -> None:
        """Something worked: the patience begins anew."""
        self._failures = 0
        self._last_success = self._clock.monotonic()

    def _gives_up(self, state: RetryCallState) -> bool:
        return self._give_up_seconds is not None and self._clock.monotonic() - self._last_success > self._give_up_seconds

    def _wait(self, state: RetryCallState) -> float:
        return float(min(_LONGEST_WAIT, 0.1 * 2 ** min(self._failures, 10)))

    def _note_failure(self, state: RetryCallState) -> None:
        self._failures += 1
        error = state.outcome.exception() if state.outcome is not None else None
        _log.warning("trying again from the last state", source=self._name, reason=str(error), failures=self._failures)
