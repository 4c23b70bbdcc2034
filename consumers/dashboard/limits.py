"""What one client may ask for: a bucket of tokens for its requests, and a number of live streams. Pure but for the clock it is handed."""

from __future__ import annotations

import ipaddress
import math
from collections import Counter, OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager

from bus.clock import Clock
from consumers.dashboard.refusal import Refusal

#: Clients that are remembered. Who is forgotten begins with a full bucket.
_CLIENTS = 10_000


class Budget:
    """Requests a second, saved up to `burst`, for each client by itself."""

    def __init__(self, clock: Clock, *, per_second: float, burst: int, streams: int) -> None:
        self._clock = clock
        self._rate = per_second
        self._burst = float(burst)
        self._most = streams
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()
        self._open: Counter[str] = Counter()

    def spend(self, client: str) -> None:
        """Take one request's worth. Raises `Refusal` (429) with the seconds after which there is another."""
        now = self._clock.monotonic()
        left, at = self._buckets.get(client, (self._burst, now))
        left = min(self._burst, left + (now - at) * self._rate)
        enough = left >= 1
        self._buckets[client] = (left - 1 if enough else left, now)
        self._buckets.move_to_end(client)
        while len(self._buckets) > _CLIENTS:
            self._buckets.popitem(last=False)
        if not enough:
            wait = math.ceil((1 - left) / self._rate)
            raise Refusal(429, "Too many requests", f"{self._rate:g} requests a second, {self._burst:g} saved up", retry=max(1, wait))

    @contextmanager
    def stream(self, client: str) -> Iterator[None]:
        """One live stream while the context is open. Raises `Refusal` (429) when the client has as many as it may."""
        self.allow_stream(client)
        self._open[client] += 1
        try:
            yield
        finally:
            self._open[client] -= 1
            if not self._open[client]:
                del self._open[client]

    def allow_stream(self, client: str) -> None:
        """Raises `Refusal` (429) when the client has as many streams as it may."""
        if self._open[client] >= self._most:
            raise Refusal(429, "Too many live streams", f"a client may have {self._most} at once", retry=5)


def name_of(address: str) -> str:
    """Whose an address is: of IPv6 the network of a host (/64), for a host has as many addresses as it likes."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return address
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
