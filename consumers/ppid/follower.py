"""Carries the `public.*` topics into the store, outside any consumer group: the position is in the database, with the rows.

Broker and database may be away at the start or go away at any time: the follower tries again for ever and goes on where the database says.
A log that is shorter than what was read of it, or whose last read record is another one now, is another log: it is read anew, as
a generation of its own, and what the former said stays in the database.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence

import structlog

from bus import metrics
from bus.clock import Clock
from bus.errors import BusError, ConfigurationError, OffsetGap, RecordError, SchemaMismatch
from bus.indicators.windows import to_micros
from bus.kafka.follower import Health, ListTopics, OpenReader, Pace
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.kafka.topics import PUBLIC_PREFIX
from consumers.ppid.observations import Decode, Entry
from consumers.ppid.store import LogState, Store, digest_of

_log = structlog.get_logger(__name__)

#: A table of open data need not be as quick as a screen.
PACE = Pace(poll=0.5, discover=5.0, lost_after=10.0)


class Follower:
    """Reads the topics into the store and tells `on_round` which indicators each round has changed, the first round also when none."""

    def __init__(
        self,
        open_reader: OpenReader,
        list_topics: ListTopics,
        store: Store,
        decode: Decode,
        *,
        clock: Clock,
        pace: Pace = PACE,
        on_round: Callable[[Collection[str]], Awaitable[None]],
    ) -> None:
        self._open_reader = open_reader
        self._list_topics = list_topics
        self._store = store
        self._decode = decode
        self._clock = clock
        self._pace = pace
        self._on_round = on_round
        self._topics: list[str] = []
        self._states: dict[str, LogState] = {}
        self._discovered = float("-inf")
        self._spoke = clock.monotonic()
        self._problem = "nothing has answered yet"
        self._caught_up = False
        self._gaps: dict[str, str] = {}

    async def run(self) -> None:
        """Follow until cancelled. Errors of broker and database are survived; errors of ours are not hidden."""
        wait = self._pace.poll
        while True:
            try:
                async with self._open_reader() as reader:
                    await self._session()
                    while True:
                        await self.round(reader)
                        wait = self._pace.poll
                        await asyncio.sleep(wait)
            except ConfigurationError:
                raise
            except BusError as error:
                self._note(error)
                wait = min(wait * 2, self._pace.longest_wait)
            await asyncio.sleep(wait)

    async def _session(self) -> None:
        """Begin from what the database says; every log is then held against what was read of it."""
        self._discovered = float("-inf")
        self._states = {}

    async def round(self, reader: LogReader) -> Collection[str]:
        """Look for new topics when it is time, and read every topic to its end; the indicators that got records."""
        now = self._clock.monotonic()
        if now - self._discovered >= self._pace.discover:
            self._topics = sorted(await self._list_topics(reader))
            self._discovered = now
        known: Mapping[str, LogState] = self._states or await asyncio.to_thread(self._store.logs)
        partitions = [TopicPartition(topic, 0) for topic in self._topics]
        changed = []
        for partition, end in zip(partitions, await reader.ends(partitions), strict=True):
            indicator = partition.topic.removeprefix(PUBLIC_PREFIX)
            state = self._states.get(indicator)
            if state is None or end < state.position:
                state = await self._take_up(reader, partition, end, known.get(indicator))
            try:
                if await self._read(reader, partition, state, end):
                    changed.append(indicator)
                self._gaps.pop(indicator, None)
            except OffsetGap as error:
                # records that nobody has read are gone: this table stands still until somebody looks, the others go on
                self._gaps[indicator] = str(error)
        self._spoke = self._clock.monotonic()
        if changed or not self._caught_up:
            await self._on_round(changed)
        self._caught_up, self._problem = True, ""
        return changed

    async def _take_up(self, reader: LogReader, partition: TopicPartition, end: int, known: LogState | None) -> LogState:
        """The log as the database knows it, if it is still that log; else a new generation at its beginning."""
        if known is not None and await _continues(reader, partition, end, known):
            return known
        if known is not None:
            hint = "the topic is not the one that was read; its records go into a new generation, the former ones stay"
            _log.warning("ppid.log_replaced", indicator=known.indicator, read=known.position, end=end, hint=hint)
        indicator = partition.topic.removeprefix(PUBLIC_PREFIX)
        return await asyncio.to_thread(self._store.begin, indicator, now_us=to_micros(self._clock.now()))

    async def _read(self, reader: LogReader, partition: TopicPartition, state: LogState, end: int) -> bool:
        indicator = state.indicator
        self._states[indicator] = state
        before = state.position
        if before >= end:
            return False
        start = before
        if not before:
            # a log that has lost its beginning is taken as it is: there is nothing older to be had
            start = await reader.beginning(partition)
        async for records in reader.read(partition, start, end):
            if records:
                self._states[indicator] = await self._apply(self._states[indicator], records, records[-1].offset + 1)
                self._spoke = self._clock.monotonic()
        if self._states[indicator].position < end:
            # compaction has taken away the last records of the range
            self._states[indicator] = await self._apply(self._states[indicator], (), end)
        return True

    async def _apply(self, state: LogState, records: Sequence[Record], upto: int) -> LogState:
        entries: list[Entry] = []
        unreadable: dict[int, str] = {}
        for record in records:
            try:
                entries.append(self._decode(record))
            except (RecordError, SchemaMismatch, UnicodeDecodeError) as error:
                unreadable[record.offset] = " ".join(str(error).split())[:500]
        digest = digest_of(records[-1]) if records else ""
        new = await asyncio.to_thread(self._store.apply, state, entries, unreadable, upto=upto, digest=digest)
        metrics.ppid_records.labels(indicator=state.indicator, outcome="applied").inc(len(entries))
        metrics.ppid_records.labels(indicator=state.indicator, outcome="unreadable").inc(len(unreadable))
        return new

    def _note(self, error: Exception) -> None:
        problem = str(error) or type(error).__name__
        if problem != self._problem:
            _log.warning("ppid.waiting", problem=problem)
        self._problem = problem

    def health(self) -> Health:
        """How things stand at this moment."""
        silent = self._clock.monotonic() - self._spoke
        live = silent <= self._pace.lost_after
        reason = ""
        if not self._caught_up:
            reason = f"not caught up with the log yet: {self._problem or 'reading'}"
        elif not live or self._problem:
            reason = f"no answer for {silent:.0f} s ({self._problem or 'waiting'}); the tables served are from then"
        elif self._gaps:
            reason = f"{len(self._gaps)} table(s) stand still, the first because {next(iter(self._gaps.values()))}"
        return Health(self._caught_up, live, silent, reason)


async def _continues(reader: LogReader, partition: TopicPartition, end: int, known: LogState) -> bool:
    """Whether the topic is the log that was read: long enough, and its last read record, if it still holds it, is the same."""
    if end < known.position:
        return False
    last = known.position - 1
    if last < 0 or not known.last_digest or last < await reader.beginning(partition):
        return True
    async for records in reader.read(partition, last, last + 1):
        for record in records:
            if record.offset == last:
                return digest_of(record) == known.last_digest
    return True
