"""What topics no longer have is read from the archive: workers, proofs and replays come to the same numbers, whatever happens meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import polars as pl
import pytest
from hypothesis import HealthCheck, Phase, given, settings

from bus.errors import BusError, ConfigurationError, FatalError, OffsetGap
from bus.kafka.archive import Archive
from bus.kafka.archived_log import ArchivedLog
from bus.kafka.ports import LogReader, Publisher, Snapshot, TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.ops.archive import check
from bus.ops.backfill import export_values
from bus.ops.replay import compare, rebuild
from bus.ops.verification import verify
from bus.streams.worker import Worker
from bus.testing.faults import Cluster, StepClock
from bus.testing.gate import Fault, GatedPublisher
from bus.testing.memory import MemoryLog
from tests.conftest import SOAK, examples
from tests.pipeline.histories import Fact, expected, facts, seeded
from tests.pipeline.lives import forget_requests, rest, work
from tests.pipeline.scenes import LAB, Plan, Rows, Scene, exact, in_one_go
from tests.pipeline.test_proofs import NAMES, installation, published

#: Of the effects of a life, every so manieth meets with a fault; in `make soak` each does.
EACH = 1 if SOAK else 7
HISTORIES = settings(max_examples=examples(1), phases=[Phase.generate, Phase.explicit], suppress_health_check=list(HealthCheck))


def event_places(log: MemoryLog) -> list[TopicPartition]:
    return [TopicPartition(name, number) for name, count in log.topics.items() if name.startswith("events.") for number in range(count)]


def put_away(log: MemoryLog, root: Path, *, keep: int = 1, file_records: int = 7) -> Archive:
    """Archive all events in small files and cut the topics short, so that each still has one in so many of its records (0: none)."""
    archive = Archive(root)
    for place in event_places(log):
        records, end = log.records(place.topic, place.partition), archive.holding(place).end
        waiting = [record for record in records if record.offset >= end]
        for first in range(0, len(waiting), file_records):
            archive.write(waiting[first : first + file_records])
        log.trim(place, archive.holding(place).end - (len(records) // keep if keep else 0))
    return archive


def with_archive(root: Path) -> Callable[[Cluster, GatedPublisher], Worker]:
    """Workers that read what the topics no longer have."""

    def make(cluster: Cluster, publisher: GatedPublisher) -> Worker:
        store = cluster.make_store(publisher, cluster.log)
        log = ArchivedLog(cluster.log, Archive(root))
        return Worker(cluster.settings, cluster.catalogue, cluster.indicators, publisher, log, store, StepClock())  # type: ignore[arg-type]

    return make


class Forgetful(KafkaSnapshotStore):
    """Has forgotten every state that it did not write itself."""

    def __init__(self, publisher: Publisher, reader: LogReader) -> None:
        super().__init__(publisher, reader)
        self._since: set[str] = set()

    async def save(self, unit: str, offset: int, blocks: Mapping[str, bytes | None], *, base: int | None = None) -> None:
        self._since.add(unit)
        await super().save(unit, offset, blocks, base=base)

    async def load(self, unit: str, wanted: Callable[[str], bool] | None = None) -> Snapshot | None:
        return await super().load(unit, wanted) if unit in self._since else None


async def bereft(told: Sequence[Any], plan: Plan, root: Path, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """In mid-life most events leave the topics, and all states are lost; a worker begins from nothing."""
    cluster = scene.cluster(plan)
    cluster._make_worker = with_archive(root)
    half = len(told) // 2
    await work(cluster, told[:half], scene=scene)
    put_away(cluster.log, root, keep=3)
    cluster.make_store = Forgetful
    await forget_requests(cluster)
    await cluster.start()
    await work(cluster, told[half:], scene=scene)
    return await rest(cluster, scene)


async def behind(told: Sequence[Any], plan: Plan, root: Path, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """A worker is down while events come, are archived and leave the topics entirely; it goes on from its snapshots."""
    cluster = scene.cluster(plan)
    cluster._make_worker = with_archive(root)
    half = len(told) // 2
    await work(cluster, told[:half], scene=scene)
    scene.put(cluster.log, told[half:])
    put_away(cluster.log, root, keep=0)
    await cluster.start()
    return await rest(cluster, scene)


async def renewed(told: Sequence[Any], plan: Plan, root: Path, scene: Scene = LAB) -> tuple[Rows, Cluster]:
    """Most events have left the topics when, while the worker runs, an indicator appears and another is defined anew."""
    cluster = scene.cluster(plan, scene.before)
    cluster._make_worker = with_archive(root)
    half = len(told) // 2
    await work(cluster, told[:half], scene=scene)
    await cluster.drain()
    put_away(cluster.log, root, keep=2)
    await cluster.take(scene.indicators)
    await work(cluster, told[half:], batch=2, scene=scene)
    return await rest(cluster, scene)


LIVES = {"bereft": bereft, "behind": behind, "renewed": renewed}
LIFE = pytest.mark.parametrize("life", LIVES.values(), ids=LIVES.keys())


def lived(life: Callable[..., Any], told: Sequence[Fact], plan: Plan) -> tuple[Rows, Cluster]:
    with TemporaryDirectory() as folder:
        found: tuple[Rows, Cluster] = asyncio.run(life(told, plan, Path(folder)))
        return found


@LIFE
@given(told=facts())
@settings(max_examples=examples(8), suppress_health_check=list(HealthCheck))
def test_the_numbers_are_those_of_the_whole_log(life: Callable[..., Any], told: list[Fact]) -> None:
    found, _ = lived(life, told, {})
    assert exact(found) == expected(told)
    assert found == in_one_go(told)


@LIFE
@HISTORIES
@given(told=facts())
def test_a_fault_at_any_effect_changes_nothing(life: Callable[..., Any], told: list[Fact]) -> None:
    wanted, undisturbed = lived(life, told, {})
    for number in range(0, undisturbed.effects, EACH):
        for fault in (Fault.CRASH, Fault.STOP) if SOAK else (Fault.CRASH if number % 2 else Fault.STOP,):
            found, _ = lived(life, told, {number: fault})
            assert found == wanted, f"{fault} at effect {number} ({undisturbed.written[number]})"


def test_a_lane_that_stands_where_the_broker_has_nothing_any_more_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    async def nowhere(reader: LogReader, place: TopicPartition) -> int:
        return 0

    monkeypatch.setattr("bus.streams.loading.fetchable_from", nowhere)
    with pytest.raises(BusError):
        lived(bereft, _facts(), {})


def test_without_an_archive_the_worker_stops_and_says_what_it_lacks(tmp_path: Path) -> None:
    async def live() -> None:
        cluster = LAB.cluster({})
        LAB.put(cluster.log, _facts())
        put_away(cluster.log, tmp_path, keep=2)
        worker = with_archive(tmp_path / "elsewhere")(cluster, GatedPublisher(cluster))
        with pytest.raises(OffsetGap, match=r"begins at \d+: BUS_ARCHIVE__FOLDER has to name an archive"):
            await worker.load([*cluster.events, *cluster.partials], 1)

    asyncio.run(live())


def test_a_topic_cut_short_under_a_running_worker_ends_it_at_once(tmp_path: Path) -> None:
    """It has no state to be replayed from here; its successor has."""

    async def live() -> None:
        cluster = LAB.cluster({})
        LAB.put(cluster.log, _facts())
        worker = with_archive(tmp_path)(cluster, GatedPublisher(cluster))
        await worker.load([*cluster.events, *cluster.partials], 1)
        place = max(event_places(cluster.log), key=lambda each: len(cluster.log.records(each.topic, each.partition)))
        put_away(cluster.log, tmp_path, keep=2)
        with pytest.raises(FatalError, match="the state continues at offset 0, the log begins at"):
            await worker.on_batch(place, 1, cluster.log.records(place.topic, place.partition))

    asyncio.run(live())


def _facts() -> list[Fact]:
    return seeded(3)


# proofs and replays


async def test_every_kind_is_rebuilt_to_the_byte_and_proven_without_the_topics(tmp_path: Path) -> None:
    log = await published(NAMES)
    (tmp_path / "original").mkdir()
    await export_values(installation(), log, tmp_path / "original")
    archive = put_away(log, tmp_path / "archive", keep=0)
    seen: list[tuple[int, int]] = []
    (tmp_path / "again").mkdir()
    rebuilt = await rebuild(installation(), Archive(archive.root), tmp_path / "again", NAMES, progress=lambda *done: seen.append(done))
    assert rebuilt.events == seen[-1][0] == seen[-1][1] == sum(rebuilt.positions.values()) > 0
    assert sum(count > 0 for count in rebuilt.rows.values()) >= len(NAMES) - 1
    for name in NAMES:
        original, again = ((tmp_path / folder / f"{name}.csv").read_bytes() for folder in ("original", "again"))
        if name == "uji.reconciled":
            # its revision says how much its registers had changed when the row was last said, whether it concerned this row or not
            original, again = (_but_revision(each) for each in (original, again))
        assert again == original, name
    assert all(each.ok and each.cells for each in await verify(installation(), ArchivedLog(log, archive), NAMES))
    with pytest.raises(OffsetGap):
        await verify(installation(), log, NAMES)


def _but_revision(content: bytes) -> bytes:
    return pl.read_csv(content, infer_schema=False).drop("revision").write_csv().encode()


async def test_comparing_reads_the_archive_where_the_topic_could_be_read_too(tmp_path: Path) -> None:
    log = await published(NAMES)
    archive = put_away(log, tmp_path)
    assert all(each.ok for each in await compare(installation(), archive, log, NAMES, progress=lambda *_: None))
    place = TopicPartition("events.uji.case.recorded.v1", 0)
    damaged = archive.holding(place).files[0].path
    damaged.write_bytes(damaged.read_bytes()[:-1])
    assert all(each.ok for each in await verify(installation(), log, NAMES))
    with pytest.raises(FatalError, match=damaged.name):
        await compare(installation(), Archive(tmp_path), log, NAMES, progress=lambda *_: None)


async def test_a_published_number_that_the_archive_does_not_give_is_found(tmp_path: Path) -> None:
    log = await published(["uji.case_sum"], lambda output: replace(output, value="12345"))
    (report,) = await compare(installation(), put_away(log, tmp_path), log, ["uji.case_sum"], progress=lambda *_: None)
    assert "value" in {mismatch.field for mismatch in report.mismatches}


async def test_a_hole_and_other_partitions_are_refused_before_anything_is_computed(tmp_path: Path) -> None:
    log = await published([])
    archive = put_away(log, tmp_path / "archive")
    place = TopicPartition("events.uji.case.recorded.v1", 1)
    files = archive.holding(place).files
    files[1].path.rename(tmp_path / "away")
    with pytest.raises(OffsetGap, match=rf"no file holds offsets {files[1].first} to {files[1].last} of {place.topic}/1"):
        await rebuild(installation(), Archive(archive.root), tmp_path, ["uji.case_sum"], progress=lambda *_: None)
    problems = list(check(Archive(archive.root), lambda *_: None))
    assert [each.where for each in problems] == [f"{place.topic}/1"]
    (tmp_path / "away").rename(files[1].path)
    assert list(check(Archive(archive.root), lambda *_: None)) == []
    archive.write([replace(record, partition=7) for record in log.records(place.topic, 1)[:3]])
    with pytest.raises(ConfigurationError, match=r"has partition 7 of .*; allowed are 0 to 1"):
        await rebuild(installation(), Archive(archive.root), tmp_path, ["uji.case_sum"], progress=lambda *_: None)
