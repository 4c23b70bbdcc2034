"""Ends a worker that stands still with work waiting (faust-streaming 0.15.3: Faust's consumers die quietly)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from bus import metrics
from bus.clock import Clock
from bus.errors import FatalError
from bus.kafka.ports import LogReader, TopicPartition
from bus.streams.stage import Stage


class Watchdog:
    """Compares each lane's position with the end of its log, whatever Faust believes.

    A fault is a lane that has not moved for `stall_seconds` although its log goes on, or no assignment for that long after a
    revocation. Raises `FatalError`, for which the process ends. Loading states after an assignment has no limit.
    """

    def __init__(self, stages: Sequence[Stage[Any, Any]], reader: LogReader, clock: Clock, *, stall_seconds: float) -> None:
        self._stages = stages
        self._reader = reader
        self._clock = clock
        self._stall_seconds = stall_seconds
        self.every_seconds = min(5.0, stall_seconds / 4)
        self._moved: dict[TopicPartition, tuple[tuple[int, ...], float]] = {}
        self._unassigned_since: float | None = clock.monotonic()
        self._loading = False
        self._looked = clock.monotonic()

    def loading(self) -> None:
        """Partitions were assigned and their states are being loaded."""
        self._loading = True

    def assigned(self) -> None:
        """The worker holds its partitions."""
        self._unassigned_since = None
        self._loading = False
        self._moved.clear()

    def revoked(self) -> None:
        """The worker has let go of its partitions and waits for new ones."""
        self._unassigned_since = self._clock.monotonic()
        self._moved.clear()

    async def check(self) -> None:
        """Look once. Raises `FatalError` when the worker stands still."""
        now = self._clock.monotonic()
        late, self._looked = now - self._looked > 4 * self.every_seconds, now
        if late:
            self._forgive(now)
        if self._unassigned_since is not None:
            if not self._loading and now - self._unassigned_since > self._stall_seconds:
                raise FatalError(f"no partitions were assigned for {self._stall_seconds:g} s")
            return
        for stage in self._stages:
            partitions = [partition for partition, lane in stage.lanes.items() if not lane.idle]
            for partition, end in zip(partitions, await self._reader.ends(partitions), strict=True):
                self._look(stage, partition, end, now)

    def _forgive(self, now: float) -> None:
        """The process itself was stopped or starved: what stood still meanwhile is no fault."""
        self._moved.clear()
        if self._unassigned_since is not None:
            self._unassigned_since = now

    def _look(self, stage: Stage[Any, Any], partition: TopicPartition, end: int, now: float) -> None:
        lane = stage.lanes.get(partition)
        if lane is None:
            return
        metrics.stage_lag.labels(stage.work.name, partition.topic, str(partition.partition)).set(max(0, end - lane.position))
        place = (lane.position, *(replay.unit.offset for replay in lane.replays))
        known, since = self._moved.get(partition, ((), now))
        if place != known or (lane.position >= end and not lane.replays):
            self._moved[partition] = (place, now)
        elif now - since > self._stall_seconds:
            raise FatalError(
                f"{stage.work.name} of {partition.topic}/{partition.partition} stands at {lane.position} of {end} for {self._stall_seconds:g} s"
            )
