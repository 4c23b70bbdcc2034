"""From the journal to Kafka: in order, each batch acknowledged before the next, by the one process that holds the source's lease.

A batch that was sent and not noted is sent again, with the same sequences, before anything that comes after it: the fold knows it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime

import structlog

from bus import metrics
from bus.errors import FatalError
from bus.events.codec import envelope_of
from bus.events.envelope import MAX_EVENT, sequence_of
from bus.ingest.checkpoint import Checkpoint, Checkpoints
from bus.ingest.context import SourceContext
from bus.ingest.journal import Journal, Outgoing
from bus.ingest.lease import Lease
from bus.ingest.publisher import EventPublisher
from bus.kafka.ports import Headers, LogReader, Message
from bus.kafka.topics import EVENTS_PREFIX, partition_of

_log = structlog.get_logger(__name__)

#: At most so often, in seconds, partitions are told that a source is past some time when nothing else is sent.
_BEAT_SECONDS = 5.0


class Drain:
    """Sends what waits in one journal. `turn` keeps it apart from the intake."""

    def __init__(
        self, context: SourceContext, journal: Journal, reader: LogReader, *, lease: Lease, turn: asyncio.Lock, batch_messages: int
    ) -> None:
        self._context = context
        self._journal = journal
        self._reader = reader
        self._lease = lease
        self._turn = turn
        self._batch_messages = batch_messages
        self._events = EventPublisher(context.agency.id, context.publisher, reader)
        self._addresses = Addresses(reader)
        self._checked = False
        #: Kafka has all before this number: sent by us, or carried there by hand (`bus.ops.spool`).
        self._known = 0
        #: What was received since has numbers that may have been used before.
        self._opened = journal.number
        self._beaten: Mapping[str, datetime] = {}
        self._next_beat = 0.0

    async def step(self, *, last: bool = False) -> int:
        """Send the next batch; how many messages it had. With nothing to send it may tell of times (and does as the `last` step). Raises
        `TransientError`."""
        if not self._checked:
            await self._refuse_old_numbers()
        async with self._turn:
            waiting = await asyncio.to_thread(self._journal.waiting, self._batch_messages)
            times = self._journal.times()
        await self._lease.hold()
        if not waiting:
            await self._beat(times, now=last)
            return 0
        if known := [each for each in waiting if each.number < self._known]:
            async with self._turn:
                self._journal.acknowledged(known[-1])
            return len(known)
        await self._context.publisher.send([await self._addresses.message(each) for each in waiting])
        checkpoints = Checkpoints(self._journal.source, self._context.publisher, self._reader, self._context.clock)
        await checkpoints.save(Checkpoint(self._journal.epoch, done=False, line=waiting[-1].number))
        async with self._turn:
            await asyncio.to_thread(self._journal.acknowledged, waiting[-1])
        self._count(waiting)
        return len(waiting)

    async def _refuse_old_numbers(self) -> None:
        """A file that was restored from a backup would give numbers a second time, which the fold takes for known: it becomes a source
        of its own instead."""
        journal = self._journal
        checkpoints = Checkpoints(journal.source, self._context.publisher, self._reader, self._context.clock)
        newest = await checkpoints.newest()
        if newest.delivery == journal.epoch and newest.line > self._opened:
            async with self._turn:
                former = journal.source
                journal.begin_anew(self._opened, self._restamped)
            _log.warning("a restored journal begins anew", source=journal.name, former=former, now=journal.source)
        elif newest.delivery == journal.epoch:
            self._known = newest.line
        self._checked = True

    def _restamped(self, waiting: Outgoing) -> tuple[bytes, Headers]:
        """A waiting event as one of the journal's new source."""
        assert waiting.value is not None
        codec, journal = self._context.codec, self._journal
        former = envelope_of(waiting.topic.removeprefix(EVENTS_PREFIX), codec.decode(waiting.value, waiting.headers))
        place = sequence_of(journal.epoch, waiting.number, former.sequence & MAX_EVENT)
        version = sequence_of(journal.epoch, waiting.number)
        batch = f"{journal.source}/{former.batch.rpartition('/')[2]}"
        return codec.encode(replace(former, source=journal.source, sequence=place, version=version, batch=batch))

    async def _beat(self, times: Mapping[str, datetime], *, now: bool) -> None:
        moment = self._context.clock.monotonic()
        news = {name: at for name, at in times.items() if self._beaten.get(name) != at}
        if news and (now or moment >= self._next_beat):
            await self._events.beat(self._journal.source, news)
            self._beaten, self._next_beat = {**self._beaten, **news}, moment + _BEAT_SECONDS

    def _count(self, sent: Sequence[Outgoing]) -> None:
        for topic in {each.topic for each in sent if each.topic.startswith(EVENTS_PREFIX)}:
            count = sum(each.topic == topic for each in sent)
            metrics.events_published.labels(self._context.agency.id, topic.removeprefix(EVENTS_PREFIX)).inc(count)


class Addresses:
    """Where messages go: an event by its subject, all others to their topic's only partition."""

    def __init__(self, reader: LogReader) -> None:
        self._reader = reader
        self._partitions: dict[str, int] = {}

    async def message(self, each: Outgoing) -> Message:
        """As it is sent. Raises `FatalError` where its topic does not exist."""
        if each.topic not in self._partitions:
            count = await self._reader.partitions(each.topic)
            if not count:
                raise FatalError(f"topic {each.topic} does not exist: run `bus topics apply`")
            self._partitions[each.topic] = count
        partition = partition_of(each.key, self._partitions[each.topic]) if each.topic.startswith(EVENTS_PREFIX) else 0
        return Message(each.topic, partition, each.key.encode(), each.value, each.headers)
