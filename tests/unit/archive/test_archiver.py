"""The archiver: what is due when, where it goes on after a kill, and what it does when disk, topic or folder are not as they should be."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from bus import metrics
from bus.errors import ConfigurationError, TransientError
from bus.kafka.archive import Archive, Disk
from bus.kafka.ports import LogReader, Record, TopicPartition
from bus.ops.consumers import load_consumer
from bus.settings import ROOT, ArchiveSettings, Settings
from bus.testing.gate import Killed
from consumers.archive.archiver import Archiver, Pace
from tests.conftest import examples
from tests.unit.archive.logs import DAY_MS, NOON, PLACE, TOPIC, DatedLog, everything, records
from tests.unit.archive.test_writing import Dying

FAST = Pace(poll=0.01, longest_wait=0.02)


class Clock:
    """The wall clock and the other one, moved by the test."""

    def __init__(self, at_ms: int = NOON) -> None:
        self.seconds = at_ms / 1000

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


class Bench:
    """A log, a folder and archivers over them."""

    def __init__(self, root: Path, topics: Mapping[str, int] | None = None, **settings: float) -> None:
        self.log = DatedLog(topics or {TOPIC: 1}, batch_records=7)
        self.root = root
        self.clock = Clock()
        self.settings = ArchiveSettings.model_validate({"folder": str(root), "seconds": 600, "file_records": 10, **settings})

    def archiver(
        self, disk: Disk | None = None, open_reader: Callable[[], AbstractAsyncContextManager[LogReader]] | None = None
    ) -> Archiver:
        async def topics(_: LogReader) -> Mapping[str, int]:
            return self.log.topics

        @asynccontextmanager
        async def reader() -> AsyncIterator[LogReader]:
            yield self.log

        archive = Archive(self.root, disk)
        return Archiver(self.settings, archive, open_reader or reader, topics, lambda _: None, self.clock, pace=FAST)

    def spans(self, place: TopicPartition = PLACE) -> list[tuple[int, int]]:
        return [(each.first, each.last) for each in Archive(self.root).holding(place).files]


async def test_whole_files_at_once_the_rest_when_it_has_waited(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    log = records(27, at=NOON - 60_000)
    bench.log.put(log)
    archiver = bench.archiver()
    assert await archiver.round(bench.log) == 2
    assert bench.spans() == [(0, 9), (10, 19)]
    bench.clock.seconds += 559
    assert await archiver.round(bench.log) == 0
    bench.clock.seconds += 1
    assert await archiver.round(bench.log) == 1
    assert bench.spans() == [(0, 9), (10, 19), (20, 26)]
    assert everything(Archive(tmp_path)) == log
    assert await archiver.round(bench.log) == 0
    assert metrics.archive_lag._value.get() == 0


async def test_other_topics_and_names_that_lead_elsewhere_are_left_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "archive", {"indicators.x": 1, "events...": 1}, seconds=0)
    for topic in bench.log.topics:
        bench.log.put([Record(topic, 0, 0, b"k", b"v", (), NOON)])
    assert await bench.archiver().round(bench.log) == 0
    assert list(tmp_path.rglob("*.parquet")) == []


async def test_a_record_from_the_future_waits_no_longer_than_others(tmp_path: Path) -> None:
    bench = Bench(tmp_path)
    bench.log.put(records(3, at=NOON + 400 * DAY_MS))
    archiver = bench.archiver()
    assert await archiver.round(bench.log) == 0
    bench.clock.seconds += 600
    assert await archiver.round(bench.log) == 1


async def test_a_file_ends_with_its_day_and_with_its_size(tmp_path: Path) -> None:
    bench = Bench(tmp_path, seconds=0, file_records=1_000, file_bytes=2_000)
    log = records(10)
    log += records(10, 10, at=NOON + DAY_MS)
    log += records(1, 20)  # a clock that went wrong: it stays where it came
    log += records(9, 21, at=NOON + DAY_MS)
    log += records(6, 30, at=NOON + DAY_MS, size=600)
    bench.log.put(log)
    await bench.archiver().round(bench.log)
    assert bench.spans() == [(0, 9), (10, 32), (33, 35)]
    assert [each.day.day for each in Archive(tmp_path).holding(PLACE).files] == [28, 29, 29]
    assert everything(Archive(tmp_path)) == log


@settings(max_examples=examples(20))
@given(counts=st.lists(st.tuples(st.integers(0, 20), st.integers(0, 3)), min_size=1, max_size=5), most=st.integers(3, 12))
def test_however_the_log_grows_the_files_are_the_log(
    tmp_path_factory: pytest.TempPathFactory, counts: list[tuple[int, int]], most: int
) -> None:
    bench = Bench(tmp_path_factory.mktemp("archive"), {TOPIC: 2}, file_records=most)

    async def grow() -> list[list[Record]]:
        logs: list[list[Record]] = [[], []]
        for index, (count, restart) in enumerate(counts):
            archiver = bench.archiver()
            for number in range(2):
                more = records(count + number, len(logs[number]), at=NOON + index * DAY_MS // 2, partition=number)
                bench.log.put(more)
                logs[number] += more
            for _ in range(restart):
                await archiver.round(bench.log)
                bench.clock.seconds += 400
        bench.clock.seconds += 10 * DAY_MS
        await bench.archiver().round(bench.log)
        return logs

    for number, log in enumerate(asyncio.run(grow())):
        place = TopicPartition(TOPIC, number)
        assert everything(Archive(bench.root), place) == log
        spans = bench.spans(place)
        assert [first for first, _ in spans] == [0, *(last + 1 for _, last in spans[:-1])][: len(spans)]
        assert all(last - first < most for first, last in spans)


@pytest.mark.parametrize("halfway", [False, True])
async def test_a_killed_archiver_s_successor_goes_on_exactly(tmp_path: Path, halfway: bool) -> None:
    log = records(35)
    for at in range(20):
        root = tmp_path / str(at)
        root.mkdir()
        bench = Bench(root, seconds=0)
        bench.log.put(log)
        with contextlib.suppress(Killed):
            await bench.archiver(Dying(at, halfway=halfway)).round(bench.log)
        await bench.archiver().round(bench.log)
        assert bench.spans() == [(0, 9), (10, 19), (20, 29), (30, 34)]
        assert everything(Archive(root)) == log
        assert list(root.rglob("*.part")) == []


async def test_a_full_disk_is_waited_for_and_said(tmp_path: Path) -> None:
    class Full(Disk):
        free = False
        tries = 0

        def write(self, path: Path, content: bytes) -> None:
            self.tries += 1
            if not self.free:
                raise OSError(28, "No space left on device")
            super().write(path, content)

    bench, disk = Bench(tmp_path), Full()
    log = records(10)
    bench.log.put(log)
    writing = asyncio.create_task(bench.archiver(disk).round(bench.log))
    while disk.tries < 3:
        await asyncio.sleep(0.01)
    assert metrics.archive_stands.labels("disk")._value.get() == bench.clock.seconds
    disk.free = True
    assert await writing == 1
    assert metrics.archive_stands.labels("disk")._value.get() == 0
    assert everything(Archive(tmp_path)) == log


async def test_a_topic_that_lost_what_was_not_archived_stands_still_alone(tmp_path: Path) -> None:
    bench = Bench(tmp_path, {TOPIC: 2, "indicators.x": 1}, seconds=0)
    other = TopicPartition(TOPIC, 1)
    bench.log.put(records(20))
    bench.log.put(records(20, partition=1))
    bench.log.trim(PLACE, 5)
    archiver = bench.archiver()
    await archiver.round(bench.log)
    assert bench.spans() == []
    assert bench.spans(other) == [(0, 9), (10, 19)]
    assert metrics.archive_stands.labels("log")._value.get() == bench.clock.seconds
    Archive(tmp_path).write(records(7))
    await archiver.round(bench.log)
    await archiver.round(bench.log)
    assert bench.spans() == [(0, 6), (7, 16), (17, 19)]
    assert metrics.archive_stands.labels("log")._value.get() == 0


async def test_another_log_is_never_mixed_in(tmp_path: Path) -> None:
    Archive(tmp_path).write(records(10))
    longer = Bench(tmp_path, seconds=0)
    longer.log.put(records(30, size=6))
    await longer.archiver().round(longer.log)
    assert longer.spans() == [(0, 9)]
    shorter = Bench(tmp_path, seconds=0)
    shorter.log.put(records(5))
    archiver = shorter.archiver()
    await archiver.round(shorter.log)
    assert metrics.archive_stands.labels("log")._value.get() > 0
    shorter.log.put(records(20, 5))
    await archiver.round(shorter.log)
    assert shorter.spans() == [(0, 9), (10, 19), (20, 24)]


async def test_a_missing_file_is_written_again_while_the_topic_has_it(tmp_path: Path) -> None:
    bench = Bench(tmp_path, seconds=0)
    log = records(40)
    bench.log.put(log)
    await bench.archiver().round(bench.log)
    Archive(tmp_path).holding(PLACE).files[1].path.unlink()
    await bench.archiver().round(bench.log)
    assert bench.spans() == [(0, 9), (10, 19), (20, 29), (30, 39)]
    assert everything(Archive(tmp_path)) == log


async def _until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not true():
            await asyncio.sleep(0.01)


async def test_two_archivers_take_turns(tmp_path: Path) -> None:
    bench = Bench(tmp_path, seconds=0)
    bench.log.put(records(25))
    one, two = bench.archiver(), bench.archiver()
    tasks = [asyncio.create_task(one.run(lambda _: None))]
    await _until(lambda: len(bench.spans()) == 3)
    tasks.append(asyncio.create_task(two.run(lambda _: None)))
    await asyncio.sleep(0.05)
    one.stop()
    await tasks[0]
    bench.log.put(records(5, 25))
    await _until(lambda: len(bench.spans()) == 4)
    two.stop()
    await tasks[1]
    assert bench.spans() == [(0, 9), (10, 19), (20, 24), (25, 29)]


async def test_two_that_know_of_no_lock_do_no_harm(tmp_path: Path) -> None:
    log = records(33)
    one, two = Bench(tmp_path, seconds=0), Bench(tmp_path, seconds=0, file_records=7)
    for bench in (one, two):
        bench.log.put(log)
    await asyncio.gather(*(bench.archiver().round(bench.log) for bench in (one, two)))
    assert everything(Archive(tmp_path)) == log


async def test_a_broker_that_is_away_is_waited_for(tmp_path: Path) -> None:
    bench = Bench(tmp_path, seconds=0)
    bench.log.put(records(10))
    opened = []

    @asynccontextmanager
    async def reader() -> AsyncIterator[LogReader]:
        opened.append(1)
        if len(opened) < 3:
            raise TransientError("nobody answers")
        yield bench.log

    archiver = bench.archiver(open_reader=reader)
    task = asyncio.create_task(archiver.run(lambda _: None))
    await _until(lambda: bench.spans() == [(0, 9)])
    archiver.stop()
    await task
    assert len(opened) == 3


def test_without_a_folder_the_role_rests_and_says_what_it_lacks(tmp_path: Path) -> None:
    manifest = load_consumer("archive", [ROOT / "consumers"])
    assert manifest.rests(Settings())
    with pytest.raises(ConfigurationError, match="BUS_ARCHIVE__FOLDER"):
        manifest.create(Settings())
    set_ = Settings(archive=ArchiveSettings(folder=str(tmp_path)))
    assert not manifest.rests(set_)
    assert isinstance(manifest.create(set_), Archiver)
    assert not load_consumer("gateway", [ROOT / "consumers"]).rests(Settings())


async def test_a_folder_that_cannot_be_had_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    bench = Bench(tmp_path / "file" / "archive")
    with pytest.raises(ConfigurationError, match=r"BUS_ARCHIVE__FOLDER.*cannot be written to"):
        await bench.archiver().run(lambda _: None)
