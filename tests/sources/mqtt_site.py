"""A made-up agency with sensors, whose messages come over a real Mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from tests.pipeline.ingest_world import World, lab_agency

MANIFEST = """
id = "lab"
title = "Laboratorium"
owner = "Laboratorium"
summary = "Sebuah laboratorium rekaan dengan alat ukur di lapangan. A made-up laboratory with sensors in the field."
settings = ["mqtt_url"]
[events."lab.sample.recorded.v1"]
access = "internal"
[sources.sensors]
type = "mqtt"
topics = ["lab/+station/+parameter"]
status = ["lab/+station/status"]
"""
#: One event a record; its value tells everything that the record says.
MAPPING = """
import json
from datetime import UTC, datetime
from bus.errors import SourceChanged
from bus.events.envelope import Event

def to_events(record):
    if record.get("value") == "unmapped":
        raise SourceChanged("no such value", field="value")
    subject = "/".join(str(record[name]) for name in ("station", "parameter", "no") if name in record)
    yield Event("lab.sample.recorded.v1", subject, datetime(2024, 1, 1, tzinfo=UTC), {"value": json.dumps(record, sort_keys=True)})
"""
_PATIENCE_SECONDS = 60.0


def sensor_agency(base: Path, more: str = "") -> tuple[Path, Path]:
    """Its connectors folder and its schemas folder; `more` is of the source's part of the manifest."""
    connectors, schemas = lab_agency(base, mapping=MAPPING)
    (connectors / "lab" / "agency.toml").write_text(MANIFEST + more)
    return connectors, schemas


def sensor_world(base: Path, url: str, more: str = "") -> World:
    """A world over the log in memory."""
    connectors, schemas = sensor_agency(base, more)
    world = World(base, roots=[connectors], schemas=[schemas], agency="lab")
    world.environ["BUS_LAB__MQTT_URL"] = url
    return world


@asynccontextmanager
async def connector(world: World) -> AsyncIterator[None]:
    """The agency's connector, until the context closes. It waits in real time, for the broker does."""
    running = asyncio.create_task(world.runner(sleep=asyncio.sleep).run(until_end=False))
    try:
        yield
        assert not running.done(), running.result()
    finally:
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running


async def until(what: Callable[[], bool]) -> None:
    """Wait for it."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while not what():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.02)
