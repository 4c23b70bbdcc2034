"""A lane: the units that stand at the same offset of one partition, and those that follow it from behind."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Generic

from bus.kafka.ports import TopicPartition
from bus.streams.work import U


@dataclass(slots=True)
class Replay(Generic[U]):
    """A unit that stands behind its lane and reads the log by itself until it can join at exactly the lane's position.

    `announced`: its partials were published before, so it goes on publishing while it catches up, and its snapshots are the unit's own.
    Otherwise it says nothing until it joins, and then says all; its snapshots bear another name (`saved_as`), so that a state that was
    never published is never taken for one that was (R4).
    """

    unit: U
    announced: bool

    @property
    def saved_as(self) -> str:
        return self.unit.unit_id if self.announced else replay_name(self.unit.unit_id)


@dataclass(slots=True)
class Lane(Generic[U]):
    """The live units of one partition. All hold exactly the log before `position`."""

    partition: TopicPartition
    generation: int
    position: int
    units: dict[str, U] = field(default_factory=dict)
    replays: list[Replay[U]] = field(default_factory=list)
    #: Everything that the live units had to say about offsets below this is acknowledged.
    acknowledged: int = 0
    #: Snapshot name -> offset of the newest snapshot known to be durable.
    saved: dict[str, int] = field(default_factory=dict)
    #: Live unit -> how many snapshots of it this lane has written.
    generations: dict[str, int] = field(default_factory=dict)
    #: Seeks back since the lane last moved.
    seeks: int = 0
    #: The units whose state is new here: what they were told before is unknown, so the stage before must say all again.
    needs_repeat: bool = False

    @property
    def durable(self) -> int:
        """The position to which the slowest unit's newest snapshot reaches; for lag tools only."""
        units = [*self.units, *(replay.saved_as for replay in self.replays)]
        return 1 + min((self.saved.get(name, -1) for name in units), default=-1)

    @property
    def idle(self) -> bool:
        """No unit is interested in this partition."""
        return not self.units and not self.replays


def replay_name(unit_id: str) -> str:
    """The snapshot name of a unit that was never published."""
    return f"replay/{unit_id}"
