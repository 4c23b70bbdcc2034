"""The log in memory: a third implementation of the ports, on which crashes, lost acknowledgements and compaction happen on command.

`tests/conformance/test_ports.py` proves it equal to Kafka. It knows nothing of what the bus writes into it.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bus.errors import BusError, FatalError, OffsetGap, TransientError
from bus.kafka.ports import Message, Record, TopicPartition
from bus.kafka.topics import MAX_RECORD_BYTES

#: Called with each message before it is written; what it raises leaves this message and the rest of its call unwritten.
EffectHook = Callable[[Message], None]


@dataclass(slots=True)
class _Partition:
    records: list[Record] = field(default_factory=list)
    beginning: int = 0
    end: int = 0


@dataclass(frozen=True, slots=True)
class _Failure:
    error: Exception
    written: Collection[int]


class MemoryLog:
    """A `Publisher` and a `LogReader` over lists.

    Topics are made by `create` only, as on a broker without auto-creation. Offsets grow by one for each message; a record's time is the
    number of messages written to the whole log before it, so that the log holds no wall clock. The writes of one call happen one after
    another without giving way to other tasks.
    """

    def __init__(self, topics: Mapping[str, int] | None = None, *, compacted: Collection[str] = (), batch_records: int = 500) -> None:
        """`topics` maps names to partition counts; `compacted` names those whose older records `compact` may remove."""
        self.on_effect: EffectHook | None = None
        self.batch_records = batch_records
        self.writes = 0
        self._topics: dict[str, list[_Partition]] = {}
        self._compacted: set[str] = set()
        self._failures: list[_Failure] = []
        for name, partitions in (topics or {}).items():
            self.create(name, partitions, compacted=name in compacted)

    # topics

    def create(self, topic: str, partitions: int = 1, *, compacted: bool = False) -> None:
        """Make the topic; one that exists with the same partition count stays as it is. Raises `FatalError` when the count differs."""
        known = self._topics.setdefault(topic, [_Partition() for _ in range(partitions)])
        if len(known) != partitions:
            raise FatalError(f"topic {topic} has {len(known)} partitions, not {partitions}; their number is fixed for life")
        if compacted:
            self._compacted.add(topic)

    @property
    def topics(self) -> Mapping[str, int]:
        """Topic -> number of partitions."""
        return {name: len(partitions) for name, partitions in self._topics.items()}

    def records(self, topic: str, partition: int = 0) -> Sequence[Record]:
        """All records still in a partition."""
        return tuple(self._partition(TopicPartition(topic, partition)).records)

    # what the adversary does

    def fail_next(self, error: Exception | None = None, *, written: Collection[int] = ()) -> None:
        """Let the next `send` write only the messages with these indexes and then raise (a `TransientError` unless given). May be repeated.

        As the port promises, of each partition only a beginning is written: nothing after the first index that is not among `written`.
        """
        self._failures.append(_Failure(error or TransientError("the double was told to fail this send"), frozenset(written)))

    def compact(self, topic: str, *, tombstones: bool = True) -> None:
        """Remove every record that a later one with its key follows; with `tombstones`, also the tombstones that are left.

        The newest record of each partition always stays (Kafka never cleans the active segment), and offsets do not move.
        """
        if topic not in self._compacted:
            raise FatalError(f"topic {topic} is not compacted")
        for part in self._topics[topic]:
            newest = {record.key: record.offset for record in part.records}
            part.records = [
                record
                for record in part.records
                if record.offset == part.end - 1 or (newest[record.key] == record.offset and not (tombstones and record.value is None))
            ]

    def trim(self, partition: TopicPartition, before: int) -> None:
        """Remove all records below an offset, as retention does."""
        part = self._partition(partition)
        part.beginning = max(part.beginning, min(before, part.end))
        part.records = [record for record in part.records if record.offset >= part.beginning]

    def append(self, message: Message) -> int:
        """Write one message at once, past hook and failures (a stopped process's write that arrives late); its offset."""
        part = self._partition(TopicPartition(message.topic, message.partition))
        if message.key is None and message.topic in self._compacted:
            raise FatalError(f"a message without key cannot go to compacted topic {message.topic}")
        if len(message.value or b"") + len(message.key or b"") > MAX_RECORD_BYTES:
            raise FatalError(f"a record of {len(message.value or b'')} bytes for {message.topic} exceeds {MAX_RECORD_BYTES}")
        record = Record(message.topic, message.partition, part.end, message.key, message.value, message.headers, timestamp_ms=self.writes)
        part.records.append(record)
        part.end += 1
        self.writes += 1
        return record.offset

    # Publisher

    async def send(self, messages: Sequence[Message]) -> Sequence[int]:
        await asyncio.sleep(0)
        failure = self._failures.pop(0) if self._failures else None
        offsets = []
        broken: set[tuple[str, int]] = set()
        for index, message in enumerate(messages):
            place = (message.topic, message.partition)
            if failure is not None and (place in broken or index not in failure.written):
                broken.add(place)
                continue
            if self.on_effect is not None:
                self.on_effect(message)
            offsets.append(self.append(message))
        if failure is not None:
            raise failure.error
        return offsets

    # LogReader

    async def partitions(self, topic: str) -> int:
        return len(self._topics.get(topic, ()))

    async def beginning(self, partition: TopicPartition) -> int:
        return self._partition(partition).beginning

    async def end(self, partition: TopicPartition) -> int:
        return self._partition(partition).end

    async def ends(self, partitions: Sequence[TopicPartition]) -> list[int]:
        return [await self.end(partition) for partition in partitions]

    async def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        part = self._partition(partition)
        position = start
        while position < stop:
            if position < part.beginning:
                if partition.topic not in self._compacted:
                    raise OffsetGap(f"{partition.topic}/{partition.partition} begins at {part.beginning}, after offset {position}")
                position = part.beginning
            if stop > part.end:
                raise TransientError(f"{partition.topic}/{partition.partition} ends at {part.end}, before offset {stop}")
            low = bisect_left(part.records, position, key=lambda record: record.offset)
            batch = [record for record in part.records[low : low + self.batch_records] if record.offset < stop]
            if not batch:
                return
            yield batch
            position = batch[-1].offset + 1

    def _partition(self, partition: TopicPartition) -> _Partition:
        try:
            if partition.partition < 0:
                raise IndexError(partition.partition)
            return self._topics[partition.topic][partition.partition]
        except (KeyError, IndexError) as error:
            raise missing(partition) from error


def missing(partition: TopicPartition) -> BusError:
    """The error for a partition that does not exist."""
    return FatalError(f"topic {partition.topic} has no partition {partition.partition}, or does not exist: run `bus topics apply`")
