"""The HTTP surface of the alerts: open and recent episodes, a live stream of them, health and metrics. No other origin may read it (no CORS)."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime
from typing import Literal

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from pydantic import BaseModel, Field
from starlette.responses import JSONResponse, Response, StreamingResponse

from bus.kafka.follower import Health
from bus.metrics import REGISTRY
from consumers.alerts.strip import Strip

_RETRY = {"Retry-After": "2"}


class AlertModel(BaseModel):
    """One episode. Excluded and suppressed numbers are not among them."""

    episode: str
    rule: str
    severity: Literal["info", "warning", "danger"]
    serta_merta: bool = Field(description="Whether it is information that must be announced at once (UU 14/2008 art. 10).")
    open: bool
    title: dict[str, str] = Field(description="By language: id, en.")
    subject: dict[str, str]
    text: dict[str, str]
    indicator: str
    unit: str
    value: str | None = Field(description="Exact decimal.")
    limit: str | None
    step: int = Field(description="How many limits it is beyond; 0 when it is over.")
    dimensions: dict[str, str | None]
    region: dict[str, str] | None = Field(description="Code and name.")
    window_start: datetime | None = Field(description="Null for the current state.")
    window_end: datetime | None
    begun_at: datetime
    at: datetime = Field(description="When it last changed.")
    ended_at: datetime | None
    reason: str | None = Field(description="Why it is over: cleared, gone (no row any more) or stale (nothing newer came).")


class AlertsModel(BaseModel):
    """Open episodes, serta merta first and the newest first, then those that ended within a day."""

    alerts: list[AlertModel]


def router(strip: Strip, health: Callable[[], Health], details: Callable[[], Mapping[str, object]], max_clients: int) -> APIRouter:
    """The routes over that strip. `details` are what health says beside whether the log is followed."""
    routes = APIRouter()

    def unready() -> Response | None:
        now = health()
        if now.caught_up:
            return None
        return _problem(503, "Not ready", now.reason)

    @routes.get("/v1/alerts", response_model=AlertsModel, summary="Open and recent alerts", operation_id="alerts")
    async def alerts(request: Request) -> Response:
        if refused := unready():
            return refused
        shown = strip.shown()
        headers = {"ETag": shown.etag, "Cache-Control": "no-cache", "Simpul-State": "live" if health().live else "stale"}
        wanted = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
        if shown.etag in wanted or "*" in wanted:
            return Response(status_code=304, headers=headers)
        return Response(shown.body, media_type="application/json", headers=headers)

    @routes.get("/v1/alerts/stream", summary="The same whenever it changes, as server-sent events", operation_id="alerts_stream")
    async def stream(request: Request) -> Response:
        if refused := unready():
            return refused
        if strip.clients >= max_clients:
            return _problem(503, "Too many live streams", f"{max_clients} streams are open; try again later")
        known = f'"{request.headers.get("last-event-id", "")}"'
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_counted(strip, known), media_type="text/event-stream", headers=headers)

    @routes.get("/healthz", summary="Whether the log is followed and channels take what they are given", operation_id="healthz")
    async def healthz() -> Response:
        now = health()
        status = "ok" if now.ok else "unready" if not now.caught_up else "degraded"
        body = {"status": status, "reason": now.reason, "silent_seconds": round(now.silent_seconds, 1), **details()}
        return JSONResponse(body, status_code=200 if now.ok else 503)

    @routes.get("/metrics", summary="Prometheus", operation_id="metrics")
    async def metrics() -> Response:
        return Response(generate_latest(REGISTRY), media_type=CONTENT_TYPE_LATEST)

    return routes


async def _counted(strip: Strip, known: str) -> AsyncIterator[bytes]:
    strip.clients += 1
    try:
        async for message in strip.messages(known):
            yield message
    finally:
        strip.clients -= 1


def _problem(status: int, title: str, detail: str) -> Response:
    """An answer other than 200, as `application/problem+json` (RFC 9457)."""
    body = {"type": "about:blank", "title": title, "status": status, "detail": detail}
    return JSONResponse(body, status_code=status, media_type="application/problem+json", headers=_RETRY)
