"""What a stage carries: units that are pure functions of one partition of the log, and what their changes say to the log."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from bus.kafka.ports import Message, Record, Snapshot, TopicPartition


class Unit(Protocol):
    """A state that is a pure function of one partition of the log up to `offset` (R1)."""

    @property
    def unit_id(self) -> str:
        """Names the function and the partition: a snapshot of another id is never continued."""
        ...

    @property
    def offset(self) -> int:
        """The last offset that the state holds; -1 for none."""
        ...

    def dump(self) -> list[bytes]:
        """The state as chunks for a snapshot."""
        ...


U = TypeVar("U", bound=Unit)
B = TypeVar("B")


@dataclass(frozen=True, slots=True)
class Prepared(Generic[B]):
    """A batch of one partition after decoding: covers the offsets first..last, also where records were rejected.

    `rejected` are quarantine records; they are acknowledged before the batch counts. `records` are those it was made of.
    """

    batch: B
    first: int
    last: int
    rejected: Sequence[Message] = field(default=())
    records: Sequence[Record] = field(default=())


@dataclass(frozen=True, slots=True)
class Effects:
    """What a unit has to write about a batch: quarantine records of rows that only this unit rejects, and what changed."""

    rejected: Sequence[Message] = ()
    changed: Sequence[Message] = ()


class Work(Protocol[U, B]):
    """One kind of unit. Nothing in it waits, reads a clock or keeps state of the log beside the units."""

    #: "fold" or "merge": the label of metrics and logs.
    name: str
    #: Whether a unit without state may begin where the log begins, because it is told all again on request (merge).
    may_begin_late: bool

    def unit_ids(self, partition: TopicPartition) -> Sequence[str]:
        """The units wanted over that partition."""
        ...

    def fresh(self, partition: TopicPartition, unit_id: str, offset: int) -> U:
        """The unit before anything was applied, as if all up to `offset` had been empty."""
        ...

    def restore(self, partition: TopicPartition, unit_id: str, snapshot: Snapshot) -> U:
        """The unit as the snapshot holds it."""
        ...

    def prepare(self, partition: TopicPartition, records: Sequence[Record]) -> Prepared[B]:
        """Decode a batch, once for all units."""
        ...

    def apply(self, unit: U, prepared: Prepared[B]) -> Effects:
        """Let the unit continue; what it has to say about it (R4: cumulative values, never differences)."""
        ...

    def announce(self, unit: U) -> list[Message]:
        """All that the unit has to say, whenever it was said before."""
        ...

    def replaces(self, new: str, old: str) -> bool:
        """Whether the unit `new` stands for the same indicator as `old`, which is no longer wanted."""
        ...

    def supersedes(self, new: str, old: str) -> bool:
        """Whether snapshots named `old` are of no use once the unit `new` is published and durable."""
        ...

    def repeats_to(self, unit: U) -> int:
        """The partition of the next stage that this unit speaks to; -1 when nobody may ask it to repeat."""
        ...

    def sent(self, messages: Sequence[Message], offsets: Sequence[int]) -> None:
        """Told after each acknowledgement, with the offsets that the messages got."""
        ...
