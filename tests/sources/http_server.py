"""A REST interface as agencies have them, on 127.0.0.1 in a thread of its own; a test tells it what it holds and how it misbehaves."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from urllib.parse import parse_qsl

import uvicorn
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from tests.sources.webhook_world import free_port


@dataclass
class Asked:
    """One question: path, parameters, headers (lower case), form."""

    path: str
    params: Mapping[str, str]
    headers: Mapping[str, str]
    form: Mapping[str, str]
    at: float


@dataclass
class Interface:
    """What is asked goes to `answer`, which a test sets; what was asked is kept."""

    answer: Callable[[Asked], Response]
    port: int = field(default_factory=free_port)
    asked: list[Asked] = field(default_factory=list)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        request = Request(scope, receive)
        form = dict(parse_qsl((await request.body()).decode()))
        asked = Asked(request.url.path, dict(request.query_params), dict(request.headers), form, time.monotonic())
        self.asked.append(asked)
        await self.answer(asked)(scope, receive, send)

    @contextmanager
    def serving(self) -> Iterator[None]:
        """Up, then down; may be served again on the same port."""
        server = uvicorn.Server(
            uvicorn.Config(
                self, host="127.0.0.1", port=self.port, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=1
            )
        )
        thread = threading.Thread(target=server.run)
        thread.start()
        try:
            while not server.started:
                assert thread.is_alive()
                time.sleep(0.01)
            yield
        finally:
            server.should_exit = True
            thread.join()


class Broken(Response):
    """An answer that ends in its middle: the connection is closed before the length that was promised."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": 200,
                "headers": [(b"content-length", b"100000"), (b"content-type", b"application/json")],
            }
        )
        await send({"type": "http.response.body", "body": b'[{"no": "1"', "more_body": True})
        scope["extensions"] = {}
        raise ConnectionResetError
