"""Event types, indicators, logs and an oracle for the tests of the exact engine."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import polars as pl

from bus.errors import ConfigurationError
from bus.events.envelope import EventType
from bus.indicators.batch import Batch
from bus.indicators.compiler import compile_indicator
from bus.indicators.indicator import Indicator
from bus.indicators.spec import Spec

ENVELOPE: Mapping[str, pl.DataType] = {
    "source": pl.String(),
    "sequence": pl.Int64(),
    "version": pl.Int64(),
    "subject": pl.String(),
    "occurred_at": pl.Datetime("us", "UTC"),
    "op": pl.String(),
    "batch": pl.String(),
}
PAYLOAD: Mapping[str, pl.DataType] = {
    "place": pl.String(),
    "kind": pl.String(),
    "amount": pl.Int64(),
    "small": pl.Int32(),
    "money": pl.Int64(),
    "level": pl.Float64(),
    "urgent": pl.Boolean(),
    "born": pl.Date(),
    "seen_at": pl.Datetime("us", "UTC"),
}


@dataclass(frozen=True)
class Schema:
    """As much of an event schema as an indicator needs."""

    correctable: bool = True
    name: str = "test.thing.counted.v1"
    polars_schema: Mapping[str, pl.DataType] = field(default_factory=lambda: {**ENVELOPE, **PAYLOAD})

    @property
    def type(self) -> EventType:
        return EventType.parse(self.name)

    def scale_of(self, name: str) -> int | None:
        return 2 if name == "money" else None


def indicator(*, correctable: bool = True, **changes: Any) -> Indicator:
    """A compiled indicator: sum of `amount` by place, daily, unless said otherwise."""
    raw = {
        "id": "test.thing",
        "title": {"id": "Uji", "en": "Test"},
        "event": "test.thing.counted.v1",
        "measure": {"kind": "sum", "of": "amount"},
        "by": ["place"],
        "window": "1d",
        "unit": "buah",
        "publish": {"class": "dikecualikan"},
    } | changes
    made, problems = compile_indicator(Spec.model_validate(raw), Schema(correctable=correctable), "test.toml")
    if made is None:
        raise ConfigurationError(problems)
    return made


START = datetime(2021, 1, 30, 15, tzinfo=UTC)


def event(offset: int, **changes: object) -> dict[str, Any]:
    """A row of the log."""
    return {
        "source": "a/x",
        "sequence": offset,
        "version": offset,
        "subject": f"s{offset}",
        "occurred_at": START + timedelta(hours=offset),
        "op": "CREATE",
        "batch": "a/x/1",
        **dict.fromkeys(PAYLOAD),
        "place": "p",
        "amount": 1,
        "_offset": offset,
    } | changes


def batch(rows: Sequence[Mapping[str, Any]], first: int | None = None, last: int | None = None) -> Batch:
    """The rows as a batch; the range is that of their offsets unless given."""
    schema = {**ENVELOPE, **PAYLOAD, "_offset": pl.Int64()}
    frame = pl.DataFrame([[row[name] for name in schema] for row in rows], schema=schema, orient="row")
    offsets = [row["_offset"] for row in rows]
    return Batch(frame, offsets[0] if first is None else first, offsets[-1] if last is None else last)
