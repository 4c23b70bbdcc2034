"""Following a small topic of ours (claims, checkpoints, quarantine) from its beginning, with everything read so far kept by the caller."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping

from bus.kafka.ports import LogReader, Message, Record, TopicPartition


class Tail:
    """The records of one partition, each given once, in order."""

    def __init__(self, reader: LogReader, topic: str) -> None:
        self._reader = reader
        self._partition = TopicPartition(topic, 0)
        self._position: int | None = None

    async def read(self) -> AsyncIterator[Record]:
        """The records that were written since the last call and are there now."""
        if self._position is None:
            self._position = await self._reader.beginning(self._partition)
        end = await self._reader.end(self._partition)
        if end <= self._position:
            return
        async for batch in self._reader.read(self._partition, self._position, end):
            for record in batch:
                self._position = record.offset + 1
                yield record
        self._position = end


def json_message(topic: str, key: str, value: Mapping[str, object] | None) -> Message:
    """A record of one of our JSON topics; `None` is a tombstone."""
    encoded = None if value is None else json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()
    return Message(topic, 0, key.encode(), encoded)


def json_value(record: Record) -> dict[str, object] | None:
    """The JSON object in a record; None for a tombstone or anything else."""
    if record.value is None:
        return None
    try:
        value = json.loads(record.value)
    except ValueError:
        return None
    return value if isinstance(value, dict) else None


def text(value: Mapping[str, object], name: str) -> str:
    """A text field of a JSON record; "" when it is missing."""
    return str(value.get(name, ""))


def number(value: Mapping[str, object], name: str) -> int:
    """A number field of a JSON record; 0 when it is missing."""
    found = value.get(name, 0)
    return found if isinstance(found, int) else 0
