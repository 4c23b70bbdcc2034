"""One fetch from one partition, without a consumer: a consumer's prefetching makes a short read wait a tenth of a second."""

from __future__ import annotations

from collections.abc import Iterator

from aiokafka import errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.record.memory_records import MemoryRecords

from bus.errors import TransientError
from bus.kafka.offsets import checked, leader_of
from bus.kafka.ports import Record, TopicPartition

#: Small enough that taking the answer apart does not hold up the event loop; a larger batch comes whole all the same.
_FETCH_BYTES = 1024 * 1024
#: A short range asks for less; this is what a record takes, generously.
_RECORD_BYTES = 2048
_LEAST_BYTES = 16 * 1024
#: The embedded broker needs some; what is asked for is there already.
_WAIT_MS = 5
_READ_UNCOMMITTED = 0


async def fetch(client: AIOKafkaClient, partition: TopicPartition, position: int, stop: int) -> tuple[list[Record], int]:
    """The records with position <= offset < stop that one fetch brings, and the offset where the next fetch goes on.

    Compaction may leave a fetch without records that still moves on. Raises aiokafka's errors (`OffsetOutOfRangeError` among them).
    """
    size = min(_FETCH_BYTES, max(_LEAST_BYTES, (stop - position) * _RECORD_BYTES))
    wanted = [(partition.topic, [(partition.partition, position, size)])]
    answer = await client.send(leader_of(client, partition), FetchRequest(_WAIT_MS, 0, size, _READ_UNCOMMITTED, wanted))
    records: list[Record] = []
    reached = position
    for _, parts in answer.topics:
        for number, code, *_, data in parts:
            if number != partition.partition:
                continue
            checked(client, code)
            for found, after in _batches(partition, data or b""):
                whole = not found or (found[0].offset >= position and found[-1].offset < stop)
                records += found if whole else [record for record in found if position <= record.offset < stop]
                reached = max(reached, after)
                if reached >= stop:
                    break
    return records, reached


def _batches(partition: TopicPartition, data: bytes) -> Iterator[tuple[list[Record], int]]:
    """Each record batch's records and the offset after it."""
    topic, number = partition.topic, partition.partition
    remaining = MemoryRecords(data)
    while remaining.has_next():
        batch = remaining.next_batch()
        if not batch.validate_crc():
            raise TransientError(f"a batch of {topic}/{number} arrived damaged") from errors.CorruptRecordException()
        if batch.is_control_batch:
            yield [], batch.next_offset
            continue
        yield (
            [Record(topic, number, record.offset, record.key, record.value, tuple(record.headers), record.timestamp) for record in batch],
            batch.next_offset,
        )
