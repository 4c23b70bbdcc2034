"""The board as one role may see it: headlines of indicators that there are for it, the map, and what else the page links to."""

from __future__ import annotations

from dataclasses import dataclass

from fastapi import APIRouter, Request
from starlette.responses import Response

from bus.board.spec import Board, Tile, TileMap
from consumers.dashboard import describe
from consumers.dashboard.answers import Serving, answer, refuse_others
from consumers.dashboard.views import View


@dataclass(frozen=True, slots=True)
class Links:
    """What is there beside the gateway: the PPID portal's address (empty: none), and whether alerts are passed on."""

    portal_url: str = ""
    alerts: bool = False


def board_routes(serving: Serving, links: Links) -> APIRouter:
    """The board."""
    routes = APIRouter()

    @routes.get("/v1/board", **describe.ROUTES["board"])
    async def board(request: Request) -> Response:
        refuse_others(request, ())
        view = serving.ready(request)
        return answer(request, view, board_of(view, view.board, links))

    return routes


def board_of(view: View, board: Board, links: Links) -> dict[str, object]:
    """The board without tiles whose indicator is none to that role; a sector that nothing is left of is left out."""
    sectors = [
        {"id": sector.id, "title": sector.title.model_dump(), "tiles": tiles}
        for sector in board.sector
        if (tiles := [_tile(tile) for tile in sector.tiles if tile.indicator in view.by_id])
    ]
    return {
        "role": str(view.role),
        "portal_url": links.portal_url or None,
        "alerts": links.alerts,
        "sectors": sectors,
        "map": None if board.map is None else _map(board.map, view),
    }


def _tile(tile: Tile) -> dict[str, object]:
    return {
        "indicator": tile.indicator,
        "where": tile.where,
        "newest": tile.newest,
        "title": None if tile.title is None else tile.title.model_dump(),
        "better": tile.better,
    }


def _map(drawn: TileMap, view: View) -> dict[str, object]:
    """Places are counted from 1, columns from the west, rows from the north."""
    tiles = [
        {"code": code, "row": row, "column": column}
        for row, codes in enumerate(drawn.rows, 1)
        for column, code in enumerate(codes, 1)
        if code
    ]
    first = drawn.indicator if drawn.indicator in view.by_id else None
    return {"root": drawn.root, "indicator": first, "rows": len(drawn.rows), "columns": max(map(len, drawn.rows)), "tiles": tiles}
