"""Inhabitants per kelurahan, from a file with a byte order mark."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from bus.events.envelope import Event


def to_events(record: Mapping[str, str]) -> Iterator[Event]:
    place = "/".join(record[name] for name in ("tahun", "kota", "kecamatan", "kelurahan"))
    data = {"city": record["kota"], "district": record["kecamatan"], "population": record["penduduk"]}
    yield Event("penduduk.count.recorded.v1", place, datetime(int(record["tahun"]), 1, 1, tzinfo=UTC), data)
