"""The gateway as a consumer: follower, HTTP surface and page in one process, on 127.0.0.1 unless told otherwise."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

import structlog
from fastapi import APIRouter, FastAPI
from fastapi.staticfiles import StaticFiles
from prometheus_client import start_http_server
from starlette.responses import FileResponse, JSONResponse, Response

from bus import __version__
from bus.clock import SystemClock
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.events.registry import registry_router
from bus.kafka.follower import Follower, ListTopics, OpenReader, Pace, readers
from bus.kafka.ports import Record
from bus.metrics import REGISTRY
from bus.ops.serving import HttpService
from bus.settings import Settings
from consumers.dashboard.alerts import Relay, alert_routes
from consumers.dashboard.answers import Serving
from consumers.dashboard.api import operation_routes, past_routes, value_routes
from consumers.dashboard.board import Links, board_routes
from consumers.dashboard.cells import Cell, from_value
from consumers.dashboard.definitions import Definitions
from consumers.dashboard.door import Door
from consumers.dashboard.gate import Gate
from consumers.dashboard.limits import Budget
from consumers.dashboard.live import live_routes
from consumers.dashboard.openapi import openapi
from consumers.dashboard.recompute import Recomputer
from consumers.dashboard.refusal import Refusal, refuse
from consumers.dashboard.released import from_released
from consumers.dashboard.revisions import Revisions
from consumers.dashboard.sockets import MESSAGE_BYTES
from consumers.dashboard.state import Decode, State
from consumers.dashboard.stream import Hub, Limits
from consumers.dashboard.views import View, Views

_log = structlog.get_logger(__name__)

_PAGE = Path(__file__).parent / "page"


def create(settings: Settings) -> Gateway:
    """The gateway of these settings; nothing is opened before `run`."""
    open_reader, list_topics = readers(settings.kafka)
    catalogue = Catalogue.load(settings.schemas_roots(), settings.only_agencies)
    return Gateway(settings, open_reader, list_topics, Codec(catalogue), registry=registry_router(catalogue))


async def serve(settings: Settings, announce: Callable[[str], None]) -> None:
    """Serve until SIGINT or SIGTERM; `announce` is told the URL when it listens."""
    await create(settings).run(announce)


def decoder(codec: Codec, make: Callable[[str, Mapping[str, object]], Cell] = from_value) -> Decode:
    """Reads indicator values, or with another `make` other values of cells."""

    def decode(record: Record) -> Cell:
        assert record.key is not None
        assert record.value is not None
        return make(record.key.decode("utf-8", "replace"), codec.decode(record.value, record.headers))

    return decode


class Gateway:
    """Follows, and serves what it knows. `app` is the ASGI application; `run` serves it."""

    def __init__(
        self,
        settings: Settings,
        open_reader: OpenReader,
        list_topics: ListTopics,
        codec: Codec,
        *,
        pace: Pace = Pace(),  # noqa: B008 - frozen
        registry: APIRouter | None = None,
    ) -> None:
        """Raises `ConfigurationError` for settings that would show somebody too much, and for a faulty file of keys."""
        self._settings = settings
        self._pace = pace
        self.definitions = Definitions(settings.schemas_roots(), settings.connector_roots(), settings.only_agencies)
        asked, clock = settings.gateway, SystemClock()
        self.door = Door(asked, clock)

        def follow(topics: ListTopics, state: State) -> Follower:
            return Follower(open_reader, topics, state, clock=clock, pace=pace, on_round=self._changed)

        limits = Limits(max_clients=asked.max_clients, queue_cells=asked.queue_cells)
        released = decoder(codec, from_released)
        self.views = Views(
            self.door.roles,
            self.definitions,
            limits,
            decode=decoder(codec),
            decode_released=released,
            list_topics=list_topics,
            follow=follow,
        )
        self.budget = Budget(clock, per_second=asked.requests_per_second, burst=asked.burst, streams=asked.streams_per_client)
        revisions = Revisions(open_reader, codec, asked.history_seconds)
        self.service = HttpService("gateway", asked.host, asked.port)
        self._serving = Serving(self.views.by_role, self.door, self.budget, revisions, Recomputer(settings))
        self.relay = Relay(asked.alerts_url, asked.max_clients) if asked.alerts_url else None
        self.app = self._application(registry)

    @property
    def anonymous(self) -> View:
        """What is known to who has no key."""
        return self.views.by_role[self.door.anonymous]

    @property
    def hub(self) -> Hub:
        """The streams of who has no key."""
        return self.anonymous.hub

    @property
    def state(self) -> State:
        """The cells of who has no key."""
        return self.anonymous.state

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGINT, SIGTERM or `stop`. Raises `ConfigurationError` when the address cannot be had."""
        with self.service.listening() as (listener, url):
            # uvicorn tells of sockets with their whole address, tickets included; who asked for what is in the access log.
            logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
            self.door.announce()
            if self._settings.gateway.metrics_port:
                start_http_server(self._settings.gateway.metrics_port, addr="127.0.0.1", registry=REGISTRY)
            await self.service.serve(
                self.app,
                listener,
                lambda: announce(url),
                closing=self._closing,
                ws="wsproto",
                ws_max_size=MESSAGE_BYTES,
                ws_per_message_deflate=False,
            )

    def stop(self) -> None:
        """End all streams and stop listening."""
        self.service.stop()

    def _closing(self) -> None:
        self.views.close()
        if self.relay is not None:
            self.relay.close()

    def _application(self, registry: APIRouter | None) -> FastAPI:
        app = FastAPI(version=__version__, docs_url=None, redoc_url=None, openapi_url=None, lifespan=self._lifespan)
        asked = self._settings.gateway
        app.add_middleware(Gate, door=self.door, budget=self.budget, access_log=asked.access_log)
        app.add_exception_handler(Refusal, refuse)
        for routes in (value_routes, past_routes, live_routes, operation_routes):
            app.include_router(routes(self._serving))
        app.include_router(board_routes(self._serving, Links(asked.portal_url.rstrip("/"), self.relay is not None)))
        app.include_router(alert_routes(self._serving, self.relay))
        described = openapi(app.routes, __version__, url=asked.public_url)

        @app.get("/openapi.json", include_in_schema=False)
        @app.get("/v1/openapi.json", include_in_schema=False)
        async def description() -> Response:
            return JSONResponse(described)

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
        running = [follower.run() for follower in self.views.followers]
        running += [self.relay.run()] if self.relay else []
        tasks = [self.service.needs(asyncio.create_task(each)) for each in (*running, self._watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self) -> None:
        """Look at the files of definitions and keys and at the followers' health from time to time, and tell the clients."""
        while True:
            await self._refresh()
            self.views.tell()
            await asyncio.sleep(min(1.0, self._pace.discover))

    async def _refresh(self) -> None:
        """An indicator that has become a register is shown no more, though its topic may still hold what it was."""
        await asyncio.to_thread(self.definitions.refresh)
        await asyncio.to_thread(self.door.refresh)
        self.views.refresh()

    def _changed(self) -> None:
        self.views.tell()
