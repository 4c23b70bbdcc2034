"""Faust's transport in batches: one message per partition and poll instead of one per record (ADR 0003).

Only Faust's own extension points are used. What Faust thinks it has read, acknowledged and committed plays no part in what is read next:
positions come from the stages' snapshots.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, ClassVar, Protocol, cast

import structlog
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord, OffsetAndMetadata
from aiokafka.structs import TopicPartition as KafkaPartition
from faust.serializers.schemas import Schema
from faust.transport.drivers import aiokafka as driver
from faust.transport.utils import DefaultSchedulingStrategy
from faust.types import TP

from bus.kafka.ports import TopicPartition

_log = structlog.get_logger(__name__)


class Positions(Protocol):
    """Where the batched topics are read from; answered by the worker that holds the stages."""

    #: The topics that are read in batches.
    batched: frozenset[str]

    def position(self, partition: TopicPartition) -> int | None:
        """Where reading goes on; None when nobody wants the partition."""
        ...

    def durable(self, partition: TopicPartition) -> int | None:
        """Up to where the snapshots reach, or None."""
        ...

    async def log_end(self, partition: TopicPartition) -> int:
        """The offset that the next record will get."""
        ...


def batch_scheduler(batched: frozenset[str]) -> type[DefaultSchedulingStrategy]:
    """A strategy that hands over all fetched records of a partition as one; other topics (changelogs) go through one by one."""

    class BatchScheduler(DefaultSchedulingStrategy):
        def iterate(self, records: Mapping[TP, list[Any]]) -> Iterator[tuple[TP, Any]]:
            single: dict[TP, list[Any]] = {}
            for tp, fetched in records.items():
                if tp.topic not in batched:
                    single[tp] = fetched
                elif fetched:
                    yield TP(tp.topic, tp.partition), _together(fetched)
            if single:
                yield from super().iterate(single)

    return BatchScheduler


def _together(fetched: list[Any]) -> ConsumerRecord[None, list[Any]]:
    last = fetched[-1]
    return ConsumerRecord(last.topic, last.partition, last.offset, last.timestamp, last.timestamp_type, None, fetched, None, -1, -1, ())


class Passthrough(Schema):  # type: ignore[type-arg]
    """Hands keys and values over as they are: the stage decodes, so that no decoding error is Faust's to swallow."""

    def loads_key(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        return message.key

    def loads_value(self, app: Any, message: Any, *, loads: Any = None, serializer: Any = None) -> Any:
        return message.value


class _ReadOffsets(dict[TP, "int | None"]):
    """Faust drops a record below the offset that it read last; for batched topics it must not, as the stage seeks back at will."""

    def __init__(self, batched: frozenset[str]) -> None:
        super().__init__()
        self._batched = batched

    def __missing__(self, tp: TP) -> None:
        return None

    def __setitem__(self, tp: TP, offset: int | None) -> None:
        if tp.topic not in self._batched:
            super().__setitem__(tp, offset)


class _Thread(driver.AIOKafkaConsumerThread):
    async def _commit(self, offsets: Mapping[TP, int]) -> bool:
        """Group commits are for lag tools only, so one that fails is no fault."""
        try:
            owned = self.assignment()
            wanted = {
                KafkaPartition(tp.topic, tp.partition): OffsetAndMetadata(offset, "") for tp, offset in offsets.items() if tp in owned
            }
            if wanted:
                await self._ensure_consumer().commit(wanted)
        except (KafkaError, RuntimeError) as error:
            _log.info("commit_failed", reason=type(error).__name__)
            return False
        return True

    def verify_event_path(self, now: float, tp: TP) -> None:
        """Faust's check knows no batches and cries wolf (faust-streaming 0.15.3); the watchdog looks at offsets instead."""


class BatchConsumer(driver.Consumer):
    """A consumer whose positions in batched topics are the stages'."""

    positions: Positions

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.positions = cast("Any", self.app).positions
        self._read_offset = _ReadOffsets(self.positions.batched)

    def _new_consumer_thread(self) -> driver.AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)

    async def _add_gap(self, tp: TP, offset_from: int, offset_to: int) -> None:
        if tp.topic not in self.positions.batched:
            await super()._add_gap(tp, offset_from, offset_to)

    def _new_offset(self, tp: TP) -> int | None:
        if tp.topic not in self.positions.batched:
            return super()._new_offset(tp)
        self._acked[tp].clear()
        self._acked_index[tp].clear()
        return self.positions.durable(TopicPartition(*tp))

    async def perform_seek(self) -> None:
        """Read on where the stages' states end (R3); partitions that nobody wants stay paused."""
        wanted: dict[TP, int] = {}
        unwanted: set[TP] = set()
        for tp in self.assignment():
            if tp.topic in self.positions.batched:
                position = self.positions.position(TopicPartition(*tp))
                if position is None:
                    unwanted.add(tp)
                else:
                    wanted[tp] = position
        self.pause_partitions(unwanted)
        if wanted:
            await self.seek_wait(wanted)

    async def highwaters(self, *partitions: TP) -> Mapping[TP, int]:
        """The ends of the (changelog) partitions, right on the embedded broker too, whose own answer is wrong."""
        return {tp: await self.positions.log_end(TopicPartition(*tp)) for tp in partitions}


class BatchTransport(driver.Transport):
    """The aiokafka transport with our consumer."""

    Consumer: ClassVar[Any] = BatchConsumer
