"""What is asked for next time: the newest that was seen, less the look-back. Pure.

A cursor is a whole number: microseconds since 1970 of a time, or the number itself. It never goes back, and a time never runs ahead of the clock: one
record from the year 2099 would otherwise be the last that is ever read.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from bus.clock import LOCAL_ZONE
from bus.ingest.kinds.http_spec import Since
from bus.ingest.kinds.json_records import at
from bus.ingest.stream import Received

_SECOND = 1_000_000
_UNITS = {"unix": _SECOND, "unix-ms": 1_000}


def asked(since: Since, newest: int | None) -> str:
    """The parameter of the next poll; blank: none."""
    if newest is None:
        return since.first
    if since.form == "number":
        return str(newest - round(since.look_back))
    start = newest - round(since.look_back * _SECOND)
    if since.form in _UNITS:
        return str(start // _UNITS[since.form])
    moment = datetime.fromtimestamp(start / _SECOND, UTC).astimezone(LOCAL_ZONE)
    return moment.date().isoformat() if since.form == "date" else moment.isoformat(timespec="seconds")


def moved(since: Since, newest: int | None, records: Iterable[Received], now: datetime) -> int | None:
    """The newest after these records; those whose field cannot be read do not move it. `now`: when the poll began."""
    found = [value for record in records if (value := _value(since, record)) is not None]
    if not found:
        return newest
    high = max(found)
    if since.form != "number":
        high = min(high, round(now.timestamp() * _SECOND))
    return high if newest is None else max(high, newest)


def _value(since: Since, record: Received) -> int | None:
    try:
        said = at(record.values, since.field)
        if isinstance(said, bool) or not isinstance(said, str | int | float):
            return None
        if since.form in {"iso", "date"}:
            moment = datetime.fromisoformat(str(said))
            # a time without zone is the regency's
            return round((moment if moment.tzinfo is not None else moment.replace(tzinfo=LOCAL_ZONE)).timestamp() * _SECOND)
        return int(float(said) * _UNITS[since.form]) if since.form in _UNITS else int(said)
    except (LookupError, ValueError, OverflowError, OSError):
        return None
