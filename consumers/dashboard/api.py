"""The gateway's HTTP surface: values with their evidence, the live stream, health and metrics; described by OpenAPI."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from bus.kafka.follower import Follower
from bus.metrics import REGISTRY
from consumers.dashboard import describe, query
from consumers.dashboard.cells import Cell
from consumers.dashboard.definitions import Definitions
from consumers.dashboard.regions import Region, named
from consumers.dashboard.state import Indicator, State
from consumers.dashboard.stream import EventStream, Hub, Wish

_STREAM_PARAMETERS = ("indicator", "detail", "last_event_id")
_RETRY_SECONDS = 2


@dataclass(frozen=True, slots=True)
class Serving:
    """What the routes answer from."""

    state: State
    follower: Follower
    definitions: Definitions
    hub: Hub

    @property
    def ids(self) -> list[str]:
        """The indicators that there are, with values or without."""
        return sorted({*self.state.visible, *self.definitions.by_id})


class Refusal(Exception):
    """An answer other than 200, as `application/problem+json` (RFC 9457): what was received and what is allowed."""

    def __init__(self, status: int, title: str, detail: str, **more: object) -> None:
        self.status = status
        self.body = {"type": "about:blank", "title": title, "status": status, "detail": detail} | more
        super().__init__(detail)

    def response(self) -> Response:
        headers = {"Retry-After": str(_RETRY_SECONDS)} if self.status == 503 else {}
        return JSONResponse(self.body, status_code=self.status, media_type="application/problem+json", headers=headers)


def router(serving: Serving) -> APIRouter:
    """The routes over that state."""
    routes = APIRouter()
    docs = describe.ROUTES

    @routes.get("/v1/indicators", **docs["list"])
    async def list_indicators(request: Request) -> Response:
        _refuse_others(request, ())
        _ready(serving)
        body = {
            "agencies": dict(serving.definitions.agencies),
            "regions": _regions(serving.definitions.regions),
            "indicators": [describe_indicator(serving, id_) for id_ in serving.ids],
        }
        return _answer(request, serving, body)

    @routes.get("/v1/indicators/{indicator}", **docs["values"])
    async def values(request: Request, indicator: str) -> Response:
        _ready(serving)
        known = _known(serving, indicator)
        cells = known.cells()
        dimensions = list(cells[0].dimensions) if cells else list(serving.definitions.of(indicator).dimensions)
        try:
            page = query.select(cells, request.query_params.multi_items(), dimensions)
        except query.QueryError as error:
            raise Refusal(error.status, "Bad query", error.detail, received=error.received, allowed=error.allowed) from error
        head = describe_indicator(serving, indicator)
        body = {
            "indicator": head,
            "total": page.total,
            "next_cursor": page.next_cursor,
            "regions": _regions(named(_codes(page.cells), serving.definitions.regions)),
            "cells": [cell.full() for cell in page.cells],
        }
        return _answer(request, serving, body)

    @routes.get("/v1/stream", **docs["stream"])
    async def stream(request: Request) -> Response:
        wish = _wish(request, serving)
        if serving.hub.full:
            raise Refusal(503, "Too many live streams", f"{serving.hub.limits.max_clients} streams are open; try again later")
        return _Streaming(EventStream(serving.hub, wish))

    @routes.get("/healthz", **docs["health"])
    async def health() -> Response:
        now = serving.follower.health()
        body = {
            "status": "ok" if now.ok else "unready" if not now.caught_up else "degraded",
            "reason": now.reason,
            "silent_seconds": round(now.silent_seconds, 1),
            "indicators": len(serving.state.visible),
            "cells": sum(each.shown for each in serving.state.visible.values()),
            "clients": serving.hub.clients,
        }
        return JSONResponse(body, status_code=200 if now.ok else 503)

    @routes.get("/metrics", **docs["metrics"])
    async def metrics() -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return routes


class _Streaming(Response):
    """Hands the connection to an `EventStream`."""

    def __init__(self, stream: EventStream) -> None:
        super().__init__()
        self._stream = stream

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._stream(scope, receive, send)


def describe_indicator(serving: Serving, id_: str) -> dict[str, object]:
    """An indicator without its values."""
    definition = serving.definitions.of(id_)
    state = serving.state.visible.get(id_) or Indicator(id_)
    first = next((entry.cell for entry in reversed(state.entries.values()) if entry.cell is not None), None)
    return {
        "id": id_,
        "agency": definition.agency,
        "title": dict(definition.title) or {"id": id_, "en": id_},
        "unit": definition.unit,
        "window": definition.window,
        "late": definition.late,
        "minimum_n": definition.minimum_n,
        "kind": definition.kind,
        "parts": list(definition.parts),
        "stock": definition.stock,
        "clock": None if definition.clock is None else dict(definition.clock),
        "decimals": definition.decimals,
        "dimensions": list(first.dimensions) if first else list(definition.dimensions),
        "event": definition.event,
        "publish_class": definition.publish_class or None,
        "version": state.version or None,
        "cells": state.shown,
        "updated_at": describe.moment(state.updated_ms),
    }


def _codes(cells: Sequence[Cell]) -> list[str | None]:
    """What may be the code of a region: that dimension, or what stands on a rank."""
    return [code for cell in cells for code in (cell.dimensions.get("region"), cell.label)]


def _regions(regions: Mapping[str, Region]) -> dict[str, object]:
    return {code: {"name": region.name, "level": region.level} for code, region in regions.items()}


def _answer(request: Request, serving: Serving, body: Mapping[str, object]) -> Response:
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    etag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    health = serving.follower.health()
    headers = {"ETag": etag, "Cache-Control": "no-cache", "Simpul-State": "live" if health.live else "stale"}
    if not health.live:
        headers["Simpul-Stale-Seconds"] = str(int(health.silent_seconds))
    wanted = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in wanted or "*" in wanted:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="application/json", headers=headers)


def _ready(serving: Serving) -> None:
    health = serving.follower.health()
    if not health.caught_up:
        raise Refusal(503, "Not ready", health.reason)


def _known(serving: Serving, id_: str) -> Indicator:
    known = serving.state.visible.get(id_)
    if known is not None:
        return known
    if id_ in serving.ids:
        return Indicator(id_)
    raise Refusal(404, "Unknown indicator", f"there is no indicator {id_!r}", received=id_, near=query.near(id_, serving.ids))


def _wish(request: Request, serving: Serving) -> Wish:
    _refuse_others(request, _STREAM_PARAMETERS)
    _ready(serving)
    chosen: frozenset[str] | None = None
    if "indicator" in request.query_params:
        asked = [part.strip() for text in request.query_params.getlist("indicator") for part in text.split(",")]
        chosen = frozenset(_known(serving, id_).id for id_ in asked)
    detail = request.query_params.get("detail", "full")
    if detail not in {"full", "brief"}:
        raise Refusal(400, "Bad query", "malformed detail", received=detail, allowed=["full", "brief"])
    token = request.headers.get("last-event-id") or request.query_params.get("last_event_id", "")
    return Wish(chosen, brief=detail == "brief", token=token)


def _refuse_others(request: Request, allowed: Sequence[str]) -> None:
    for name in request.query_params:
        if name not in allowed:
            raise Refusal(400, "Bad query", f"unknown parameter {name}", received=name, allowed=list(allowed))
