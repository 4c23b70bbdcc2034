"""What routes answer with: JSON with its ETag, an indicator in words, and the view of who asks."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from fastapi import Request
from starlette.responses import Response

from bus.ops.apikeys import Role
from consumers.dashboard import query
from consumers.dashboard.cells import Cell, moment_of
from consumers.dashboard.door import Client, Door
from consumers.dashboard.gate import client_of
from consumers.dashboard.limits import Budget
from consumers.dashboard.recompute import Recomputer
from consumers.dashboard.refusal import Refusal, of_query
from consumers.dashboard.regions import Region
from consumers.dashboard.revisions import Revisions
from consumers.dashboard.selection import QueryError
from consumers.dashboard.state import Indicator
from consumers.dashboard.views import View


@dataclass(frozen=True, slots=True)
class Serving:
    """What the routes answer from."""

    views: Mapping[Role, View]
    door: Door
    budget: Budget
    revisions: Revisions
    recomputer: Recomputer

    def view_of(self, client: Client) -> View:
        """What that client may know."""
        return self.views[client.role]

    def ready(self, request: Request) -> View:
        """The view of who asks. Raises `Refusal` (503) before the end of the log has been reached."""
        view = self.view_of(client_of(request.scope))
        health = view.health()
        if not health.caught_up:
            raise Refusal(503, "Not ready", health.reason)
        return view


def nothing() -> Refusal:
    """The answer to whom there is nothing here."""
    return Refusal(404, "Not found", "there is nothing here")


def known(view: View, id_: str) -> Indicator:
    """The indicator. Raises `Refusal` (404), the same for one that does not exist and for one that the role may not know of."""
    found = view.state.visible.get(id_)
    if found is not None and view.allows(id_):
        return found
    if id_ in view.by_id:
        return Indicator(id_)
    raise Refusal(404, "Unknown indicator", f"there is no indicator {id_!r}", received=id_, near=query.near(id_, view.ids))


def dimensions_of(view: View, indicator: Indicator) -> list[str]:
    """The names of its dimensions."""
    first = next((entry.cell for entry in reversed(indicator.entries.values()) if entry.cell is not None), None)
    return list(first.dimensions) if first else list(view.of(indicator.id).dimensions)


def one_cell(view: View, request: Request, id_: str) -> Cell:
    """The cell that the address names. Raises `Refusal`."""
    indicator = known(view, id_)
    try:
        return query.one(indicator.cells(), request.query_params.multi_items(), dimensions_of(view, indicator))
    except QueryError as error:
        raise of_query(error) from error


def described(view: View, id_: str) -> dict[str, object]:
    """An indicator without its values."""
    definition = view.of(id_)
    state = view.state.visible.get(id_) or Indicator(id_)
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
        "dimensions": dimensions_of(view, state),
        "event": definition.event,
        "publish_class": definition.publish_class or None,
        "version": state.version or None,
        "cells": state.shown,
        "updated_at": moment_of(state.updated_ms),
    }


def defined(view: View, id_: str) -> dict[str, object]:
    """What an indicator means, how it is published, and the agencies whose events it is made of, through all composites."""
    definition = view.of(id_)
    owners, left, seen = {definition.agency}, [id_], set[str]()
    while left:
        name = left.pop()
        if name not in seen:
            seen.add(name)
            part = view.of(name)
            owners |= {part.event.partition(".")[0] or part.agency}
            left += part.parts
    return {
        "indicator": described(view, id_),
        "satu_data": dict(definition.meaning),
        "publish": dict(definition.publish),
        "agencies": {owner: view.agencies.get(owner, owner) for owner in sorted(owners)},
    }


def codes(cells: Sequence[Cell]) -> list[str | None]:
    """What may be the code of a region: that dimension, or what stands on a rank."""
    return [code for cell in cells for code in (cell.dimensions.get("region"), cell.label)]


def regions(found: Mapping[str, Region]) -> dict[str, object]:
    """Regions as they are answered."""
    return {code: {"name": region.name, "level": region.level} for code, region in found.items()}


def answer(request: Request, view: View, body: Mapping[str, object]) -> Response:
    """The body as JSON, or 304 when the caller has it; with the state of the log it was made of."""
    data = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
    etag = f'"{hashlib.blake2b(data, digest_size=12).hexdigest()}"'
    health = view.health()
    headers = {"ETag": etag, "Cache-Control": "private, no-cache", "Simpul-State": "live" if health.live else "stale"}
    if not health.live:
        headers["Simpul-Stale-Seconds"] = str(int(health.silent_seconds))
    wanted = [tag.strip().removeprefix("W/") for tag in request.headers.get("if-none-match", "").split(",")]
    if etag in wanted or "*" in wanted:
        return Response(status_code=304, headers=headers)
    return Response(data, media_type="application/json", headers=headers)


def refuse_others(request: Request, allowed: Sequence[str]) -> None:
    """Raises `Refusal` (400) for a parameter that is not among the allowed ones."""
    for name in request.query_params:
        if name not in allowed:
            raise Refusal(400, "Bad query", f"unknown parameter {name}", received=name, allowed=list(allowed))
