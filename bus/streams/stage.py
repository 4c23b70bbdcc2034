"""The driver of fold and merge: which state continues where, what is acknowledged before what, and who may touch it (ADR 0014, R1–R5).

It knows neither Faust nor Kafka nor time: batches are handed to it, effects go through the ports, the clock is given. The Faust agents and
the crash harness drive the same code. Every clause of R1–R5 that it answers for is one small method, so that a test can break just that one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic

import structlog

from bus import metrics
from bus.clock import Clock
from bus.errors import BusError, FatalError, OffsetGap
from bus.kafka.archived_log import fetchable_from
from bus.kafka.ports import LogReader, Message, Publisher, Record, SnapshotStore, TopicPartition
from bus.streams.lane import Lane
from bus.streams.loading import LaneLoader
from bus.streams.refresh import refresh
from bus.streams.replay import catch_up
from bus.streams.saving import save_lane
from bus.streams.warming import bring_all, bring_for
from bus.streams.work import B, Prepared, U, Work

_log = structlog.get_logger(__name__)

#: Seeks back in a row without progress after which the log is taken to have a hole.
MAX_SEEKS = 1_000


@dataclass(frozen=True, slots=True)
class Seek:
    """Fetch again from `offset`: the batch did not continue the state and was not applied."""

    partition: TopicPartition
    offset: int


class Stage(LaneLoader[U, B], Generic[U, B]):
    """The lanes of this process for one kind of work.

    All methods may be called concurrently; what touches states takes its turn. After the first effect that failed, every call raises
    `FatalError`: the process must end and its successor starts from the snapshots.
    """

    def __init__(
        self,
        work: Work[U, B],
        publisher: Publisher,
        reader: LogReader,
        store: SnapshotStore,
        clock: Clock,
        *,
        snapshot_seconds: float = 5.0,
        replay_records: int = 10_000,
    ) -> None:
        super().__init__(work, reader, store)
        self.publisher = publisher
        self.clock = clock
        self.snapshot_seconds = snapshot_seconds
        self.replay_records = replay_records
        self.generation = -1
        self.lanes: dict[TopicPartition, Lane[U]] = {}
        self.turn = asyncio.Lock()
        self._next_snapshot = clock.monotonic() + snapshot_seconds
        self._next_when_quiet = self._next_snapshot
        self._last_batch = clock.monotonic()
        self._broken: BusError | None = None
        self._ownerships = 0

    # ownership

    async def assign(self, partitions: Collection[TopicPartition], generation: int) -> Mapping[TopicPartition, int]:
        """Own exactly these partitions from now on; where to read each from (R3). Partitions without units are not in the answer.

        Raises `OffsetGap` when the log no longer holds what a state continues with. When a later `assign` or `revoke` overtakes this
        one, nothing is owned and the answer is empty.
        """
        self._check()
        for lane in self.lanes.values():
            self._disown(lane)
        self.lanes = {}
        self.generation = generation
        self._ownerships += 1
        ownership = self._ownerships
        loaded = await self.load(sorted(partitions, key=lambda tp: (tp.topic, tp.partition)), generation)
        async with self.turn:
            if ownership != self._ownerships:
                return {}
            self.lanes = {lane.partition: lane for lane in loaded}
            for lane in loaded:
                await self.introduce(lane)
        return {lane.partition: lane.position for lane in loaded if not lane.idle and self.owns(lane)}

    async def revoke(self, partitions: Collection[TopicPartition]) -> None:
        """Let go of partitions at once, then write last snapshots of what is acknowledged (so that the next owner replays little)."""
        self._ownerships += 1
        gone = [self.lanes.pop(tp) for tp in list(partitions) if tp in self.lanes]
        for lane in gone:
            self._disown(lane)
        async with self.turn:
            for lane in gone:
                await self._save_lane(lane, owned=False)

    def position(self, partition: TopicPartition) -> int | None:
        """Where the next batch of a partition has to begin; None when it is not owned or nobody wants it."""
        lane = self.lanes.get(partition)
        return None if lane is None or lane.idle else lane.position

    def durable(self, partition: TopicPartition) -> int | None:
        """Up to where the newest snapshots reach, for the group commit (lag tools only)."""
        lane = self.lanes.get(partition)
        return None if lane is None or lane.idle or lane.durable <= 0 else lane.durable

    def owns(self, lane: Lane[U]) -> bool:
        """R3: asked again after every await, before a state is touched."""
        return self.lanes.get(lane.partition) is lane and lane.generation == self.generation

    def _disown(self, lane: Lane[U]) -> None:
        lane.generation = -1

    # batches

    async def on_batch(self, partition: TopicPartition, generation: int, records: Sequence[Record]) -> Seek | None:
        """Apply the next records of a partition; a `Seek` when they do not continue the state.

        When it returns None the records are applied and all that they changed is acknowledged, or they were not this stage's to apply:
        of another generation, of a partition that it does not own, or older than the state.
        """
        async with self.turn:
            self._check()
            lane = self._accepts(partition, generation)
            if lane is None or not records or lane.idle:
                return None
            records = self._skip_older(lane, records)
            if not records:
                return None
            if self._jumps(lane, records[0].offset):
                return await self._seek_back(lane)
            if records[-1].offset - records[0].offset + 1 != len(records):
                raise self.broken_by(
                    OffsetGap(f"{partition.topic}/{partition.partition} has holes after {records[0].offset}: is it compacted?")
                )
            started = self.clock.monotonic()
            await self._apply(lane, self.prepare(lane, records))
            self._last_batch = self.clock.monotonic()
            self._observe(lane, len(records), self._last_batch - started)
            return None

    def _accepts(self, partition: TopicPartition, generation: int) -> Lane[U] | None:
        """R3: a batch counts only if it is of the current generation and its partition is assigned."""
        lane = self.lanes.get(partition)
        return lane if lane is not None and generation == self.generation and self.owns(lane) else None

    def _skip_older(self, lane: Lane[U], records: Sequence[Record]) -> Sequence[Record]:
        """R3: what the state already holds is skipped."""
        if records[0].offset >= lane.position:
            return records
        return [record for record in records if record.offset >= lane.position]

    def _jumps(self, lane: Lane[U], first: int) -> bool:
        """R3: whether a batch begins after the record that continues the state; such a batch is never applied."""
        return first > lane.position

    async def _seek_back(self, lane: Lane[U]) -> Seek:
        lane.seeks += 1
        beginning = await fetchable_from(self.reader, lane.partition)
        if beginning > lane.position or lane.seeks > MAX_SEEKS:
            where = f"{lane.partition.topic}/{lane.partition.partition}"
            raise self.broken_by(OffsetGap(f"{where}: the state continues at offset {lane.position}, the log begins at {beginning}"))
        return Seek(lane.partition, lane.position)

    def prepare(self, lane: Lane[U], records: Sequence[Record]) -> Prepared[B]:
        """Decode a batch for all the units of a lane."""
        return self.work.prepare(lane.partition, records)

    async def _apply(self, lane: Lane[U], prepared: Prepared[B]) -> None:
        await self.effect(self._before_it_counts(prepared))
        await bring_for(self, lane, lane.units, prepared)
        if not self.owns(lane):
            return
        effects = [self.work.apply(unit, prepared) for unit in lane.units.values()]
        lane.position = prepared.last + 1
        lane.seeks = 0
        await self.effect(distinct(message for effect in effects for message in effect.first))
        await self._publish([message for effect in effects for message in effect.changed])
        if self.owns(lane):
            lane.acknowledged = lane.position

    def _before_it_counts(self, prepared: Prepared[B]) -> Sequence[Message]:
        """Quarantine records are acknowledged before the batch that held the originals counts."""
        return prepared.rejected

    async def _publish(self, messages: Sequence[Message]) -> None:
        """R4: all that a batch changed, acknowledged before the next batch of the partition is looked at."""
        await self.effect(messages)

    async def effect(self, messages: Sequence[Message]) -> None:
        """Write and wait. A failed send ends the stage (R4): what comes after must not be written."""
        self._check()
        if not messages:
            return
        try:
            offsets = await self.publisher.send(messages)
        except BusError as error:
            raise self.broken_by(error) from error
        self.work.sent(messages, offsets)

    async def introduce(self, lane: Lane[U]) -> None:
        """Let the next stage know that a new unit covers this partition, with nothing in it yet, and what is declared of the others."""
        messages: list[Message] = []
        for name, unit in lane.units.items():
            messages += self.work.greet(unit) if name in lane.saved else self.work.announce(unit)
        await self.effect(messages)

    # snapshots

    async def tick(self) -> int:
        """Between batches: write snapshots of changed units when it is time, so that it takes at most a tenth of the time (R2).

        Once traffic has stopped it keeps nobody waiting, so that the last changes become durable soon, however slow the store is.
        """
        if self.clock.monotonic() < (self._next_when_quiet if self._quiet else self._next_snapshot):
            return 0
        async with self.turn:
            self._check()
            started = self.clock.monotonic()
            written = 0
            for lane in list(self.lanes.values()):
                written += await self._save_lane(lane)
            ended = self.clock.monotonic()
            self._next_when_quiet = max(started + self.snapshot_seconds, ended)
            self._next_snapshot = max(self._next_when_quiet, ended + 9 * (ended - started))
        return written

    @property
    def _quiet(self) -> bool:
        """Whether no batch came for a while and none is being replayed."""
        silent = self.clock.monotonic() - self._last_batch >= self.snapshot_seconds
        return silent and not any(lane.replays for lane in self.lanes.values())

    async def _save_lane(self, lane: Lane[U], *, owned: bool = True) -> int:
        """The lane's changed units; how many."""
        return await save_lane(self, lane, owned=owned, live=self._acknowledged_before_snapshot(lane))

    def _acknowledged_before_snapshot(self, lane: Lane[U]) -> bool:
        """R4: partials of everything up to an offset are acknowledged before the end record of the snapshot at that offset."""
        return lane.acknowledged >= lane.position

    # other partitions of time

    async def catch_up(self) -> bool:
        """One step of one unit that stands behind its lane; False when there is none that can go on."""
        self._check()
        return await catch_up(self)

    async def refresh(self) -> Mapping[TopicPartition, int]:
        """Take over the work's changed set of units (hot reload); the partitions that are wanted now and were not, and where from."""
        self._check()
        return await refresh(self)

    async def repeat(self, partition: int) -> None:
        """Say all again that goes to one partition of the next stage (asked by a merge without a snapshot, R5)."""
        async with self.turn:
            self._check()
            for lane in list(self.lanes.values()):
                messages: list[Message] = []
                for name, unit in list(lane.units.items()):
                    if self.work.repeats_to(unit) == partition and await bring_all(self, lane, name, unit):
                        messages += self.work.announce(unit)
                await self.effect(messages)

    # faults

    def _check(self) -> None:
        if self._broken is not None:
            raise FatalError(f"{self.work.name} ended: {self._broken}") from self._broken

    def broken_by(self, error: BusError) -> FatalError:
        """Remember the fault: nothing may be written after it."""
        self._broken = error
        return error if isinstance(error, FatalError) else FatalError(f"{self.work.name}: {error}")

    def _observe(self, lane: Lane[U], records: int, seconds: float) -> None:
        metrics.batch_records.labels(self.work.name).observe(records)
        metrics.stage_seconds.labels(self.work.name).observe(seconds)
        if self.work.name == "fold":
            metrics.events_folded.labels(lane.partition.topic).inc(records)


def distinct(messages: Iterable[Message]) -> list[Message]:
    """Without those whose topic and key came before: a row that several units reject is one record in quarantine."""
    kept: dict[tuple[str, int, bytes | None], Message] = {}
    for message in messages:
        kept.setdefault((message.topic, message.partition, message.key), message)
    return list(kept.values())
