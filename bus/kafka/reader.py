"""Ranges of the log over aiokafka, outside any consumer group."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self, TypeVar

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.client import AIOKafkaClient

from bus.errors import FatalError, OffsetGap, TransientError
from bus.kafka.failures import persist, translated
from bus.kafka.fetch import fetch
from bus.kafka.offsets import find, log_beginning, log_end, log_ends
from bus.kafka.ports import Record, TopicPartition
from bus.settings import KafkaSettings

T = TypeVar("T")

#: How long a topic that was there is taken to be there still; one that was not is asked for at once.
_FRESH_SECONDS = 1.0


class KafkaLogReader:
    """A `LogReader` over Kafka; an async context manager. Any number of ranges may be read at once.

    A broker that goes away is waited for, `retry_seconds` without progress, then `TransientError` is raised.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AIOKafkaClient | None = None
        self._lock = asyncio.Lock()
        #: Topics as they were a moment ago, so that asking for hundreds, one after another, does not ask for all of them each time.
        self._topics: dict[str, int] = {}
        self._asked = float("-inf")

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect; the other calls do it too. Raises `TransientError` when no broker answers within `retry_seconds`."""
        await persist("connecting to Kafka", self._connected, self._settings.retry_seconds)

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def topics(self) -> dict[str, int]:
        """All topics and their numbers of partitions."""

        async def ask() -> dict[str, int]:
            cluster = await (await self._connected()).fetch_all_metadata()
            return {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}

        self._topics = await self._patiently("asking for the topics", ask)
        self._asked = time.monotonic()
        return dict(self._topics)

    async def partitions(self, topic: str) -> int:
        if topic in self._topics and time.monotonic() - self._asked < _FRESH_SECONDS:
            return self._topics[topic]
        return (await self.topics()).get(topic, 0)

    async def beginning(self, partition: TopicPartition) -> int:
        return await self._bound(partition, log_beginning)

    async def end(self, partition: TopicPartition) -> int:
        return await self._bound(partition, log_end)

    async def ends(self, partitions: Sequence[TopicPartition]) -> list[int]:
        """As the port says: in two requests to each broker."""

        async def attempt() -> list[int]:
            client = await self._connected()
            for partition in partitions:
                if client.cluster.leader_for_partition(partition) in (None, -1):
                    await self.end(partition)
            return await log_ends(client, partitions)

        return await self._patiently(f"ends of {len(partitions)} partitions", attempt) if partitions else []

    async def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        """As the port says. Raises `TransientError` when the log ends before `stop`."""
        if start >= stop:
            return
        position = await self._first(partition, start)
        if (end := await self.end(partition)) < stop:
            raise TransientError(f"{partition.topic}/{partition.partition} ends at {end}, before offset {stop}")
        ahead = asyncio.create_task(self._fetch_on(partition, position, stop))
        try:
            while True:
                records, position = await ahead
                if position < stop:
                    # While the caller works on this batch, the next one is on its way.
                    ahead = asyncio.create_task(self._fetch_on(partition, position, stop))
                if records:
                    yield records
                if position >= stop:
                    return
        finally:
            ahead.cancel()

    async def _fetch_on(self, partition: TopicPartition, position: int, stop: int) -> tuple[list[Record], int]:
        """The records from `position` on, as many as one fetch brings, and the offset after them, which is above `position`."""
        doing = f"reading {partition.topic}/{partition.partition} from {position}"

        async def attempt() -> tuple[list[Record], int]:
            records, reached = await fetch(await self._connected(), partition, position, stop)
            if reached <= position:
                raise TransientError(f"{doing}: nothing came")
            return records, reached

        return await self._patiently(doing, attempt)

    async def _first(self, partition: TopicPartition, start: int) -> int:
        beginning = await self.beginning(partition)
        if start >= beginning:
            return start
        if not await self._patiently("asking for a topic's settings", lambda: self._compacted(partition.topic)):
            raise OffsetGap(f"{partition.topic}/{partition.partition} begins at {beginning}, after offset {start}")
        return beginning

    async def _bound(self, partition: TopicPartition, ask: Callable[[AIOKafkaClient, TopicPartition], Awaitable[int]]) -> int:
        async def attempt() -> int:
            client = await self._connected()
            if client.cluster.leader_for_partition(partition) is None:
                if not 0 <= partition.partition < await self.partitions(partition.topic):
                    raise FatalError(
                        f"topic {partition.topic} has no partition {partition.partition}, or does not exist: run `bus topics apply`"
                    )
                with translated(f"finding {partition.topic}"):
                    await find(client, partition)
            return await ask(client, partition)

        return await self._patiently(f"bounds of {partition.topic}/{partition.partition}", attempt)

    async def _compacted(self, topic: str) -> bool:
        admin = AIOKafkaAdminClient(bootstrap_servers=self._settings.bootstrap_servers)
        await admin.start()
        try:
            answers = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
            return any(
                entry[0] == "cleanup.policy" and "compact" in entry[1]
                for answer in answers
                for *_, entries in answer.resources
                for entry in entries
            )
        finally:
            await admin.close()

    async def _patiently(self, doing: str, attempt: Callable[[], Awaitable[T]]) -> T:
        return await persist(doing, attempt, self._settings.retry_seconds)

    async def _connected(self) -> AIOKafkaClient:
        async with self._lock:
            if self._client is None:
                client = AIOKafkaClient(
                    bootstrap_servers=self._settings.bootstrap_servers,
                    request_timeout_ms=int(self._settings.request_timeout_seconds * 1000),
                )
                with translated(f"connecting to Kafka at {self._settings.bootstrap_servers}"):
                    try:
                        await client.bootstrap()
                    except BaseException:
                        await client.close()
                        raise
                self._client = client
            return self._client
