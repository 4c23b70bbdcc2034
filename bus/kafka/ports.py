"""What the rest of the bus needs of a log, as protocols: Kafka is one implementation, `bus.testing.memory` another.

The same suite (tests/conformance/test_ports.py) proves both equal, so a pipeline that holds over the double holds over Kafka.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

Headers = tuple[tuple[str, bytes], ...]


@dataclass(frozen=True, slots=True)
class TopicPartition:
    """One partition of one topic."""

    topic: str
    partition: int


@dataclass(frozen=True, slots=True)
class Message:
    """A record to be written. `value=None` is a tombstone."""

    topic: str
    partition: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()


@dataclass(frozen=True, slots=True)
class Record:
    """A record as read from the log."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    timestamp_ms: int = 0


class Publisher(Protocol):
    """Writes to the log.

    Guarantee: the messages of one call reach each partition in the order given. When a call returns, all of them are durable. When it
    raises (`TransientError` or `FatalError`, after its own retries), what it wrote is, in each partition by itself, a beginning of what it
    was given for it: nothing that comes after the first missing message, though one partition may have all and another none. Any beginning
    of them may be there more than once, and may still arrive after the call has raised (a write whose acknowledgement was lost).

    So a caller that now sends the same messages again, in the same order and before anything that has to come after them, leaves no hole;
    readers drop what they know by its sequence (ADR 0014 R6) or its offset (R4). Nothing of this holds between calls that overlap.
    """

    async def send(self, messages: Sequence[Message]) -> Sequence[int]:
        """Write all and wait for all acknowledgements; the offsets, in the order given."""
        ...


class LogReader(Protocol):
    """Reads ranges of the log, outside any consumer group."""

    async def partitions(self, topic: str) -> int:
        """How many partitions the topic has; 0 when it does not exist."""
        ...

    async def beginning(self, partition: TopicPartition) -> int:
        """The first offset still in the log."""
        ...

    async def end(self, partition: TopicPartition) -> int:
        """The offset that the next record will get (so end - 1 is the newest one)."""
        ...

    def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """The records with start <= offset < stop, in order, in batches of the reader's choosing.

        Ends when `stop` is reached, also when compaction has removed the last ones. Raises `OffsetGap` when `start` lies before the
        beginning of a topic that is not compacted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a unit after the record at `offset` was applied."""

    unit: str
    offset: int
    chunks: tuple[bytes, ...]


class SnapshotStore(Protocol):
    """Durable states of units (ADR 0014 R2, R3).

    A snapshot counts only when all its chunks and its end record are there; the newest is the one with the highest offset, not the
    one written last. Chunk keys are never reused; older ones are removed only after a newer end record, and two generations stay.
    """

    async def save(self, unit: str, offset: int, chunks: Sequence[bytes]) -> None:
        """Write the state at `offset`; durable when it returns."""
        ...

    async def load(self, unit: str) -> Snapshot | None:
        """The complete snapshot with the highest offset."""
        ...

    async def forget(self, unit: str) -> None:
        """Remove all snapshots of a unit that nobody continues any more; what a stopped process writes later may stand again."""
        ...

    async def newest(self, prefix: str = "") -> Mapping[str, int]:
        """Unit -> offset of its newest complete snapshot, for the units whose name begins with `prefix`."""
        ...
