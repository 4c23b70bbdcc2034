"""Where the time between an agency's commit and a browser's pixels goes, by the time stamps that the records of each stage have."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field, replace

from bus.events.codec import Codec
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.kafka.topics import PARTIALS
from bus.streams.outputs import decode_output

EVENT, INDICATOR = "papan.counter.told.v1", "papan.counter_now"
#: A record's time stamp is its producer's, in milliseconds; the last stage is the number's way to its value on the page.
STAGES = ("connector", "fold", "merge", "gateway and page", "animation")


@dataclass(frozen=True, slots=True)
class Sample:
    """One change: its number; when it was committed, was on the page, and was to be read there; and the seconds of each stage. Times are of our clock."""

    number: int
    committed: float
    arrived: float
    shown: float
    stages: Mapping[str, float] = field(default_factory=dict)

    @property
    def seconds(self) -> float:
        return self.shown - self.committed


async def with_stages(reader: LogReader, codec: Codec, samples: Sequence[Sample]) -> list[Sample]:
    """The samples with their stages: a fold's record is the last one before that of the indicator."""
    events: dict[int, float] = {}
    values: dict[int, float] = {}
    partials: list[float] = []
    for topic in (f"events.{EVENT}", f"indicators.{INDICATOR}", PARTIALS):
        for number in range(await reader.partitions(topic)):
            async for record in _records(reader, TopicPartition(topic, number)):
                at = record.timestamp_ms / 1_000
                if topic == PARTIALS:
                    partials.append(at)
                elif topic.startswith("events."):
                    events.setdefault(int(codec.decode(record.value or b"", record.headers)["amount"]), at)  # type: ignore[call-overload]
                elif (output := decode_output(codec, record)) is not None and output.value is not None:
                    values.setdefault(int(output.value), at)
    partials.sort()
    return [replace(sample, stages=_stages(sample, events[sample.number], values[sample.number], partials)) for sample in samples]


async def _records(reader: LogReader, partition: TopicPartition) -> AsyncIterator[Record]:
    async for batch in reader.read(partition, await reader.beginning(partition), await reader.end(partition)):
        for record in batch:
            if record.value is not None:
                yield record


def _stages(sample: Sample, event: float, value: float, partials: Sequence[float]) -> Mapping[str, float]:
    folded = partials[bisect_right(partials, value) - 1]
    moments = (sample.committed, event, folded, value, sample.arrived, sample.shown)
    return {name: after - before for name, before, after in zip(STAGES, moments, moments[1:], strict=False)}
