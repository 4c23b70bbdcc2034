"""A counter as its system tells it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Text, Whole
from bus.ingest.record import parse

_BEGUN = datetime(2026, 1, 1, tzinfo=UTC)


class Counter(BaseModel):
    """What it stands at."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nama: Text
    nilai: Annotated[Whole, Field(ge=0)]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The counter as it stands. Raises `SourceChanged` or `RecordError`."""
    row = parse(Counter, record)
    yield Event("papan.counter.told.v1", row.nama, _BEGUN, {"counter": row.nama, "amount": row.nilai})
