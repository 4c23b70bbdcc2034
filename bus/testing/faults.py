"""The fault harness: a worker's whole life over the log in memory, with a fault between any two of its effects (ADR 0014).

Nothing here is sampled by time: every write of a worker passes a gate that counts it, and the plan says at which count the process is
killed, stopped (and continued at any later moment, or never), or told that a send failed while a later one succeeded. The worker is the
real one (`bus.streams.worker.Worker`); Faust's part, which is to assign partitions and to fetch, is played by the harness, and played
badly on purpose: it fetches from wrong positions, hands over batches after revocation and compacts whenever asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from bus.errors import BusError
from bus.events.catalogue import Catalogue
from bus.indicators.compose import AnyIndicator
from bus.kafka.ports import Publisher, Record, SnapshotStore, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import PARTIALS, declared_topics
from bus.settings import Settings
from bus.streams.stage import Seek
from bus.streams.worker import Worker
from bus.testing.gate import Fault, Gate, GatedPublisher, Killed, Lifeline
from bus.testing.memory import MemoryLog

__all__ = ["Cluster", "Fault", "GatedPublisher", "Killed", "Process", "StepClock", "plain_store", "plain_worker"]

#: Rounds without an end after which the pipeline is taken to run in circles.
_MAX_ROUNDS = 40


class StepClock:
    """A clock on which a long time passes between any two looks, so that everything periodic is due whenever it is asked."""

    def __init__(self) -> None:
        self._seconds = 0.0

    def now(self) -> object:
        raise AssertionError("a stage must not ask what time it is (R1)")

    def monotonic(self) -> float:
        self._seconds += 1_000.0
        return self._seconds


#: Builds a worker; tests hand in one with a clause broken.
MakeWorker = Callable[["Cluster", "GatedPublisher"], Worker]
MakeStore = Callable[["GatedPublisher", MemoryLog], SnapshotStore]


@dataclass(eq=False)
class Process(Lifeline):
    """One worker process with what its consumer knows."""

    worker: Worker
    generation: int
    fetch: dict[TopicPartition, int] = field(default_factory=dict)


class Cluster(Gate):
    """A log, the worker that owns everything at the moment, and the stopped ones from before."""

    def __init__(
        self,
        catalogue: Catalogue,
        indicators: Mapping[str, AnyIndicator],
        *,
        event_types: Collection[str],
        partitions: int = 2,
        plan: Mapping[int, Fault] | None = None,
        make_worker: MakeWorker | None = None,
        make_store: MakeStore | None = None,
    ) -> None:
        self.catalogue = catalogue
        self.indicators = dict(indicators)
        environ = {"BUS_KAFKA__EVENT_PARTITIONS": str(partitions), "BUS_KAFKA__PARTIALS_PARTITIONS": "2"}
        self.settings = Settings.from_env(environ)
        super().__init__(MemoryLog(), plan)
        self.event_types = tuple(event_types)
        self.declare()
        self.generation = 0
        self.active: Process | None = None
        self.zombies: list[Process] = []
        self._make_worker = make_worker or plain_worker
        self.make_store = make_store or plain_store

    def declare(self) -> None:
        """Make the topics that are missing (also those of indicators added later)."""
        agencies = {name.split(".")[0] for name in self.event_types}
        shown = [name for name, each in self.indicators.items() if each.kind != "register"]
        lists = [name for name, each in self.indicators.items() if each.kind == "reconcile"]
        for topic in declared_topics(self.settings, self.event_types, shown, agencies, lists):
            self.log.create(topic.name, topic.partitions, compacted=topic.compacted)

    @property
    def events(self) -> tuple[TopicPartition, ...]:
        return tuple(
            TopicPartition(f"events.{name}", number) for name in self.event_types for number in range(self.settings.kafka.event_partitions)
        )

    @property
    def partials(self) -> tuple[TopicPartition, ...]:
        return tuple(TopicPartition(PARTIALS, number) for number in range(self.settings.kafka.partials_partitions))

    # processes

    async def start(self, *, wrong_positions: int | None = None) -> None:
        """A new process owns all partitions. `wrong_positions`: it begins to fetch that far from where its states ask."""
        publisher = GatedPublisher(self)
        self.generation += 1
        process = Process(self._make_worker(self, publisher), self.generation)
        publisher.process = process
        self.active = process
        await self.perform(process, self._load(process, wrong_positions))

    async def _load(self, process: Process, wrong_positions: int | None) -> None:
        self.generation = max(self.generation, process.generation)
        await process.worker.load({*self.events, *self.partials}, process.generation)
        for partition in (*self.events, *self.partials):
            position = process.worker.position(partition)
            if position is None:
                process.fetch.pop(partition, None)
            else:
                end = await self.log.end(partition)
                process.fetch[partition] = position if wrong_positions is None else min(end, max(0, position + wrong_positions))

    async def perform(self, process: Process, action: Awaitable[object]) -> bool:
        """Let a process do something; False when it was killed, stopped or ended itself meanwhile."""

        async def run() -> None:
            await action

        process.doing = asyncio.get_running_loop().create_task(run())
        stopping = asyncio.get_running_loop().create_task(process.stopped.wait())
        await asyncio.wait({process.doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stopping.cancel()
        with suppress(asyncio.CancelledError):
            await stopping
        if not process.doing.done():
            self.zombies.append(process)
            self.active = None
            return False
        return self._ended(process)

    def _ended(self, process: Process) -> bool:
        assert process.doing is not None
        error = process.doing.exception()
        if error is None:
            return True
        if not isinstance(error, Killed | BusError):
            raise error
        process.alive = False
        if self.active is process:
            self.active = None
        return False

    async def proceed(self, zombie: Process) -> None:
        """SIGCONT: a stopped process finishes what it was doing, knowing nothing of its successors."""
        if zombie in self.zombies:
            self.zombies.remove(zombie)
        zombie.continued.set()
        if zombie.doing is not None:
            await asyncio.wait({zombie.doing})
            self._ended(zombie)

    async def running(self) -> Process:
        """The process that owns everything; a new one when there is none."""
        for _ in range(_MAX_ROUNDS):
            if self.active is not None:
                return self.active
            await self.start()
        raise AssertionError("no process survives its own start")

    # what a schedule is made of

    async def deliver(self, partition: TopicPartition, count: int, process: Process | None = None) -> None:
        """The consumer hands over the next records of a partition."""
        process = process or await self.running()
        start = process.fetch.get(partition)
        if start is None or not process.alive:
            return
        records: list[Record] = []
        stop = min(start + count, await self.log.end(partition))
        if start < stop:
            async for batch in self.log.read(partition, start, stop):
                records.extend(batch)
        if not records:
            return
        process.fetch[partition] = stop

        async def hand_over() -> None:
            answer = await process.worker.on_batch(partition, process.generation, records)
            if isinstance(answer, Seek):
                process.fetch[partition] = answer.offset

        await self.perform(process, hand_over())

    async def tick(self) -> None:
        """Snapshots are due."""
        process = await self.running()
        await self.perform(process, self._tick(process.worker))

    async def _tick(self, worker: Worker) -> None:
        await worker.fold.tick()
        await worker.merge.tick()

    async def side_work(self) -> None:
        """Replays catch up, requests are carried out, the outputs are looked after."""
        process = await self.running()
        await self.perform(process, self._side_work(process.worker))

    async def _side_work(self, worker: Worker) -> None:
        while await worker.fold.catch_up() or await worker.merge.catch_up():
            pass
        await worker.control.step()
        await worker.outputs.step()
        await worker.lists.step()

    async def rebalance(self) -> None:
        """All partitions are revoked and come back under a new generation."""
        process = await self.running()

        async def turn() -> None:
            await process.worker.fold.revoke(self.events)
            await process.worker.merge.revoke(self.partials)
            process.generation += 1
            await self._load(process, None)

        await self.perform(process, turn())

    async def take(self, indicators: Mapping[str, AnyIndicator]) -> None:
        """Hot reload: the set of indicators changes."""
        self.indicators = dict(indicators)
        self.declare()
        process = await self.running()

        async def reload() -> None:
            process.worker.fold_work.take(self.indicators)
            for partition, position in (await process.worker.fold.refresh()).items():
                process.fetch[partition] = position

        await self.perform(process, reload())

    def compact(self) -> None:
        """The broker compacts every compacted topic, now."""
        for name in self.log.topics:
            with suppress(BusError):
                self.log.compact(name)

    async def drain(self) -> None:
        """Everything to its end: all events folded, all partials merged, all outputs looked after, all states written."""
        for _ in range(_MAX_ROUNDS):
            before = self.log.writes
            process = await self.running()
            for partition in (*self.events, *self.partials):
                while process.alive and process is self.active and partition in process.fetch:
                    if process.fetch[partition] >= await self.log.end(partition):
                        break
                    await self.deliver(partition, 1_000, process)
            if process is not self.active:
                continue
            await self.side_work()
            await self.tick()
            if self.log.writes == before and process is self.active:
                return
        raise AssertionError("the pipeline never comes to rest")

    async def proceed_all(self) -> None:
        """SIGCONT to every stopped process."""
        for zombie in list(self.zombies):
            await self.proceed(zombie)


def plain_store(publisher: Publisher, log: MemoryLog) -> SnapshotStore:
    """The snapshot store as it is."""
    return KafkaSnapshotStore(publisher, log)


def plain_worker(cluster: Cluster, publisher: GatedPublisher) -> Worker:
    """The worker as it is."""
    store = cluster.make_store(publisher, cluster.log)
    return Worker(cluster.settings, cluster.catalogue, cluster.indicators, publisher, cluster.log, store, StepClock())  # type: ignore[arg-type]
