"""Agencies' REST interfaces: one server for all, each agency below its own name, which answers as the manifests say that it is asked."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import date, datetime
from pathlib import PurePosixPath

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from bus.clock import LOCAL_ZONE
from bus.ingest.kinds.http_spec import ByCursor, ByKey, ByLink, ByNumber, HttpSpec, Since
from bus.ingest.kinds.webhook_ingress import TaskServer
from bus.kafka.process import LOCALHOST
from bus.simulation.story import Telling
from bus.simulation.systems.form import as_json

_PAGE = 200
_Record = dict[str, object]


class Endpoint:
    """What one source's path answers."""

    def __init__(self, spec: HttpSpec) -> None:
        self.spec = spec
        #: The key that has to be shown, if one has.
        self.secret = secrets.token_urlsafe(16)
        self._records: dict[tuple[object, ...], _Record] = {}

    def tell(self, tellings: Sequence[Telling]) -> None:
        """Take in what the system knows now; what is told again moves to the end, as by its time of change."""
        since = self.spec.since
        for telling in tellings:
            record = as_json(telling.record)
            if since is not None and since.field not in self.spec.key:
                # the time of change is written by the system; one that is a part of the key is the thing's own
                _put(record, since.field, telling.at.isoformat())
            key = tuple(record[name] for name in self.spec.key) if self.spec.key else (len(self._records),)
            self._records.pop(key, None)
            if not telling.gone:
                self._records[key] = record

    async def answer(self, request: Request) -> Response:
        """One question."""
        spec = self.spec
        if isinstance(spec.auth, ByKey) and not self._knows(request, spec.auth):
            return JSONResponse({"message": "kunci tidak dikenal"}, status_code=401)
        records = list(self._records.values())
        if spec.since is not None and (asked := request.query_params.get(spec.since.parameter)):
            records = [each for each in records if _moment(spec.since, _get(each, spec.since.field)) >= _moment(spec.since, asked)]
        return self._paged(request, records)

    def _knows(self, request: Request, auth: ByKey) -> bool:
        shown = request.headers.get(auth.name) if auth.kind == "header" else request.query_params.get(auth.name)
        return shown == auth.prefix + self.secret

    def _paged(self, request: Request, records: list[_Record]) -> Response:
        page, headers, body = self.spec.page, {}, _Record()
        if page is not None:
            first = page.first if isinstance(page, ByNumber) else 0
            name = "halaman" if isinstance(page, ByLink) else page.parameter
            number = int(request.query_params.get(name) or first) - first
            last = max(0, (len(records) - 1) // _PAGE)
            records = records[number * _PAGE : (number + 1) * _PAGE]
            if isinstance(page, ByNumber) and page.last:
                _put(body, page.last, last + first)
            elif isinstance(page, ByCursor):
                _put(body, page.field, str(number + 1) if number < last else "")
            elif isinstance(page, ByLink) and number < last:
                headers["Link"] = f'<{request.url.include_query_params(halaman=number + 1)}>; rel="next"'
        if self.spec.format == "json-lines":
            return Response("\n".join(json.dumps(each) for each in records), headers=headers, media_type="application/x-ndjson")
        if not self.spec.records:
            return JSONResponse(records, headers=headers)
        _put(body, self.spec.records, records)
        return JSONResponse(body, headers=headers)


class Interfaces:
    """All agencies' interfaces. `sources`: (agency, source) -> how it is asked."""

    def __init__(self, sources: Mapping[tuple[str, str], HttpSpec], port: int) -> None:
        self._endpoints = {name: Endpoint(spec) for name, spec in sources.items()}
        self._port = port
        # sources of one agency that show the same setting show the same key
        shared: dict[tuple[str, str], str] = {}
        for (agency, _), endpoint in self._endpoints.items():
            if isinstance(endpoint.spec.auth, ByKey):
                endpoint.secret = shared.setdefault((agency, endpoint.spec.auth.setting), endpoint.secret)

    def url(self, agency: str) -> str:
        """The address of an agency's interface."""
        return f"http://{LOCALHOST}:{self._port}/{agency}"

    def settings(self, agency: str) -> dict[str, str]:
        """What the bus is told of it, by the names of the manifest's settings."""
        found: dict[str, str] = {}
        for (owner, _), endpoint in self._endpoints.items():
            if owner == agency:
                found[endpoint.spec.setting] = self.url(agency)
                if isinstance(endpoint.spec.auth, ByKey):
                    found[endpoint.spec.auth.setting] = endpoint.secret
        return found

    async def tell(self, agency: str, source: str, tellings: Sequence[Telling]) -> None:
        """What the agency's system knows from now on."""
        self._endpoints[agency, source].tell(tellings)

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer while the context is open."""
        routes = [Route(str(PurePosixPath(f"/{agency}{each.spec.path}")), each.answer) for (agency, _), each in self._endpoints.items()]
        config = uvicorn.Config(
            Starlette(routes=routes), host=LOCALHOST, port=self._port, log_config=None, access_log=False, lifespan="off",
            timeout_graceful_shutdown=1,
        )  # fmt: skip
        begun = asyncio.Event()
        server = TaskServer(config, begun.set)
        running = asyncio.create_task(server.serve())
        waiting = asyncio.create_task(begun.wait())
        await asyncio.wait([running, waiting], return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if running.done():
            running.result()
        try:
            yield
        finally:
            server.should_exit = True
            await running


def _get(record: Mapping[str, object], path: str) -> object:
    found: object = record
    for part in path.split("."):
        found = found.get(part) if isinstance(found, dict) else None
    return found


def _put(record: _Record, path: str, value: object) -> None:
    *parts, last = path.split(".")
    for part in parts:
        inner = record.setdefault(part, {})
        assert isinstance(inner, dict)
        record = inner
    record[last] = value


def _moment(since: Since, value: object) -> float:
    if since.form in ("unix", "unix-ms", "number"):
        return float(str(value))
    moment = (
        datetime.fromisoformat(str(value))
        if since.form == "iso"
        else datetime.combine(date.fromisoformat(str(value)[:10]), datetime.min.time())
    )
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=LOCAL_ZONE)).timestamp()
