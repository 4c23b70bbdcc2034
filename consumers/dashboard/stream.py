"""Server-sent events: a snapshot, then changes; each client at its own pace, none of them able to slow another.

No client has a queue. A client is a number, the last change it was sent, and what it has missed is read from the state when it is able
to take more: each cell once, as it is then. Clients that missed the same share the same bytes.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from bus.kafka.follower import Health
from bus.metrics import gateway_clients, gateway_resumes, gateway_sent
from consumers.dashboard import resume
from consumers.dashboard.state import Entry, State

SNAPSHOT_CELLS = 500


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost. Times in seconds."""

    max_clients: int = 2_000
    queue_cells: int = 10_000
    heartbeat: float = 15.0
    stalled: float = 120.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asked for: indicators (`None`: all), the short form of cells, and the token it comes back with."""

    indicators: frozenset[str] | None = None
    brief: bool = False
    token: str = ""


class Hub:
    """Who is connected, and the signal that there is something new."""

    def __init__(self, state: State, limits: Limits) -> None:
        self.state = state
        self.limits = limits
        self.clients = 0
        self.closing = False
        self.status = b"{}"
        self.status_number = 0
        self._signal = asyncio.Event()
        self._shared: OrderedDict[tuple[frozenset[str] | None, bool, int, int], bytes] = OrderedDict()

    @property
    def full(self) -> bool:
        return self.clients >= self.limits.max_clients

    def wake(self) -> None:
        """Let every client look for what is new to it."""
        signal, self._signal = self._signal, asyncio.Event()
        signal.set()

    def say(self, health: Health, definitions: str) -> None:
        """Tell clients when the state of the broker or the definitions changed."""
        status = _json({"caught_up": health.caught_up, "live": health.live, "definitions": definitions})
        if status != self.status:
            self.status = status
            self.status_number += 1
            self.wake()

    def close(self) -> None:
        """End all streams: clients come back with their token."""
        self.closing = True
        self.wake()

    async def messages(self, wish: Wish) -> AsyncIterator[tuple[str, bytes]]:
        """All that one client is sent, in order, with its kind. Takes from the state only when the client is able to take more."""
        state = self.state
        known = resume.positions(wish.token, state.chosen(wish.indicators)) if wish.token else None
        gateway_resumes.labels("resumed" if known is not None else "foreign" if wish.token else "new").inc()
        # Nothing may come between looking at the state and noting its number, so no await here.
        kind, parts = "snapshot", self._snapshot(wish)
        if known is not None:
            kind, parts = "change", _chunks("change", state.since(known), wish, self._token(wish))
        status, change, generation = self.status_number, state.change, state.generation
        yield "status", b"retry: 1000\n" + _message("status", self.status)
        for part in parts:
            yield kind, part
        now = asyncio.get_running_loop().time
        sent = now()
        while not self.closing:
            signal = self._signal
            if self.status_number != status:
                status = self.status_number
                yield "status", _message("status", self.status)
                sent = now()
            elif state.change != change:
                body = self._changes(wish, change, state.change) if state.generation == generation else None
                parts = self._snapshot(wish) if body is None else iter(())
                change, generation = state.change, state.generation
                for kind, part in [("change", body)] if body else (("snapshot", part) for part in parts):
                    yield kind, part
                    sent = now()
            else:
                # Counted from what was sent last: being woken for nothing must not put it off.
                try:
                    async with asyncio.timeout_at(sent + self.limits.heartbeat):
                        await signal.wait()
                except TimeoutError:
                    yield "heartbeat", b": hidup\n\n"
                    sent = now()

    def _snapshot(self, wish: Wish) -> Iterator[bytes]:
        # The id is that of the beginning: what changes while a slow client reads is sent again afterwards.
        return _chunks("snapshot", self.state.shown_entries(wish.indicators), wish, self._token(wish))

    def _changes(self, wish: Wish, after: int, upto: int) -> bytes | None:
        """The message of what changed since; empty when nothing of interest did, `None` when a snapshot is cheaper."""
        key = (wish.indicators, wish.brief, after, upto)
        known = self._shared.get(key)
        if known is None:
            entries = self.state.changed(wish.indicators, after=after)
            if len(entries) > self.limits.queue_cells:
                return None
            known = b"".join(_chunks("change", entries, wish, self._token(wish))) if entries else b""
            self._shared[key] = known
            while len(self._shared) > 32:
                self._shared.popitem(last=False)
        return known

    def _token(self, wish: Wish) -> str:
        return resume.token(self.state.chosen(wish.indicators))


class EventStream:
    """The ASGI response of one client; lets go of one that has stopped reading."""

    def __init__(self, hub: Hub, wish: Wish) -> None:
        self._hub = hub
        self._wish = wish

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._hub.clients += 1
        gateway_clients.set(self._hub.clients)
        writer = asyncio.ensure_future(self._write(send))
        gone = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({writer, gone}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (writer, gone):
                task.cancel()
            self._hub.clients -= 1
            gateway_clients.set(self._hub.clients)
            for task in (writer, gone):
                with suppress(asyncio.CancelledError, TimeoutError, OSError):
                    await task

    async def _write(self, send: Send) -> None:
        headers = [
            (b"content-type", b"text/event-stream; charset=utf-8"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        async for kind, body in self._hub.messages(self._wish):
            async with asyncio.timeout(self._hub.limits.stalled):
                await send({"type": "http.response.body", "body": body, "more_body": True})
            gateway_sent.labels(kind).inc()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunks(event: str, entries: Sequence[Entry], wish: Wish, id_: str) -> Iterator[bytes]:
    """The messages for some entries, encoded one by one as they are taken; only the last one moves the client's token."""
    total = max(1, -(-len(entries) // SNAPSHOT_CELLS))
    for number in range(1, total + 1):
        part = entries[(number - 1) * SNAPSHOT_CELLS : number * SNAPSHOT_CELLS]
        cells = b",".join([entry.json(brief=wish.brief) for entry in part])
        head = _json({"part": number, "parts": total, "complete": number == total})[:-1]
        yield _message(event, head + b',"cells":[' + cells + b"]}", id_ if number == total else "")


def _message(event: str, data: bytes, id_: str = "") -> bytes:
    return b"event: " + event.encode() + (b"\nid: " + id_.encode() if id_ else b"") + b"\ndata: " + data + b"\n\n"


def _json(item: object) -> bytes:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()
