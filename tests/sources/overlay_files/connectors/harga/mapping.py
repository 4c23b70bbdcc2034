"""Prices of Bandung: one file that grows, with dates in two forms."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime

from bus.events.envelope import Event


def _day(text: str) -> date:
    """Month first where it is written with strokes."""
    return datetime.strptime(text, "%m/%d/%Y" if "/" in text else "%Y-%m-%d").replace(tzinfo=UTC).date()


def key_of(record: Mapping[str, str]) -> Sequence[str]:
    return (_day(record["tanggal"]).isoformat(), record["id"])


def to_events(record: Mapping[str, str]) -> Iterator[Event]:
    day = _day(record["tanggal"])
    data = {"commodity": record["komoditas"], "price": record["harga"]}
    yield Event("harga.price.recorded.v1", f"{day}/{record['id']}", datetime(day.year, day.month, day.day, tzinfo=UTC), data)
