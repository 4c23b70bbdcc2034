"""How often something may be done: so many times a second, a few at once."""

from __future__ import annotations

from bus.clock import Clock


class Bucket:
    """Fills with `rate` tokens a second up to `burst`; each use takes one."""

    def __init__(self, clock: Clock, rate: float, burst: float) -> None:
        self._clock = clock
        self._rate = rate
        self._burst = max(burst, 1.0)
        self._held = self._burst
        self._at = clock.monotonic()

    def take(self) -> float:
        """Take a token: 0.0; or the seconds until there is one, and none is taken."""
        now = self._clock.monotonic()
        self._held = min(self._burst, self._held + (now - self._at) * self._rate)
        self._at = now
        if self._held < 1.0:
            return (1.0 - self._held) / self._rate
        self._held -= 1.0
        return 0.0
