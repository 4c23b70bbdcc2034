"""Keeps a state at the end of topics of one partition, outside any consumer group, for as long as the process lives.

Kafka may be away at the start or go away at any time: the follower tries again for ever, what is known stays known, and `health`
says how old it is. A log that is shorter than what was read is another log (an embedded broker that started anew): all is forgotten.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

import structlog

from bus.clock import Clock
from bus.errors import BusError
from bus.kafka.client import KafkaLogReader
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.settings import KafkaSettings

_log = structlog.get_logger(__name__)

#: Topics read at the same time.
_AT_ONCE = 4

#: Opens a reader of the log; opened anew after each failure.
OpenReader = Callable[[], AbstractAsyncContextManager[LogReader]]
#: Names of the topics that exist now, asked through the reader.
ListTopics = Callable[[LogReader], Awaitable[Collection[str]]]


def readers(kafka: KafkaSettings) -> tuple[OpenReader, ListTopics]:
    """How a follower of that broker reads it: it tries for ever itself, so a reader is to say soon that the broker is silent."""
    impatient = kafka.model_copy(update={"retry_seconds": 1.0})

    async def list_topics(reader: LogReader) -> Collection[str]:
        assert isinstance(reader, KafkaLogReader)
        return await reader.topics()

    return lambda: KafkaLogReader(impatient), list_topics


class Place(Protocol):
    """What is known of one topic: how far it was read, how many cells it shows, and which of its records could not be read."""

    @property
    def id(self) -> str: ...
    @property
    def position(self) -> int: ...
    @property
    def shown(self) -> int: ...
    @property
    def unreadable(self) -> Mapping[int, str]: ...


class Followed(Protocol):
    """The state that is kept at the end of the log. What it raises as a `BusError` is survived: the follower tries again."""

    @property
    def indicators(self) -> Mapping[str, Place]:
        """Every topic that was taken up, by the id of its indicator."""
        ...

    def add(self, topic: str) -> Place:
        """Take up a topic; a known one stays as it is."""
        ...

    def apply(self, topic: str, records: Sequence[Record], *, upto: int) -> bool:
        """Apply records, which reach up to (not including) offset `upto`; whether anything changed that somebody may see."""
        ...

    def reset(self) -> None:
        """Forget everything: the log is another one."""
        ...


@dataclass(frozen=True, slots=True)
class Pace:
    """How often the follower looks, in seconds."""

    poll: float = 0.2
    discover: float = 2.0
    lost_after: float = 5.0
    longest_wait: float = 5.0


@dataclass(frozen=True, slots=True)
class Health:
    """Whether the state is at the end of the log, as far as is known. `reason` is empty when all is well."""

    caught_up: bool
    live: bool
    silent_seconds: float
    reason: str
    unreadable: int = 0

    @property
    def ok(self) -> bool:
        return self.caught_up and self.live and not self.unreadable


class Follower:
    """Reads the topics into the state and tells `on_round` after every round that changed something that a client may see."""

    def __init__(
        self,
        open_reader: OpenReader,
        list_topics: ListTopics,
        state: Followed,
        *,
        clock: Clock,
        pace: Pace = Pace(),
        on_round: Callable[[], None] = lambda: None,
        name: str = "gateway",
    ) -> None:
        self._open_reader = open_reader
        self._list_topics = list_topics
        self._state = state
        self._clock = clock
        self._pace = pace
        self._on_round = on_round
        self._name = name
        #: Until when the log is known whole: what was in it at this moment has been applied. None before the first round has ended.
        self.whole_at: datetime | None = None
        self._topics: list[str] = []
        self._discovered = float("-inf")
        self._spoke = clock.monotonic()
        self._problem = "no broker has answered yet"
        self._caught_up = False
        self._was_live = False

    async def run(self) -> None:
        """Follow until cancelled. Errors of the broker are survived; errors of ours are not hidden."""
        wait = self._pace.poll
        while True:
            try:
                async with self._open_reader() as reader:
                    self._discovered = float("-inf")
                    while True:
                        await self.round(reader)
                        wait = self._pace.poll
                        await asyncio.sleep(wait)
            except BusError as error:
                self._note(error)
                wait = min(wait * 2, self._pace.longest_wait)
            await asyncio.sleep(wait)

    async def round(self, reader: LogReader) -> bool:
        """Look for new topics when it is time, and read every topic to its end; whether anything changed."""
        reset = False
        begun = self._clock.now()
        now = self._clock.monotonic()
        if now - self._discovered >= self._pace.discover:
            self._topics = sorted(await self._list_topics(reader))
            for topic in self._topics:
                self._state.add(topic)
            self._discovered = now
        partitions = [TopicPartition(topic, 0) for topic in self._topics]
        ends = await reader.ends(partitions)
        if any(end < self._state.add(part.topic).position for part, end in zip(partitions, ends, strict=True)):
            _log.warning(f"{self._name}.log_replaced", hint="a topic is shorter than what was read of it; reading all of it anew")
            self._state.reset()
            self._caught_up = False
            self.whole_at = None
            reset = True
        turns = asyncio.Semaphore(_AT_ONCE)
        changes = await asyncio.gather(*(self._read(reader, part, end, turns) for part, end in zip(partitions, ends, strict=True)))
        changed = any(changes)
        self.whole_at = begun
        self._alive()
        if changed or reset:
            self._on_round()
        return changed

    async def _read(self, reader: LogReader, partition: TopicPartition, end: int, turns: asyncio.Semaphore) -> bool:
        position = self._state.add(partition.topic).position
        if position >= end:
            return False
        changed = False
        async with turns:
            async for records in reader.read(partition, position, end):
                changed |= self._state.apply(partition.topic, records, upto=records[-1].offset + 1 if records else 0)
                self._spoke = self._clock.monotonic()
                await asyncio.sleep(0)
        # Compaction may have taken away the last records of the range.
        return self._state.apply(partition.topic, (), upto=end) or changed

    def _alive(self) -> None:
        self._spoke = self._clock.monotonic()
        if not self._was_live or not self._caught_up:
            cells = sum(indicator.shown for indicator in self._state.indicators.values())
            _log.info(f"{self._name}.caught_up", topics=len(self._topics), cells=cells)
            self._was_live = self._caught_up = True
            self._problem = ""
            self._on_round()

    def _note(self, error: Exception) -> None:
        problem = str(error) or type(error).__name__
        if self._was_live or problem != self._problem:
            _log.warning(f"{self._name}.broker_silent", error=problem)
        self._problem = problem
        self._was_live = False
        self._on_round()

    def health(self) -> Health:
        """How things stand at this moment."""
        silent = self._clock.monotonic() - self._spoke
        live = silent <= self._pace.lost_after
        unreadable = sum(len(indicator.unreadable) for indicator in self._state.indicators.values())
        reason = ""
        if not self._caught_up:
            reason = f"not caught up with the log yet: {self._problem or 'reading'}"
        elif not live:
            reason = f"no answer from Kafka for {silent:.0f} s ({self._problem or 'waiting'}); the numbers served are from then"
        elif unreadable:
            first = next(item for item in self._state.indicators.values() if item.unreadable)
            offset, problem = next(iter(first.unreadable.items()))
            reason = f"{unreadable} unreadable record(s), the first in indicators.{first.id} at offset {offset}: {problem}"
        return Health(self._caught_up, live, silent, reason, unreadable)
