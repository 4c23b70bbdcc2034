"""The published numbers as they stand at the end of their topics: what export, verify and status look at."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

from bus.clock import LOCAL_ZONE
from bus.errors import FatalError
from bus.events.codec import Codec
from bus.kafka.ports import LogReader, TopicPartition
from bus.kafka.topics import INDICATORS_PREFIX

_RANK = {"provisional": 0, "final": 1}

#: (topic, partition) -> offset of the last event that a value accounts for.
Evidence = Mapping[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Value:
    """One cell of an indicator, as published. `value`, `numerator` and `denominator` are exact decimals."""

    indicator: str
    version: int
    fingerprint: str
    window_start: datetime
    window_end: datetime
    dimensions: Mapping[str, str | None]
    value: str | None
    numerator: str
    denominator: str
    n: int
    revision: int
    status: str
    evidence: Evidence

    @property
    def order(self) -> tuple[int, int, int]:
        """Of two records of a cell the higher one stands (DESIGN R5)."""
        return self.version, self.revision, _RANK[self.status]

    @property
    def sort_key(self) -> tuple[datetime, tuple[tuple[bool, str], ...]]:
        """By window, then by dimensions, null first."""
        return self.window_start, tuple((value is not None, value or "") for value in self.dimensions.values())

    @property
    def cell(self) -> str:
        """How people name the cell: the day its window begins, then the dimension values."""
        return "/".join([local(self.window_start), *(value if value is not None else "(null)" for value in self.dimensions.values())])


async def read_values(reader: LogReader, codec: Codec, indicator: str, *, version: int | None = None) -> list[Value]:
    """The standing value of every cell, sorted, cells that no event is left in (n = 0) included.

    With `version` only what that version of the definition has published. An indicator without a topic has no values.
    """
    partition = TopicPartition(INDICATORS_PREFIX + indicator, 0)
    if not await reader.partitions(partition.topic):
        return []
    newest: dict[bytes | None, Value] = {}
    async for batch in reader.read(partition, await reader.beginning(partition), await reader.end(partition)):
        for record in batch:
            if record.value is None:
                continue
            value = decode_value(codec.decode(record.value, record.headers))
            if version is not None and value.version != version:
                continue
            known = newest.get(record.key)
            if known is None or value.order >= known.order:
                newest[record.key] = value
    return sorted(newest.values(), key=lambda value: value.sort_key)


def decode_value(fields: Mapping[str, object]) -> Value:
    """The value in a decoded record of `bus.indicator_value.v1`. Raises `FatalError` for what this version cannot have written."""
    found = cast("Mapping[str, Any]", fields)
    try:
        return Value(
            indicator=found["indicator"],
            version=found["version"],
            fingerprint=found["fingerprint"],
            window_start=found["window_start"],
            window_end=found["window_end"],
            dimensions={each["name"]: each["value"] for each in found["dimensions"]},
            value=found["value"],
            numerator=found["numerator"],
            denominator=found["denominator"],
            n=found["n"],
            revision=found["revision"],
            status=str(found["status"]),
            evidence={(each["topic"], each["partition"]): each["offset"] for each in found["evidence"]},
        )
    except (KeyError, TypeError) as error:
        raise FatalError(f"a record of an indicator's topic is not an indicator value: {error!r}") from error


def local(moment: datetime) -> str:
    """A moment in the regency's civil time, ISO 8601 with its offset."""
    aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return aware.astimezone(LOCAL_ZONE).isoformat()


def write_csv(path: Path, dimensions: Sequence[str], values: Iterable[Value]) -> int:
    """Write the rows of an indicator, n = 0 left out, in one step; how many there are.

    The same values give the same bytes: UTF-8, LF, sorted by window and dimensions, times ISO 8601 with their offset.
    """
    rows = [
        [local(each.window_start), local(each.window_end), *(each.dimensions[name] for name in dimensions)]
        + [each.value, each.numerator, each.denominator, str(each.n), str(each.revision), each.status]
        for each in sorted(values, key=lambda value: value.sort_key)
        if each.n > 0
    ]
    half = path.with_name(f".{path.name}.part")
    with half.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["window_start", "window_end", *dimensions, "value", "numerator", "denominator", "n", "revision", "status"])
        writer.writerows(rows)
    half.replace(path)
    return len(rows)
