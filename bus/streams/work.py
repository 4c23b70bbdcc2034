"""What a stage carries: units that are pure functions of one partition of the log, and what their changes say to the log."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

from bus.indicators.blocks import Pending
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

    def frozen(self, *, whole: bool) -> Pending:
        """The state as it is now, in blocks (ADR 0015), to be made bytes of later and in a thread: those touched since `saved`, None for the
        others; or all of them."""
        ...

    def saved(self) -> None:
        """What `frozen` gave is durable, and nothing was applied since."""
        ...

    def cold(self) -> Collection[str]:
        """The blocks that are not in memory: only the newest snapshot has them."""
        ...

    def warm(self, blocks: Mapping[str, bytes]) -> None:
        """Take back what was not in memory."""
        ...

    def evict(self) -> None:
        """Let go of what will hardly be needed again, as far as the newest snapshot has it."""
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
    """What a unit has to write about a batch: what changed, and what is to be acknowledged before that is written.

    `first` are a fold's quarantine records of rows that only this unit rejects, and a merge's records for the histories.
    """

    first: Sequence[Message] = ()
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

    def lasting(self, block: str) -> bool:
        """Whether a unit has to have that block in memory from the beginning."""
        ...

    def readable(self, snapshot: Snapshot) -> bool:
        """Whether the unit can go on from it; False where it does as well without."""
        ...

    def restore(self, partition: TopicPartition, unit_id: str, snapshot: Snapshot) -> U:
        """The unit as the snapshot holds it."""
        ...

    def prepare(self, partition: TopicPartition, records: Sequence[Record]) -> Prepared[B]:
        """Decode a batch, once for all units."""
        ...

    def needs(self, unit: U, prepared: Prepared[B]) -> Collection[str]:
        """The blocks that have to be in memory before the batch is applied, and are not."""
        ...

    def apply(self, unit: U, prepared: Prepared[B]) -> Effects:
        """Let the unit continue; what it has to say about it (R4: cumulative values, never differences)."""
        ...

    def announce(self, unit: U) -> list[Message]:
        """All that the unit has to say, whenever it was said before."""
        ...

    def greet(self, unit: U) -> list[Message]:
        """What has to be said of a unit that goes on from where it was, after a restart or when the wanted set has changed."""
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
