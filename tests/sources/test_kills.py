"""Exactly once: connector and server are killed (`kill -9`) while an agency's system writes; a real connector process, a broker, real servers."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections.abc import Callable
from pathlib import Path

import pytest

from bus.ingest.quarantine import Entry
from bus.kafka.admin import apply
from bus.kafka.client import KafkaLogReader
from bus.kafka.embedded import EmbeddedBroker
from bus.kafka.ports import TopicPartition
from bus.kafka.topics import declared_topics
from bus.ops.quarantine import list_quarantine
from bus.settings import KafkaSettings, Settings
from bus.simulation.servers import Server
from tests.conftest import SOAK
from tests.live.cli_process import environ_for
from tests.live.streams_site import WorkerProcess
from tests.pipeline.ingest_world import World
from tests.sources.agency import Agency
from tests.sources.load import Load
from tests.sources.world import database_world

RECORDS, KILLS = (100_000, 10) if SOAK else (2_000, 3)
SOURCES = {
    "outbox": 'type = "sql"\nmode = "outbox"\nkey = ["no"]\npoll_seconds = 0.1\nlimit = 100\n',
    "query": 'type = "sql"\nmode = "query"\nkey = ["no"]\ntable = "samples"\nwatermark = "changed"\npoll_seconds = 0.1\nlimit = 100\n',
    "cdc": 'type = "postgres-cdc"\ntables = ["public.samples"]\nkey = ["no"]\npoll_seconds = 0.1\nlimit = 100\n',
}
CASES = [("outbox", "mariadb", "delete"), ("query", "postgresql", ""), ("cdc", "postgresql", "")]
if SOAK:
    CASES += [("outbox", "postgresql", "mark"), ("outbox", "sqlite", "mark"), ("query", "mariadb", "")]


@pytest.mark.soak
@pytest.mark.timeout(7200 if SOAK else 240)
@pytest.mark.parametrize(("mode", "dialect", "after"), CASES, ids=["-".join(filter(None, case)) for case in CASES])
async def test_every_record_exactly_once(
    request: pytest.FixtureRequest, tmp_path: Path, settings_of: Callable[[EmbeddedBroker], KafkaSettings],
    make_embedded: Callable[[], EmbeddedBroker], mode: str, dialect: str, after: str,
) -> None:  # fmt: skip
    agency, server = _agency(request, tmp_path, dialect)
    world = database_world(tmp_path, agency.url, SOURCES[mode] + (f'after = "{after}"\n' if after else ""))
    broker = make_embedded()
    kafka = settings_of(broker)
    load = Load(agency, mode, RECORDS, KILLS + 1)
    load.prepare()
    await _topics(world, kafka)
    environ = environ_for(
        tmp_path / "var", kafka, only="lab", BUS_OVERLAY=str(tmp_path / "overlay"), BUS_LAB__URL=agency.url, BUS_INGEST__LEASE_SECONDS="2",
        BUS_KAFKA__RETRY_SECONDS="60",
    )  # fmt: skip
    if mode == "cdc":
        # the slot is there before the first record: from then on every change is told, not only what it led to
        await _to_the_end(tmp_path, environ)
    await _campaign(tmp_path, environ, load, server, random.Random(f"{mode} {dialect}"))
    told, refused = await _read(world, kafka)
    expected, bad = load.truth()
    if mode == "query":
        _at_least_the_last(told, expected)
    else:
        assert told == expected
    rules = [entry.reason["rule"] for entry in refused]
    assert rules == ["out_of_range"] * bad
    broker.stop()


def _at_least_the_last(told: dict[str, list[tuple[str, str]]], expected: dict[str, list[tuple[str, str]]]) -> None:
    """Of changes between two polls a query sees only the last: a row that was corrected before it was seen is told once, as it then was."""
    assert told.keys() == expected.keys()
    for subject, events in told.items():
        wanted = expected[subject]
        assert events in (wanted, [("CREATE", wanted[-1][1])]), (subject, events, wanted)


def _agency(request: pytest.FixtureRequest, base: Path, dialect: str) -> tuple[Agency, Server | None]:
    if dialect == "sqlite":
        with sqlite3.connect(base / "agency.db") as made:
            made.execute("PRAGMA journal_mode = WAL")
        made.close()
        return Agency(f"sqlite:///{base / 'agency.db'}", dialect), None
    name = "postgres" if dialect == "postgresql" else "maria"
    server: Server = request.getfixturevalue(f"{name}_server")
    return Agency(request.getfixturevalue(name)(), dialect), server


async def _campaign(base: Path, environ: dict[str, str], load: Load, server: Server | None, chance: random.Random) -> None:
    """Write in pieces; each kill comes at some moment of a piece. At the end one process reads what is left."""
    writing = asyncio.create_task(asyncio.to_thread(load.run))
    worker = WorkerProcess(base, "connectors", environ, ("bus", "run", "connectors"))
    try:
        for number in range(KILLS):
            await worker.wait_for("connectors running")
            await asyncio.sleep(chance.uniform(0, 1.5))
            if server is not None and number % 2:
                await asyncio.to_thread(server.restart)
            else:
                worker.kill()
                worker = WorkerProcess(base, "connectors", environ, ("bus", "run", "connectors"))
            load.allow()
        await writing
        await worker.wait_for("connectors running")
        await asyncio.sleep(chance.uniform(0, 1.5))
    finally:
        for _ in range(KILLS):
            load.allow()
        worker.kill()
    await _to_the_end(base, environ)


async def _to_the_end(base: Path, environ: dict[str, str]) -> None:
    """One process that reads what there is and ends."""
    last = WorkerProcess(base, "last", environ, ("bus", "run", "connectors", "--once"))
    code = await asyncio.to_thread(last.process.wait, 1200 if SOAK else 90)
    assert code == 0, last.log.read_text()[-3000:]


async def _topics(world: World, kafka: KafkaSettings) -> None:
    settings = Settings(kafka=kafka)
    await apply(kafka, declared_topics(settings, list(world.codec.catalogue.types), {}, ["lab"]))


async def _read(world: World, kafka: KafkaSettings) -> tuple[dict[str, list[tuple[str, str]]], list[Entry]]:
    """What a fold applies, by subject, in order; and the quarantine."""
    reader = KafkaLogReader(kafka)
    told: dict[str, list[tuple[str, str]]] = {}
    try:
        for topic in world.topics:
            for number in range(await reader.partitions(topic)):
                highest: dict[str, int] = {}
                partition = TopicPartition(topic, number)
                async for batch in reader.read(partition, 0, await reader.end(partition)):
                    for record in batch:
                        event = world.envelope(record)
                        if event is not None and event.sequence > highest.get(event.source, -1):
                            highest[event.source] = event.sequence
                            told.setdefault(event.event.subject, []).append((event.op.value, str(event.event.data["value"])))
        return told, list(await list_quarantine(reader, "lab", state=None))
    finally:
        await reader.close()
