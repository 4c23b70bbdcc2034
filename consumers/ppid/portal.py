"""The portal as a consumer: follower, gate and HTTP in one process, on 127.0.0.1 unless told otherwise."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager

import structlog
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bus import __version__
from bus.clock import SystemClock
from bus.errors import BusError, ConfigurationError
from bus.events.catalogue import Catalogue
from bus.kafka.follower import ListTopics, OpenReader, Pace, readers
from bus.kafka.ports import LogReader
from bus.kafka.topics import PUBLIC_PREFIX
from bus.metrics import REGISTRY
from bus.ops.serving import HttpService
from bus.settings import Settings
from consumers.ppid import ckan_api, feedback_web
from consumers.ppid.answers import Refusal, SecurityHeaders, problem, refuse, refuse_http
from consumers.ppid.ckan import Describer
from consumers.ppid.database import Database
from consumers.ppid.follower import PACE, Follower
from consumers.ppid.forwarding import Forwarder
from consumers.ppid.library import Library
from consumers.ppid.observations import decoder
from consumers.ppid.web import PAGE, Web, routes

_log = structlog.get_logger(__name__)


def create(settings: Settings) -> Portal:
    """The portal of these settings; nothing is opened before `run`."""
    open_reader, list_topics = readers(settings.kafka)
    return Portal(settings, open_reader, list_topics)


def database_of(settings: Settings) -> Database:
    """The store's database by the settings."""
    return Database(settings.ppid.database_url.get_secret_value(), fallback=settings.data_dir / "ppid.db")


class Portal:
    """Follows, checks, and serves what is published. `app` is the ASGI application; `run` serves it."""

    def __init__(self, settings: Settings, open_reader: OpenReader, list_topics: ListTopics, *, pace: Pace = PACE) -> None:
        self._settings = settings
        self._pace = pace
        self.service = HttpService("ppid", settings.ppid.host, settings.ppid.port)
        self._url = ""
        self._forwarder = Forwarder(settings.ppid, SystemClock())
        self._due: set[str] = set()
        self._all_due = True
        catalogue = Catalogue.load(settings.schemas_roots(), settings.only_agencies)
        self.library = Library(settings, database_of(settings), SystemClock(), catalogue)

        async def public(reader: LogReader) -> Collection[str]:
            found = [topic for topic in await list_topics(reader) if topic.startswith(PUBLIC_PREFIX)]
            return self.library.followed(found, PUBLIC_PREFIX)

        self.follower = Follower(
            open_reader, public, self.library.store, decoder(catalogue), clock=SystemClock(), pace=pace, on_round=self._examine
        )
        self.app = self._application()

    @property
    def base(self) -> str:
        """The portal's address, without a slash at its end."""
        return (self._settings.ppid.base_url or self._url).rstrip("/")

    async def run(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGINT, SIGTERM or `stop`. Raises `ConfigurationError` when the address cannot be had."""
        with self.service.listening() as (listener, self._url):
            trusted = self._settings.ppid.trusted_proxies
            await self.service.serve(self.app, listener, lambda: announce(self._url), forwarded_allow_ips=trusted)

    def stop(self) -> None:
        """Stop listening and following."""
        self.service.stop()

    def _application(self) -> FastAPI:
        app = FastAPI(
            title="Simpul: data terbuka PPID",
            version=__version__,
            description="Open data with all vintages. Every number can be proven.",
            docs_url=None,
            redoc_url=None,
            lifespan=self._lifespan,
        )
        app.add_middleware(SecurityHeaders)
        app.add_exception_handler(Refusal, refuse)
        app.add_exception_handler(HTTPException, refuse_http)
        app.add_exception_handler(BusError, _unready)
        web = Web(self.library, lambda: self.base)
        app.include_router(routes(web))
        limits = feedback_web.Limits(SystemClock(), self._settings.ppid.feedback_per_hour)
        app.include_router(feedback_web.routes(self.library, self._forwarder, limits))
        actions = ckan_api.Actions(self.library, lambda: Describer(self._settings.ppid, web.addresses))
        app.include_router(ckan_api.routes(actions))

        @app.get("/healthz", tags=["operation"], summary="Readiness")
        def health() -> Response:
            now = self.follower.health()
            refused, first = self.library.store.refusals() if now.caught_up else (0, "")
            reason = now.reason or (f"{refused} unreadable record(s), the first in {first}" if refused else "")
            status = "ok" if not reason else "degraded" if now.caught_up else "unready"
            body = {"status": status, "reason": reason, "silent_seconds": round(now.silent_seconds, 1)}
            return JSONResponse(body, status_code=503 if reason else 200)

        @app.get("/metrics", tags=["operation"], summary="Prometheus metrics")
        def metrics() -> Response:
            return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

        app.mount("/page", StaticFiles(directory=PAGE), name="page")
        return app

    @asynccontextmanager
    async def _lifespan(self, _app: FastAPI) -> AsyncIterator[None]:
        await asyncio.to_thread(self.library.refresh)
        tasks = [self.service.needs(asyncio.create_task(each)) for each in (self.follower.run(), self._watch())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await self._forwarder.close()
            self.library.database.close()

    async def _examine(self, changed: Collection[str]) -> None:
        """After a round: check what got rows."""
        self._due.update(changed)
        due = frozenset(self._due)
        await asyncio.to_thread(self.library.examine, due)
        self._due -= due

    async def _watch(self) -> None:
        """Look at the definitions from time to time; when they have changed, and at the start, check all datasets; make what is listed."""
        while True:
            try:
                self._all_due = await asyncio.to_thread(self.library.refresh) or self._all_due
                if self._all_due:
                    await asyncio.to_thread(self.library.examine)
                    self._all_due = False
                elif self._due:
                    await self._examine(())
                # files are made before somebody asks for the catalogue
                await asyncio.to_thread(self.library.cards)
            except ConfigurationError as error:
                _log.warning("ppid.definitions", problem=str(error))
            except BusError as error:
                _log.warning("ppid.waiting", problem=str(error))
            await asyncio.sleep(self._pace.discover)


async def _unready(_request: Request, error: Exception) -> Response:
    """The database is away: what was asked for may be asked for again soon."""
    _log.warning("ppid.unanswered", problem=str(error))
    return problem(Refusal(503, "Not ready", "the store does not answer at the moment; try again later"))
