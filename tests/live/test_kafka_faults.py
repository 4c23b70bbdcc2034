"""Clients over a real Kafka that is killed, restarted and frozen under them; and a log that Kafka itself compacts."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from bus.errors import TransientError
from bus.kafka.admin import apply
from bus.kafka.client import KafkaPublisher
from bus.kafka.node import KafkaNode
from bus.kafka.ports import Message, TopicPartition
from bus.kafka.reader import KafkaLogReader
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import Topic
from bus.settings import KafkaSettings

pytestmark = [pytest.mark.kafka]

SettingsOf = Callable[[KafkaNode], KafkaSettings]


async def sent_numbers(reader: KafkaLogReader, place: TopicPartition) -> list[int]:
    end = await reader.end(place)
    return [int(record.value or b"") for batch in [b async for b in reader.read(place, 0, end)] for record in batch]


@pytest.mark.parametrize("how", ["kill", "stop", "pause"])
async def test_clients_survive_a_broker_that_goes_away(how: str, kafka_node: KafkaNode, settings_of: SettingsOf, prefix: str) -> None:
    settings = settings_of(kafka_node).model_copy(update={"retry_seconds": 150.0, "request_timeout_seconds": 5.0})
    await apply(settings, [Topic(prefix, 2)])
    places = [TopicPartition(prefix, 0), TopicPartition(prefix, 1)]
    calls, size = 120, 100
    async with KafkaPublisher(settings) as publisher, KafkaLogReader(settings) as reader:
        reached = asyncio.Event()

        async def write() -> None:
            for call in range(calls):
                first = call * size
                await publisher.send([Message(prefix, n % 2, b"k", b"%d" % (first + n)) for n in range(size)])
                if call == calls // 4:
                    reached.set()
                await asyncio.sleep(0.005)

        async def disturb() -> None:
            await reached.wait()
            await asyncio.to_thread(getattr(kafka_node, how))
            await asyncio.sleep(7 if how == "pause" else 1)
            await asyncio.to_thread(kafka_node.resume if how == "pause" else kafka_node.start)

        async def look() -> None:
            await reached.wait()
            for _ in range(20):
                assert await sent_numbers(reader, places[0])
                await asyncio.sleep(0.05)

        await asyncio.gather(write(), disturb(), look())
        for place in places:
            found = await sent_numbers(reader, place)
            wanted = list(range(place.partition, calls * size, 2))
            # Nothing is missing, and nothing stands before what it was sent after; a batch whose acknowledgement was lost may be there twice.
            assert list(dict.fromkeys(found)) == wanted
            assert len(found) <= len(wanted) + size


async def test_a_broker_that_stays_away_is_given_up_on(kafka_node: KafkaNode, settings_of: SettingsOf, prefix: str) -> None:
    patient = settings_of(kafka_node)
    settings = patient.model_copy(update={"retry_seconds": 2.0, "request_timeout_seconds": 1.0})
    await apply(patient, [Topic(prefix, 1)])
    place = TopicPartition(prefix, 0)
    # A topic just made may be without a leader for longer than the impatient ones wait.
    async with KafkaPublisher(patient) as publisher:
        await publisher.send([Message(prefix, 0, b"k", b"9")])
    async with KafkaPublisher(settings) as publisher, KafkaLogReader(settings) as reader:
        await publisher.send([Message(prefix, 0, b"k", b"0")])
        await asyncio.to_thread(kafka_node.kill)
        try:
            with pytest.raises(TransientError):
                await publisher.send([Message(prefix, 0, b"k", b"1")])
            with pytest.raises(TransientError):
                await reader.end(place)
        finally:
            await asyncio.to_thread(kafka_node.start)
        # The same objects work again once the broker is back.
        await publisher.send([Message(prefix, 0, b"k", b"2")])
        found = await sent_numbers(reader, place)
        assert found in ([9, 0, 2], [9, 0, 1, 2])


async def test_snapshots_stay_whole_while_kafka_compacts_them(kafka_node: KafkaNode, settings_of: SettingsOf, prefix: str) -> None:
    settings = settings_of(kafka_node)
    rough = {"cleanup.policy": "compact", "segment.ms": "100", "min.cleanable.dirty.ratio": "0.0001", "delete.retention.ms": "0"}
    await apply(settings, [Topic(prefix, 1, 1, rough)])
    place = TopicPartition(prefix, 0)
    async with KafkaPublisher(settings) as publisher, KafkaLogReader(settings) as reader:
        store = KafkaSnapshotStore(publisher, reader, topic=prefix)
        for offset in range(1, 200):
            await store.save("fold/a", offset, {"hot": b"%d" % offset, "cold": b"x" * 500 if offset % 9 == 1 else None})
            found = await KafkaSnapshotStore(publisher, reader, topic=prefix).load("fold/a")
            assert found is not None
            assert (found.offset, found.blocks) == (offset, {"hot": b"%d" % offset, "cold": b"x" * 500})
            if offset > 60 and await count(reader, place) < await reader.end(place) - 50:
                break
            await asyncio.sleep(0.1)
        else:
            pytest.fail("Kafka removed nothing")
        assert await store.newest() == {"fold/a": offset}


async def count(reader: KafkaLogReader, place: TopicPartition) -> int:
    return sum([len(batch) async for batch in reader.read(place, 0, await reader.end(place))])
