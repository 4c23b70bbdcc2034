"""A made-up agency whose system posts to the ingress: over the log in memory in this process, or as a connectors process of its own."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import httpx

from bus.ingest.kinds.webhook_spec import WebhookSpec
from bus.testing.clock import ManualClock
from tests.pipeline.ingest_world import World, lab_agency

KEY, OTHER_KEY = "kunci-rahasia-laboratorium-1", "kunci-rahasia-laboratorium-2"
MANIFEST = """
id = "lab"
title = "Laboratorium"
owner = "Laboratorium"
summary = "Sebuah laboratorium rekaan yang sistemnya mengirim sendiri. A made-up laboratory whose system posts by itself."
settings = ["webhook_key"]
[events."lab.sample.recorded.v1"]
access = "internal"
[sources.samples]
type = "webhook"
key = ["no"]
deleted = { field = "value", values = ["HAPUS"] }
[sources.notes]
type = "webhook"
id = "no"
attributes = ["time"]
mapping = "mapping:notes"
[sources.signed]
type = "webhook"
auth = "signature"
"""
MAPPING = """
from datetime import UTC, datetime
from pydantic import BaseModel, ConfigDict, Field
from bus.events.envelope import Event
from bus.ingest.record import parse

class Inner(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    nama: str

class Sample(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True)
    no: str = Field(min_length=1)
    value: str | None = None
    count: int = 0
    nik: str | None = Field(None, max_length=16, json_schema_extra={"pii": "nik"})
    patient: Inner | None = None

def to_events(record):
    sample = parse(Sample, record)
    yield Event("lab.sample.recorded.v1", sample.no, datetime(2024, 1, 1, tzinfo=UTC), {"value": sample.value})

def notes(record):
    at = datetime.fromisoformat(record.get("ce_time") or "2024-01-01T00:00:00+00:00")
    yield Event("lab.sample.recorded.v1", record["no"], at, {"value": record["value"]})
"""


class RunningClock(ManualClock):
    """The machine's clock, where a manual one is asked for."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return server.getsockname()[1]


def webhook_world(base: Path, *, manifest: str = MANIFEST, mapping: str = MAPPING, **environ: str) -> World:
    connectors, schemas = lab_agency(base, mapping=mapping)
    (connectors / "lab" / "agency.toml").write_text(manifest)
    world = World(base, roots=[connectors], schemas=[schemas], agency="lab")
    world.clock = RunningClock()
    world.environ |= {
        "BUS_LAB__WEBHOOK_KEY": KEY,
        "BUS_INGEST__INGRESS_PORT": str(free_port()),
        "BUS_INGEST__BATCH_RECORDS": "500",
    } | environ
    return world


@asynccontextmanager
async def posting(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """The connector runs; a client whose base is the agency's address and who shows the key."""
    running = asyncio.create_task(world.runner(sleep=asyncio.sleep).run(until_end=False))
    base = f"http://127.0.0.1:{world.environ['BUS_INGEST__INGRESS_PORT']}"
    count = sum(isinstance(spec, WebhookSpec) for spec in world.agency.manifest.sources.values())
    async with httpx.AsyncClient(base_url=f"{base}/v1/events/{world.agency.id}", headers={"X-Api-Key": KEY}, timeout=30) as client:
        while not running.done():
            try:
                if (await client.get(f"{base}/healthz")).json()["sources"] == count:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.02)
        try:
            yield client
        finally:
            running.cancel()
            await asyncio.wait({running})
            if not running.cancelled() and (error := running.exception()) is not None:
                raise error


async def drained(world: World, count: int) -> None:
    """Wait until so many events are in the log."""
    async with asyncio.timeout(30):
        while len(world.folded()) < count:
            await asyncio.sleep(0.02)
