"""A WebSocket client for the tests: RFC 6455 by wsproto over a plain connection, so that a test decides when it reads."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
from wsproto import ConnectionType, WSConnection
from wsproto.events import AcceptConnection, BytesMessage, CloseConnection, Event, Ping, RejectConnection, Request, TextMessage


class Rejected(Exception):
    """The gateway did not open the socket."""

    def __init__(self, status: int) -> None:
        self.status = status
        super().__init__(str(status))


class Talk:
    """One open socket. `closed` is the code with which the other side closed it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._connection = WSConnection(ConnectionType.CLIENT)
        self._events: list[Event] = []
        self._text = ""
        self.closed: int | None = None

    async def open(self, host: str, path: str, headers: Mapping[str, str]) -> None:
        extra = [(name.encode(), text.encode()) for name, text in headers.items()]
        self._put(Request(host=host, target=path, extra_headers=extra))
        first = await self._next()
        if isinstance(first, RejectConnection):
            raise Rejected(first.status_code)
        assert isinstance(first, AcceptConnection)

    def send(self, **message: object) -> None:
        self._put(TextMessage(json.dumps(message)))

    def send_text(self, text: str) -> None:
        self._put(TextMessage(text))

    def send_bytes(self, data: bytes) -> None:
        self._put(BytesMessage(data))

    async def receive(self, seconds: float = 10) -> dict[str, Any] | None:
        """The next message, or nothing when the other side has closed."""
        async with asyncio.timeout(seconds):
            while self.closed is None:
                event = await self._next()
                if isinstance(event, TextMessage):
                    self._text += event.data
                    if event.message_finished:
                        text, self._text = self._text, ""
                        found = json.loads(text)
                        assert isinstance(found, dict)
                        return found
                elif isinstance(event, CloseConnection):
                    self.closed = event.code
                elif isinstance(event, Ping):
                    self._put(event.response())
        return None

    def _put(self, event: Event) -> None:
        self._writer.write(self._connection.send(event))

    async def _next(self) -> Event:
        while not self._events:
            data = await self._reader.read(65536)
            self._connection.receive_data(data or None)
            self._events += self._connection.events()
        return self._events.pop(0)


@asynccontextmanager
async def talking(url: str, path: str = "/v1/ws", headers: Mapping[str, str] = {}, *, host: str = "") -> AsyncIterator[Talk]:
    """An open socket while the context is open. Raises `Rejected`."""
    where = httpx.URL(url)
    reader, writer = await asyncio.open_connection(where.host, where.port)
    talk = Talk(reader, writer)
    try:
        await talk.open(host or f"{where.host}:{where.port}", path, headers)
        yield talk
    finally:
        writer.close()
