"""Deliberately breaking any clause of R1–R5 is noticed: the campaign that the bus survives kills each mutant."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Iterator, Sequence

import pytest

import bus.testing.faults
from bus.errors import BusError
from bus.events.envelope import Op
from bus.kafka.ports import Message
from bus.kafka.topics import SNAPSHOTS
from bus.testing.faults import Cluster
from bus.testing.gate import Fault
from bus.testing.memory import MemoryLog
from tests.pipeline.histories import READING, Fact, expected, publish, seeded
from tests.pipeline.lives import CODEC, LIVES, Rows, cluster_of, exact, in_one_go, rows
from tests.pipeline.mutants import MUTANTS, Mutant

#: Histories lived through without faults, and those with a fault at each effect.
SEEDS, DISTURBED = range(24), range(3)


def campaign(life: str, at: str) -> Iterator[str]:
    """What went wrong, as it is found: first without faults in many histories, then with a fault at each
    effect of some (whose topic begins with `at`)."""
    undisturbed: dict[int, tuple[Rows, Cluster]] = {}
    for seed in SEEDS:
        try:
            undisturbed[seed] = asyncio.run(LIVES[life](seeded(seed), {}))
        except (BusError, AssertionError, ValueError) as error:
            yield f"seed {seed}: {type(error).__name__} without any fault"
            continue
        if exact(undisturbed[seed][0]) != expected(seeded(seed)):
            yield f"seed {seed}: wrong without any fault"
        if undisturbed[seed][0] != in_one_go(seeded(seed)):
            yield f"seed {seed}: other revisions or statuses than in one go"
    for seed in DISTURBED:
        wanted, cluster = undisturbed[seed]
        for number, fault in itertools.product([i for i, topic in enumerate(cluster.written) if topic.startswith(at)], Fault):
            try:
                found, _ = asyncio.run(LIVES[life](seeded(seed), {number: fault}))
            except (BusError, AssertionError, ValueError) as error:
                yield f"seed {seed}: {type(error).__name__} after {fault} at effect {number}"
                continue
            if found != wanted:
                yield f"seed {seed}: {fault} at effect {number} ({cluster.written[number]}) changes the numbers"


def watermark_law() -> Iterator[str]:
    """R4 by itself: an event that enters no cell moves the watermark, and that alone makes an older window final."""
    early = Fact(READING, "lab/a", 1, "r1", 1, Op.CREATE, 0, "utara", 7)
    nothing = Fact(READING, "lab/a", 2, "r1", 1, Op.CREATE, 800, "utara", None)

    async def live() -> Rows:
        cluster = cluster_of({})
        for fact in (early, nothing):
            publish(cluster.log, CODEC, [fact], 2)
            await cluster.drain()
        return await rows(cluster)

    if asyncio.run(live()) != in_one_go([early, nothing]):
        yield "a watermark that moved alone was not heard of"


def snapshot_law() -> Iterator[str]:
    """R2, R3 by themselves: at any moment the snapshot that is found is one that was saved, and never an older one than before."""
    saves = [(3, [b"a3", b"b3"]), (5, [b"a5", b"b5"]), (9, [b"a9", b"b9"]), (11, [b"a11"])]

    async def live(fault: Fault | None, at: int) -> Iterator[str]:
        log = MemoryLog({SNAPSHOTS: 1}, compacted=[SNAPSHOTS])
        gate = Stopping(log, fault, at)
        found = []
        newest = -1
        for offset, chunks in saves:
            task = asyncio.create_task(bus.testing.faults.plain_store(gate, log).save("unit", offset, chunks))
            await gate.until_halted(task)
            log.compact(SNAPSHOTS)
            loaded = await bus.testing.faults.plain_store(gate, log).load("unit")
            if loaded is not None and (loaded.offset, list(loaded.chunks)) not in saves:
                found.append(f"a snapshot at {loaded.offset} that nobody saved")
            if (loaded.offset if loaded else -1) < newest:
                found.append(f"the snapshot went back from {newest} to {loaded.offset if loaded else 'none'}")
            newest = max(newest, loaded.offset if loaded else -1)
        await gate.go_on()
        loaded = await bus.testing.faults.plain_store(gate, log).load("unit")
        if loaded is None or loaded.offset < newest:
            found.append(f"after a late write the snapshot went back from {newest} to {loaded.offset if loaded else 'none'}")
        return iter(found)

    for number in range(20):
        for fault in (Fault.CRASH, Fault.STOP):
            for what in asyncio.run(live(fault, number)):
                yield f"{fault} at write {number}: {what}"


class Stopping:
    """A publisher that kills or stops its process at one write; a stopped one writes the rest later."""

    def __init__(self, log: MemoryLog, fault: Fault | None, at: int) -> None:
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
        self._fault = None
        self._continued.set()
        for _ in range(50):
            await asyncio.sleep(0)

    async def send(self, messages: Sequence[Message]) -> Sequence[int]:
        offsets = []
        for message in messages:
            self._writes += 1
            if self._writes - 1 == self._at:
                if self._fault is Fault.CRASH:
                    self._stopped.set()
                    await asyncio.get_running_loop().create_future()  # never: the process is gone
                if self._fault is Fault.STOP:
                    self._stopped.set()
                    await self._continued.wait()
            offsets.append(self._log.append(message))
        return offsets


LAWS = {"snapshots": snapshot_law, "watermarks": watermark_law}


def noticed(mutant: Mutant) -> str | None:
    """The first thing that any of the mutant's lives and laws finds wrong."""
    for name in mutant.lives:
        for what in LAWS[name]() if name in LAWS else campaign(name, mutant.at):
            return f"{name}: {what}"
    return None


@pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
def test_the_unbroken_bus_keeps_the_laws(law: Callable[[], Iterator[str]]) -> None:
    assert list(law()) == []


@pytest.mark.parametrize("name", MUTANTS)
def test_a_broken_clause_is_noticed(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutant = MUTANTS[name]
    mutant.break_it(monkeypatch)
    assert noticed(mutant), f"{mutant.rule} ({mutant.clause}) can be broken and nobody notices"
