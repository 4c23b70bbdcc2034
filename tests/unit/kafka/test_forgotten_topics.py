"""A topic that appears while a client is at work makes the client forget no other (aiokafka 0.14 asks only for topics it was told of)."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.produce import ProduceRequest

from bus.kafka.admin import apply
from bus.kafka.client import KafkaPublisher
from bus.kafka.ports import Message, TopicPartition
from bus.kafka.reader import KafkaLogReader
from bus.kafka.topics import Topic
from bus.settings import KafkaSettings

_PATIENCE_SECONDS = 5.0


class _Gate:
    """Holds back what clients send to produce until it is opened: batches for the same node wait in the producer meanwhile."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.held = asyncio.Event()
        self.open = asyncio.Event()
        send = AIOKafkaClient.send

        async def late(client: AIOKafkaClient, node: Any, request: Any, **options: Any) -> Any:
            if isinstance(request, ProduceRequest):
                self.held.set()
                await self.open.wait()
            return await send(client, node, request, **options)

        monkeypatch.setattr(AIOKafkaClient, "send", late)


async def _until(what: Any) -> None:
    async with asyncio.timeout(_PATIENCE_SECONDS):
        while not what():
            await asyncio.sleep(0.01)


async def test_batches_that_wait_are_sent_although_a_new_topic_is_written_to(
    broker: KafkaSettings, prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, waiting, new = f"{prefix}.first", f"{prefix}.waiting", f"{prefix}.new"
    await apply(broker, [Topic(first, 1), Topic(waiting, 1)])
    async with KafkaPublisher(broker) as publisher:
        await publisher.start()
        gate = _Gate(monkeypatch)
        sends = [asyncio.create_task(publisher.send([Message(first, 0, b"k", b"v")]))]
        await asyncio.wait_for(gate.held.wait(), _PATIENCE_SECONDS)
        sends.append(asyncio.create_task(publisher.send([Message(waiting, 0, b"k", b"v")])))
        producer = publisher._producer
        assert producer is not None
        batches = producer._message_accumulator._batches
        await _until(lambda: any(place.topic == waiting for place in batches))
        await apply(broker, [Topic(new, 1)])
        sends.append(asyncio.create_task(publisher.send([Message(new, 0, b"k", b"v")])))
        await _until(lambda: any(place.topic == new for place in batches))
        gate.open.set()
        assert await asyncio.wait_for(asyncio.gather(*sends), _PATIENCE_SECONDS) == [[0], [0], [0]]


async def test_a_range_is_read_to_its_end_although_a_new_topic_is_asked_for(broker: KafkaSettings, prefix: str) -> None:
    long, new = TopicPartition(f"{prefix}.long", 0), TopicPartition(f"{prefix}.new", 0)
    await apply(broker, [Topic(long.topic, 1)])
    async with KafkaPublisher(broker) as publisher, KafkaLogReader(broker) as reader:
        # A fetch brings a megabyte, and one is fetched ahead: this takes several.
        for _ in range(8):
            await publisher.send([Message(long.topic, 0, b"k", bytes(400_000))] * 2)
        stop = await reader.end(long)
        offsets: list[int] = []
        async with asyncio.timeout(_PATIENCE_SECONDS):
            async for batch in reader.read(long, 0, stop):
                if not offsets:
                    await apply(broker, [Topic(new.topic, 1)])
                    assert await reader.end(new) == 0
                offsets += [record.offset for record in batch]
    assert offsets == list(range(16))
