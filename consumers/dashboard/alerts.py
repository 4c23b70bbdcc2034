"""Alerts passed on: one connection to the alerts consumer for all readers, each of whom sees those about what its role may see.

The alerts consumer is another origin, without keys of its own; a page can only ask where it came from. That consumer being away is said in
the answer, with what was known last; nothing else of the gateway depends on it.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import aclosing
from datetime import datetime
from functools import partial

import httpx
import structlog
from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from bus.ops.apikeys import Role
from consumers.dashboard import describe
from consumers.dashboard.answers import Serving, answer, dimensions_of, nothing, refuse_others
from consumers.dashboard.cells import canonical_key
from consumers.dashboard.door import Client
from consumers.dashboard.gate import client_of
from consumers.dashboard.refusal import Refusal
from consumers.dashboard.state import Indicator
from consumers.dashboard.views import View

_log = structlog.get_logger(__name__)

Alert = Mapping[str, object]

#: The alerts consumer says something at least every 15 s; who is silent for longer than this is away.
_SILENT_SECONDS = 40.0
_CONNECT_SECONDS, _SOONEST_SECONDS, _LATEST_SECONDS = 5.0, 0.5, 10.0
_HEARTBEAT_SECONDS = 15.0


def may_see(view: View, alert: Alert) -> bool:
    """Whether the role may know of an alert. Restricted readers may of any whose indicator there is.

    Others may when it has to be announced at once (UU 14/2008, pasal 10), when it tells no number, or when they see the very cell that it is
    about: an alert is made of numbers as they are published inside, which the public may not know yet, or never.
    """
    id_ = str(alert.get("indicator"))
    if id_ not in view.by_id:
        return False
    if view.role is Role.RESTRICTED or alert.get("serta_merta") is True:
        return True
    if alert.get("value") is None:
        return view.role is not Role.PUBLIC
    dimensions, start = alert.get("dimensions"), alert.get("window_start")
    indicator = view.state.visible.get(id_) or Indicator(id_)
    if not isinstance(dimensions, Mapping) or set(dimensions) != set(dimensions_of(view, indicator)):
        return False
    start_us = round(datetime.fromisoformat(start).timestamp() * 1_000_000) if isinstance(start, str) else 0
    entry = indicator.entries.get(canonical_key(start_us, [dimensions[name] for name in dimensions_of(view, indicator)]))
    return entry is not None and entry.cell is not None and entry.cell.value is not None


class Relay:
    """What the alerts consumer said last, and whether it is there."""

    def __init__(self, url: str, max_clients: int) -> None:
        self._url = url.rstrip("/")
        self._max_clients = max_clients
        self._signal = asyncio.Event()
        self._number = 0
        self._bodies: dict[Role, tuple[tuple[int, int, int], Mapping[str, object]]] = {}
        self.alerts: Sequence[Alert] = ()
        self.connected = False
        self.clients = 0
        self.closing = False

    async def run(self) -> None:
        """Follow the alerts until cancelled; an alerts consumer that is away is asked again and again."""
        wait = _SOONEST_SECONDS
        while True:
            try:
                async with aclosing(self._documents()) as documents:
                    async for found in documents:
                        wait = _SOONEST_SECONDS
                        self._now(found, connected=True)
                problem = "it ended the stream"
            except (httpx.HTTPError, ValueError) as error:
                problem = repr(error)
            if self.connected:
                _log.warning("gateway.alerts_away", url=self._url, problem=problem)
            self._now(self.alerts, connected=False)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LATEST_SECONDS)

    async def _documents(self) -> AsyncGenerator[Sequence[Alert], None]:
        """Each list of alerts that comes over the stream."""
        timeout = httpx.Timeout(_CONNECT_SECONDS, read=_SILENT_SECONDS)
        async with (
            httpx.AsyncClient(timeout=timeout, trust_env=False) as http,
            http.stream("GET", f"{self._url}/v1/alerts/stream") as stream,
        ):
            stream.raise_for_status()
            async for line in stream.aiter_lines():
                if line.startswith("data:"):
                    yield _alerts(line.removeprefix("data:"))

    def _now(self, alerts: Sequence[Alert], *, connected: bool) -> None:
        if connected != self.connected or alerts is not self.alerts:
            self.alerts, self.connected = alerts, connected
            self._number += 1
            self._wake()

    def _wake(self) -> None:
        signal, self._signal = self._signal, asyncio.Event()
        signal.set()

    def close(self) -> None:
        """End all streams."""
        self.closing = True
        self._wake()

    def shown(self, view: View) -> Mapping[str, object]:
        """What that role may see of it; made once for all of the role."""
        now = (self._number, view.state.change, view.state.generation)
        known = self._bodies.get(view.role)
        if known is None or known[0] != now:
            body = {"connected": self.connected, "alerts": [alert for alert in self.alerts if may_see(view, alert)]}
            known = self._bodies[view.role] = now, body
        return known[1]

    def admit(self) -> None:
        """Raises `Refusal` (503) when there are as many live streams as may be."""
        if self.clients >= self._max_clients:
            raise Refusal(503, "Too many live streams", f"{self._max_clients} streams of alerts are open; try again later")

    async def messages(self, view: View, still: Callable[[], bool]) -> AsyncIterator[bytes]:
        """Server-sent events: the document, and again whenever it is another one to that role; until the reader may read no longer."""
        self.clients += 1
        try:
            async for message in self._messages(view, still):
                yield message
        finally:
            self.clients -= 1

    async def _messages(self, view: View, still: Callable[[], bool]) -> AsyncIterator[bytes]:
        known = ""
        yield b"retry: 1000\n\n"
        while not self.closing and still():
            signal = self._signal
            body = json.dumps(self.shown(view), ensure_ascii=False, separators=(",", ":")).encode()
            tag = hashlib.blake2b(body, digest_size=12).hexdigest()
            yield b": hidup\n\n" if tag == known else b"event: alerts\nid: " + tag.encode() + b"\ndata: " + body + b"\n\n"
            known = tag
            try:
                # What the role sees may change with its numbers too, so it is looked at from time to time.
                async with asyncio.timeout(_HEARTBEAT_SECONDS):
                    await signal.wait()
            except TimeoutError:
                continue


def _alerts(data: str) -> Sequence[Alert]:
    """Raises `ValueError` for what is no document of alerts."""
    body = json.loads(data)
    alerts = body.get("alerts") if isinstance(body, dict) else None
    if not isinstance(alerts, list) or not all(isinstance(each, dict) for each in alerts):
        raise ValueError("not a document of alerts")
    return alerts


def alert_routes(serving: Serving, relay: Relay | None) -> APIRouter:
    """The alerts that the role may see; where no alerts consumer is named, there is nothing (404)."""
    routes = APIRouter()

    def there() -> Relay:
        if relay is None:
            raise nothing()
        return relay

    @routes.get("/v1/alerts", **describe.ROUTES["alerts"])
    async def alerts(request: Request) -> Response:
        refuse_others(request, ())
        found = there()
        view = serving.ready(request)
        return answer(request, view, found.shown(view))

    @routes.get("/v1/alerts/stream", **describe.ROUTES["alerts_stream"])
    async def stream(request: Request) -> Response:
        refuse_others(request, ("ticket",))
        found, view, client = there(), serving.ready(request), client_of(request.scope)
        found.admit()
        serving.budget.allow_stream(client.label)
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        return StreamingResponse(_within_budget(found, view, client, serving), media_type="text/event-stream", headers=headers)

    return routes


async def _within_budget(relay: Relay, view: View, client: Client, serving: Serving) -> AsyncIterator[bytes]:
    with serving.budget.stream(client.label):
        async for message in relay.messages(view, partial(serving.door.still, client)):
            yield message
