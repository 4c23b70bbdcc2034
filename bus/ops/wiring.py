"""The ports over the configured broker, for tools that run beside the roles; and the topics made before anything starts."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

from bus.kafka import admin
from bus.kafka.archived_log import whole_log
from bus.kafka.client import KafkaLogReader, KafkaPublisher
from bus.kafka.ports import LogReader, Publisher, SnapshotStore
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import Topic
from bus.settings import Settings


@dataclass(frozen=True, slots=True)
class Log:
    """The broker as tools use it, its `reader` with the archive where one is set. `topics` asks for the names of all its topics."""

    publisher: Publisher
    reader: LogReader
    snapshots: SnapshotStore
    topics: Callable[[], Awaitable[Collection[str]]]


@asynccontextmanager
async def connect(settings: Settings, *, offline: bool = False) -> AsyncIterator[Log]:
    """Connected while the context is open. Raises `TransientError` when no broker answers; with `offline` it does not even ask: each call
    connects, or raises it."""
    publisher, reader = KafkaPublisher(settings.kafka), KafkaLogReader(settings.kafka)
    try:
        if not offline:
            await publisher.start()
            await reader.start()
        yield Log(publisher, whole_log(settings, reader), KafkaSnapshotStore(publisher, reader), reader.topics)
    finally:
        await reader.close()
        await publisher.close()


async def apply_topics(settings: Settings, topics: Sequence[Topic]) -> None:
    """Make the topics as declared. Raises as `bus.kafka.admin.apply` does."""
    await admin.apply(settings.kafka, topics)
