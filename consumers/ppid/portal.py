"""The portal as a consumer: follower, gate and HTTP in one process, on 127.0.0.1 unless told otherwise."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import AsyncIterator, Callable, Collection, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress

import structlog
import uvicorn
from fastapi import FastAPI
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from bus import __version__
from bus.clock import SystemClock
from bus.errors import BusError, ConfigurationError, Problem
from bus.events.catalogue import Catalogue
from bus.kafka.client import KafkaLogReader
from bus.kafka.ports import LogReader
from bus.kafka.topics import PUBLIC_PREFIX
from bus.metrics import REGISTRY
from bus.settings import Settings
from consumers.ppid import ckan_api
from consumers.ppid.answers import Refusal, SecurityHeaders, problem, refuse, refuse_http
from consumers.ppid.ckan import Describer
from consumers.ppid.database import Database
from consumers.ppid.follower import Follower, ListTopics, OpenReader, Pace
from consumers.ppid.library import Library
from consumers.ppid.observations import decoder
from consumers.ppid.web import PAGE, Web, routes

_log = structlog.get_logger(__name__)
_GRACE_SECONDS = 3


def create(settings: Settings) -> Portal:
    """The portal of these settings; nothing is opened before `run`."""
    # The follower itself tries for ever and wants to know soon that the broker is silent.
    kafka = settings.kafka.model_copy(update={"retry_seconds": 1.0})

    async def list_topics(reader: LogReader) -> Collection[str]:
        assert isinstance(reader, KafkaLogReader)
        return await reader.topics()

    return Portal(settings, lambda: KafkaLogReader(kafka), list_topics)


def database_of(settings: Settings) -> Database:
    """The store's database by the settings."""
    return Database(settings.ppid.database_url.get_secret_value(), fallback=settings.data_dir / "ppid.db")


class Portal:
    """Follows, checks, and serves what is published. `app` is the ASGI application; `run` serves it."""

    def __init__(self, settings: Settings, open_reader: OpenReader, list_topics: ListTopics, *, pace: Pace = Pace()) -> None:  # noqa: B008 - frozen
        self._settings = settings
        self._pace = pace
        self._server: _Server | None = None
        self._failure: BaseException | None = None
        self._url = ""
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
        host, port = self._settings.ppid.host, self._settings.ppid.port
        try:
            listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=512)
        except OSError as error:
            where = "BUS_PPID__HOST, BUS_PPID__PORT"
            raise ConfigurationError(
                [Problem(where, f"cannot listen on {host}:{port}: {error.strerror}; port 0 takes any free one")]
            ) from error
        with listener:
            shown = f"[{host}]" if ":" in host else host
            self._url = url = f"http://{shown}:{listener.getsockname()[1]}"
            config = uvicorn.Config(self.app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS, lifespan="on")
            self._server = _Server(config, lambda: announce(url))
            loop = asyncio.get_running_loop()
            for number in (signal.SIGINT, signal.SIGTERM):
                with suppress(ValueError, RuntimeError):  # a thread other than the main one has no signals
                    loop.add_signal_handler(number, self.stop)
            await self._server.serve(sockets=[listener])
        if self._failure is not None:
            raise self._failure

    def stop(self) -> None:
        """Stop listening and following."""
        if self._server is not None:
            self._server.should_exit = True

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
        tasks = [asyncio.create_task(self.follower.run()), asyncio.create_task(self._watch())]
        for task in tasks:
            task.add_done_callback(self._ended)
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
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

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("ppid.fault", error=repr(error))
            self._failure = error
            self.stop()


async def _unready(_request: Request, error: Exception) -> Response:
    """The database is away: what was asked for may be asked for again soon."""
    _log.warning("ppid.unanswered", problem=str(error))
    return problem(Refusal(503, "Not ready", "the store does not answer at the moment; try again later"))


class _Server(uvicorn.Server):
    """uvicorn that says when it listens, and leaves signals to its owner."""

    def __init__(self, config: uvicorn.Config, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._on_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._on_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
