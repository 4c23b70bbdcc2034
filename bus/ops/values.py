"""The published numbers as they stand at the end of their topics: what export, verify and status look at."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

from bus.errors import FatalError
from bus.events.codec import Codec
from bus.indicators.outputs import Output, export_rows
from bus.indicators.partial import sort_key
from bus.indicators.windows import to_datetime
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.kafka.topics import INDICATORS_PREFIX

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def read_values(reader: LogReader, codec: Codec, indicator: str, *, version: int | None = None) -> list[Output]:
    """The standing value of every cell, sorted, cells that no event is left in (n = 0) included.

    With `version` only what that version of the definition has published. An indicator without a topic has no values.
    """
    partition = TopicPartition(INDICATORS_PREFIX + indicator, 0)
    if not await reader.partitions(partition.topic):
        return []
    newest: dict[bytes | None, Output] = {}
    async for batch in reader.read(partition, await reader.beginning(partition), await reader.end(partition)):
        for record in batch:
            value = read_value(codec, record)
            if value is None or (version is not None and value.version != version):
                continue
            known = newest.get(record.key)
            if known is None or value.order >= known.order:
                newest[record.key] = value
    return sorted(newest.values(), key=lambda value: sort_key((value.window_start_us, tuple(value.dimensions.values()))))


def read_value(codec: Codec, record: Record) -> Output | None:
    """The value in a record of an indicator's topic; None for a tombstone. Raises `FatalError` for what this version cannot have written."""
    if record.value is None:
        return None
    found = cast("Mapping[str, Any]", codec.decode(record.value, record.headers))
    try:
        return Output(
            indicator=found["indicator"],
            version=found["version"],
            fingerprint=found["fingerprint"],
            window_start_us=_micros(found["window_start"]),
            window_end_us=_micros(found["window_end"]),
            dimensions={each["name"]: each["value"] for each in found["dimensions"]},
            value=found["value"],
            numerator=found["numerator"],
            denominator=found["denominator"],
            n=found["n"],
            revision=found["revision"],
            status=str(found["status"]),
            evidence=tuple((each["topic"], each["partition"], each["offset"]) for each in found["evidence"]),
            watermarks={each["source"]: _micros(each["at"]) for each in found["watermarks"]},
        )
    except (KeyError, TypeError) as error:
        raise FatalError(f"{record.topic} offset {record.offset} is not an indicator value: {error!r}") from error


def _micros(moment: datetime) -> int:
    return (moment - _EPOCH) // timedelta(microseconds=1)


def cell_name(value: Output) -> str:
    """How people name the cell: the local date (and time) when its window begins, then the dimension values, between slashes."""
    start = to_datetime(value.window_start_us)
    day = start.date().isoformat() if start.hour == start.minute == 0 else f"{start.date().isoformat()}T{start:%H:%M}"
    return "/".join([day, *(each if each is not None else "(null)" for each in value.dimensions.values())])


def write_csv(path: Path, dimensions: Sequence[str], values: Iterable[Output]) -> int:
    """Write the rows of an indicator, n = 0 left out, in one step; how many there are.

    The same values give the same bytes: UTF-8, LF, sorted by window and dimensions, times ISO 8601 with their offset.
    """
    header, rows = export_rows(values, dimensions)
    half = path.with_name(f".{path.name}.part")
    with half.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
    half.replace(path)
    return len(rows)
