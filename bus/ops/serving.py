"""A consumer's HTTP service: its address, uvicorn around its application, signals, and tasks that it cannot be without."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import structlog
import uvicorn
from starlette.types import ASGIApp

from bus.errors import ConfigurationError, Problem
from bus.listening import url_of

_log = structlog.get_logger(__name__)

#: How long requests under way may take once the service is to end.
_GRACE_SECONDS = 3


class HttpService:
    """`name` is that of the section of settings which `host` and `port` are from."""

    def __init__(self, name: str, host: str, port: int) -> None:
        self._name = name
        self._host, self._port = host, port
        self._failure: BaseException | None = None
        self.server: uvicorn.Server | None = None

    @contextmanager
    def listening(self) -> Iterator[tuple[socket.socket, str]]:
        """The listening socket and its URL. Raises `ConfigurationError` when the address cannot be had."""
        try:
            family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
            listener = socket.create_server((self._host, self._port), family=family, backlog=2048)
        except OSError as error:
            where = ", ".join(f"BUS_{self._name}__{each}".upper() for each in ("host", "port"))
            what = f"cannot listen on {self._host}:{self._port}: {error.strerror}; port 0 takes any free one"
            raise ConfigurationError([Problem(where, what)]) from error
        with listener:
            yield listener, url_of(self._host, listener.getsockname()[1])

    async def serve(
        self,
        app: ASGIApp,
        listener: socket.socket,
        started: Callable[[], None],
        *,
        closing: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        """Serve until SIGINT, SIGTERM or `stop`. Raises what ended a needed task.

        `started` is called when it listens, `closing` ends streams, which otherwise would be waited for; `options` are uvicorn's.
        """
        config = uvicorn.Config(
            app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS, lifespan="on", server_header=False, **options
        )
        self.server = _Server(config, started, closing)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            with suppress(ValueError, RuntimeError):  # a thread other than the main one has no signals
                loop.add_signal_handler(number, self.stop)
        await self.server.serve(sockets=[listener])
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End all streams and stop listening."""
        if self.server is not None:
            self.server.should_exit = True

    def needs(self, task: asyncio.Task[None]) -> asyncio.Task[None]:
        """The same task; when it fails, the service ends with its error."""
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error(f"{self._name}.fault", error=repr(error))
            self._failure = error
            self.stop()


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, ends the streams before it waits for them, and leaves signals to its owner."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], closing: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = started
        self._closing = closing

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._closing()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
