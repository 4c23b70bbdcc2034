"""The archive on real Kafka: archivers killed under load, topics cut short by the command, and everything that then reads the files."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from bus.kafka.admin import apply, delete_topics
from bus.kafka.archive import Archive
from bus.kafka.ports import TopicPartition
from bus.kafka.snapshots import KafkaSnapshotStore
from bus.kafka.topics import SNAPSHOTS, declared_topics
from bus.ops.backfill import export_values
from bus.ops.installation import Installation
from bus.settings import KafkaSettings
from tests.live.cli_process import Ended, bus
from tests.live.streams_site import Site, WorkerProcess
from tests.unit.streams.world import EVENTS, expected, published, write_indicator


class ArchiveSite(Site):
    """A site with an archive."""

    @property
    def archive(self) -> Path:
        return self.folder / "archive"

    def environment(self, name: str) -> dict[str, str]:
        more = {"BUS_ARCHIVE__FOLDER": str(self.archive), "BUS_ARCHIVE__SECONDS": "0", "BUS_ARCHIVE__FILE_RECORDS": "700"}
        return {**super().environment(name), **more, "NO_COLOR": "1", "COLUMNS": "200", "BUS_LOG__LEVEL": "info"}

    def archiver(self) -> WorkerProcess:
        process = WorkerProcess(self.folder, "archive", self.environment("archive"), ("bus", "run", "archive"))
        self.workers.append(process)
        return process

    async def tool(self, *arguments: str, **more: str) -> Ended:
        return await asyncio.to_thread(bus, arguments, {**self.environment("tool"), **more})

    @property
    def places(self) -> list[TopicPartition]:
        return [TopicPartition(EVENTS, number) for number in range(self.settings.kafka.event_partitions)]

    async def until(self, what: str, true: Callable[[], bool], seconds: float = 60.0) -> None:
        deadline = time.monotonic() + seconds
        while not true():
            assert time.monotonic() < deadline, f"{what}\n" + "\n".join(each.log.read_text()[-2000:] for each in self.workers)
            await asyncio.sleep(0.2)

    async def archived(self) -> None:
        """All events are in files."""
        ends = await self.reader.ends(self.places)
        await self.until(f"not archived up to {ends}", lambda: [Archive(self.archive).holding(each).end for each in self.places] == ends)

    async def counted(self) -> None:
        """All folds have durable snapshots of all events."""
        store = KafkaSnapshotStore(self.publisher, self.reader)
        ends = {each.partition: end for each, end in zip(self.places, await self.reader.ends(self.places), strict=True)}
        deadline = time.monotonic() + 60
        while any(reached + 1 != ends[int(name.rpartition("/")[2])] for name, reached in (await store.newest("fold/")).items()):
            assert time.monotonic() < deadline
            await asyncio.sleep(0.2)


@pytest.fixture
async def site(tmp_path: Path, clean_broker: KafkaSettings) -> AsyncIterator[ArchiveSite]:
    async with ArchiveSite(tmp_path, clean_broker) as site:
        yield site


@pytest.mark.kafka
@pytest.mark.parametrize("clean_broker", ["kafka"], indirect=True)
async def test_what_has_left_the_topics_is_read_from_the_archive(site: ArchiveSite) -> None:
    archiver, worker = site.archiver(), site.worker("a")
    await archiver.wait_for("archive.writing")
    load = asyncio.create_task(site.publish(6_000, seconds=3))
    for _ in range(2):
        await asyncio.sleep(1.5)
        archiver.kill()
        archiver = site.archiver()
    await load
    await site.archived()
    await site.exact()
    for place in site.places:
        records = [record async for some in site.reader.read(place, 0, await site.reader.end(place)) for record in some]
        assert [record for some in Archive(site.archive).read(place, 0, len(records)) for record in some] == records

    # the topics are cut short; proofs need the files then
    await site.counted()
    trimmed = await site.tool("archive", "trim", "--keep-days", "0", "--reason", "uji")
    assert trimmed.code == 0, trimmed.err
    assert [await site.reader.beginning(each) for each in site.places] == await site.reader.ends(site.places)
    proven = await site.tool("verify", "--all")
    assert (proven.code, proven.out.count("proven")) == (0, 2), proven.err + proven.out

    # a new definition in the running worker
    write_indicator(site.schemas, "test.large", '{ kind = "count" }', where="amount >= 50")
    await worker.wait_for("indicators_reloaded")
    await site.publish(500)
    deadline = time.monotonic() + 60
    while await published(site.reader, site.codec, "test.large") != expected(site.facts, least=50)["test.count"]:
        assert time.monotonic() < deadline, worker.log.read_text()[-2000:]
        await asyncio.sleep(0.3)
    assert worker.stop() == 0

    # a worker that has lost all states
    await delete_topics(site.settings.kafka, lambda name: name == SNAPSHOTS)
    await apply(site.settings.kafka, declared_topics(site.settings, site.catalogue.types, ["test.large"], ["test"]))
    worker = site.worker("b")
    await site.publish(500)
    await site.exact()
    assert worker.said("unit_joined") >= 3 * len(site.places)
    await site.archived()

    # and everything anew from the files alone
    again = await site.tool("replay", "--from-archive", "--export", str(site.folder / "again"), "--compare")
    assert again.code == 0, again.err + again.out
    (site.folder / "original").mkdir()
    installation = Installation.load(site.settings)
    await export_values(installation, site.reader, site.folder / "original")
    for name in installation.published:
        assert (site.folder / "again" / f"{name}.csv").read_bytes() == (site.folder / "original" / f"{name}.csv").read_bytes(), name
    assert worker.stop() == 0
    assert archiver.stop() == 0
