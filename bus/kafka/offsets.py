"""Where a partition begins and ends, right on every broker.

The embedded broker answers `ListOffsets(latest)` with the first offset of the last *batch* plus one, which is too low as soon as a batch
holds two records; the high watermark of a fetch is right. This module is the only place that knows: everything that needs a log's end
(our reader, Faust's table recovery) asks here.
"""

from __future__ import annotations

from typing import Protocol

from aiokafka import errors
from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.fetch import FetchRequest
from aiokafka.protocol.offset import OffsetRequest

from bus.kafka.failures import translated

_EARLIEST, _LATEST = -2, -1
_READ_UNCOMMITTED = 0
#: Kafka sends a whole batch however small this is; the embedded broker keeps to it.
_FETCH_BYTES = 1
#: The embedded broker answers without the partition when the wait is 0, or over before it has looked.
_WAITS_MS = (5, 50, 500)


class Place(Protocol):
    """A topic and partition: ours, aiokafka's or Faust's."""

    @property
    def topic(self) -> str: ...

    @property
    def partition(self) -> int: ...


async def log_beginning(client: AIOKafkaClient, place: Place) -> int:
    """The first offset still in the log. Raises `TransientError` while no broker answers for the partition."""
    with translated(f"beginning of {place.topic}/{place.partition}"):
        return await _listed(client, place, _EARLIEST)


async def log_end(client: AIOKafkaClient, place: Place) -> int:
    """The offset that the next record will get. Raises `TransientError` while no broker answers for the partition.

    `client` is any aiokafka client; of a consumer it is `consumer._client`. Two requests, that disturb neither position nor buffers.
    """
    with translated(f"end of {place.topic}/{place.partition}"):
        listed = await _listed(client, place, _LATEST)
        for wait_ms in _WAITS_MS:
            fetch = FetchRequest(wait_ms, 0, _FETCH_BYTES, _READ_UNCOMMITTED, [(place.topic, [(place.partition, listed, _FETCH_BYTES)])])
            answer = await client.send(leader_of(client, place), fetch)
            for _, partitions in answer.topics:
                for partition, code, high_watermark, *_ in partitions:
                    if partition == place.partition:
                        checked(client, code)
                        return max(int(high_watermark), listed)
        raise errors.RequestTimedOutError(f"{place.topic}/{place.partition}")


async def _listed(client: AIOKafkaClient, place: Place, which: int) -> int:
    answer = await client.send(leader_of(client, place), OffsetRequest(-1, _READ_UNCOMMITTED, [(place.topic, [(place.partition, which)])]))
    for _, partitions in answer.topics:
        for partition, code, *rest in partitions:
            if partition == place.partition:
                checked(client, code)
                # A partition without any record is answered with -1 by some brokers.
                return max(int(rest[-1]), 0)
    raise errors.UnknownTopicOrPartitionError(f"{place.topic}/{place.partition}")


def leader_of(client: AIOKafkaClient, place: Place) -> int:
    """The node that serves a partition. Raises aiokafka's `LeaderNotAvailableError`, and has the metadata fetched anew."""
    leader = client.cluster.leader_for_partition(place)
    if leader is None or leader == -1:
        client.force_metadata_update()
        raise errors.LeaderNotAvailableError(f"{place.topic}/{place.partition}")
    return int(leader)


def checked(client: AIOKafkaClient, code: int) -> None:
    """Raises aiokafka's error for a response's error code; has the metadata fetched anew where they are to blame."""
    kind = errors.for_code(code)
    if kind is not errors.NoError:
        if getattr(kind, "invalid_metadata", False):
            client.force_metadata_update()
        raise kind()
