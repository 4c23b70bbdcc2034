"""The published numbers as they stand at the end of their topics: what export, verify and status look at."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from bus.events.codec import Codec
from bus.indicators.outputs import Output, export_rows
from bus.indicators.partial import sort_key
from bus.indicators.windows import NOW, NOW_START, to_datetime
from bus.kafka.ports import LogReader, TopicPartition
from bus.kafka.topics import INDICATORS_PREFIX
from bus.streams.outputs import decode_output

_NULL = "(null)"

#: How cells are named, for --help.
CELL_NAMES = (
    "DATE/DIMENSION/…, or now/DIMENSION/…; (null) is a missing value. "
    r"Within a value write \/ for /, \\ for \, and \(null) for the text (null)."
)


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


#: One record as a value: see `bus.streams.outputs.decode_output`.
read_value = decode_output


def cell_name(value: Output) -> str:
    """How people name the cell: the local date (and time) when its window begins, then the dimension values, between slashes.

    A missing value is `(null)`. Within values a slash is written `\\/` and a backslash `\\\\`; a text that is `(null)`, `\\(null)`. So no two
    cells of an indicator have one name.
    """
    return name_of_cell(value.window_start_us, value.dimensions.values())


def name_of_cell(window_start_us: int, dimensions: Iterable[str | None]) -> str:
    """`cell_name` of the cell with that key."""
    values = map(_named, dimensions)
    if window_start_us == NOW_START:
        return "/".join([NOW, *values])
    start = to_datetime(window_start_us)
    day = start.date().isoformat() if start.hour == start.minute == 0 else f"{start.date().isoformat()}T{start:%H:%M}"
    return "/".join([day, *values])


def _named(value: str | None) -> str:
    if value is None:
        return _NULL
    text = value.replace("\\", "\\\\").replace("/", "\\/")
    return f"\\{text}" if text == _NULL else text


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
