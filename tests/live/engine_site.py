"""A bus on a broker with one indicator of each kind of the made-up agency `uji`: worker processes, histories, and what the model says of them."""

from __future__ import annotations

import asyncio
import shutil
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from bus.indicators.edition import SMALL_WINDOW
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.outputs import Output
from bus.indicators.partial import encode
from bus.kafka.client import KafkaLogReader, KafkaPublisher
from bus.kafka.ports import TopicPartition
from bus.ops.installation import Installation
from bus.ops.values import read_values
from bus.ops.wiring import apply_topics
from bus.settings import ROOT, KafkaSettings, Settings, StreamsSettings
from bus.streams.folding import FoldWork
from tests.live.cli_process import environ_for
from tests.live.streams_site import WorkerProcess
from tests.model.engine import Found, differences, newest
from tests.model.histories import Published, entries, message
from tests.model.model import Model
from tests.model.worlds import OVERLAY, PARTITIONS, REPORTERS

#: One of each: flow, stock and closings, with and without regions; clocks; exact and estimated measures; every kind of composite.
CHOSEN = (
    "case_sum", "case_quantile", "reading_distinct", "reading_heard", "survey_ikm", "now_mean", "now_age", "region_now", "daily_count",
    "region_daily", "permit_time", "permit_within", "part_in", "part_out", "total", "net", "share", "per_capita", "top_places", "change",
    "register_mcd", "register_siak", "reconciled",
)  # fmt: skip

_AGENCY = """
id = "uji"
title = "Uji"
owner = "Uji"
summary = "A made-up agency whose only task is to be counted in every way that there is."
settings = ["folder"]

{events}
[sources.none]
kind = "append"
header = {{ a = ["a"] }}
"""


class EngineSite:
    """Everything around the workers."""

    def __init__(self, folder: Path, kafka: KafkaSettings) -> None:
        self.folder = folder
        self.overlay = folder / "overlay"
        self.schemas = self.overlay / "schemas"
        for name in ("events", "reference"):
            shutil.copytree(OVERLAY / "schemas" / name, self.schemas / name)
        (self.schemas / "indicators").mkdir()
        for name in CHOSEN:
            shutil.copy(OVERLAY / "schemas" / "indicators" / f"uji.{name}.toml", self.schemas / "indicators")
        self._declare()
        kafka = kafka.model_copy(update={"retry_seconds": 30.0, "event_partitions": PARTITIONS})
        streams = StreamsSettings(group=f"g{uuid.uuid4().hex[:8]}", snapshot_seconds=0.5, max_poll_records=400, reload_seconds=0.3)
        self.settings = Settings(kafka=kafka, streams=streams, overlay=(self.overlay,), only_agencies=("uji",))
        self.installation = Installation.load(self.settings)
        self.publisher = KafkaPublisher(kafka)
        self.reader = KafkaLogReader(kafka)
        self.workers: list[WorkerProcess] = []
        self.published: list[Published] = []

    def _declare(self) -> None:
        """A manifest, for the reporters that it names."""
        names = [f"uji.{path.name.removesuffix('.avsc')}" for path in sorted((self.schemas / "events" / "uji").glob("*.avsc"))]
        told = {name: f"reporters = {[f'p{number}' for number in range(REPORTERS.get(name, 0))]}\n" for name in names}
        events = "\n".join(f'[events."{name}"]\naccess = "internal"\n{told[name]}' for name in names)
        folder = self.overlay / "connectors" / "uji"
        folder.mkdir(parents=True)
        (folder / "agency.toml").write_text(_AGENCY.format(events=events))

    async def __aenter__(self) -> Self:
        await apply_topics(self.settings, self.installation.topics())
        await self.publisher.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.kill()
        await self.publisher.close()
        await self.reader.close()

    @property
    def environ(self) -> dict[str, str]:
        """Of workers and of commands."""
        kafka, streams = self.settings.kafka, self.settings.streams
        more = {
            "BUS_KAFKA__EVENT_PARTITIONS": kafka.event_partitions, "BUS_KAFKA__RETRY_SECONDS": 30, "BUS_OVERLAY": self.overlay,
            "BUS_STREAMS__GROUP": streams.group, "BUS_STREAMS__SNAPSHOT_SECONDS": streams.snapshot_seconds,
            "BUS_STREAMS__MAX_POLL_RECORDS": streams.max_poll_records, "BUS_STREAMS__RELOAD_SECONDS": streams.reload_seconds,
            "BUS_STREAMS__STALL_SECONDS": 25,
        }  # fmt: skip
        return environ_for(self.folder / "data", kafka, only="uji", **{name: str(value) for name, value in more.items()})

    def worker(self, name: str) -> WorkerProcess:
        process = WorkerProcess(self.folder, name, {**self.environ, "BUS_STREAMS__INSTANCE": name})
        self.workers.append(process)
        return process

    def change(self, name: str, old: str, new: str) -> None:
        """Change an indicator's file, and what is expected from now on."""
        path = self.schemas / "indicators" / f"{name}.toml"
        text = path.read_text(encoding="utf-8")
        assert old in text
        path.write_text(text.replace(old, new, 1), encoding="utf-8")
        self.installation = Installation.load(self.settings)

    async def publish(self, facts: Sequence[Published], *, seconds: float = 0.0) -> None:
        """These facts, spread over that time."""
        step = 100
        for start in range(0, len(facts), step):
            await self.publisher.send([message(each) for each in facts[start : start + step]])
            self.published += facts[start : start + step]
            await asyncio.sleep(seconds * step / len(facts))

    # what has to come out

    def model(self) -> Model:
        """The reference model over the definitions as they are now."""
        tables = {name: ROOT / "schemas" / "reference" / f"{name}.csv" for name in ("wilayah", "hari_libur")}
        tables["uji_penduduk"] = self.schemas / "reference" / "uji_penduduk.csv"
        return Model.load([self.schemas], tables, partitions=PARTITIONS, reporters=REPORTERS)

    async def standing(self, name: str) -> list[Output]:
        """What readers of the current version of an indicator are left with, rows of former versions left out."""
        values = await read_values(self.reader, self.installation.codec, name, version=self.installation.indicators[name].version)
        return [value for value in values if value.n or value.revision]

    async def right(self, seconds: float = 150.0) -> None:
        """Wait until all indicators stand as the model has them."""
        model, log = self.model(), entries(self.published)
        waiting = {name: model.rows(name, log) for name in model.indicators if name in self.installation.published}
        deadline = time.monotonic() + seconds
        while waiting:
            for name, rows in list(waiting.items()):
                found = newest(self.installation.indicators[name], await self.standing(name))
                composite = "composite" in model.indicators[name]
                wrong = differences(_as_heard(found, rows), rows, composite=composite, stale_ages=True)
                if not wrong:
                    del waiting[name]
                    continue
                assert time.monotonic() < deadline, "\n".join([f"{name}: {len(wrong)} differences", *wrong[:4], self.logs()])
            await asyncio.sleep(0.3)

    async def recomputed(self) -> dict[str, list[Output]]:
        """Every indicator of `uji`, computed here from the log on the broker: each partition in one batch, one merge for all."""
        kafka = self.settings.kafka
        work = FoldWork(self.installation.catalogue, {}, event_partitions=PARTITIONS, partials_partitions=kafka.partials_partitions)
        merge, partials = MergeUnit.new(0), []
        leaves = [leaf for leaf in self.installation.leaves.values() if leaf.id.startswith("uji.")]
        for topic in sorted({leaf.topic for leaf in leaves}):
            for number in range(PARTITIONS):
                partials += await self._folded(work, TopicPartition(topic, number), [leaf for leaf in leaves if leaf.topic == topic])
        merge.apply(list(enumerate(partials)))
        return {name: merge.outputs(name) for name in self.installation.published if name.startswith("uji.")}

    async def _folded(self, work: FoldWork, place: TopicPartition, leaves: Sequence[Indicator]) -> list[bytes]:
        records = [record async for some in self.reader.read(place, 0, await self.reader.end(place)) for record in some]
        units = [FoldUnit.new(leaf, place.topic, place.partition, PARTITIONS) for leaf in leaves]
        if records:
            batch = work.prepare(place, records).batch
            for unit in units:
                unit.apply(batch)
        return [part for unit in units for part in encode(unit.full_partial())]

    def logs(self) -> str:
        return "\n".join(f"--- {worker.name} {worker.process.poll()}\n{worker.log.read_text()[-1500:]}" for worker in self.workers)


def _as_heard(found: Found, wanted: Any) -> Found:
    """In a large window rows are not published anew only because one more reporter was heard of."""
    rows = Counter(start for start, _ in found)
    return {
        cell: replace(output, heard=wanted[cell].heard) if rows[cell[0]] > SMALL_WINDOW and cell in wanted else output
        for cell, output in found.items()
    }
