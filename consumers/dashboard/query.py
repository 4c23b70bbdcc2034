"""What may stand in the address of an indicator's values: windows, dimensions, pages. Pure; refuses with what is allowed."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import get_close_matches

from bus.clock import LOCAL_ZONE
from bus.indicators.windows import NOW
from consumers.dashboard.cells import Cell, canonical_key
from consumers.dashboard.selection import QueryError, Selection, parse

DEFAULT_LIMIT = 500
MAX_LIMIT = 5_000
_OF_PAGES = ("window", "limit", "cursor")
WINDOW_FORMS = "2021, 2021-Q1, 2021-01, 2021-01-05, a window's start such as 2021-01-01T00:00:00+07:00, or now (the current state)"

_PERIOD = re.compile(r"^(?P<year>\d{4})(?:-(?:Q(?P<quarter>[1-4])|(?P<month>\d\d)(?:-(?P<day>\d\d))?))?$", re.ASCII)


@dataclass(frozen=True, slots=True)
class Page:
    """Some cells, how many match altogether, and where the next ones begin."""

    cells: Sequence[Cell]
    total: int
    next_cursor: str | None


def select(cells: Sequence[Cell], parameters: Sequence[tuple[str, str]], dimensions: Sequence[str]) -> Page:
    """The page of `cells` (sorted) that the parameters ask for: some windows, and dimensions as `selection.parse` reads them."""
    single, wanted = split(parameters, dimensions, _OF_PAGES)
    of_window = window_test(single["window"]) if "window" in single else None
    chosen = [cell for cell in cells if (of_window is None or of_window(cell)) and wanted.matches(cell.dimensions)]
    start = _after(chosen, single["cursor"]) if "cursor" in single else 0
    limit = limit_of(single.get("limit"))
    part = chosen[start : start + limit]
    more = start + limit < len(chosen)
    return Page(part, len(chosen), _cursor(part[-1]) if more else None)


def split(parameters: Sequence[tuple[str, str]], dimensions: Sequence[str], own: Sequence[str]) -> tuple[Mapping[str, str], Selection]:
    """The parameters of the route's `own`, each given once at most, and what the others select."""
    single: dict[str, str] = {}
    rest: list[tuple[str, str]] = []
    for name, text in parameters:
        if name not in own:
            rest.append((name, text))
        elif name in single:
            raise QueryError(f"{name} is given twice", received=f"{name}={text}", allowed=f"one {name}")
        else:
            single[name] = text
    return single, parse(rest, dimensions, own)


def one(cells: Sequence[Cell], parameters: Sequence[tuple[str, str]], dimensions: Sequence[str]) -> Cell:
    """The cell that `window` and dimensions name. Raises `QueryError` when it is none (404) or one of several (400)."""
    single, wanted = split(parameters, dimensions, ("window",))
    of_window = window_test(single["window"]) if "window" in single else None
    found = [cell for cell in cells if (of_window is None or of_window(cell)) and wanted.matches(cell.dimensions)]
    asked = "&".join(f"{name}={text}" for name, text in parameters)
    if not found:
        raise QueryError("there is no such cell", received=asked, allowed="window and dimensions of a cell that there is", status=404)
    if len(found) > 1:
        raise QueryError(f"{len(found)} cells are meant", received=asked, allowed=f"one cell: {', '.join(['window', *dimensions])}")
    return found[0]


def window_test(text: str) -> Callable[[Cell], bool]:
    """Whether a cell's window starts in that period and is not longer than it; for a moment, starts exactly then; for `now`, has no end."""
    if text == NOW:
        return lambda cell: cell.now
    try:
        match = _PERIOD.match(text)
        if match:
            start, end = _period(match)
            return lambda cell: start <= cell.window_start < end and cell.window_end - cell.window_start <= end - start
        exact = start_of(text)
    except (ValueError, OverflowError) as error:
        raise QueryError("malformed window", received=text, allowed=WINDOW_FORMS) from error
    return lambda cell: cell.window_start == exact and not cell.now


def start_of(text: str) -> datetime:
    """When that period, or moment, begins. Raises `ValueError` for a text that is neither."""
    match = _PERIOD.match(text)
    if match:
        return _period(match)[0]
    if "T" not in text:
        raise ValueError(text)
    # An unescaped + of the offset arrives as a blank.
    moment = datetime.fromisoformat(text.replace(" ", "+"))
    return moment if moment.tzinfo else moment.replace(tzinfo=LOCAL_ZONE)


def near(name: str, known: Sequence[str]) -> list[str]:
    """Up to five names that the caller may have meant."""
    inside = [each for each in sorted(known) if name and name.lower() in each]
    return list(dict.fromkeys([*get_close_matches(name.lower(), known, n=5, cutoff=0.5), *inside]))[:5]


def _period(match: re.Match[str]) -> tuple[datetime, datetime]:
    year = int(match["year"])
    if match["day"]:
        start = datetime(year, int(match["month"]), int(match["day"]), tzinfo=LOCAL_ZONE)
        return start, start + timedelta(days=1)
    if match["quarter"]:
        month, months = int(match["quarter"]) * 3 - 2, 3
    elif match["month"]:
        month, months = int(match["month"]), 1
    else:
        month, months = 1, 12
    start = datetime(year, month, 1, tzinfo=LOCAL_ZONE)
    last = month + months
    return start, datetime(year + (last > 12), last - 12 if last > 12 else last, 1, tzinfo=LOCAL_ZONE)


def limit_of(text: str | None) -> int:
    """How many cells an answer may have."""
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit() and len(text) <= 6 and 1 <= int(text) <= MAX_LIMIT):
        raise QueryError("malformed limit", received=text, allowed=f"1 to {MAX_LIMIT}")
    return int(text)


def _place(cell: Cell) -> str:
    return canonical_key(int(cell.window_start.timestamp()) * 1_000_000, list(cell.dimensions.values()))


def _cursor(cell: Cell) -> str:
    return base64.urlsafe_b64encode(_place(cell).encode()).decode().rstrip("=")


def _after(cells: Sequence[Cell], cursor: str) -> int:
    """The index of the first cell after the cursor's, which itself may have gone since."""
    try:
        start_us, dims = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
        if not isinstance(dims, list) or not all(value is None or isinstance(value, str) for value in dims):
            raise TypeError(cursor)
        start = datetime.fromtimestamp(start_us / 1_000_000, tz=LOCAL_ZONE)
        place = (start, tuple((value is None, value or "") for value in dims))
        return next((index for index, cell in enumerate(cells) if cell.sort_key > place), len(cells))
    except (ValueError, TypeError, OverflowError, OSError, binascii.Error) as error:
        raise QueryError("malformed cursor", received=cursor, allowed="the next_cursor of an answer") from error
