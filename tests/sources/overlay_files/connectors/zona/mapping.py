"""The risk of kecamatan as BNPB's application published it: whole tables, in any order."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from bus.events.envelope import Event

#: The table does not say since when a level holds; a time of the delivery would make every row a change.
_SINCE = datetime(2020, 6, 1, tzinfo=UTC)


def to_events(record: Mapping[str, str]) -> Iterator[Event]:
    data = {"level": record["level"], "cases": record["total"], "population": record["penduduk"]}
    yield Event("zona.risk.recorded.v1", record["kode"], _SINCE, data)
