"""Clauses of R2–R4 that the rest of the design covers twice, held by themselves: each yields what is wrong, nothing when it is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping, Sequence

import bus.testing.faults
from bus.errors import BusError, OffsetGap
from bus.events.envelope import Op
from bus.indicators.outputs import FINAL
from bus.kafka.packing import numbered
from bus.kafka.ports import Message, TopicPartition
from bus.kafka.topics import SNAPSHOTS, partition_of
from bus.testing.faults import Cluster
from bus.testing.gate import Fault
from bus.testing.memory import MemoryLog
from tests.pipeline.histories import READING, Fact, expected, publish
from tests.pipeline.scenes import CODEC, STATUS, Rows, cluster_of, exact, in_one_go, rows

Law = Callable[[], Iterator[str]]

EARLY = Fact(READING, "lab/a", 1, "r1", 1, Op.CREATE, 0, "utara", 7)
LATER = Fact(READING, "lab/a", 2, "r1", 1, Op.CREATE, 5, "utara", 5)
LAST = Fact(READING, "lab/a", 3, "r1", 1, Op.CREATE, 5, "utara", 6)
#: One for each partition: both are past the windows of the others, and enter no cell.
EMPTY = [Fact(READING, "lab/a", 2, subject, 1, Op.CREATE, 800, "utara", None) for subject in ("r1", "r4")]


def snapshots() -> Iterator[str]:
    """R2, R3: at any moment the snapshot that is found is one that was saved, and never an older one than before."""
    saves = [(3, [b"a3", b"b3"]), (5, [b"a5", b"b5"]), (9, [b"a9", b"b9"]), (11, [b"a11"])]

    async def live(fault: Fault, at: int) -> list[str]:
        log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
        gate = _Stopping(log, fault, at)
        found: list[str] = []
        newest = -1

        async def look(when: str) -> int:
            loaded = await bus.testing.faults.plain_store(gate, log).load("unit")
            if loaded is not None and (loaded.offset, list(loaded.chunks)) not in saves:
                found.append(f"{when} a snapshot at {loaded.offset} that nobody saved")
            offset = loaded.offset if loaded else -1
            if offset < newest:
                found.append(f"{when} the snapshot went back from {newest} to {offset}")
            return max(newest, offset)

        for offset, chunks in saves:
            saving = asyncio.create_task(bus.testing.faults.plain_store(gate, log).save("unit", offset, numbered(chunks)))
            await gate.until_halted(saving)
            log.compact(SNAPSHOTS)
            newest = await look("on the way")
        await gate.go_on()
        await look("after a late write")
        return found

    for number in range(20):
        for fault in (Fault.CRASH, Fault.STOP):
            for what in asyncio.run(live(fault, number)):
                yield f"{fault} at write {number}: {what}"


class _Stopping:
    """A publisher that kills or stops its process at one write; a stopped one writes the rest later."""

    def __init__(self, log: MemoryLog, fault: Fault, at: int) -> None:
        self._log, self._fault, self._at = log, fault, at
        self._writes = 0
        self._stopped, self._continued = asyncio.Event(), asyncio.Event()

    async def until_halted(self, work: asyncio.Task[None]) -> None:
        """Wait until the work is done, or its process is killed or stopped in the middle of it."""
        halted = asyncio.create_task(self._stopped.wait())
        await asyncio.wait({work, halted}, return_when=asyncio.FIRST_COMPLETED)
        halted.cancel()
        self._stopped.clear()

    async def go_on(self) -> None:
        self._continued.set()
        for _ in range(50):
            await asyncio.sleep(0)

    async def send(self, messages: Sequence[Message]) -> Sequence[int]:
        offsets = []
        for message in messages:
            self._writes += 1
            if self._writes - 1 == self._at:
                self._stopped.set()
                if self._fault is Fault.CRASH:
                    await asyncio.get_running_loop().create_future()  # never: the process is gone
                await self._continued.wait()
            offsets.append(self._log.append(message))
        return offsets


def watermarks() -> Iterator[str]:
    """R4: events that enter no cell move the watermarks, and that alone makes an older window final."""

    async def live() -> Rows:
        cluster = cluster_of({})
        for fact in (EARLY, *EMPTY):
            publish(cluster.log, CODEC, [fact], 2)
            await cluster.drain()
        return await rows(cluster)

    found = asyncio.run(live())
    if found != in_one_go([EARLY, *EMPTY]):
        yield "a watermark that moved alone was not heard of"
    if {row[STATUS] for row in found["lab.reading_sum"]} != {FINAL}:
        yield "no window became final"


def arithmetic() -> Iterator[str]:
    """R1: sums are exact beyond the width of the values that are summed."""
    large = [Fact(READING, "lab/a", number, f"r{number}", 1, Op.CREATE, 0, "utara", 2_000_000_000) for number in range(1, 9)]

    async def live() -> Rows:
        cluster = cluster_of({})
        publish(cluster.log, CODEC, large, 2)
        await cluster.drain()
        return await rows(cluster)

    if exact(asyncio.run(live())) != expected(large):
        yield "a sum wrapped"


def ownership() -> Iterator[str]:
    """R3: batches of an older generation, of partitions given away, and older ones than the state leave it as it is."""

    async def live() -> list[str]:
        cluster, place = await _one_unread()
        process = await cluster.running()
        fold = process.worker.fold
        records = log_of(cluster, place)
        found: list[str] = []
        before = fold.position(place)
        await fold.on_batch(place, process.generation, records[:1])
        if fold.position(place) != before:
            found.append(f"an older batch moved the position from {before} to {fold.position(place)}")
        await fold.on_batch(place, process.generation - 1, records[2:])
        if fold.position(place) != before:
            found.append("a batch of an older generation was applied")
        units = list(fold.lanes[place].units.values())
        await fold.revoke([place])
        await fold.on_batch(place, process.generation, records[2:])
        if any(unit.offset >= 2 for unit in units):
            found.append("a batch of a partition that was given away was applied")
        return found

    yield from asyncio.run(live())


def ownership_again() -> Iterator[str]:
    """R3: after every `await` it is asked again who owns the state: here while a quarantine record is being written."""

    async def live() -> list[str]:
        cluster, place = await _one_unread()
        cluster.log.append(Message(place.topic, place.partition, b"k", b"not an event"))
        process = await cluster.running()
        fold = process.worker.fold
        units = list(fold.lanes[place].units.values())
        cluster.plan[cluster.effects] = Fault.STOP
        working = asyncio.create_task(fold.on_batch(place, process.generation, log_of(cluster, place)[2:]))
        await process.stopped.wait()
        leaving = asyncio.create_task(fold.revoke([place]))
        await asyncio.sleep(0)
        process.continued.set()
        await asyncio.gather(working, leaving)
        return ["a state was changed after it had been given away"] if any(unit.offset > 1 for unit in units) else []

    yield from asyncio.run(live())


def gaps() -> Iterator[str]:
    """R3: if the log begins later than the state continues, the worker stops rather than leave events out."""

    async def live() -> list[str]:
        cluster, place = await _one_unread()
        cluster.log.trim(place, 3)
        try:
            await cluster.start()
            process = cluster.active
        except OffsetGap:
            return []
        except BusError as error:
            return [f"{type(error).__name__} instead of OffsetGap"]
        return ["a worker went on over a gap in the log"] if process is not None and process.alive else []

    yield from asyncio.run(live())


async def _one_unread() -> tuple[Cluster, TopicPartition]:
    """Two events folded and saved, a third not yet read, all in the partition that is returned."""
    cluster = cluster_of({})
    publish(cluster.log, CODEC, [EARLY, LATER], 2)
    await cluster.drain()
    publish(cluster.log, CODEC, [LAST], 2)
    return cluster, TopicPartition(f"events.{READING}", partition_of(EARLY.subject, 2))


def log_of(cluster: Cluster, place: TopicPartition) -> list:  # type: ignore[type-arg]
    """All records of a partition."""
    return list(cluster.log.records(place.topic, place.partition))


LAWS: Mapping[str, Law] = {
    "arithmetic": arithmetic,
    "snapshots": snapshots,
    "watermarks": watermarks,
    "ownership": ownership,
    "ownership_again": ownership_again,
    "gaps": gaps,
}
