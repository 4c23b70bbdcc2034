"""R2 and R3 of the snapshot store, against everything that may happen to its topic.

Several processes save states of one unit. Each may stop before any single write, and perform what it still had to write at any later
moment (SIGSTOP, takeover, SIGCONT); the topic may be compacted at any moment, even between two reads of a load. Whatever happens: the
highest offset that was ever complete never gets lost, and what is loaded is what was saved.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

from hypothesis import given, settings
from hypothesis import strategies as st

from bus.kafka.ports import Message, Record, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore, _Index, _Key
from bus.kafka.topics import SNAPSHOTS
from bus.testing.memory import MemoryLog
from tests.conftest import examples

UNIT = "fold/x"


def content(offset: int) -> list[bytes]:
    """By R1 the state at an offset is the same whoever saves it."""
    return [b"%d/%d" % (offset, index) for index in range(offset % 3)] + [b"common"]


class Process:
    """A process with a store of its own, that stands still (SIGSTOP) before any write that its budget does not cover, and can go on later."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.store = KafkaSnapshotStore(self, log)
        self.budget = 0
        self._go = asyncio.Event()
        self._still = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def send(self, messages: Sequence[Message]) -> Sequence[int]:
        offsets = []
        for message in messages:
            while self.budget == 0:
                self._go.clear()
                self._still.set()
                await self._go.wait()
            self.budget -= 1
            offsets.append(self.log.append(message))
        return offsets

    async def save(self, offset: int, budget: int) -> None:
        self._task = asyncio.create_task(self.store.save(UNIT, offset, content(offset)))
        await self.go_on(budget)

    async def go_on(self, budget: int) -> None:
        """Perform that many writes more, or what is left of the save."""
        assert self._task is not None
        self.budget = budget
        self._still.clear()
        self._go.set()
        still = asyncio.create_task(self._still.wait())
        await asyncio.wait([self._task, still], return_when=asyncio.FIRST_COMPLETED)
        still.cancel()

    @property
    def stands(self) -> bool:
        return self._task is not None and not self._task.done()

    def end(self) -> None:
        if self._task is not None:
            self._task.cancel()


@dataclass
class Disturbed:
    """A reader under whose hands the topic changes: `disturb` is called before every batch and every look at the end."""

    log: MemoryLog
    disturb: Callable[[], Awaitable[None]]

    async def partitions(self, topic: str) -> int:
        return await self.log.partitions(topic)

    async def beginning(self, partition: TopicPartition) -> int:
        return await self.log.beginning(partition)

    async def end(self, partition: TopicPartition) -> int:
        await self.disturb()
        return await self.log.end(partition)

    async def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        await self.disturb()
        async for batch in self.log.read(partition, start, stop):
            yield batch
            await self.disturb()


def ever_complete(history: dict[bytes | None, bytes | None], seen: set[int]) -> None:
    """Add the offsets that are complete now, found without the store's own code: the end record and as many chunks as were saved."""
    for offset in range(60):
        chunks = sum(1 for key, value in history.items() if value is not None and key and b'["chunk","fold/x",%d,' % offset in key)
        end = any(value is not None and key and b'["end","fold/x",%d,' % offset in key for key, value in history.items())
        if end and chunks >= len(content(offset)):
            seen.add(offset)


save = st.tuples(st.just("save"), st.integers(0, 2), st.integers(0, 59), st.integers(1, 12))
late = st.tuples(st.just("late"), st.integers(0, 20), st.just(0), st.integers(1, 6))
compaction = st.tuples(st.just("compact"), st.booleans().map(int), st.just(0), st.just(0))
restart = st.tuples(st.just("restart"), st.integers(0, 2), st.just(0), st.just(0))
disturbance = st.one_of(st.just(("none", 0)), st.just(("compact", 0)), st.tuples(st.just("late"), st.integers(1, 9)))


@settings(max_examples=examples(400))
@given(st.lists(st.one_of(save, save, late, compaction, restart), min_size=1, max_size=25), st.lists(disturbance, max_size=20))
def test_the_highest_complete_snapshot_never_gets_lost(steps: list[tuple[str, int, int, int]], disturbances: list[tuple[str, int]]) -> None:
    asyncio.run(scenario(steps, disturbances))


async def scenario(steps: list[tuple[str, int, int, int]], disturbances: list[tuple[str, int]]) -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS], batch_records=2)
    live = [Process(log) for _ in range(3)]
    standing: list[Process] = []
    seen: set[int] = set()
    history: dict[bytes | None, bytes | None] = {}
    noted = 0
    for kind, first, second, third in steps:
        if kind == "save":
            await live[first].save(second, third)
        elif kind == "restart":
            live[first] = Process(log)
        elif kind == "compact":
            log.compact(SNAPSHOTS, tombstones=bool(first))
        elif standing:
            await standing[first % len(standing)].go_on(third)
        standing = [process for process in standing if process.stands]
        for index, process in enumerate(live):
            if process.stands:
                standing.append(process)
                live[index] = Process(log)
        noted = remember(log, history, noted)
        ever_complete(history, seen)
        await check(KafkaSnapshotStore(log, log), seen)
    turns = iter(disturbances)
    moving = Process(log)

    async def disturb() -> None:
        kind, budget = next(turns, ("none", 0))
        if kind == "compact":
            log.compact(SNAPSHOTS)
        elif kind == "late" and moving.stands:
            await moving.go_on(budget)
        elif kind == "late":
            await moving.save(60 + 2 * budget + log.writes, budget)

    found = await KafkaSnapshotStore(log, Disturbed(log, disturb)).load(UNIT)
    assert (found.offset if found else -1) >= max(seen, default=-1)
    for process in [*standing, *live, moving]:
        process.end()


def remember(log: MemoryLog, history: dict[bytes | None, bytes | None], noted: int) -> int:
    """The topic as a key-value map of everything written so far."""
    records = log.records(SNAPSHOTS)
    for record in records:
        if record.offset >= noted:
            history[record.key] = record.value
    return records[-1].offset + 1 if records else noted


async def check(store: KafkaSnapshotStore, seen: set[int]) -> None:
    found = await store.load(UNIT)
    newest = await store.newest("fold/")
    if found is None:
        assert not seen
        assert newest == {}
    else:
        assert found.offset == max(seen)
        assert list(found.chunks) == content(found.offset)
        assert newest == {UNIT: found.offset}


async def test_an_end_record_alone_is_no_snapshot() -> None:
    elsewhere, log = MemoryLog({SNAPSHOTS: 1}), MemoryLog({SNAPSHOTS: 1})
    await KafkaSnapshotStore(elsewhere, elsewhere).save(UNIT, 30, content(32))
    await KafkaSnapshotStore(log, log).save(UNIT, 20, content(20))
    *chunks, end = (Message(SNAPSHOTS, 0, record.key, record.value) for record in elsewhere.records(SNAPSHOTS))
    for part, expected in [(end, 20), (chunks[0], 20), (chunks[1], 20), (chunks[2], 30)]:
        log.append(part)
        found = await KafkaSnapshotStore(log, log).load(UNIT)
        assert found is not None
        assert found.offset == expected


async def test_generations_that_change_while_they_are_looked_for_are_found() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS], batch_records=1)
    other = KafkaSnapshotStore(log, log)
    for offset in (10, 20):
        await other.save(UNIT, offset, content(offset))
    ends = 0

    async def disturb() -> None:
        nonlocal ends
        ends += 1
        # Once the end of the log was asked for, and before the first record is read.
        if ends == 2:
            for offset in (30, 40):
                await other.save(UNIT, offset, content(offset))
            log.compact(SNAPSHOTS)

    found = await KafkaSnapshotStore(log, Disturbed(log, disturb)).load(UNIT)
    assert found is not None
    assert (found.offset, list(found.chunks)) == (40, content(40))


async def test_a_chunk_that_arrived_damaged_makes_no_snapshot() -> None:
    elsewhere, log = MemoryLog({SNAPSHOTS: 1}), MemoryLog({SNAPSHOTS: 1})
    await KafkaSnapshotStore(elsewhere, elsewhere).save(UNIT, 30, [b"right"])
    for record in elsewhere.records(SNAPSHOTS):
        log.append(Message(SNAPSHOTS, 0, record.key, b"wrong" if record.value == b"right" else record.value))
    assert await KafkaSnapshotStore(log, log).load(UNIT) is None


async def test_an_older_place_of_a_chunk_does_not_replace_a_newer_one() -> None:
    index, key = _Index(), _Key(UNIT, 5, 0, "digest")
    for place in (9, 4):
        index.note(key, place, b"value")
    index.note(key, 7, None)
    assert index.units[UNIT].places == {key: 9}


async def test_two_generations_stay_and_older_ones_go() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    store = KafkaSnapshotStore(log, log)
    for offset in range(0, 100, 10):
        await store.save(UNIT, offset, content(offset))
    log.compact(SNAPSHOTS)
    left = {record.key for record in log.records(SNAPSHOTS) if record.value is not None}
    assert {int((key or b"").split(b",")[2]) for key in left} == {80, 90}


async def test_units_beside_one_another_do_not_mix() -> None:
    log = MemoryLog({SNAPSHOTS: 2}, compacted=[SNAPSHOTS])
    store = KafkaSnapshotStore(log, log)
    for unit in range(10):
        for offset in (1, 2, 3):
            await store.save(f"fold/{unit}", offset, [b"%d" % unit] * offset)
    fresh = KafkaSnapshotStore(log, log)
    for unit in range(10):
        found = await fresh.load(f"fold/{unit}")
        assert found is not None
        assert (found.offset, set(found.chunks), len(found.chunks)) == (3, {b"%d" % unit}, 3)
    assert await fresh.newest("fold/1") == {"fold/1": 3}


async def test_what_is_not_a_snapshot_is_passed_over() -> None:
    log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
    for key in (
        b"x",
        b"[]",
        b'{"a":1}',
        b'["end"]',
        b"\xff",
        b'["end","u","x","y"]',
        b"7",
        b'["chunk","u",1,"a","b"]',
        b'["end","fold/x",9,"no hash"]',
    ):
        log.append(Message(SNAPSHOTS, 0, key, b"x"))
    store = KafkaSnapshotStore(log, log)
    await store.save(UNIT, 5, content(5))
    found = await KafkaSnapshotStore(log, log).load(UNIT)
    assert found is not None
    assert found.offset == 5
