"""Flooded RW, hour by hour: what enters a snapshot begins, what leaves it is over."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta, timezone

from bus.events.envelope import Event

_WIB = timezone(timedelta(hours=7))


def to_events(record: Mapping[str, str]) -> Iterator[Event]:
    since = datetime.fromisoformat(record["changed"]).replace(tzinfo=_WIB)
    yield Event("banjir.flood.recorded.v1", record["geom_id"], since, {"state": record["state"]})
