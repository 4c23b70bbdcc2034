"""Before every route: who asks, whether it has asked too often, and, when it is over, one line of the access log."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

import structlog
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from bus.ops.apikeys import Role
from consumers.dashboard.door import Client, Door
from consumers.dashboard.limits import Budget, name_of
from consumers.dashboard.refusal import Refusal

_log = structlog.get_logger("access")

_SECURITY = (
    (b"content-security-policy", b"default-src 'self'; img-src 'self' data:; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"no-referrer"),
    (b"vary", b"Authorization, X-API-Key"),
)
#: Routes that a ticket opens: those whose clients cannot set headers.
_TICKETED = ("/v1/stream", "/v1/ws", "/v1/alerts/stream")
#: What supervisors and load balancers ask all the time.
_UNCOUNTED = ("/healthz",)


def client_of(scope: Scope) -> Client:
    """Who asks, as the gate has found it."""
    client = scope["state"]["client"]
    assert isinstance(client, Client)
    return client


class Gate:
    """ASGI middleware, outermost. Unlike FastAPI's own it does not stand between a stream and its client."""

    def __init__(self, app: ASGIApp, door: Door, budget: Budget, *, access_log: bool) -> None:
        self._app = app
        self._door = door
        self._budget = budget
        self._access_log = access_log

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in {"http", "websocket"}:
            await self._app(scope, receive, send)
            return
        began = time.monotonic()
        sent = _Sent(send)
        client = None
        try:
            try:
                client = self._enter(scope)
            except Refusal as refusal:
                await refusal.response()(scope, receive, sent)
            else:
                scope.setdefault("state", {})["client"] = client
                await self._app(scope, receive, sent)
        finally:
            if self._access_log:
                _write(scope, client, sent, began)

    def _enter(self, scope: Scope) -> Client:
        headers = Headers(scope=scope)
        address = scope["client"][0] if scope.get("client") else ""
        ticket = ""
        if scope["path"] in _TICKETED:
            ticket = parse_qs(scope["query_string"].decode("latin-1")).get("ticket", [""])[0]
        try:
            client = self._door.client(headers, address, ticket=ticket)
        except Refusal:
            # Guessing keys is counted by where it comes from.
            self._budget.spend(f"unknown {name_of(address)}")
            raise
        if scope["path"] not in _UNCOUNTED:
            self._budget.spend(client.label)
        if scope["type"] == "websocket" and not client.name:
            _refuse_foreign_page(headers, client)
        return client


def _refuse_foreign_page(headers: Headers, client: Client) -> None:
    """A page of another site may open a socket to this machine; it must not see there what the public may not."""
    origin = headers.get("origin")
    if origin is not None and client.role is not Role.PUBLIC and origin.partition("://")[2] != headers.get("host", ""):
        raise Refusal(403, "Foreign page", "a socket without key or ticket is for pages of this gateway", received=origin)


class _Sent:
    """Sends on, with the security headers, and counts."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.status = 0
        self.bytes = 0

    async def __call__(self, message: Message) -> None:
        kind = message["type"]
        if kind in {"http.response.start", "websocket.http.response.start"}:
            self.status = message["status"]
            message["headers"] = [*message.get("headers", ()), *_SECURITY]
        elif kind in {"http.response.body", "websocket.http.response.body"}:
            self.bytes += len(message.get("body", b""))
        elif kind == "websocket.accept":
            self.status = 101
        elif kind == "websocket.send":
            self.bytes += len(message.get("bytes") or message.get("text") or "")
        await self._send(message)


def _write(scope: Scope, client: Client | None, sent: _Sent, began: float) -> None:
    """The route's template and the indicator; no query, no path that is nobody's, no key."""
    route = getattr(scope.get("route"), "path", None) or ("(page)" if sent.status in {200, 304} else "(none)")
    indicator = scope.get("path_params", {}).get("indicator", "") if sent.status not in {400, 401, 404} else ""
    _log.info(
        "gateway.request",
        client=client.name if client else "",
        role=str(client.role) if client else "",
        method=scope.get("method", "WS"),
        route=route,
        **({"indicator": indicator} if indicator else {}),
        status=sent.status,
        bytes=sent.bytes,
        ms=round((time.monotonic() - began) * 1000, 1),
    )
