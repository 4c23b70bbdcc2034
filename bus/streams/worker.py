"""One worker process: its two stages, and everything that goes on beside the batches."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import Any, NoReturn, Protocol

import structlog

from bus.clock import Clock
from bus.errors import ConfigurationError
from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.batch import Batch
from bus.indicators.compose import AnyIndicator
from bus.indicators.fold import FoldUnit
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.kafka.ports import LogReader, Publisher, Record, SnapshotStore, TopicPartition
from bus.kafka.topics import EVENTS_PREFIX, PARTIALS
from bus.settings import Settings
from bus.streams.control import ControlReader, ask_for_repeats
from bus.streams.folding import FoldWork
from bus.streams.gather import Gatherer
from bus.streams.lists import ListWatch
from bus.streams.merging import MergeWork, Parts
from bus.streams.output_watch import OutputWatch
from bus.streams.stage import Seek, Stage
from bus.streams.watchdog import Watchdog

_log = structlog.get_logger(__name__)

#: Exit status of a worker that ends because of a fault of its own.
EXIT_FAULT = 70
_TICK_SECONDS = 0.25
_CONTROL_SECONDS = 1.0
_SHOW_SECONDS = 2.0
_SHOWN_AT_ONCE = 100
_SHOW_REST_SECONDS = 0.1
#: Merge rests for so many times as long as its last batch took: it has at most a third of the time, and says a busy cell less often.
_MERGE_REST = 2.0


class Flow(Protocol):
    """What the worker needs of the consumer."""

    async def seek(self, positions: Mapping[TopicPartition, int]) -> None:
        """Read on from these offsets, also where reading was paused."""
        ...


class Worker:
    """The stages and their side work over the ports; Faust hands it assignments and batches.

    Any fault ends the process at once (`os._exit`): its successor starts from the snapshots, so there is nothing to clean up, and a state
    that a fault has touched must not be written.
    """

    def __init__(
        self,
        settings: Settings,
        catalogue: Catalogue,
        indicators: Mapping[str, AnyIndicator],
        publisher: Publisher,
        reader: LogReader,
        store: SnapshotStore,
        clock: Clock,
    ) -> None:
        kafka = settings.kafka
        self.settings = settings
        self.publisher = publisher
        self.reader = reader
        self.fold_work = FoldWork(
            catalogue, indicators, event_partitions=kafka.event_partitions, partials_partitions=kafka.partials_partitions
        )
        codec = Codec(catalogue)
        self.merge_work = MergeWork(codec)
        seconds = settings.streams.snapshot_seconds
        self.fold: Stage[FoldUnit, Batch] = Stage(self.fold_work, publisher, reader, store, clock, snapshot_seconds=seconds)
        self.merge: Stage[MergeUnit, Parts] = Stage(self.merge_work, publisher, reader, store, clock, snapshot_seconds=seconds)
        self.control = ControlReader(reader, self.fold)
        self.outputs = OutputWatch(self.merge, self.merge_work, reader, codec)
        self.lists = ListWatch(self.merge, reader)
        self.watchdog = Watchdog((self.fold, self.merge), reader, clock, stall_seconds=settings.streams.stall_seconds)
        self.event_topics = tuple(EVENTS_PREFIX + name for name in catalogue.types)
        self.batched = frozenset({*self.event_topics, PARTIALS})
        self.ready = asyncio.Event()
        limit = settings.streams.max_poll_records
        self.fold_gatherer = Gatherer(self._hand_over, clock, limit=limit)
        self.merge_gatherer = Gatherer(self._hand_over, clock, limit=limit, rest=_MERGE_REST)
        #: Shows outputs in the live table; set by the app.
        self.show: Callable[[Iterable[Output]], None] = _show_nowhere
        self._flow: Flow | None = None
        self._tasks: list[asyncio.Task[None]] = []

    # what the transport asks

    def position(self, partition: TopicPartition) -> int | None:
        return self._stage(partition).position(partition)

    def durable(self, partition: TopicPartition) -> int | None:
        return self._stage(partition).durable(partition)

    async def log_end(self, partition: TopicPartition) -> int:
        return await self.reader.end(partition)

    # assignments and batches

    async def load(self, assigned: Collection[TopicPartition], generation: int) -> None:
        """Own these partitions: load their states. Takes as long as it takes; nothing is read meanwhile."""
        partials = {tp for tp in assigned if tp.topic == PARTIALS}
        events = {tp for tp in assigned if tp.topic in self.batched} - partials
        await self.fold.assign(events, generation)
        await self.merge.assign(partials, generation)
        if self.fold.generation != generation or self.merge.generation != generation:
            return
        await self.outputs.start()
        self.lists.rewind()
        asked = {tp.partition for tp, lane in self.merge.lanes.items() if lane.needs_repeat}
        await ask_for_repeats(self.publisher, asked)
        self.control.rewind()
        self.watchdog.assigned()
        self.ready.set()
        _log.info("partitions_assigned", events=len(events), partials=len(partials), generation=generation)

    async def let_go(self, revoked: Collection[TopicPartition]) -> None:
        """The partitions are no longer ours from this moment; last snapshots are written as far as there is time."""
        self.ready.clear()
        self.watchdog.revoked()
        seconds = max(1.0, self.settings.kafka.session_timeout_seconds / 2)
        with suppress(TimeoutError):
            await asyncio.wait_for(asyncio.gather(self.fold.revoke(revoked), self.merge.revoke(revoked)), seconds)

    async def on_batch(self, partition: TopicPartition, generation: int, records: Sequence[Record]) -> Seek | None:
        """Hand a batch to its stage."""
        return await self._stage(partition).on_batch(partition, generation, records)

    async def _hand_over(self, partition: TopicPartition, generation: int, records: Sequence[Record]) -> None:
        seek = await self.on_batch(partition, generation, records)
        if seek is not None and self._flow is not None:
            await self._flow.seek({seek.partition: seek.offset})

    def _stage(self, partition: TopicPartition) -> Stage[Any, Any]:
        return self.merge if partition.topic == PARTIALS else self.fold

    # beside the batches

    def start(
        self, flow: Flow, changed: Callable[[], Mapping[str, AnyIndicator] | None], prepare: Callable[[Collection[str]], Awaitable[None]]
    ) -> None:
        """Begin the side work. `changed` answers a new set of indicators or None; `prepare` makes topics for new ones."""
        self._flow = flow
        self._forever(self.fold_gatherer.run)
        self._forever(self.merge_gatherer.run)
        self._every(_TICK_SECONDS, self._snapshots)
        self._every(_SHOW_SECONDS, self._show)
        self._every(_TICK_SECONDS, self._catch_up)
        self._every(_CONTROL_SECONDS, self._requests)
        self._every(self.watchdog.every_seconds, self.watchdog.check)

        async def reload() -> None:
            if self.ready.is_set() and (indicators := changed()) is not None:
                await self._reload(indicators, flow, prepare)

        self._every(self.settings.streams.reload_seconds, reload)

    async def stop(self) -> None:
        """Write last snapshots and end the side work."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.let_go([*self.fold.lanes, *self.merge.lanes])

    def _every(self, seconds: float, step: Callable[[], Awaitable[None]]) -> None:
        async def repeat() -> None:
            while True:
                await asyncio.sleep(seconds)
                await step()

        self._forever(repeat)

    def _forever(self, work: Callable[[], Awaitable[None]]) -> None:
        async def run() -> None:
            try:
                await work()
            except Exception as error:  # noqa: BLE001 - whatever it is, the process must not go on
                fail(error)

        self._tasks.append(asyncio.get_running_loop().create_task(run()))

    async def _show(self) -> None:
        """Show what has changed: each cell once, however often it did, and in turns, for a row of a table costs 50 µs."""
        shown = self.merge_work.take_shown()
        while shown:
            self.show([shown.pop() for _ in range(min(len(shown), _SHOWN_AT_ONCE))])
            await asyncio.sleep(_SHOW_REST_SECONDS)

    async def _snapshots(self) -> None:
        await self.fold.tick()
        await self.merge.tick()

    async def _catch_up(self) -> None:
        going_on = True
        while going_on:
            going_on = await self.fold.catch_up() or await self.merge.catch_up()
            await asyncio.sleep(0)

    async def _requests(self) -> None:
        if self.ready.is_set():
            await self.control.step()
            await self.outputs.step()
            await self.lists.step()

    async def _reload(
        self, indicators: Mapping[str, AnyIndicator], flow: Flow, prepare: Callable[[Collection[str]], Awaitable[None]]
    ) -> None:
        await prepare(indicators)
        self.fold_work.take(indicators)
        woken = await self.fold.refresh()
        if woken:
            await flow.seek(woken)
        _log.info("indicators_reloaded", indicators=len(indicators))


def _show_nowhere(outputs: Iterable[Output]) -> None:
    """Without an app there is no table."""


def fail(error: BaseException) -> NoReturn:
    """Say once what is wrong and end the process."""
    if isinstance(error, ConfigurationError):
        for problem in error.problems:
            _log.error("configuration_problem", problem=str(problem))
    _log.error("worker_failed", error=type(error).__name__, reason=str(error), exc_info=None if _is_ours(error) else error)
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(EXIT_FAULT)


def _is_ours(error: BaseException) -> bool:
    """Errors raised on purpose explain themselves; others need their traceback."""
    return type(error).__module__ == "bus.errors"
