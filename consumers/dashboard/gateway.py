"""The gateway as a consumer: follower, HTTP surface and page in one process, on 127.0.0.1 unless told otherwise."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from pathlib import Path

import structlog
import uvicorn
from fastapi import APIRouter, FastAPI, Request
from fastapi.staticfiles import StaticFiles
from starlette.responses import FileResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus import __version__
from bus.clock import SystemClock
from bus.errors import ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.events.registry import registry_router
from bus.kafka.client import KafkaLogReader
from bus.kafka.follower import Follower, ListTopics, OpenReader, Pace
from bus.kafka.ports import LogReader, Record
from bus.settings import Settings
from consumers.dashboard.api import Refusal, Serving, router
from consumers.dashboard.cells import Cell, from_value
from consumers.dashboard.definitions import Definitions
from consumers.dashboard.state import PREFIX, Decode, State
from consumers.dashboard.stream import Hub, Limits

_log = structlog.get_logger(__name__)

_PAGE = Path(__file__).parent / "page"
_GRACE_SECONDS = 3
_SECURITY = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
)


def create(settings: Settings) -> Gateway:
    """The gateway of these settings; nothing is opened before `run`."""
    # The follower itself tries for ever and wants to know soon that the broker is silent.
    kafka = settings.kafka.model_copy(update={"retry_seconds": 1.0})

    async def list_topics(reader: LogReader) -> Collection[str]:
        assert isinstance(reader, KafkaLogReader)
        return await reader.topics()

    catalogue = Catalogue.load(settings.schemas_roots(), settings.only_agencies)
    return Gateway(settings, lambda: KafkaLogReader(kafka), list_topics, decoder(catalogue), registry=registry_router(catalogue))


async def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is told the URL when it listens."""
    await create(settings).run(announce)


def decoder(catalogue: Catalogue) -> Decode:
    """Reads indicator values of that catalogue's schemas."""
    codec = Codec(catalogue)

    def decode(record: Record) -> Cell:
        assert record.key is not None
        assert record.value is not None
        return from_value(record.key.decode("utf-8", "replace"), codec.decode(record.value, record.headers))

    return decode


class Gateway:
    """Follows, and serves what it knows. `app` is the ASGI application; `run` serves it."""

    def __init__(
        self,
        settings: Settings,
        open_reader: OpenReader,
        list_topics: ListTopics,
        decode: Decode,
        *,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        registry: APIRouter | None = None,
    ) -> None:
        self._settings = settings
        self._pace = pace
        self._server: _Server | None = None
        self._failure: BaseException | None = None
        self.definitions = Definitions(settings.schemas_roots(), settings.connector_roots(), settings.only_agencies)
        self.state = State(decode)
        limits = Limits(max_clients=settings.gateway.max_clients, queue_cells=settings.gateway.queue_cells)
        self.hub = Hub(self.state, limits)

        async def values(reader: LogReader) -> Collection[str]:
            """Of all topics those that may be shown: values of indicators; no lists, no registers, both of which are about single subjects."""
            names = [topic for topic in await list_topics(reader) if topic.startswith(PREFIX)]
            return [topic for topic in names if topic.removeprefix(PREFIX) not in self.definitions.hidden]

        self.follower = Follower(open_reader, values, self.state, clock=SystemClock(), pace=pace, on_round=self._changed)
        self.app = self._application(registry)

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGINT, SIGTERM or `stop`. Raises `ConfigurationError` when the address cannot be had."""
        host, port = self._settings.gateway.host, self._settings.gateway.port
        try:
            listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
        except OSError as error:
            where = "BUS_GATEWAY__HOST, BUS_GATEWAY__PORT"
            raise ConfigurationError(
                [Problem(where, f"cannot listen on {host}:{port}: {error.strerror}; port 0 takes any free one")]
            ) from error
        with listener:
            shown = f"[{host}]" if ":" in host else host
            url = f"http://{shown}:{listener.getsockname()[1]}"
            config = uvicorn.Config(self.app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS, lifespan="on")
            self._server = _Server(config, lambda: announce(url), self.hub.close)
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                with suppress(ValueError, RuntimeError):  # a thread other than the main one has no signals
                    loop.add_signal_handler(number, self.stop)
            await self._server.serve(sockets=[listener])
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """End all streams and stop listening."""
        if self._server is not None:
            self._server.should_exit = True

    def _application(self, registry: APIRouter | None) -> FastAPI:
        app = FastAPI(
            title="Simpul: indikator",
            version=__version__,
            description="Every number is exact and carries the log positions that it was made of.",
            docs_url=None,
            redoc_url=None,
            lifespan=self._lifespan,
        )
        app.add_middleware(_SecurityHeaders)
        app.add_exception_handler(Refusal, _refuse)
        app.include_router(router(Serving(self.state, self.follower, self.definitions, self.hub)))
        if registry is not None:
            app.include_router(registry)

        @app.get("/docs", include_in_schema=False)
        async def docs() -> Response:
            return FileResponse(_PAGE / "docs.html")

        app.mount("/", StaticFiles(directory=_PAGE, html=True), name="page")
        return app

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        await self._refresh()
        tasks = [asyncio.create_task(self.follower.run()), asyncio.create_task(self._watch())]
        for task in tasks:
            task.add_done_callback(self._ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        """Look at the definition files and at the follower's health from time to time, and tell the clients."""
        while True:
            await self._refresh()
            self._tell()
            await asyncio.sleep(min(1.0, self._pace.discover))

    async def _refresh(self) -> None:
        """An indicator that has become a register is shown no more, though its topic may still hold what it was."""
        await asyncio.to_thread(self.definitions.refresh)
        if self.state.hide(self.definitions.hidden):
            self.hub.wake()

    def _changed(self) -> None:
        self._tell()
        self.hub.wake()

    def _tell(self) -> None:
        self.hub.say(self.follower.health(), self.definitions.digest)

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("gateway.fault", error=repr(error))
            self._failure = error
            self.stop()


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, ends the streams before it waits for them, and leaves signals to its owner."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None], stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = started
        self._on_stopping = stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        await super().shutdown(sockets)

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


class _SecurityHeaders:
    """Puts the security headers on every answer; unlike FastAPI's own middleware it does not stand between a stream and its client."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def secure(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_SECURITY]
            await send(message)

        await self._app(scope, receive, secure)


def _refuse(_request: Request, error: Exception) -> Response:
    assert isinstance(error, Refusal)
    return error.response()
