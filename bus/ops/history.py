"""`bus history`: what was published of an indicator when, and why it changed; read from `history.<id>`."""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bus.errors import ConfigurationError, Problem
from bus.events.codec import Codec
from bus.indicators.history import Change, History
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.kafka.topics import HISTORY_PREFIX
from bus.ops.values import name_of_cell, read_value

Progressed = Callable[[int, int], None]

#: Cells named in the answer to an unknown one.
_NAMED = 5


@dataclass(frozen=True, slots=True)
class Past:
    """The newest changes that were asked for, oldest first, and how many there are in all."""

    changes: tuple[Change, ...]
    total: int


async def read_history(
    reader: LogReader, codec: Codec, indicator: str, *, cell: str | None = None, limit: int = 0, progress: Progressed | None = None
) -> Past:
    """The changes of an indicator, or of one cell of it (named as `cell_name` does); `limit` keeps only so many newest, 0 all.

    `progress` is told the records read and those to read. Raises `ConfigurationError` for a cell or an indicator that was never published.
    """
    partition = TopicPartition(HISTORY_PREFIX + indicator, 0)
    if not await reader.partitions(partition.topic):
        raise ConfigurationError([Problem(indicator, f"has no history: there is no topic {partition.topic} (`bus topics apply` makes it)")])
    history, total = History(), 0
    kept: deque[Change] = deque(maxlen=limit or None)
    seen: dict[bytes, str] = {}
    start, end = await reader.beginning(partition), await reader.end(partition)
    async for batch in reader.read(partition, start, end):
        for record in batch:
            if cell is not None and _cell(seen, record) != cell:
                continue
            value = read_value(codec, record)
            change = history.read(record.timestamp_ms, value) if value is not None else None
            if change is not None:
                kept.append(change)
                total += 1
        if progress is not None:
            progress(batch[-1].offset + 1 - start, end - start)
    if cell is not None and not total:
        raise ConfigurationError([Problem(f"{indicator} {cell}", _unknown_cell(seen))])
    return Past(tuple(kept), total)


def _cell(seen: dict[bytes, str], record: Record) -> str:
    """The name of the record's cell, from its key alone: a history is long, and most of it is of other cells."""
    key = record.key or b""
    if key not in seen:
        start, dimensions = json.loads(key)
        seen[key] = name_of_cell(start, dimensions)
    return seen[key]


def _unknown_cell(seen: Mapping[bytes, str]) -> str:
    if not seen:
        return "nothing was ever published of this indicator"
    return f"no such cell was ever published; there are {len(seen):,}, such as: {', '.join(sorted(seen.values())[:_NAMED])}"
