"""The live routes: what a client may ask a stream or a socket for, and handing the connection over."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from fastapi import APIRouter, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket

from consumers.dashboard import describe
from consumers.dashboard.answers import Serving, dimensions_of, known
from consumers.dashboard.gate import client_of
from consumers.dashboard.limits import Budget
from consumers.dashboard.refusal import Refusal, of_query
from consumers.dashboard.selection import QueryError, parse
from consumers.dashboard.sockets import Socket
from consumers.dashboard.state import Indicator
from consumers.dashboard.stream import EventStream, Wish
from consumers.dashboard.views import View

_OWN = ("indicator", "detail", "last_event_id", "ticket")


def live_routes(serving: Serving) -> APIRouter:
    """Server-sent events and WebSocket."""
    routes = APIRouter()

    @routes.get("/v1/stream", **describe.ROUTES["stream"])
    async def stream(request: Request) -> Response:
        view, client = serving.ready(request), client_of(request.scope)
        token = request.headers.get("last-event-id") or request.query_params.get("last_event_id", "")
        wish = make_wish(view, request.query_params.multi_items(), token)
        if view.hub.full:
            raise Refusal(503, "Too many live streams", f"{view.hub.limits.max_clients} streams are open; try again later")
        serving.budget.allow_stream(client.label)
        events = EventStream(view.hub, wish, still=partial(serving.door.still, client))
        return _Streaming(events, serving.budget, client.label)

    @routes.websocket("/v1/ws")
    async def socket(socket: WebSocket) -> None:
        client = client_of(socket.scope)
        view = serving.view_of(client)
        if not view.health().caught_up:
            await Refusal(503, "Not ready", view.health().reason).response()(socket.scope, socket.receive, socket.send)
            return
        still = partial(serving.door.still, client)
        await Socket(socket, view.hub, serving.budget, client, wish=partial(make_wish, view), still=still).run()

    return routes


class _Streaming(Response):
    """Hands the connection to an `EventStream`."""

    def __init__(self, stream: EventStream, budget: Budget, label: str) -> None:
        super().__init__()
        self._stream = stream
        self._budget = budget
        self._label = label

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        with self._budget.stream(self._label):
            await self._stream(scope, receive, send)


def make_wish(view: View, parameters: Sequence[tuple[str, str]], token: str) -> Wish:
    """What is asked for. Raises `Refusal` for an indicator that is none and for a parameter that is neither the route's nor a dimension."""
    asked = [part.strip() for name, text in parameters if name == "indicator" for part in text.split(",")]
    chosen = frozenset(known(view, id_).id for id_ in asked) if any(name == "indicator" for name, _ in parameters) else None
    detail = next((text for name, text in reversed(parameters) if name == "detail"), "full")
    if detail not in {"full", "brief"}:
        raise Refusal(400, "Bad query", "malformed detail", received=detail, allowed=["full", "brief"])
    rest = [(name, text) for name, text in parameters if name not in _OWN]
    try:
        selection = parse(rest, _dimensions(view, view.ids if chosen is None else sorted(chosen)) if rest else (), _OWN[:3])
    except QueryError as error:
        raise of_query(error) from error
    return Wish(chosen, brief=detail == "brief", token=token, selection=selection)


def _dimensions(view: View, ids: Sequence[str]) -> list[str]:
    """The dimensions that some of the indicators have."""
    visible = view.state.visible
    return sorted({name for id_ in ids for name in dimensions_of(view, visible.get(id_) or Indicator(id_))})
