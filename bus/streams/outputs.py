"""What merge publishes: its form in Kafka, its order, and the owner's watch over it (ADR 0014 R5)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, cast

import structlog

from bus.events.codec import Codec
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output, order_of
from bus.kafka.ports import Headers, LogReader, Record, TopicPartition
from bus.kafka.topics import INDICATORS_PREFIX

if TYPE_CHECKING:
    from bus.streams.merging import MergeWork, Parts
    from bus.streams.stage import Stage

_log = structlog.get_logger(__name__)

SCHEMA = "bus.indicator_value.v1"

#: (topic, record key): one cell.
Place = tuple[str, bytes]


@dataclass(frozen=True, slots=True)
class Mark:
    """`Output.order` of a record, and its status."""

    version: int
    revision: int
    progress: int
    status: str

    def stands_below(self, other: Mark) -> bool:
        """Whether readers must not be left with this record where `other` was published: it is older, and says something else.

        Of one version and revision all numbers are the same; only the status may differ.
        """
        if (self.version, self.revision) != (other.version, other.revision):
            return (self.version, self.revision) < (other.version, other.revision)
        return self.status != other.status and self.progress < other.progress


_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def topic_of(indicator: str) -> str:
    """The topic of an indicator's values."""
    return INDICATORS_PREFIX + indicator


def mark_of(output: Output) -> Mark:
    """The mark of an output."""
    return Mark(*output.order, output.status)


def encode_output(codec: Codec, output: Output) -> tuple[bytes, bytes, Headers]:
    """Key, value and headers of an output's record."""
    fields: Mapping[str, object] = {
        "indicator": output.indicator,
        "version": output.version,
        "fingerprint": output.fingerprint,
        "window_start": _time(output.window_start_us),
        "window_end": _time(output.window_end_us),
        "dimensions": [{"name": name, "value": value} for name, value in output.dimensions.items()],
        "value": output.value,
        "numerator": output.numerator,
        "denominator": output.denominator,
        "n": output.n,
        "revision": output.revision,
        "status": output.status,
        "evidence": [{"topic": topic, "partition": partition, "offset": offset} for topic, partition, offset in output.evidence],
        "watermarks": [{"source": source, "at": _time(at)} for source, at in sorted(output.watermarks.items())],
    }
    value, headers = codec.encode_record(SCHEMA, fields)
    return output.key(), value, headers


def mark_of_record(codec: Codec, record: Record) -> Mark | None:
    """The mark that a record of an output topic bears; None for a tombstone."""
    if record.value is None:
        return None
    fields = codec.decode(record.value, record.headers)
    evidence = cast("Sequence[Mapping[str, int]]", fields["evidence"])
    order = order_of(cast("int", fields["version"]), cast("int", fields["revision"]), (entry["offset"] for entry in evidence))
    return Mark(*order, cast("str", fields["status"]))


class OutputWatch:
    """The owner of a merge reads its own output topics and repeats a record after which a lower one appears.

    A stopped worker that writes late, or a merge that lost its state, may append a lower record; compaction would then keep that one.
    """

    def __init__(self, stage: Stage[MergeUnit, Parts], work: MergeWork, reader: LogReader, codec: Codec) -> None:
        self._stage = stage
        self._work = work
        self._reader = reader
        self._codec = codec
        self._positions: dict[str, int] = {}
        #: Output topics that exist: that of an indicator which was removed for good may not.
        self._topics: set[str] = set()

    async def start(self) -> None:
        """After an assignment: publish whatever the topics do not show at its newest, then watch from their ends on."""
        self._work.standing.clear()
        self._positions.clear()
        async with self._stage.turn:
            wanted = {topic for topic, _ in self._current()}
        self._topics = {topic for topic in wanted if await self._reader.partitions(topic)}
        newest: dict[Place, tuple[Mark, int]] = {}
        for topic in sorted(self._topics):
            partition = TopicPartition(topic, 0)
            end = await self._reader.end(partition)
            async for batch in self._reader.read(partition, await self._reader.beginning(partition), end):
                for record in batch:
                    mark = mark_of_record(self._codec, record)
                    if record.key is None:
                        continue
                    if mark is None:
                        newest.pop((topic, record.key), None)
                    else:
                        newest[topic, record.key] = (mark, record.offset)
            self._positions[topic] = end
        async with self._stage.turn:
            current = self._current()
            missing = [
                output
                for place, output in current.items()
                if place[0] in self._topics and (place not in newest or newest[place][0].stands_below(mark_of(output)))
            ]
            for place in current.keys() & newest.keys():
                self._work.stands(place, *newest[place])
            await self._stage.effect(self._work.messages(missing))
        if missing:
            _log.info("outputs_repeated", outputs=len(missing))

    async def step(self) -> int:
        """Read on; the number of records that had to be repeated."""
        repeated = 0
        for topic in sorted({topic for topic, _ in self._work.standing}):
            partition = TopicPartition(topic, 0)
            start, end = self._positions.get(topic, 0), await self._reader.end(partition)
            lowered: set[Place] = set()
            if start < end:
                async for batch in self._reader.read(partition, start, end):
                    lowered |= {(topic, record.key) for record in batch if record.key is not None and self._is_lower(topic, record)}
            self._positions[topic] = max(start, end)
            if lowered:
                async with self._stage.turn:
                    outputs = [output for place, output in self._current().items() if place in lowered]
                    await self._stage.effect(self._work.messages(outputs))
                repeated += len(outputs)
        if repeated:
            _log.warning("outputs_repeated", outputs=repeated, reason="a lower record appeared after ours")
        return repeated

    def _is_lower(self, topic: str, record: Record) -> bool:
        standing = self._work.standing.get((topic, cast("bytes", record.key)))
        if standing is None or record.offset <= standing.offset:
            return False
        mark = mark_of_record(self._codec, record)
        return mark is None or mark.stands_below(standing.mark)

    def _current(self) -> dict[Place, Output]:
        """What the merges of this process say now, cell by cell."""
        outputs: Iterable[Output] = (
            output for lane in self._stage.lanes.values() for unit in lane.units.values() for output in unit.full_outputs()
        )
        return {(topic_of(output.indicator), output.key()): output for output in outputs}


def _time(micros: int) -> datetime:
    return _EPOCH + timedelta(microseconds=micros)
