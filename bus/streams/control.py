"""Requests between workers over `bus.control`: a merge without its state asks the folds to say all again (ADR 0014 R5)."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

import structlog

from bus.kafka.ports import LogReader, Message, Publisher, TopicPartition
from bus.kafka.topics import CONTROL
from bus.streams.stage import Stage

_log = structlog.get_logger(__name__)
_PARTITION = TopicPartition(CONTROL, 0)


def repeat_request(partition: int) -> Message:
    """Ask all folds for everything that goes to one partition of `bus.partials`."""
    return Message(CONTROL, 0, None, json.dumps({"repeat": partition}).encode())


async def ask_for_repeats(publisher: Publisher, partitions: Iterable[int]) -> None:
    """Write the requests and wait."""
    messages = [repeat_request(partition) for partition in sorted(partitions)]
    if messages:
        await publisher.send(messages)


class ControlReader:
    """Carries out the requests that concern this process's folds.

    After an assignment it begins with the oldest request that is kept (a day): one may have been made while nobody held the partition. To
    say a cumulative value again is harmless.
    """

    def __init__(self, reader: LogReader, fold: Stage[Any, Any]) -> None:
        self._reader = reader
        self._fold = fold
        self._position = -1

    def rewind(self) -> None:
        """Consider all requests again, for newly assigned partitions."""
        self._position = -1

    async def step(self) -> int:
        """Carry out what was asked since the last step; how many partitions were repeated."""
        beginning, end = await self._reader.beginning(_PARTITION), await self._reader.end(_PARTITION)
        start = max(self._position, beginning)
        wanted: set[int] = set()
        if start < end:
            async for batch in self._reader.read(_PARTITION, start, end):
                wanted |= {request for record in batch if (request := _repeat(record.value)) is not None}
        self._position = max(start, end)
        for partition in sorted(wanted):
            await self._fold.repeat(partition)
        if wanted:
            _log.info("partials_repeated", partitions=sorted(wanted))
        return len(wanted)


def _repeat(value: bytes | None) -> int | None:
    try:
        request = json.loads(value or b"")
    except ValueError:
        return None
    partition = request.get("repeat") if isinstance(request, dict) else None
    return partition if isinstance(partition, int) else None
