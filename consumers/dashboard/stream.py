"""Server-sent events: a snapshot, then changes; each client at its own pace, none of them able to slow another.

No client has a queue. A client is a number, the last change it was sent, and what it has missed is read from the state when it is able
to take more: each cell once, as it is then. Clients that missed the same share the same bytes.
"""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from starlette.types import Receive, Scope, Send

from bus.kafka.follower import Health
from bus.metrics import gateway_clients, gateway_resumes, gateway_sent
from consumers.dashboard import resume
from consumers.dashboard.selection import Selection
from consumers.dashboard.state import Entry, State

SNAPSHOT_CELLS = 500
#: Earlier states that a gateway knows by their content.
_MARKS = 10_000
_ALL = Selection()


@dataclass(frozen=True, slots=True)
class Limits:
    """What one client may cost. Times in seconds."""

    max_clients: int = 2_000
    queue_cells: int = 10_000
    heartbeat: float = 15.0
    stalled: float = 120.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What a client asked for: indicators (`None`: all), which of their cells, the short form of cells, and the token it comes back with."""

    indicators: frozenset[str] | None = None
    brief: bool = False
    token: str = ""
    selection: Selection = _ALL

    def of(self, entries: Sequence[Entry]) -> Sequence[Entry]:
        """Those of the entries that are wanted."""
        return entries if self.selection == _ALL else [entry for entry in entries if self.selection.matches(entry.dimensions)]


#: What a client is sent: kind, JSON, and the token that it has after it (empty: the one before). A heartbeat has no JSON.
Piece = tuple[str, bytes, str]


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
        self._shared: OrderedDict[tuple[frozenset[str] | None, Selection, bool, int, int], Sequence[Piece]] = OrderedDict()
        self._marks: OrderedDict[str, tuple[int, int]] = OrderedDict()

    @property
    def full(self) -> bool:
        return self.clients >= self.limits.max_clients

    @contextmanager
    def joined(self) -> Iterator[None]:
        """One more client while the context is open."""
        self.clients += 1
        gateway_clients.inc()
        try:
            yield
        finally:
            self.clients -= 1
            gateway_clients.dec()

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
        """All that one client is sent as server-sent events, in order, with its kind."""
        first = True
        async for kind, data, token in self.pieces(wish):
            yield kind, (b"retry: 1000\n" if first else b"") + _message(kind, data, token)
            first = False

    async def pieces(self, wish: Wish) -> AsyncIterator[Piece]:
        """The same, in no form yet. Takes from the state only when the client is able to take more."""
        state = self.state
        missed = self._missed(wish) if wish.token else None
        gateway_resumes.labels("resumed" if missed is not None else "foreign" if wish.token else "new").inc()
        # Nothing may come between looking at the state and noting its number, so no await here.
        parts = self._snapshot(wish) if missed is None else _chunks("change", wish.of(missed), wish, self._token(wish))
        status, change, generation = self.status_number, state.change, state.generation
        yield "status", self.status, ""
        for part in parts:
            yield part
        now = asyncio.get_running_loop().time
        sent = now()
        while not self.closing:
            signal = self._signal
            if self.status_number != status:
                status = self.status_number
                yield "status", self.status, ""
                sent = now()
            elif state.change != change:
                body = self._changes(wish, change, state.change) if state.generation == generation else None
                change, generation = state.change, state.generation
                for part in self._snapshot(wish) if body is None else body:
                    yield part
                    sent = now()
            else:
                # Counted from what was sent last: being woken for nothing must not put it off.
                try:
                    async with asyncio.timeout_at(sent + self.limits.heartbeat):
                        await signal.wait()
                except TimeoutError:
                    yield "heartbeat", b"", ""
                    sent = now()

    def _snapshot(self, wish: Wish) -> Iterator[Piece]:
        # The id is that of the beginning: what changes while a slow client reads is sent again afterwards.
        return _chunks("snapshot", wish.of(self.state.shown_entries(wish.indicators)), wish, self._token(wish))

    def _changes(self, wish: Wish, after: int, upto: int) -> Sequence[Piece] | None:
        """The messages of what changed since; none when nothing of interest did, `None` when a snapshot is cheaper."""
        key = (wish.indicators, wish.selection, wish.brief, after, upto)
        known = self._shared.get(key)
        if known is None:
            entries = wish.of(self.state.changed(wish.indicators, after=after))
            if len(entries) > self.limits.queue_cells:
                return None
            known = list(_chunks("change", entries, wish, self._token(wish))) if entries else ()
            self._shared[key] = known
            while len(self._shared) > 32:
                self._shared.popitem(last=False)
        return known

    def _missed(self, wish: Wish) -> Sequence[Entry] | None:
        """What has changed since the client got its token; `None` when that cannot be known."""
        state = self.state
        chosen = state.chosen(wish.indicators)
        if not state.withholds:
            known = resume.positions(wish.token, chosen, str(wish.selection))
            return None if known is None else state.since(known)
        if wish.token == self._token(wish):
            return []
        generation, change = self._marks.get(wish.token, (-1, 0))
        return state.changed(wish.indicators, after=change) if generation == state.generation else None

    def _token(self, wish: Wish) -> str:
        chosen = self.state.chosen(wish.indicators)
        if not self.state.withholds:
            return resume.token(chosen, str(wish.selection))
        token = resume.content(chosen, str(wish.selection))
        self._marks[token] = (self.state.generation, self.state.change)
        self._marks.move_to_end(token)
        while len(self._marks) > _MARKS:
            self._marks.popitem(last=False)
        return token


class EventStream:
    """The ASGI response of one client; lets go of one that has stopped reading, or may read no longer (`still`)."""

    def __init__(self, hub: Hub, wish: Wish, *, still: Callable[[], bool] = lambda: True) -> None:
        self._hub = hub
        self._wish = wish
        self._still = still

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._hub.joined():
            writer = asyncio.ensure_future(self._write(send))
            gone = asyncio.ensure_future(_gone(receive))
            try:
                await asyncio.wait({writer, gone}, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for task in (writer, gone):
                    task.cancel()
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
            if not self._still():
                break
            async with asyncio.timeout(self._hub.limits.stalled):
                await send({"type": "http.response.body", "body": body, "more_body": True})
            gateway_sent.labels(kind).inc()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunks(kind: str, entries: Sequence[Entry], wish: Wish, token: str) -> Iterator[Piece]:
    """The messages for some entries, encoded one by one as they are taken; only the last one moves the client's token."""
    total = max(1, -(-len(entries) // SNAPSHOT_CELLS))
    for number in range(1, total + 1):
        part = entries[(number - 1) * SNAPSHOT_CELLS : number * SNAPSHOT_CELLS]
        cells = b",".join([entry.json(brief=wish.brief) for entry in part])
        head = _json({"part": number, "parts": total, "complete": number == total})[:-1]
        yield kind, head + b',"cells":[' + cells + b"]}", token if number == total else ""


def _message(kind: str, data: bytes, token: str = "") -> bytes:
    if not data:
        return b": hidup\n\n"
    return b"event: " + kind.encode() + (b"\nid: " + token.encode() if token else b"") + b"\ndata: " + data + b"\n\n"


def _json(item: object) -> bytes:
    return json.dumps(item, separators=(",", ":"), ensure_ascii=False).encode()
