"""Where a partition begins and ends, right on every broker.

The embedded broker answers `ListOffsets(latest)` with the first offset of the last *batch* plus one, which is too low as soon as a batch
holds two records; the high watermark of a fetch is right. This module is the only place that knows: everything that needs a log's end
(our reader, Faust's table recovery) asks here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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


#: Topic and partition.
_Of = tuple[str, int]


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
    """The offset that the next record will get: see `log_ends`."""
    return (await log_ends(client, [place]))[0]


async def log_ends(client: AIOKafkaClient, places: Sequence[Place]) -> list[int]:
    """The offsets that the next records will get, in the order of the places. Raises `TransientError` while no broker answers for one.

    `client` is any aiokafka client; of a consumer it is `consumer._client`. Two requests to each broker, however many places; they disturb
    neither position nor buffers.
    """
    with translated(f"end of {_named(places)}"):
        ends = await _listed_all(client, places, _LATEST)
        waiting = list(places)
        for wait_ms in _WAITS_MS:
            found = await _high_watermarks(client, waiting, ends, wait_ms)
            ends |= found
            waiting = [place for place in waiting if _of(place) not in found]
            if not waiting:
                return [ends[_of(place)] for place in places]
        raise errors.RequestTimedOutError(_named(waiting))


async def _high_watermarks(client: AIOKafkaClient, places: Sequence[Place], listed: Mapping[_Of, int], wait_ms: int) -> dict[_Of, int]:
    """Of those that the brokers answered for."""
    found: dict[_Of, int] = {}
    for leader, topics in _by_leader(client, places).items():
        wanted = [(topic, [(number, listed[topic, number], _FETCH_BYTES) for number in numbers]) for topic, numbers in topics.items()]
        answer = await client.send(leader, FetchRequest(wait_ms, 0, _FETCH_BYTES, _READ_UNCOMMITTED, wanted))
        for topic, partitions in answer.topics:
            for number, code, high_watermark, *_ in partitions:
                checked(client, code)
                found[topic, number] = max(int(high_watermark), listed[topic, number])
    return found


async def _listed(client: AIOKafkaClient, place: Place, which: int) -> int:
    return (await _listed_all(client, [place], which))[_of(place)]


async def _listed_all(client: AIOKafkaClient, places: Sequence[Place], which: int) -> dict[_Of, int]:
    found: dict[_Of, int] = {}
    for leader, topics in _by_leader(client, places).items():
        wanted = [(topic, [(number, which) for number in numbers]) for topic, numbers in topics.items()]
        answer = await client.send(leader, OffsetRequest(-1, _READ_UNCOMMITTED, wanted))
        for topic, partitions in answer.topics:
            for number, code, *rest in partitions:
                checked(client, code)
                # A partition without any record is answered with -1 by some brokers.
                found[topic, number] = max(int(rest[-1]), 0)
    if missing := [place for place in places if _of(place) not in found]:
        raise errors.UnknownTopicOrPartitionError(_named(missing))
    return found


def _by_leader(client: AIOKafkaClient, places: Sequence[Place]) -> dict[int, dict[str, list[int]]]:
    """Node -> topic -> partitions that it serves."""
    found: dict[int, dict[str, list[int]]] = {}
    for place in places:
        found.setdefault(leader_of(client, place), {}).setdefault(place.topic, []).append(place.partition)
    return found


def _of(place: Place) -> _Of:
    return place.topic, place.partition


def _named(places: Sequence[Place]) -> str:
    shown = ", ".join(f"{place.topic}/{place.partition}" for place in places[:3])
    return shown + (f" and {len(places) - 3} more" if len(places) > 3 else "")


def leader_of(client: AIOKafkaClient, place: Place) -> int:
    """The node that serves a partition. Raises aiokafka's `LeaderNotAvailableError`, and has the metadata fetched anew."""
    leader = client.cluster.leader_for_partition(place)
    if leader is None or leader == -1:
        client.force_metadata_update()
        raise errors.LeaderNotAvailableError(f"{place.topic}/{place.partition}")
    return int(leader)


async def find(client: AIOKafkaClient, place: Place) -> None:
    """Have the client know which node serves a partition, and go on knowing it of all others.

    Raises aiokafka's `LeaderNotAvailableError` while no node does. A client is never told the name of a topic (`add_topic`, which
    `AIOKafkaProducer.send_batch` calls for one that is unknown): aiokafka 0.14 then asks for the metadata of the named topics alone and
    forgets all others, also those with batches waiting to be sent or ranges being read, which it never finds again. Nor would the
    embedded broker forgive a misspelt name: it makes a topic of it.
    """
    if client.cluster.leader_for_partition(place) in (None, -1):
        await client.force_metadata_update()
        leader_of(client, place)


def checked(client: AIOKafkaClient, code: int) -> None:
    """Raises aiokafka's error for a response's error code; has the metadata fetched anew where they are to blame."""
    kind = errors.for_code(code)
    if kind is not errors.NoError:
        if getattr(kind, "invalid_metadata", False):
            client.force_metadata_update()
        raise kind()
