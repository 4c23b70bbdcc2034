"""The log as the model reads it: which rows count (R6), and what time each partition had reached when a row came.

Of the log a model row is (topic, partition, offset, event), the event a dict of its fields or a `Heartbeat`. Choices:

- E1  A row counts when its sequence is above those of all earlier rows of its source in that partition that counted.
- E2  A partition's time is the newest `occurred_at` of the rows that counted, and of the heartbeats, of any source.
- E3  The partition's time *before* a row is what judges the row: a row is never late for what it tells itself.
- E4  A heartbeat counts whenever and however often it comes.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.model.sql import Value
from tests.model.times import local, micros

Entry = tuple[str, int, int, "Mapping[str, Any] | Heartbeat"]


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A source says that everything up to a time (UTC microseconds) has been sent."""

    source: str
    at: int


@dataclass(frozen=True)
class Schema:
    """What the model needs of an .avsc file."""

    name: str
    correctable: bool
    scales: Mapping[str, int]

    @property
    def topic(self) -> str:
        return f"events.{self.name}"


@dataclass(frozen=True)
class Row:
    """An event that counts. `at`: UTC microseconds. `before`: the time that its partition had reached, None at the beginning."""

    place: tuple[int, int]
    source: str
    subject: str
    version: int
    at: int
    op: str
    values: Mapping[str, Value]
    before: int | None

    @property
    def withdraws(self) -> bool:
        return self.source.startswith("bus/withdraw/")


@dataclass(frozen=True)
class Reading:
    """A topic, read to the end: its rows in log order per partition, and the time of each partition that has any."""

    rows: Sequence[Row]
    times: Mapping[int, int]

    @property
    def newest(self) -> int | None:
        """The newest time of any partition."""
        return max(self.times.values(), default=None)

    def all_passed(self, moment: int, partitions: int) -> bool:
        """Whether every partition has reached the moment."""
        return len(self.times) == partitions and min(self.times.values()) >= moment


def read_schemas(roots: Iterable[Path]) -> dict[str, Schema]:
    """The event types under `<root>/events`, by name."""
    found = {}
    for root in roots:
        for path in sorted((root / "events").rglob("*.avsc")):
            avro = json.loads(path.read_text(encoding="utf-8"))
            scales = {field["name"]: field.get("scale", 0) for field in avro["fields"]}
            name = ".".join(part for part in (avro.get("namespace"), avro["name"]) if part)
            found[name] = Schema(name, avro.get("correctable", True), scales)
    return found


def read(log: Iterable[Entry], schema: Schema) -> Reading:
    """The rows of an event type."""
    highest: dict[tuple[int, str], int] = {}
    times: dict[int, int] = {}
    rows = []
    for topic, partition, offset, event in log:
        if topic != schema.topic:
            continue
        if isinstance(event, Heartbeat):
            times[partition] = max(event.at, times.get(partition, event.at))
            continue
        lane = (partition, event["source"])
        if lane in highest and event["sequence"] <= highest[lane]:
            continue
        highest[lane] = event["sequence"]
        rows.append(_row(schema, partition, offset, event, times.get(partition)))
        at = rows[-1].at
        times[partition] = max(at, times.get(partition, at))
    return Reading(rows, times)


def _row(schema: Schema, partition: int, offset: int, event: Mapping[str, Any], before: int | None) -> Row:
    return Row(
        place=(partition, offset),
        source=event["source"],
        subject=event["subject"],
        version=event["version"],
        at=micros(event["occurred_at"]),
        op=event["op"],
        values={name: _value(value, schema.scales.get(name, 0)) for name, value in event.items()},
        before=before,
    )


def _value(value: object, scale: int) -> Value:
    match value:
        case bool() | None | str() | float():
            return value
        case int():  # in units of the scale, as an example in a TOML file has it
            return Fraction(value, 10**scale)
        case Decimal():
            return Fraction(value)
        case datetime():
            return local(micros(value))
        case date():
            return value
    raise TypeError(f"{value!r} is no value of an event")
