"""Archive and topic as one log: whatever of the topic is gone, and however the files are cut, its readers see what was written."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.errors import FatalError, OffsetGap, TransientError
from bus.kafka.archive import Archive
from bus.kafka.archived_log import ArchivedLog, fetchable_from
from bus.kafka.ports import LogReader, Record, TopicPartition
from tests.unit.archive.logs import PLACE, TOPIC, DatedLog, cut_up, logs, records


def dated(log: Sequence[Record]) -> DatedLog:
    topics = DatedLog({TOPIC: 1}, batch_records=7)
    topics.put(log)
    return topics


def archived(root: Path, log: Sequence[Record], ends: Sequence[int] = ()) -> Archive:
    for piece in cut_up(log, ends):
        Archive(root).write(piece)
    return Archive(root)


async def read(log: LogReader, start: int, stop: int, place: TopicPartition = PLACE) -> list[Record]:
    return [record async for some in log.read(place, start, stop) for record in some]


@given(
    log=logs(), ends=st.lists(st.integers(1, 30), max_size=4), held=st.integers(1, 30), trimmed=st.integers(0, 30),
    bounds=st.tuples(st.integers(0, 30), st.integers(0, 30)), first=st.booleans(),
)  # fmt: skip
def test_both_together_are_the_log(
    tmp_path_factory: pytest.TempPathFactory,
    log: list[Record],
    ends: list[int],
    held: int,
    trimmed: int,
    bounds: tuple[int, int],
    first: bool,
) -> None:
    held = min(held, len(log))
    trimmed = min(trimmed, held)
    topics = dated(log)
    topics.trim(PLACE, trimmed)
    whole = ArchivedLog(topics, archived(tmp_path_factory.mktemp("archive"), log[:held], ends), archive_first=first)
    start, stop = sorted(min(bound, len(log)) for bound in bounds)

    async def look() -> None:
        assert await whole.beginning(PLACE) == 0
        assert await whole.end(PLACE) == len(log)
        assert await fetchable_from(whole, PLACE) == trimmed
        assert await read(whole, start, stop) == log[start:stop]
        with pytest.raises(TransientError, match=f"ends at {len(log)}"):
            await read(whole, start, len(log) + 1)

    asyncio.run(look())


async def test_what_is_in_neither_is_a_gap(tmp_path: Path) -> None:
    log = records(30)
    topics = dated(log)
    topics.trim(PLACE, 20)
    whole = ArchivedLog(topics, archived(tmp_path, log[:15]))
    assert await whole.beginning(PLACE) == 20
    assert await read(whole, 20, 30) == log[20:]
    with pytest.raises(OffsetGap, match="begins at 20"):
        await read(whole, 3, 30)
    Archive(tmp_path).write(log[15:20])
    assert await read(whole, 3, 30) == log[3:]
    assert await whole.beginning(PLACE) == 0


async def test_a_topic_that_is_cut_short_while_it_is_read(tmp_path: Path) -> None:
    log = records(60)
    topics = dated(log)
    whole = ArchivedLog(topics, archived(tmp_path, log[:50], [10, 20]))
    found: list[Record] = []
    async for some in whole.read(PLACE, 5, 60):
        found += some
        topics.trim(PLACE, min(50, found[-1].offset + 15))
    assert found == log[5:]


class CutInBetween(DatedLog):
    """Is cut short between the question where it begins and the reading."""

    async def _cut(self, place: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        self.trim(place, 25)
        async for some in DatedLog.read(self, place, start, stop):
            yield some

    def read(self, partition: TopicPartition, start: int, stop: int) -> AsyncIterator[Sequence[Record]]:
        return self._cut(partition, start, stop) if not self._partition(partition).beginning else super().read(partition, start, stop)


async def test_a_topic_that_is_cut_short_before_it_is_read(tmp_path: Path) -> None:
    log = records(40)
    topics = CutInBetween({TOPIC: 1})
    topics.put(log)
    whole = ArchivedLog(topics, archived(tmp_path, log[:30]))
    assert await read(whole, 0, 40) == log


async def test_the_archive_of_another_log_is_refused(tmp_path: Path) -> None:
    mine = records(30)
    archive = archived(tmp_path, mine[:20])
    other = dated(records(30, size=6))
    other.trim(PLACE, 5)
    with pytest.raises(FatalError, match=r"offset 19 .* is another record than in the topic"):
        await read(ArchivedLog(other, archive), 0, 30)
    shorter = dated(mine[:12])
    shorter.trim(PLACE, 5)
    with pytest.raises(FatalError, match=r"holds .* up to offset 19, and the topic ends at 12"):
        await ArchivedLog(shorter, archive).beginning(PLACE)


async def test_other_topics_and_whole_ones_never_ask_the_archive(tmp_path: Path) -> None:
    log = DatedLog({TOPIC: 1, "bus.partials": 1})
    log.put(records(5))
    log.put([Record("bus.partials", 0, 0, b"k", b"v")])
    whole = ArchivedLog(log, Archive(tmp_path / "nowhere"))
    assert len(await read(whole, 0, 5)) == 5
    log.trim(TopicPartition("bus.partials", 0), 1)
    assert await whole.beginning(TopicPartition("bus.partials", 0)) == 1
    assert await whole.ends([PLACE]) == [5]
    assert await whole.partitions(TOPIC) == 1
