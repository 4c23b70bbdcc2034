"""An indicator's values over time: windows in order, the newest value of each, one series for each set of dimension values. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from consumers.dashboard.cells import Cell
from consumers.dashboard.query import MAX_LIMIT, WINDOW_FORMS, limit_of, split, start_of
from consumers.dashboard.selection import QueryError

OWN = ("from", "to", "limit")
#: What all points of a series share.
_SHARED = ("key", "indicator", "dimensions")


def series(cells: Sequence[Cell], parameters: Sequence[tuple[str, str]], dimensions: Sequence[str]) -> list[dict[str, object]]:
    """The series of `cells` (sorted) whose windows begin at or after `from` and before `to`; of each the newest `limit` windows.

    The current state has no place in time and is in no series. Raises `QueryError` when there are more points than an answer may have.
    """
    single, wanted = split(parameters, dimensions, OWN)
    begin, end = (_moment(single[name]) if name in single else None for name in ("from", "to"))
    limit = limit_of(single.get("limit"))
    found: dict[tuple[str | None, ...], list[Cell]] = {}
    for cell in cells:
        if cell.now or not wanted.matches(cell.dimensions):
            continue
        if (begin is None or cell.window_start >= begin) and (end is None or cell.window_start < end):
            found.setdefault(tuple(cell.dimensions.values()), []).append(cell)
    points = sum(min(limit, len(each)) for each in found.values())
    if points > MAX_LIMIT:
        what = f"at most {MAX_LIMIT} points: a smaller limit, a shorter time, or values for {', '.join(dimensions) or 'the dimensions'}"
        raise QueryError(f"{points} points are too many for one answer", received=f"limit={limit}", allowed=what)
    return [
        {"dimensions": dict(each[0].dimensions), "windows": len(each), "points": [_point(cell) for cell in each[-limit:]]}
        for each in found.values()
    ]


def _point(cell: Cell) -> dict[str, object]:
    return {name: item for name, item in cell.brief().items() if name not in _SHARED}


def _moment(text: str) -> datetime:
    try:
        return start_of(text)
    except ValueError as error:
        raise QueryError("malformed time", received=text, allowed=WINDOW_FORMS.replace(", or now (the current state)", "")) from error
