"""The ports over aiokafka: a publisher that keeps order even when sending fails, and a reader of ranges outside any consumer group."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

import structlog
from aiokafka import AIOKafkaProducer
from aiokafka.producer.message_accumulator import BatchBuilder

from bus.errors import FatalError, TransientError
from bus.kafka.failures import persist, translated
from bus.kafka.offsets import find
from bus.kafka.ports import Message, TopicPartition
from bus.kafka.reader import KafkaLogReader
from bus.kafka.topics import MAX_RECORD_BYTES
from bus.settings import KafkaSettings

__all__ = ["KafkaLogReader", "KafkaPublisher"]

_log = structlog.get_logger(__name__)

#: One batch in flight per partition, so large enough to keep the broker busy.
_BATCH_BYTES = 512 * 1024
#: Room for a record's framing within MAX_RECORD_BYTES.
_FRAMING_BYTES = 1024
_CLOSE_SECONDS = 5.0
#: A batch is overdue when it takes so much longer than a request may.
_OVERDUE_SECONDS = 5.0


class KafkaPublisher:
    """A `Publisher` over Kafka; an async context manager.

    A partition's next batch is handed over only after the one before it was acknowledged, a batch is written as a whole or not at all, and
    one whose outcome is unknown is sent again as it was: that is the port's promise for a call that fails, and it needs no idempotence. On
    real Kafka the producer is idempotent all the same, which spares most repetitions, but not those of a producer that was replaced; the
    embedded broker knows none. A broker that goes away is waited for, `retry_seconds` in all, then `TransientError` is raised.
    Calls may overlap; the order between overlapping calls is not defined.
    """

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._lock = asyncio.Lock()
        self._partitions: dict[str, int] = {}

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        await self.close()

    async def start(self) -> None:
        """Connect; `send` does it too. Raises `TransientError` when no broker answers within `retry_seconds`."""
        await persist("connecting to Kafka", self._connected, self._settings.retry_seconds)

    async def close(self) -> None:
        """Disconnect. Calls of `send` that are under way fail."""
        producer, self._producer = self._producer, None
        if producer is not None:
            await _discard(producer)

    async def send(self, messages: Sequence[Message]) -> Sequence[int]:
        """Write all and wait for all acknowledgements; the offsets, in the order given.

        Raises `FatalError` for a topic or partition that does not exist and for a record above `MAX_RECORD_BYTES`, before anything is
        written; `TransientError` when the broker stays away, in which case a beginning of each partition's messages may be in the log.
        """
        lanes: dict[TopicPartition, list[int]] = {}
        for index, message in enumerate(messages):
            if len(message.value or b"") + len(message.key or b"") > MAX_RECORD_BYTES - _FRAMING_BYTES:
                raise FatalError(f"a record of {len(message.value or b'')} bytes for {message.topic} exceeds {MAX_RECORD_BYTES}")
            lanes.setdefault(TopicPartition(message.topic, message.partition), []).append(index)
        if not lanes:
            return []
        offsets = [-1] * len(messages)
        try:
            async with asyncio.timeout(self._settings.retry_seconds):
                await self._check(lanes)
                done = await asyncio.gather(
                    *(self._send_lane(lane, messages, indexes, offsets) for lane, indexes in lanes.items()), return_exceptions=True
                )
        except TimeoutError as error:
            await self._replace(self._producer)
            raise TransientError(f"Kafka did not acknowledge within {self._settings.retry_seconds:g} s") from error
        failures = [result for result in done if isinstance(result, BaseException)]
        if failures:
            raise next((failure for failure in failures if not isinstance(failure, TransientError)), failures[0])
        return offsets

    async def _send_lane(self, lane: TopicPartition, messages: Sequence[Message], indexes: Sequence[int], offsets: list[int]) -> None:
        """One partition's messages, batch after batch."""
        position = 0
        while position < len(indexes):
            rest = [messages[index] for index in indexes[position:]] if position else [messages[index] for index in indexes]

            async def attempt(rest: Sequence[Message] = rest) -> tuple[int, int]:
                return await self._send_batch(lane, rest)

            first, count = await persist(f"writing to {lane.topic}/{lane.partition}", attempt, self._settings.retry_seconds)
            for step in range(count):
                offsets[indexes[position + step]] = first + step
            position += count

    async def _send_batch(self, lane: TopicPartition, messages: Sequence[Message]) -> tuple[int, int]:
        """Write as many of the first messages as fit one batch; the first one's offset, and how many they are."""
        producer = await self._connected()
        with translated(f"finding {lane.topic}"):
            await find(producer.client, lane)
        batch = producer.create_batch()
        count = _fill(batch, messages)
        with translated(f"writing to {lane.topic}/{lane.partition}"):
            try:
                async with asyncio.timeout(self._settings.request_timeout_seconds + _OVERDUE_SECONDS):
                    acknowledged = await (await producer.send_batch(batch, lane.topic, partition=lane.partition))
            except TimeoutError as error:
                # A broker that was restarted under it can leave aiokafka's sender waiting for ever, with the broker there.
                await self._replace(producer)
                raise TransientError(f"{lane.topic}/{lane.partition} did not acknowledge a batch in time") from error
            except Exception:
                # The outcome is unknown, and an idempotent producer's numbering is spent: go on with a fresh one.
                await self._replace(producer)
                raise
        if acknowledged.offset < 0:
            raise TransientError(f"{lane.topic}/{lane.partition} acknowledged a batch without its offset")
        return int(acknowledged.offset), count

    async def _check(self, lanes: Sequence[TopicPartition] | dict[TopicPartition, list[int]]) -> None:
        """That all partitions exist: the embedded broker would make a topic of any misspelt name."""
        if any(lane.topic not in self._partitions for lane in lanes):
            await persist("asking for the topics", self._learn, self._settings.retry_seconds)
        for lane in lanes:
            if not 0 <= lane.partition < self._partitions.get(lane.topic, 0):
                raise FatalError(f"topic {lane.topic} has no partition {lane.partition}, or does not exist: run `bus topics apply`")

    async def _learn(self) -> None:
        cluster = await (await self._connected()).client.fetch_all_metadata()
        self._partitions = {topic: len(cluster.partitions_for_topic(topic) or ()) for topic in cluster.topics()}

    async def _connected(self) -> AIOKafkaProducer:
        async with self._lock:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._settings.bootstrap_servers,
                    acks="all",
                    enable_idempotence=not self._settings.embedded,
                    max_batch_size=_BATCH_BYTES,
                    max_request_size=2 * MAX_RECORD_BYTES,
                    request_timeout_ms=int(self._settings.request_timeout_seconds * 1000),
                    retry_backoff_ms=50,
                    linger_ms=0,
                )
                with translated(f"connecting to Kafka at {self._settings.bootstrap_servers}"):
                    try:
                        await producer.start()
                    except BaseException:
                        await _discard(producer)
                        raise
                self._producer = producer
            return self._producer

    async def _replace(self, producer: AIOKafkaProducer | None) -> None:
        """Drop a producer that failed, once, however many calls it failed for."""
        async with self._lock:
            if producer is None or self._producer is not producer:
                return
            self._producer = None
        _log.warning("kafka_producer_replaced", bootstrap_servers=self._settings.bootstrap_servers)
        await _discard(producer)


def _fill(batch: BatchBuilder, messages: Sequence[Message]) -> int:
    for count, message in enumerate(messages):
        if batch.append(timestamp=None, key=message.key, value=message.value, headers=list(message.headers)) is None:
            batch.close()
            return count
    batch.close()
    return len(messages)


async def _discard(producer: AIOKafkaProducer) -> None:
    """Stop it, by force when it waits for a broker that is away: an idempotent one would go on sending for ever."""
    with contextlib.suppress(Exception):
        # aiokafka offers no way to stop without delivering what is pending.
        sender = producer._sender  # noqa: SLF001
        if sender is not None:
            await asyncio.wait_for(sender.close(), _CLOSE_SECONDS)
    with contextlib.suppress(Exception):
        await asyncio.wait_for(producer.stop(), _CLOSE_SECONDS)
