"""The gateway's HTTP surface: values with their evidence and their past, proofs, health and metrics; described by OpenAPI."""

from __future__ import annotations

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.responses import JSONResponse, Response

from bus.metrics import REGISTRY
from bus.ops.apikeys import Role
from consumers.dashboard import describe, query
from consumers.dashboard.answers import (
    Serving,
    answer,
    codes,
    defined,
    described,
    dimensions_of,
    known,
    nothing,
    one_cell,
    refuse_others,
    regions,
)
from consumers.dashboard.door import TICKET_SECONDS
from consumers.dashboard.gate import client_of
from consumers.dashboard.refusal import of_query
from consumers.dashboard.regions import named
from consumers.dashboard.released import ReleasedCell
from consumers.dashboard.selection import QueryError
from consumers.dashboard.series import series

_ROUTES = describe.ROUTES


def value_routes(serving: Serving) -> APIRouter:
    """Indicators and their values."""
    routes = APIRouter()

    @routes.get("/v1/indicators", **_ROUTES["list"])
    async def list_indicators(request: Request) -> Response:
        refuse_others(request, ())
        view = serving.ready(request)
        body = {
            "agencies": dict(view.agencies),
            "regions": regions(view.regions),
            "indicators": [described(view, id_) for id_ in view.ids],
        }
        return answer(request, view, body)

    @routes.get("/v1/indicators/{indicator}", **_ROUTES["values"])
    async def values(request: Request, indicator: str) -> Response:
        view = serving.ready(request)
        found = known(view, indicator)
        try:
            page = query.select(found.cells(), request.query_params.multi_items(), dimensions_of(view, found))
        except QueryError as error:
            raise of_query(error) from error
        body = {
            "indicator": described(view, indicator),
            "total": page.total,
            "next_cursor": page.next_cursor,
            "regions": regions(named(codes(page.cells), view.regions)),
            "cells": [cell.full() for cell in page.cells],
        }
        return answer(request, view, body)

    @routes.get("/v1/indicators/{indicator}/definition", **_ROUTES["definition"])
    async def definition(request: Request, indicator: str) -> Response:
        refuse_others(request, ())
        view = serving.ready(request)
        known(view, indicator)
        return answer(request, view, defined(view, indicator))

    @routes.get("/v1/indicators/{indicator}/series", **_ROUTES["series"])
    async def over_time(request: Request, indicator: str) -> Response:
        view = serving.ready(request)
        found = known(view, indicator)
        try:
            lines = series(found.cells(), request.query_params.multi_items(), dimensions_of(view, found))
        except QueryError as error:
            raise of_query(error) from error
        return answer(request, view, {"indicator": described(view, indicator), "series": lines})

    return routes


def past_routes(serving: Serving) -> APIRouter:
    """What was published of a cell, and whether it is what the log says."""
    routes = APIRouter()

    @routes.get("/v1/indicators/{indicator}/revisions", **_ROUTES["revisions"])
    async def revisions(request: Request, indicator: str) -> Response:
        view = serving.ready(request)
        cell = one_cell(view, request, indicator)
        withheld = isinstance(cell, ReleasedCell) and cell.suppressed
        found, total = ([], 0) if withheld else await serving.revisions.of(view.role, cell)
        return answer(request, view, {"cell": cell.brief(), "total": total, "revisions": found})

    @routes.get("/v1/indicators/{indicator}/verify", **_ROUTES["verify"])
    async def verify(request: Request, indicator: str) -> Response:
        view = serving.ready(request)
        if view.role is Role.PUBLIC:
            raise nothing()
        body = await serving.recomputer.run(one_cell(view, request, indicator), view.role)
        return JSONResponse(body, headers={"Cache-Control": "no-store"})

    return routes


def operation_routes(serving: Serving) -> APIRouter:
    """Tickets, health and metrics."""
    routes = APIRouter()

    @routes.post("/v1/tickets", **_ROUTES["tickets"])
    async def tickets(request: Request) -> Response:
        refuse_others(request, ())
        client = client_of(request.scope)
        if not client.name:
            raise nothing()
        body = {"ticket": serving.door.ticket(client), "seconds": TICKET_SECONDS}
        return JSONResponse(body, status_code=201, headers={"Cache-Control": "no-store"})

    @routes.get("/healthz", **_ROUTES["health"])
    async def health(request: Request) -> Response:
        view = serving.view_of(client_of(request.scope))
        now = view.health()
        body = {
            "status": "ok" if now.ok else "unready" if not now.caught_up else "degraded",
            "reason": now.reason,
            "silent_seconds": round(now.silent_seconds, 1),
            "role": str(view.role),
            "indicators": len(view.state.visible),
            "cells": sum(each.shown for each in view.state.visible.values()),
            "clients": view.hub.clients,
        }
        return JSONResponse(body, status_code=200 if now.ok else 503, headers={"Cache-Control": "no-store"})

    @routes.get("/metrics", **_ROUTES["metrics"])
    async def metrics(request: Request) -> Response:
        # What was sent, and when, to those who may see more.
        if client_of(request.scope).role is not Role.RESTRICTED:
            raise nothing()
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return routes
