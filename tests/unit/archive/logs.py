"""Logs of made-up records, and what an archive makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from itertools import pairwise

from hypothesis import strategies as st

from bus.clock import LOCAL_ZONE
from bus.kafka.archive import Archive
from bus.kafka.ports import Message, Record, TopicPartition
from bus.testing.memory import MemoryLog

TYPE = "test.thing.counted.v1"
TOPIC = f"events.{TYPE}"
PLACE = TopicPartition(TOPIC, 0)
NOON = int(datetime(2026, 11, 28, 12, tzinfo=LOCAL_ZONE).timestamp() * 1000)
DAY_MS = 86_400_000

_bytes = st.binary(max_size=12)
_headers = st.lists(st.tuples(st.text(max_size=6), _bytes), max_size=4).map(tuple)
_times = st.integers(-1, 4_000_000_000_000)


@st.composite
def logs(draw: st.DrawFn, most: int = 30) -> list[Record]:
    """The records of one partition from offset 0 on: any key, value, headers and time that Kafka can hold."""
    fields = st.tuples(st.none() | _bytes, st.none() | _bytes, _headers, _times)
    return [Record(TOPIC, 0, offset, *each) for offset, each in enumerate(draw(st.lists(fields, min_size=1, max_size=most)))]


def records(count: int, first: int = 0, *, at: int = NOON, partition: int = 0, size: int = 5) -> list[Record]:
    """Records a second apart."""
    return [
        Record(TOPIC, partition, offset, b"k%d" % offset, b"%d|" % offset + b"x" * size, (("ce_id", b"%d" % offset),), at + 1000 * offset)
        for offset in range(first, first + count)
    ]


def cut_up(log: Sequence[Record], ends: Sequence[int]) -> list[Sequence[Record]]:
    """The log in pieces that end before these offsets."""
    bounds = sorted({0, len(log), *(end for end in ends if end < len(log))})
    return [log[begin:end] for begin, end in pairwise(bounds)]


def everything(archive: Archive, place: TopicPartition = PLACE, start: int = 0, stop: int | None = None) -> list[Record]:
    upto = archive.holding(place).end if stop is None else stop
    return [record for some in archive.read(place, start, upto) for record in some]


class DatedLog(MemoryLog):
    """A log in memory whose records bear the times that a test gives them."""

    def put(self, log: Sequence[Record]) -> None:
        for each in log:
            self.append(Message(each.topic, each.partition, each.key, each.value, each.headers))
            part = self._partition(TopicPartition(each.topic, each.partition))
            part.records[-1] = replace(part.records[-1], timestamp_ms=each.timestamp_ms)
