"""Sends derived events in the order of their sequences (ADR 0014 R6); knows nothing of files."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime

from bus import metrics
from bus.errors import FatalError
from bus.events.envelope import EventType
from bus.events.heartbeat import heartbeat_headers
from bus.ingest.delivery import Encoded
from bus.kafka.ports import LogReader, Message, Publisher
from bus.kafka.topics import partition_of


class EventPublisher:
    """Publishes an agency's events. A batch is wholly acknowledged before the next is sent.

    Relies on the port's promise that what a failed call has written is, in each partition, a beginning of what it was given; the same
    batch is then sent again from the checkpoint, and the fold drops what it knows.
    """

    def __init__(self, agency: str, publisher: Publisher, reader: LogReader) -> None:
        self._agency = agency
        self._publisher = publisher
        self._reader = reader
        self._partitions: dict[str, int] = {}

    async def publish(self, events: Sequence[Encoded]) -> None:
        """Durable when it returns. Raises what the publisher raises; nothing that comes after may then be sent."""
        if not events:
            return
        counts = Counter(event.envelope.event.type for event in events)
        for type_name in counts:
            await self._learn(EventType.parse(type_name).topic)
        messages = [self._message(event) for event in events]
        started = time.perf_counter()
        await self._publisher.send(messages)
        metrics.publish_seconds.labels(self._agency).observe(time.perf_counter() - started)
        for type_name, count in counts.items():
            metrics.events_published.labels(self._agency, type_name).inc(count)

    async def beat(self, source: str, newest: Mapping[str, datetime]) -> None:
        """Tell every partition of each type that everything of `source` up to that time has been sent, which must be so when it is called.

        A partition that got none of the facts is thereby not taken for one that lags. Durable when it returns; said again it changes nothing.
        """
        messages: list[Message] = []
        for type_name, at in sorted(newest.items()):
            topic = EventType.parse(type_name).topic
            await self._learn(topic)
            headers = heartbeat_headers(source, at)
            messages += [Message(topic, partition, None, None, headers) for partition in range(self._partitions[topic])]
        await self._publisher.send(messages)

    async def _learn(self, topic: str) -> None:
        if topic not in self._partitions:
            count = await self._reader.partitions(topic)
            if not count:
                raise FatalError(f"topic {topic} does not exist: run `bus topics apply`")
            self._partitions[topic] = count

    def _message(self, event: Encoded) -> Message:
        topic = EventType.parse(event.envelope.event.type).topic
        subject = event.envelope.event.subject
        return Message(topic, partition_of(subject, self._partitions[topic]), subject.encode(), event.value, event.headers)
