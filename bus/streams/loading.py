"""From snapshots to lanes: which state a unit continues with and where its lane reads on (ADR 0014 R1–R3)."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence
from typing import Generic

import structlog

from bus.errors import OffsetGap
from bus.kafka.archived_log import fetchable_from
from bus.kafka.ports import LogReader, Snapshot, SnapshotStore, TopicPartition
from bus.streams.lane import Lane, Replay, replay_name
from bus.streams.work import B, U, Work

_log = structlog.get_logger(__name__)

#: Snapshots loaded or written at the same time.
PARALLEL = 8


class LaneLoader(Generic[U, B]):
    """Loads lanes; touches nothing but the lane that it returns, so a load that was overtaken leaves no trace."""

    def __init__(self, work: Work[U, B], reader: LogReader, store: SnapshotStore) -> None:
        self.work = work
        self.reader = reader
        self.store = store

    async def load(self, partitions: Sequence[TopicPartition], generation: int) -> list[Lane[U]]:
        """The lanes of these partitions."""
        known = (await self.store.newest()).keys()
        gate = asyncio.Semaphore(PARALLEL)

        async def one(partition: TopicPartition) -> Lane[U]:
            async with gate:
                return await self.load_lane(partition, generation, known)

        return list(await asyncio.gather(*(one(partition) for partition in partitions)))

    async def load_lane(self, partition: TopicPartition, generation: int, known: Collection[str], *, skip: Collection[str] = ()) -> Lane[U]:
        """One partition's units (except those to `skip`), each from its newest snapshot; `known` are the names that have any.

        The lane stands where its foremost unit stands; the others, and new ones, follow in replays. Without any state all begin at 0. A lane
        never stands before the first record that the broker still has: units that do are replayed from the archive.
        """
        units: dict[str, U] = {}
        silent: dict[str, U] = {}
        lane: Lane[U] = Lane(partition, generation, position=0)
        for name in self.work.unit_ids(partition):
            if name in skip:
                continue
            snapshot = await self._choose_snapshot(name) if name in known else None
            if snapshot is not None:
                units[name] = self._restore(partition, name, snapshot)
                lane.saved[name] = snapshot.offset
                continue
            snapshot = await self._choose_snapshot(replay_name(name)) if replay_name(name) in known else None
            if snapshot is not None:
                lane.saved[replay_name(name)] = snapshot.offset
                silent[name] = self._restore(partition, name, snapshot)
            else:
                silent[name] = self.work.fresh(partition, name, -1)
        await self._arrange(lane, units, silent)
        return lane

    async def _arrange(self, lane: Lane[U], units: dict[str, U], silent: dict[str, U]) -> None:
        fetchable = await fetchable_from(self.reader, lane.partition)
        beginning = await self.reader.beginning(lane.partition) if fetchable else 0
        if self.work.may_begin_late:
            self._begin_late(lane, units, silent, beginning)
        if not units and not fetchable and all(unit.offset < 0 for unit in silent.values()):
            units, silent = silent, {}
        lane.position = lane.acknowledged = max(self._position_after_load(units), fetchable)
        lane.units = {name: unit for name, unit in units.items() if unit.offset + 1 == lane.position}
        lane.replays = [Replay(unit, announced=True) for name, unit in units.items() if name not in lane.units]
        lane.replays += [Replay(unit, announced=False) for unit in silent.values()]
        for unit in (*units.values(), *silent.values()):
            self._refuse_gap(lane.partition, unit, beginning)

    def _begin_late(self, lane: Lane[U], units: dict[str, U], silent: dict[str, U], beginning: int) -> None:
        """A merge whose state the log does not continue, or that has none, begins anew where the log begins and asks for all (R5)."""
        for name in [name for name, unit in units.items() if unit.offset + 1 < beginning]:
            del units[name]
            del lane.saved[name]
            silent[name] = self.work.fresh(lane.partition, name, -1)
        for name, unit in list(silent.items()):
            if unit.offset + 1 <= beginning:
                units[name] = self.work.fresh(lane.partition, name, beginning - 1)
                lane.needs_repeat = True
                del silent[name]

    async def _choose_snapshot(self, name: str) -> Snapshot | None:
        """R3: the complete snapshot with the highest offset, not the last written."""
        found = await self.store.load(name, self.work.lasting)
        return found if found is not None and self.work.readable(found) else None

    def _restore(self, partition: TopicPartition, name: str, snapshot: Snapshot) -> U:
        """R1: a unit continues only a snapshot of its own id, which names the definition."""
        return self.work.restore(partition, name, snapshot)

    def _position_after_load(self, units: dict[str, U]) -> int:
        """R3: the offset of the snapshot + 1; of the foremost unit, for those behind it catch up by themselves."""
        return max((unit.offset for unit in units.values()), default=-1) + 1

    def _refuse_gap(self, partition: TopicPartition, unit: U, beginning: int) -> None:
        """R3: when the log begins after the offset where the state continues, stop."""
        if unit.offset + 1 < beginning:
            raise OffsetGap(
                f"{unit.unit_id} continues at offset {unit.offset + 1}, but {partition.topic}/{partition.partition} begins at {beginning}:"
                " BUS_ARCHIVE__FOLDER has to name an archive that holds what came before"
            )
