"""What the page shows: open and recent episodes as one JSON document, which everybody who looks shares, and the signal that it changed."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass

from bus.clock import Clock
from bus.indicators.windows import to_datetime, to_micros
from consumers.alerts.notice import dump
from consumers.alerts.store import Store

#: How long an episode that is over is shown, and how many episodes at most.
RECENT_SECONDS = 86_400
LIMIT = 500
_HEARTBEAT_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Shown:
    """The document, and the tag that is another one whenever it is."""

    body: bytes
    etag: str


class Strip:
    """Made anew from the store when it was told that something changed, or a minute has passed, once for all who ask."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._signal = asyncio.Event()
        self._shown: Shown | None = None
        self.clients = 0
        self.closing = False

    def changed(self) -> None:
        """Something was written down: let everybody look."""
        self._shown = None
        signal, self._signal = self._signal, asyncio.Event()
        signal.set()

    def close(self) -> None:
        """End all streams."""
        self.closing = True
        self.changed()

    def shown(self) -> Shown:
        """The document as it now is."""
        if self._shown is None:
            since = to_micros(self._clock.now()) - RECENT_SECONDS * 1_000_000
            alerts = [
                {
                    **{key: value for key, value in notice.items() if key not in {"schema", "transition", "number"}},
                    "open": ended is None,
                    "ended_at": None if ended is None else to_datetime(ended).isoformat(),
                }
                for notice, ended in self._store.episodes(since, LIMIT)
            ]
            body = dump({"alerts": alerts}).encode()
            self._shown = Shown(body, f'"{hashlib.blake2b(body, digest_size=12).hexdigest()}"')
        return self._shown

    async def messages(self, known: str) -> AsyncIterator[bytes]:
        """Server-sent events: the document, and again whenever it is another; `known` is the tag of the one that the client has."""
        yield b"retry: 1000\n\n"
        while not self.closing:
            signal = self._signal
            shown = self.shown()
            if shown.etag != known:
                known = shown.etag
                yield b"event: alerts\nid: " + shown.etag.strip('"').encode() + b"\ndata: " + shown.body + b"\n\n"
            try:
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await signal.wait()
            except TimeoutError:
                # What has become too old to be shown leaves by itself.
                self._shown = None
                yield b": hidup\n\n"
