"""The HTTP server of all webhook sources of a connectors process: begun by the first of them, in its event loop, and ended with the last."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import structlog
import uvicorn
from fastapi import FastAPI, Request
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import JSONResponse, Response

from bus import __version__, metrics
from bus.clock import Clock
from bus.errors import BusError, ConfigurationError, Problem, TransientError
from bus.ingest.kinds.webhook_answers import SECURITY, answer, problem, request, responses
from bus.ingest.kinds.webhook_bodies import Unreadable, posted, unpacked
from bus.ingest.kinds.webhook_keys import Keys, refusal
from bus.ingest.kinds.webhook_spec import WebhookSpec
from bus.ingest.pacing import Bucket
from bus.ingest.stream import Reading, Receipt, Sink
from bus.listening import url_of
from bus.settings import IngestSettings

_log = structlog.get_logger(__name__)

#: How long a body may take to arrive, in seconds; how much of all bodies is held at once, in bodies of the largest size.
_BODY_SECONDS, _BODIES = 60.0, 8
#: When a sender should come back while the spool is full, or the server busy or stopping, in seconds.
_FULL_SECONDS, _BUSY_SECONDS = 10.0, 1.0
_GRACE_SECONDS, _KEEP_ALIVE_SECONDS = 3, 65
_DESCRIPTION = """Where the systems of agencies post their facts. 202 says that the records are durable; until then send again (what was accepted
under an id is known). Records that were refused are named, with every field that is wrong, and kept."""


class Stopping(BusError):
    """The source ends; whether the reading was taken is not known."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the posts of one source go."""

    agency: str
    spec: WebhookSpec
    keys: Keys
    sink: Sink
    clock: Clock
    closed: asyncio.Future[None]

    async def take(self, reading: Reading) -> Receipt:
        """Durable when this returns. Raises `Stopping` when the source ends first."""
        taking = asyncio.ensure_future(self.sink.take(reading))
        either: set[asyncio.Future[Any]] = {taking, self.closed}
        await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
        if not taking.done():
            taking.cancel()
            raise Stopping("the source ends")
        return taking.result()


class Ingress:
    """One server and the sources that it serves now."""

    def __init__(self, settings: IngestSettings) -> None:
        self._settings = settings
        self._endpoints: dict[tuple[str, str], Endpoint] = {}
        self._buckets: dict[str, Bucket] = {}
        self._turn = asyncio.Lock()
        self._server: TaskServer | None = None
        self._serving: asyncio.Task[None] | None = None
        self._held_bytes = 0
        self.url = ""
        self.app = self._application()

    @asynccontextmanager
    async def serving(self, source: str, endpoint: Endpoint) -> AsyncIterator[asyncio.Task[None]]:
        """Serve that source, `<agency>/<source>`; the task is the server's, and ends only if it fails.

        Raises `TransientError` while another process has the address, `ConfigurationError` when it cannot be had.
        """
        agency, _, name = source.partition("/")
        async with self._turn:
            if self._serving is None or self._serving.done():
                await self._start()
            self._endpoints[agency, name] = endpoint
            rate = self._settings.ingress_posts_per_second
            self._buckets.setdefault(agency, Bucket(endpoint.clock, rate, rate))
        assert self._serving is not None
        try:
            yield self._serving
        finally:
            self._endpoints.pop((agency, name), None)
            endpoint.closed.cancel()
            if not self._endpoints:
                await self._stop()

    async def _start(self) -> None:
        host, port = self._settings.ingress_host, self._settings.ingress_port
        try:
            listener = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET, backlog=2048)
        except OSError as error:
            if error.errno == errno.EADDRINUSE:
                raise TransientError(f"the ingress cannot listen on {host}:{port}: another process does") from error
            where = "BUS_INGEST__INGRESS_HOST, BUS_INGEST__INGRESS_PORT"
            raise ConfigurationError([Problem(where, f"cannot listen on {host}:{port}: {error.strerror}")]) from error
        self.url = url_of(host, listener.getsockname()[1])
        config = uvicorn.Config(
            self.app, log_config=None, access_log=False, timeout_graceful_shutdown=_GRACE_SECONDS, lifespan="off", server_header=False,
            timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        )  # fmt: skip
        begun = asyncio.Event()
        self._server = TaskServer(config, begun.set)
        self._serving = asyncio.create_task(self._server.serve(sockets=[listener]))
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait({waiting, self._serving}, return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        _log.info("the ingress listens", url=self.url)

    async def _stop(self) -> None:
        async with self._turn:
            if self._server is not None and self._serving is not None and not self._endpoints:
                self._server.should_exit = True
                await asyncio.wait({self._serving})
                self._server = self._serving = None

    def _application(self) -> FastAPI:
        app = FastAPI(
            title="Simpul: penerimaan", version=__version__, description=_DESCRIPTION, docs_url=None, redoc_url=None,
            openapi_url="/openapi.json", redirect_slashes=False,
        )  # fmt: skip
        app.add_exception_handler(HTTPException, _not_served)
        most, size = self._settings.ingress_records, self._settings.ingress_body_bytes
        app.add_api_route(
            "/v1/events/{agency}/{source}", self._receive, methods=["POST"], status_code=202, summary="Post one record or many",
            operation_id="post_events", responses=responses(), openapi_extra=request(most, size), response_class=Response,
        )  # fmt: skip
        app.add_api_route("/healthz", self._healthy, methods=["GET"], summary="Whether the ingress serves", operation_id="healthz")
        app.openapi()
        assert app.openapi_schema is not None
        app.openapi_schema.setdefault("components", {})["securitySchemes"] = SECURITY
        app.openapi_schema["paths"]["/v1/events/{agency}/{source}"]["post"]["responses"].pop("200", None)
        return app

    async def _healthy(self) -> dict[str, object]:
        return {"status": "ok", "sources": len(self._endpoints)}

    async def _receive(self, request: Request) -> Response:
        names = request.path_params
        endpoint = self._endpoints.get((names["agency"], names["source"]))
        if endpoint is None:
            if (names["agency"], names["source"]) in _EXPECTED:
                return problem(503, retry_after=_BUSY_SECONDS)
            return problem(404)
        begun = endpoint.clock.monotonic()
        try:
            response = await self._received(endpoint, request)
        except Unreadable as error:
            response = problem(error.status, error.why)
        except (TimeoutError, ClientDisconnect):
            response = problem(408)
        except BusError as error:
            _log.warning("a post was not taken", agency=endpoint.agency, reason=type(error).__name__)
            response = problem(503, retry_after=_BUSY_SECONDS)
        metrics.ingress_posts.labels(endpoint.agency, str(response.status_code)).inc()
        metrics.ingress_seconds.labels(endpoint.agency).observe(endpoint.clock.monotonic() - begun)
        return response

    async def _received(self, endpoint: Endpoint, request: Request) -> Response:
        headers, spec, limit = request.headers, endpoint.spec, self._settings.ingress_body_bytes
        with self._held() as hold:
            body = await _body(request, limit, hold)
            if body is None:
                return problem(429, "too many bodies at once", retry_after=_BUSY_SECONDS)
            now = endpoint.clock.now().timestamp()
            if why := refusal(endpoint.keys.valid, headers, body, auth=spec.auth, now=now, tolerance=spec.tolerance_seconds):
                return problem(401, why)
            if wait := self._buckets[endpoint.agency].take():
                return problem(429, "more posts a second than an agency may send", retry_after=wait)
            if not endpoint.sink.room:
                return problem(429, "the spool is full", retry_after=_FULL_SECONDS)
            body = unpacked(body, headers.get("content-encoding", "").strip().lower(), limit)
            found = posted(spec, headers, body, most=self._settings.ingress_records)
            receipt = await endpoint.take(Reading(found.records, "POST")) if found.records else Receipt()
        return answer(receipt, single=found.single)

    @contextmanager
    def _held(self) -> Iterator[Callable[[int], bool]]:
        """Counts the bytes of a body among those of all; whether there is room for so many more."""
        held = 0

        def hold(more: int) -> bool:
            nonlocal held
            held += more
            self._held_bytes += more
            return self._held_bytes <= _BODIES * self._settings.ingress_body_bytes

        try:
            yield hold
        finally:
            self._held_bytes -= held


#: Sources of this process that may not serve yet: a sender who comes early must not take them for unknown.
_EXPECTED: set[tuple[str, str]] = set()
_INGRESSES: WeakKeyDictionary[asyncio.AbstractEventLoop, Ingress] = WeakKeyDictionary()


def ingress(settings: IngestSettings) -> Ingress:
    """The ingress of this process (of its event loop): the sources of all agencies share it."""
    return _INGRESSES.setdefault(asyncio.get_running_loop(), Ingress(settings))


def expect(source: str) -> None:
    """That source, `<agency>/<source>`, will be served in this process."""
    agency, _, name = source.partition("/")
    _EXPECTED.add((agency, name))


async def _body(request: Request, limit: int, hold: Callable[[int], bool]) -> bytes | None:
    """The body; None when too much is held at once. Raises `Unreadable`, `TimeoutError`, `ClientDisconnect`."""
    declared = request.headers.get("content-length", "")
    if declared.isascii() and declared.isdigit() and int(declared[:20]) > limit:
        raise Unreadable(413, f"the body is larger than {limit} bytes")
    pieces, size = [], 0
    async with asyncio.timeout(_BODY_SECONDS):
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise Unreadable(413, f"the body is larger than {limit} bytes")
            if not hold(len(piece)):
                return None
            pieces.append(piece)
    return b"".join(pieces)


async def _not_served(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = (
        problem(error.status_code) if error.status_code in (404, 405) else JSONResponse({"status": error.status_code}, error.status_code)
    )
    response.headers.update(_headers(error))
    return response


def _headers(error: HTTPException) -> Mapping[str, str]:
    return dict(error.headers or {})


class TaskServer(uvicorn.Server):
    """One among other tasks: signals are not its business."""

    def __init__(self, config: uvicorn.Config, begun: Callable[[], object]) -> None:
        super().__init__(config)
        self._begun = begun

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._begun()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield
