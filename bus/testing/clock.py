"""A clock that stands still until it is told, or slept, to go on."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta


class ManualClock:
    """A `Clock` whose time passes only by `sleep` and `advance`."""

    def __init__(self, start: datetime = datetime(2030, 1, 1, tzinfo=UTC)) -> None:
        self._start = start
        self.elapsed = 0.0

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self.elapsed)

    def monotonic(self) -> float:
        return self.elapsed

    def advance(self, seconds: float) -> None:
        """Let time pass."""
        self.elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Let time pass, and other tasks run."""
        self.elapsed += seconds
        await asyncio.sleep(0)
