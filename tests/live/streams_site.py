"""A bus on a broker: schemas in an overlay, worker processes that can be killed and frozen, load, and the exact answer to wait for."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Self

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.indicators.loader import load_indicators
from bus.kafka.admin import apply
from bus.kafka.client import KafkaLogReader, KafkaPublisher
from bus.kafka.topics import declared_topics
from bus.settings import ROOT, KafkaSettings, Settings, StreamsSettings
from tests.unit.streams.world import Fact, expected, history, message, published, write_schemas


class WorkerProcess:
    """One worker, by default `python -m bus.streams`."""

    def __init__(self, folder: Path, name: str, environ: Mapping[str, str], command: Sequence[str] = ("bus.streams",)) -> None:
        self.name = name
        self.log = folder / f"{name}-{uuid.uuid4().hex[:4]}.log"
        with self.log.open("wb") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", *command], env=dict(environ), cwd=ROOT, stdout=out, stderr=subprocess.STDOUT
            )

    def said(self, event: str) -> int:
        return self.log.read_text(errors="replace").count(event)

    async def wait_for(self, event: str, seconds: float = 80.0, times: int = 1) -> None:
        deadline = time.monotonic() + seconds
        while self.said(event) < times:
            assert self.process.poll() is None, f"{self.name} ended with {self.process.returncode}:\n{self.log.read_text()[-3000:]}"
            assert time.monotonic() < deadline, f"{self.name} never said {event}:\n{self.log.read_text()[-3000:]}"
            await asyncio.sleep(0.1)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


class Site:
    """Everything around the workers."""

    #: What is run as a worker.
    command: Sequence[str] = ("bus.streams",)

    def __init__(self, folder: Path, kafka: KafkaSettings) -> None:
        self.folder = folder
        self.schemas = write_schemas(folder / "overlay" / "schemas")
        kafka = kafka.model_copy(update={"retry_seconds": 30.0})
        streams = StreamsSettings(group=f"g{uuid.uuid4().hex[:8]}", snapshot_seconds=0.5, max_poll_records=2_000, reload_seconds=0.3)
        self.settings = Settings(kafka=kafka, streams=streams, overlay=(folder / "overlay",), only_agencies=("test",))
        self.catalogue = Catalogue.load(self.settings.schemas_roots(), self.settings.only_agencies)
        self.codec = Codec(self.catalogue)
        self.publisher = KafkaPublisher(kafka)
        self.reader = KafkaLogReader(kafka)
        self.workers: list[WorkerProcess] = []
        self.facts: list[Fact] = []

    async def __aenter__(self) -> Self:
        indicators = load_indicators(self.settings.schemas_roots(), self.catalogue)
        await apply(self.settings.kafka, declared_topics(self.settings, self.catalogue.types, indicators, ["test", "dlh"]))
        await self.publisher.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        for worker in self.workers:
            if worker.process.poll() is None:
                worker.signal(signal.SIGCONT)
                worker.kill()
        await self.publisher.close()
        await self.reader.close()

    def environment(self, name: str) -> dict[str, str]:
        kafka, streams = self.settings.kafka, self.settings.streams
        return {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "BUS_KAFKA__BOOTSTRAP_SERVERS": kafka.bootstrap_servers,
            "BUS_KAFKA__EMBEDDED": str(kafka.embedded).lower(),
            "BUS_KAFKA__RETRY_SECONDS": "30",
            "BUS_OVERLAY": str(self.settings.overlay[0]),
            "BUS_ONLY_AGENCIES": ":".join(self.settings.only_agencies),
            "BUS_STREAMS__GROUP": streams.group,
            "BUS_STREAMS__INSTANCE": name,
            "BUS_STREAMS__SNAPSHOT_SECONDS": str(streams.snapshot_seconds),
            "BUS_STREAMS__MAX_POLL_RECORDS": str(streams.max_poll_records),
            "BUS_STREAMS__RELOAD_SECONDS": str(streams.reload_seconds),
            "BUS_STREAMS__STALL_SECONDS": "25",
        }

    def worker(self, name: str) -> WorkerProcess:
        process = WorkerProcess(self.folder, name, self.environment(name), self.command)
        self.workers.append(process)
        return process

    async def publish(self, events: int, *, seconds: float = 0.0) -> None:
        """That many more facts, spread over that time."""
        facts = history(len(self.facts) + 1, events, subjects=500, first=len(self.facts))
        self.facts += facts
        step = 500
        for start in range(0, events, step):
            await self.publisher.send(
                [message(self.codec, fact, self.settings.kafka.event_partitions) for fact in facts[start : start + step]]
            )
            await asyncio.sleep(seconds * step / events)

    async def exact(self, indicators: Sequence[str] = ("test.total", "test.count"), seconds: float = 90.0) -> None:
        """Wait for exactly the right values of all cells."""
        wanted = expected(self.facts)
        deadline = time.monotonic() + seconds
        while True:
            found = {name: await published(self.reader, self.codec, name) for name in indicators}
            if all(found[name] == wanted[name] for name in indicators):
                return
            logs = "\n".join(f"--- {worker.name} {worker.process.poll()}\n{worker.log.read_text()[-1500:]}" for worker in self.workers)
            assert time.monotonic() < deadline, f"{found['test.count']} is not {wanted['test.count']}\n{logs}"
            await asyncio.sleep(0.3)
