"""The live stream over a WebSocket: the same messages as server-sent events, several subscriptions on one connection (ADR 0029).

A client sends JSON: `{"type": "subscribe", "id": "a", "indicator": ["dlh.pm10_mean"], "where": {"under": "33.09"}, "detail": "brief",
"token": "…"}`, `{"type": "unsubscribe", "id": "a"}`, `{"type": "ping"}`. It is sent `{"type": "snapshot" | "change" | "status", "id": "a",
"token": "…", "data": {…}}`, `{"type": "heartbeat", "id": "a"}`, `{"type": "pong"}`, `{"type": "problem", "id": "a", "problem": {…}}`.
A subscription has no queue: what a slow client has missed is read from the state when the socket takes more, each cell once, as it is then.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from bus.metrics import gateway_sent
from consumers.dashboard.door import Client
from consumers.dashboard.limits import Budget
from consumers.dashboard.refusal import Refusal
from consumers.dashboard.stream import Hub, Wish

#: The largest message of a client, in bytes, and its subscriptions.
MESSAGE_BYTES, SUBSCRIPTIONS = 64 * 1024, 16
#: Why the gateway closes: RFC 6455's codes, and 4401 for a key that is no longer in force.
RESTART, UNSUPPORTED, STALLED, KEY_GONE = 1012, 1003, 1008, 4401
_TYPES = ("subscribe", "unsubscribe", "ping")
_FIELDS = ("type", "id", "indicator", "where", "detail", "token")
_ID_CHARACTERS = 64

#: Makes a wish of (parameters, token). Raises `Refusal`.
MakeWish = Callable[[list[tuple[str, str]], str], Wish]


class Socket:
    """One connection, from its acceptance to its end."""

    def __init__(self, socket: WebSocket, hub: Hub, budget: Budget, client: Client, *, wish: MakeWish, still: Callable[[], bool]) -> None:
        self._socket = socket
        self._hub = hub
        self._budget = budget
        self._client = client
        self._wish = wish
        self._still = still
        self._sending = asyncio.Lock()
        self._subscriptions: dict[str, asyncio.Task[None]] = {}
        self._over: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def run(self) -> None:
        """Serve until the client goes, or the gateway must close."""
        await self._socket.accept()
        reader = asyncio.ensure_future(self._read())
        try:
            waiting: set[asyncio.Future[Any]] = {reader, self._over}
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        finally:
            tasks = [reader, *self._subscriptions.values()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._over.done():
            # One that does not read does not read this either.
            with suppress(RuntimeError, OSError, TimeoutError):
                async with asyncio.timeout(1):
                    await self._socket.close(self._over.result())

    async def _read(self) -> None:
        with suppress(WebSocketDisconnect):
            while True:
                message = await self._socket.receive()
                if message["type"] == "websocket.disconnect":
                    return
                if message.get("text") is None:
                    self._end(UNSUPPORTED)
                    return
                id_ = ""
                try:
                    self._budget.spend(self._client.label)
                    asked = _parsed(message["text"])
                    id_ = _id_of(asked)
                    await self._obey(asked, id_)
                except Refusal as refusal:
                    await self._send({"type": "problem", "id": id_, "problem": refusal.body})

    async def _obey(self, asked: Mapping[str, object], id_: str) -> None:
        match asked["type"]:
            case "ping":
                await self._send({"type": "pong"})
            case "unsubscribe":
                task = self._subscriptions.pop(id_, None)
                if task is None:
                    raise Refusal(404, "No subscription", "there is none of that id", received=id_, allowed=sorted(self._subscriptions))
                task.cancel()
            case _:
                if id_ in self._subscriptions:
                    raise Refusal(400, "Bad message", "there is a subscription of that id; unsubscribe first", received=id_)
                if len(self._subscriptions) >= SUBSCRIPTIONS:
                    raise Refusal(429, "Too many subscriptions", f"a socket may have {SUBSCRIPTIONS}")
                if self._hub.full:
                    raise Refusal(503, "Too many live streams", f"{self._hub.limits.max_clients} streams are open; try again later")
                self._budget.allow_stream(self._client.label)
                wish = self._wish(_parameters(asked), str(asked.get("token", "")))
                self._subscriptions[id_] = asyncio.create_task(self._stream(id_, wish))

    async def _stream(self, id_: str, wish: Wish) -> None:
        with ExitStack() as stack:
            stack.enter_context(self._budget.stream(self._client.label))
            stack.enter_context(self._hub.joined())
            head = json.dumps(id_).encode()
            try:
                async for kind, data, token in self._hub.pieces(wish):
                    if not self._still():
                        self._end(KEY_GONE)
                        return
                    text = b'{"type":"' + kind.encode() + b'","id":' + head
                    text += (b',"token":' + json.dumps(token).encode() if token else b"") + (b',"data":' + data if data else b"") + b"}"
                    await self._send_text(text.decode())
                    gateway_sent.labels(kind).inc()
                self._end(RESTART)
            except TimeoutError:
                self._end(STALLED)
            except (OSError, RuntimeError, WebSocketDisconnect):
                pass  # the client has gone, which the reader sees too

    async def _send(self, message: Mapping[str, object]) -> None:
        await self._send_text(json.dumps(message, separators=(",", ":"), ensure_ascii=False))

    async def _send_text(self, text: str) -> None:
        async with asyncio.timeout(self._hub.limits.stalled), self._sending:
            await self._socket.send_text(text)

    def _end(self, code: int) -> None:
        if not self._over.done():
            self._over.set_result(code)


def _parsed(text: str) -> Mapping[str, object]:
    try:
        asked = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise Refusal(400, "Bad message", "the message is no JSON") from error
    if not isinstance(asked, dict) or asked.get("type") not in _TYPES:
        received = str(asked.get("type"))[:100] if isinstance(asked, dict) else type(asked).__name__
        raise Refusal(400, "Bad message", "unknown type of message", received=received, allowed=list(_TYPES))
    unknown = sorted(asked.keys() - set(_FIELDS))
    if unknown:
        raise Refusal(400, "Bad message", f"unknown field {unknown[0][:100]}", received=unknown[0][:100], allowed=list(_FIELDS))
    return asked


def _id_of(asked: Mapping[str, object]) -> str:
    id_ = asked.get("id", "")
    if not isinstance(id_, str) or len(id_) > _ID_CHARACTERS:
        raise Refusal(400, "Bad message", f"id is a text of up to {_ID_CHARACTERS} characters")
    return id_


def _parameters(asked: Mapping[str, object]) -> list[tuple[str, str]]:
    """The message's filters in the form that the stream's address has."""
    found = [("indicator", text) for text in _texts(asked, "indicator")]
    where = asked.get("where", {})
    if not isinstance(where, dict):
        raise Refusal(400, "Bad message", "where is an object: dimension, under or region_depth, with its value or a list of values")
    for name in where:
        if name in {"indicator", "detail", "last_event_id", "ticket"}:
            raise Refusal(400, "Bad message", f"{name} is no dimension", received=name)
        found += [(str(name), text) for text in _texts(where, name)]
    return found + [("detail", text) for text in _texts(asked, "detail")]


def _texts(table: Mapping[str, object], name: str) -> list[str]:
    """A text, a number, nothing (`null`, for cells without a value), or a list of these."""
    given = table.get(name, [])
    items = given if isinstance(given, list) else [given]
    if not all(item is None or (isinstance(item, str | int) and not isinstance(item, bool)) for item in items):
        raise Refusal(400, "Bad message", f"{name} is a text or a list of texts", received=name)
    return ["" if item is None else str(item) for item in items]
