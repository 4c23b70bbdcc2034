"""What an inspection of a market stall means."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.record import parse


class Inspection(BaseModel):
    """One line of the export."""

    model_config = ConfigDict(extra="forbid")

    stall: Annotated[str, Field(min_length=1)]
    day: date
    verdict: Literal["BAIK", "BURUK"]
    score: Annotated[int, Field(ge=0, le=100)]
    inspector: Annotated[str, Field(pattern=r"^P\d{3}$", json_schema_extra={"pii": "quasi"})]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """One inspection of one stall on one day."""
    row = parse(Inspection, record)
    at = datetime(row.day.year, row.day.month, row.day.day, tzinfo=UTC)
    data = {"stall": row.stall, "verdict": row.verdict, "score": row.score}
    yield Event("pasar.stall.inspected.v1", f"{row.stall}/{row.day}", at, data)
