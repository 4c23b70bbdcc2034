"""What the rest of the bus needs of a log, as protocols: Kafka is one implementation, `bus.testing.memory` another.

The same suite (tests/conformance/test_ports.py) proves both equal, so a pipeline that holds over the double holds over Kafka.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
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

    async def ends(self, partitions: Sequence[TopicPartition]) -> list[int]:
        """`end` of each, asked together, which is cheaper than one by one."""
        ...

    def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """The records with start <= offset < stop, in order, in batches of the reader's choosing.

        Ends when `stop` is reached, also when compaction has removed the last ones. Raises `OffsetGap` when `start` lies before the
        beginning of a topic that is not compacted.
        """
        ...


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of a unit after the record at `offset` was applied, in named blocks; `elsewhere` are those that were not asked for."""

    unit: str
    offset: int
    blocks: Mapping[str, bytes]
    elsewhere: frozenset[str] = frozenset()

    @property
    def chunks(self) -> tuple[bytes, ...]:
        """The blocks of a state that is one text cut into pieces, named "0", "1", …; in order."""
        return tuple(self.blocks[str(number)] for number in range(len(self.blocks)))


class SnapshotStore(Protocol):
    """Durable states of units (ADR 0014 R2, R3, ADR 0015).

    A snapshot counts only when all its blocks and its end record are there; the newest is the one with the highest offset, not the
    one written last. Keys are never reused; what is old is removed only after a newer end record, and two generations stay.
    """

    async def save(self, unit: str, offset: int, blocks: Mapping[str, bytes | None], *, base: int | None = None) -> None:
        """Write the state at `offset`, which consists of these blocks; durable when it returns.

        `None` for a block: it was not touched since the snapshot at offset `base`, which this process loaded or wrote (the newest such when
        no base is given), and is not written again. What is given was touched by a record of the log after `base` and not after `offset`,
        no more and no less, whether or not its content is another now; or else every save of the unit gives all blocks. Which blocks
        there are is a function of the state alone; those of a group are named "<group>/…".

        Raises `FatalError` for `None` where that snapshot has no such block.
        """
        ...

    async def load(self, unit: str, wanted: Callable[[str], bool] | None = None) -> Snapshot | None:
        """The complete snapshot with the highest offset; only the blocks whose names are `wanted`."""
        ...

    async def read(self, unit: str, names: Collection[str], *, base: int | None = None) -> Mapping[str, bytes]:
        """Blocks of the snapshot at offset `base`, which this process loaded or wrote (the newest such when no base is given).

        Raises `FatalError` when that snapshot has no such block, or another process has gone on so far that it was removed.
        """
        ...

    async def forget(self, unit: str) -> None:
        """Remove all snapshots of a unit that nobody continues any more; what a stopped process writes later may stand again."""
        ...

    async def newest(self, prefix: str = "") -> Mapping[str, int]:
        """Unit -> offset of its newest complete snapshot, for the units whose name begins with `prefix`."""
        ...
