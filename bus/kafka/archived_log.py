"""Archive and topics as one log: below the beginning of an event topic the archive is read, from there on the topic (ADR 0014 R3)."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence

from bus.errors import FatalError, OffsetGap
from bus.kafka.archive import Archive
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.kafka.topics import EVENTS_PREFIX
from bus.settings import Settings


class ArchivedLog:
    """A `LogReader` over both. Topics that hold no events, and those that begin at 0, are read as without an archive.

    Where an archive and a topic overlap they are compared at one record before the archive is believed, so that the archive of another
    installation is refused (`FatalError`).
    """

    def __init__(self, topics: LogReader, archive: Archive, *, archive_first: bool = False) -> None:
        """`archive_first`: also what the topic still has is read from the archive, as far as that goes: to prove what it holds."""
        self.topics = topics
        self.archive = archive
        self._archive_first = archive_first
        self._matching: set[TopicPartition] = set()

    async def partitions(self, topic: str) -> int:
        return await self.topics.partitions(topic)

    async def beginning(self, partition: TopicPartition) -> int:
        """0 where the archive reaches up to the topic; else what the topic says."""
        beginning = await self.topics.beginning(partition)
        return 0 if await self._reaches(partition, beginning) else beginning

    async def end(self, partition: TopicPartition) -> int:
        return await self.topics.end(partition)

    async def ends(self, partitions: Sequence[TopicPartition]) -> list[int]:
        return await self.topics.ends(partitions)

    async def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """As the port says. Raises `OffsetGap` where neither has the records, `FatalError` naming a damaged file."""
        position = start
        while position < stop:
            beginning = await self.topics.beginning(partition)
            upto = min(stop, await self._upto(partition, beginning)) if await self._reaches(partition, beginning) else 0
            if position < upto:
                async for records in self._from_archive(partition, position, upto):
                    yield records
                position = upto
                continue
            try:
                async for records in self.topics.read(partition, position, stop):
                    yield records
                    position = records[-1].offset + 1
            except OffsetGap:
                # The topic may have been cut short since it was asked; then the archive has what is wanted.
                if await self.topics.beginning(partition) == beginning:
                    raise
                continue
            return

    async def _upto(self, partition: TopicPartition, beginning: int) -> int:
        """Below which offset the archive is read."""
        if not self._archive_first:
            return beginning
        return max(beginning, (await asyncio.to_thread(self.archive.holding, partition)).end)

    async def _reaches(self, partition: TopicPartition, beginning: int) -> bool:
        """Whether the archive is asked, and has all that the topic no longer has."""
        if not partition.topic.startswith(EVENTS_PREFIX) or (beginning == 0 and not self._archive_first):
            return False
        holding = await asyncio.to_thread(self.archive.holding, partition)
        if holding.end < beginning:
            await asyncio.to_thread(self.archive.refresh, partition.topic)
            holding = await asyncio.to_thread(self.archive.holding, partition)
        if holding.end < beginning:
            return False
        await self._compare(partition, beginning, holding.end)
        return True

    async def _compare(self, partition: TopicPartition, beginning: int, held: int) -> None:
        if partition in self._matching:
            return
        await require_same_log(self.topics, self.archive, partition, beginning, held)
        self._matching.add(partition)

    async def _from_archive(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        held = self.archive.read(partition, start, stop)
        while (records := await asyncio.to_thread(_next, held)) is not None:
            yield records


async def require_same_log(topics: LogReader, archive: Archive, partition: TopicPartition, beginning: int, held: int) -> None:
    """That the last archived record which the topic still has is the same there. Raises `FatalError` when the archive is of another log."""
    where = f"{partition.topic}/{partition.partition}"
    end = await topics.end(partition)
    if held > end:
        raise FatalError(
            f"archive {archive.root}: it holds {where} up to offset {held - 1}, and the topic ends at {end}: it is of another log"
        )
    if held <= beginning:
        return
    mine = await asyncio.to_thread(lambda: [each for some in archive.read(partition, held - 1, held) for each in some])
    theirs = [each async for some in topics.read(partition, held - 1, held) for each in some]
    if mine != theirs:
        raise FatalError(f"archive {archive.root}: offset {held - 1} of {where} is another record than in the topic: it is of another log")


def _next(held: Iterator[list[Record]]) -> list[Record] | None:
    return next(held, None)


async def fetchable_from(reader: LogReader, partition: TopicPartition) -> int:
    """The first offset that a consumer gets from the broker: what lies below it only a `LogReader` may have."""
    return await (reader.topics if isinstance(reader, ArchivedLog) else reader).beginning(partition)


def whole_log(settings: Settings, topics: LogReader) -> LogReader:
    """The log with its archive, where one is set."""
    folder = settings.archive.path
    return topics if folder is None else ArchivedLog(topics, Archive(folder))
