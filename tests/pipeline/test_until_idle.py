"""Idle is judged from logs and snapshots alone: never too early, and never stuck on what is empty."""

from __future__ import annotations

import pytest

from bus.errors import TransientError
from bus.indicators.partial import Definition, Partial, encode
from bus.kafka.ports import Message, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import PARTIALS, SNAPSHOT_PARTITIONS, SNAPSHOTS
from bus.ops.idle import Duty, IdleWatch, Progress, StallError, merge_duties, until_idle
from bus.streams.releasing import ReleaseView
from bus.testing.memory import MemoryLog

_TOPIC = "events.t.fact.told.v1"


class Stage:
    """A log with one event topic of two partitions, and the states that the two stages would write."""

    def __init__(self) -> None:
        self.log = MemoryLog({_TOPIC: 2, PARTIALS: 2, SNAPSHOTS: SNAPSHOT_PARTITIONS}, compacted=[SNAPSHOTS])
        self.writer = KafkaSnapshotStore(self.log, self.log)
        self.folds = tuple(Duty(f"fold/t.count/1/abc/{_TOPIC}/{number}", TopicPartition(_TOPIC, number)) for number in range(2))
        self.watch = IdleWatch(self.log, KafkaSnapshotStore(self.log, self.log), self.folds, merge_duties(2))

    async def put(self, topic: str, partition: int, records: int) -> None:
        await self.log.send([Message(topic, partition, b"k", b"v")] * records)

    async def fold(self, partition: int, offset: int) -> None:
        await self.writer.save(self.folds[partition].unit, offset, {"0": b"state"})

    async def announce(self, partition: int) -> None:
        """What a fold says before it has read anything."""
        definition = Definition(
            id="t.count",
            version=1,
            fingerprint="abc",
            measure={"kind": "count"},
            window="1d",
            late_seconds=0,
            decimals=0,
            dims=[],
            stock=False,
            region=False,
            expected=0,
        )
        partial = Partial(definition, _TOPIC, partition, 2, 0, -1, {}, {}, full=True)
        await self.log.send([Message(PARTIALS, 0, b"k", value) for value in encode(partial)])

    async def merge(self, partition: int, offset: int) -> None:
        await self.writer.save(f"merge/{partition}", offset, {"0": b"state"})


async def test_a_fold_over_an_empty_partition_is_idle_once_the_merge_can_know_it() -> None:
    stage = Stage()
    assert not (await stage.watch.look()).idle
    await stage.announce(0)
    assert [duty.partition.partition for duty in (await stage.watch.look()).fold.behind] == [1]
    await stage.announce(1)
    progress = await stage.watch.look()
    assert progress.fold.idle
    assert not progress.idle
    await stage.merge(0, 1)
    assert (await stage.watch.look()).idle


async def test_folds_must_reach_the_end_and_then_merges() -> None:
    stage = Stage()
    await stage.fold(1, -1)
    await stage.put(_TOPIC, 0, 5)
    await stage.fold(0, 3)
    progress = await stage.watch.look()
    assert (progress.fold.done, progress.fold.total, progress.fold.idle) == (4, 5, False)
    await stage.put(PARTIALS, 1, 2)
    await stage.fold(0, 4)
    progress = await stage.watch.look()
    assert progress.fold.idle
    assert (progress.merge.done, progress.merge.total, progress.idle) == (0, 2, False)
    await stage.merge(1, 0)
    assert not (await stage.watch.look()).idle
    await stage.merge(1, 1)
    assert (await stage.watch.look()).idle


async def test_a_late_snapshot_of_an_older_offset_changes_nothing() -> None:
    stage = Stage()
    await stage.fold(1, -1)
    await stage.put(_TOPIC, 0, 3)
    await stage.fold(0, 2)
    await stage.fold(0, 1)
    assert (await stage.watch.look()).idle


async def test_waiting_ends_when_the_last_state_is_written_and_not_before() -> None:
    stage = Stage()
    await stage.put(_TOPIC, 0, 2)
    await stage.fold(1, -1)
    seen: list[Progress] = []
    todo = [stage.fold(0, 0), stage.put(PARTIALS, 0, 1), stage.fold(0, 1), stage.merge(0, 0)]

    async def sleep(_seconds: float) -> None:
        await todo.pop(0)

    await until_idle(stage.watch, report=seen.append, check=lambda: None, sleep=sleep)
    assert not todo
    assert [progress.idle for progress in seen] == [False, False, False, False, True]


async def test_a_broker_that_is_away_only_delays() -> None:
    stage = Stage()
    await stage.fold(0, -1)
    await stage.fold(1, -1)
    look, failures = stage.watch.look, [TransientError("away")]

    class Flaky(IdleWatch):
        async def look(self) -> Progress:
            if failures:
                raise failures.pop()
            return await look()

    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    await until_idle(Flaky(stage.log, stage.writer, (), ()), report=lambda _: None, check=lambda: None, sleep=sleep)
    assert len(slept) == 1


class View(ReleaseView):
    """Says what is still to be released; after a failure it is of no use."""

    def __init__(self, left: list[int | Exception]) -> None:
        self._left = left
        self._failed = False

    async def waiting(self) -> int:
        assert not self._failed
        found = self._left.pop(0)
        if isinstance(found, Exception):
            self._failed = True
            raise found
        return found


async def test_idle_is_when_all_that_is_due_is_out_and_a_failed_look_is_made_anew() -> None:
    stage = Stage()
    await stage.put(_TOPIC, 0, 1)
    left: list[int | Exception] = [3, TransientError("away"), 2, 0]
    watch = IdleWatch(stage.log, stage.writer, stage.folds[:1], (), lambda: View(left))
    assert (await watch.look()).unreleased == 0, "not looked at before the folds are idle"
    assert len(left) == 4
    await stage.fold(0, 0)
    seen: list[int] = []

    async def sleep(_seconds: float) -> None: ...

    await until_idle(watch, report=lambda now: seen.append(now.unreleased), check=lambda: None, sleep=sleep)
    assert seen == [3, 2, 0]


async def test_standing_still_is_reported_with_the_units_that_wait() -> None:
    stage = Stage()
    now = [0.0]

    class Clock:
        def monotonic(self) -> float:
            return now[0]

        def now(self) -> object:
            raise AssertionError

    async def sleep(_seconds: float) -> None:
        now[0] += 100

    with pytest.raises(StallError, match=r"2 states, the first: fold/t\.count/1/abc"):
        await until_idle(stage.watch, report=lambda _: None, check=lambda: None, sleep=sleep, clock=Clock())  # type: ignore[arg-type]


async def test_what_the_check_raises_ends_the_wait() -> None:
    def check() -> None:
        raise RuntimeError("a role cannot run")

    with pytest.raises(RuntimeError, match="cannot run"):
        await until_idle(Stage().watch, report=lambda _: None, check=check)
