"""The ports, the same suite on all that implement them: memory, the embedded broker, Apache Kafka."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import dataclass

import pytest

from bus.errors import FatalError, OffsetGap, TransientError
from bus.kafka.admin import apply, delete_records
from bus.kafka.client import KafkaPublisher
from bus.kafka.ports import LogReader, Message, Publisher, Record, TopicPartition
from bus.kafka.reader import KafkaLogReader
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import MAX_RECORD_BYTES, Topic
from bus.settings import KafkaSettings
from bus.testing.memory import MemoryLog


@dataclass(frozen=True)
class Log:
    """One implementation, and how a topic is made in it and cut short."""

    publisher: Publisher
    reader: LogReader
    create: Callable[[str, int, bool], Awaitable[None]]
    trim: Callable[[TopicPartition, int], Awaitable[None]]


def in_memory() -> Log:
    log = MemoryLog(batch_records=7)

    async def create(topic: str, partitions: int, compacted: bool) -> None:
        log.create(topic, partitions, compacted=compacted)

    async def trim(partition: TopicPartition, before: int) -> None:
        log.trim(partition, before)

    return Log(log, log, create, trim)


def on_broker(settings: KafkaSettings, publisher: KafkaPublisher, reader: KafkaLogReader) -> Log:
    async def create(topic: str, partitions: int, compacted: bool) -> None:
        config = {"cleanup.policy": "compact" if compacted else "delete", "max.message.bytes": str(MAX_RECORD_BYTES)}
        await apply(settings, [Topic(topic, partitions, 1, config)])

    async def trim(partition: TopicPartition, before: int) -> None:
        await delete_records(settings, partition, before)

    return Log(publisher, reader, create, trim)


KAFKA = pytest.param("kafka", marks=pytest.mark.kafka)


@pytest.fixture(params=["memory", "embedded", KAFKA])
async def log(request: pytest.FixtureRequest) -> AsyncIterator[Log]:
    if request.param == "memory":
        yield in_memory()
        return
    started = request.getfixturevalue("embedded_broker" if request.param == "embedded" else "kafka_node")
    settings = request.getfixturevalue("settings_of")(started)
    async with KafkaPublisher(settings) as publisher, KafkaLogReader(settings) as reader:
        yield on_broker(settings, publisher, reader)


async def everything(reader: LogReader, partition: TopicPartition, start: int = 0, stop: int | None = None) -> list[Record]:
    stop = await reader.end(partition) if stop is None else stop
    return [record async for batch in reader.read(partition, start, stop) for record in batch]


def numbered(topic: str, count: int, partition: int = 0, size: int = 0) -> list[Message]:
    return [Message(topic, partition, b"k%d" % index, b"%d|" % index + b"x" * size) for index in range(count)]


def numbers(records: Sequence[Record]) -> list[int]:
    return [int((record.value or b"").split(b"|")[0]) for record in records]


async def test_offsets_come_in_the_order_of_the_messages_over_all_partitions(log: Log, prefix: str) -> None:
    await log.create(prefix, 3, False)
    messages = [Message(prefix, index % 3, b"k", b"%d|" % index) for index in range(30)]
    assert list(await log.publisher.send(messages)) == [index // 3 for index in range(30)]
    assert list(await log.publisher.send(messages[:3])) == [10, 10, 10]
    for partition in range(3):
        records = await everything(log.reader, TopicPartition(prefix, partition))
        assert numbers(records) == [*range(partition, 30, 3), partition]
        assert [record.offset for record in records] == list(range(11))
        assert {(record.topic, record.partition) for record in records} == {(prefix, partition)}


async def test_nothing_to_send_is_no_error(log: Log) -> None:
    assert list(await log.publisher.send([])) == []


async def test_a_record_comes_back_as_it_was(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, False)
    messages = [
        Message(prefix, 0, b"key", b"value", (("ce_id", b"1"), ("ce_id", b"2"), ("empty", b""))),
        Message(prefix, 0, b"key", None),
        Message(prefix, 0, None, b""),
        Message(prefix, 0, b"", "ekspor harian é".encode()),
    ]
    await log.publisher.send(messages)
    records = await everything(log.reader, TopicPartition(prefix, 0))
    assert [Message(r.topic, r.partition, r.key, r.value, r.headers) for r in records] == messages
    assert all(record.timestamp_ms >= 0 for record in records)


async def test_the_end_counts_every_record_of_a_batch(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, False)
    place = TopicPartition(prefix, 0)
    assert (await log.reader.beginning(place), await log.reader.end(place)) == (0, 0)
    for batches in range(1, 4):
        await log.publisher.send(numbered(prefix, 10))
        assert await log.reader.end(place) == 10 * batches
    assert await log.reader.beginning(place) == 0


async def test_ends_are_asked_together(log: Log, prefix: str) -> None:
    names = [f"{prefix}.{number}" for number in range(12)]
    for name in names:
        await log.create(name, 2, False)
    for number, name in enumerate(names):
        if number:
            await log.publisher.send(numbered(name, number))
    places = [TopicPartition(name, part) for name in names for part in (0, 1)]
    assert await log.reader.ends(places) == [await log.reader.end(place) for place in places]
    assert await log.reader.ends(places) == [number * (part == 0) for number in range(12) for part in (0, 1)]
    assert await log.reader.ends([]) == []
    with pytest.raises(FatalError):
        await log.reader.ends([*places, TopicPartition(f"{prefix}.none", 0)])


async def test_a_range_is_read_from_its_start_to_before_its_stop(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, False)
    place = TopicPartition(prefix, 0)
    await log.publisher.send(numbered(prefix, 40))
    for start, stop in [(0, 40), (3, 4), (0, 1), (39, 40), (5, 33)]:
        assert numbers(await everything(log.reader, place, start, stop)) == list(range(start, stop))
    for start, stop in [(0, 0), (40, 40), (12, 5), (90, 80)]:
        assert await everything(log.reader, place, start, stop) == []


async def test_a_range_that_many_fetches_bring(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, False)
    count = 3_000
    await log.publisher.send(numbered(prefix, count, size=2_000))
    assert numbers(await everything(log.reader, TopicPartition(prefix, 0))) == list(range(count))


async def test_many_ranges_at_once_and_one_left_early(log: Log, prefix: str) -> None:
    await log.create(prefix, 2, False)
    await log.publisher.send([*numbered(prefix, 100), *numbered(prefix, 100, partition=1)])
    async for batch in log.reader.read(TopicPartition(prefix, 0), 0, 100):
        assert batch
        break
    ranges = [(partition, start) for partition in range(2) for start in range(0, 100, 10)]
    found = await asyncio.gather(*(everything(log.reader, TopicPartition(prefix, part), start, 100) for part, start in ranges))
    assert [numbers(records) for records in found] == [list(range(start, 100)) for _, start in ranges]


async def test_sends_that_overlap_keep_their_own_order(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, False)
    await asyncio.gather(*(log.publisher.send([Message(prefix, 0, b"%d" % who, b"%d|" % n) for n in range(50)]) for who in range(4)))
    records = await everything(log.reader, TopicPartition(prefix, 0))
    assert len(records) == 200
    for who in range(4):
        assert numbers([record for record in records if record.key == b"%d" % who]) == list(range(50))


async def test_reading_beyond_the_end_is_said_not_cut_short(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, False)
    await log.publisher.send(numbered(prefix, 5))
    with pytest.raises(TransientError, match="ends at 5"):
        await everything(log.reader, TopicPartition(prefix, 0), 0, 6)


async def test_what_does_not_exist_is_fatal_and_is_not_made(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, False)
    nowhere, beside = TopicPartition(f"{prefix}-misspelt", 0), TopicPartition(prefix, 1)
    assert await log.reader.partitions(prefix) == 1
    for place in (nowhere, beside):
        with pytest.raises(FatalError, match="bus topics apply"):
            await log.publisher.send([Message(place.topic, place.partition, b"k", b"v")])
        with pytest.raises(FatalError, match="bus topics apply"):
            await log.reader.end(place)
        with pytest.raises(FatalError, match="bus topics apply"):
            await log.reader.beginning(place)
    assert await log.reader.partitions(nowhere.topic) == 0


async def test_a_large_record_passes_and_a_larger_one_is_refused(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, False)
    large = b"x" * (MAX_RECORD_BYTES - 4096)
    await log.publisher.send([Message(prefix, 0, b"k", large)])
    with pytest.raises(FatalError, match="exceeds"):
        await log.publisher.send([Message(prefix, 0, b"k", large + b"x" * 8192)])
    assert [record.value for record in await everything(log.reader, TopicPartition(prefix, 0))] == [large]


@pytest.mark.parametrize("log", ["memory", KAFKA], indirect=True)
async def test_a_log_that_begins_later_is_a_gap(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, False)
    place = TopicPartition(prefix, 0)
    await log.publisher.send(numbered(prefix, 20))
    await log.trim(place, 8)
    assert await log.reader.beginning(place) == 8
    assert numbers(await everything(log.reader, place, 8)) == list(range(8, 20))
    with pytest.raises(OffsetGap):
        await everything(log.reader, place, 7)


@pytest.mark.parametrize("log", ["memory", KAFKA], indirect=True)
async def test_a_compacted_topic_takes_no_record_without_key(log: Log, prefix: str) -> None:
    await log.create(prefix, 1, True)
    with pytest.raises(FatalError):
        await log.publisher.send([Message(prefix, 0, None, b"v")])


async def test_snapshots_are_kept_and_found(log: Log, prefix: str) -> None:
    await log.create(prefix, 2, True)
    store = KafkaSnapshotStore(log.publisher, log.reader, topic=prefix)
    assert await store.load("fold/a") is None
    for offset in (10, 20, 30):
        await store.save("fold/a", offset, {"hot": b"chunk-%d" % offset, "cold": b"same" if offset == 10 else None})
        await store.save("merge/0", offset, {})
    late = KafkaSnapshotStore(log.publisher, log.reader, topic=prefix)
    await late.save("fold/a", 15, {"hot": b"late", "cold": b"same"})
    for reader in (store, late, KafkaSnapshotStore(log.publisher, log.reader, topic=prefix)):
        found = await reader.load("fold/a")
        assert found is not None
        assert (found.unit, found.offset, found.blocks) == ("fold/a", 30, {"hot": b"chunk-30", "cold": b"same"})
        assert await reader.newest() == {"fold/a": 30, "merge/0": 30}
        assert await reader.newest("fold/") == {"fold/a": 30}
    await late.forget("fold/a")
    await late.forget("fold/nobody")
    for reader in (store, late, KafkaSnapshotStore(log.publisher, log.reader, topic=prefix)):
        assert await reader.load("fold/a") is None
        assert await reader.newest() == {"merge/0": 30}
    await store.save("fold/a", 5, {"hot": b"anew"})
    assert await late.newest("fold/") == {"fold/a": 5}
