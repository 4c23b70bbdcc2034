"""Exactly once, kind by kind: an agency's system is told a load while connector, worker and broker are killed; nothing is lost or double.

In `make test` the one kind that has no such test of its own (test_kills.py, test_mqtt_kills.py, test_webhook_kills.py, tests/live).
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from random import Random
from typing import Any

import pytest

from bus.events.codec import envelope_of
from bus.events.envelope import Op
from bus.kafka.node import KafkaNode
from bus.kafka.ports import LogReader, TopicPartition
from bus.ops.demo import refused
from bus.ops.installation import Installation
from bus.ops.site import Site, running
from bus.settings import ROOT, KafkaSettings, Settings
from bus.simulation.faults import Rates
from bus.simulation.mosquitto import Mosquitto
from bus.simulation.play import Servers, opened
from bus.simulation.world import Plan, World, made
from tests.live.campaign import seeds, sized
from tests.live.cli_process import environ_for
from tests.sources.webhook_world import free_port

pytestmark = [pytest.mark.soak, pytest.mark.timeout(sized(300, 7200))]

KILLS = sized(3, 10)
#: How long the telling is to take at least, in seconds: every kill falls into it.
_SECONDS = sized(12, 240)
RATES = Rates(late=5, twice=10, mended=10, taken_back=5, broken=3, offline=0)


@dataclass(frozen=True)
class Load:
    """The agency that has a source of the kind, and how much of it is some thousand records, or 100,000."""

    agency: str
    source: str
    days: int
    scale: float


LOADS = {
    "files": Load("disdagperin", "harga", sized(20, 1_200), 1.0),
    "query": Load("disnakkan", "setoran", sized(10, 20), sized(0.01, 0.47)),
    "outbox": Load("mpp", "antrean", sized(8, 120), sized(0.2, 1.0)),
    "http": Load("disdikbud", "rombel", sized(10, 31), sized(0.006, 0.6)),
    "webhook": Load("dinkes", "kunjungan", sized(10, 20), sized(0.02, 0.8)),
    "mqtt": Load("dlh", "sensor", sized(20, 840), sized(1.0, 6.0)),
}


@pytest.mark.parametrize("seed", seeds(1, 1))
@pytest.mark.parametrize("kind", sized(["http"], list(LOADS)))
@pytest.mark.parametrize("clean_broker", ["kafka"], indirect=True)
async def test_every_record_is_told_once(
    kind: str,
    seed: int,
    kafka_node: KafkaNode,
    clean_broker: KafkaSettings,
    maria: Callable[..., str],
    mosquitto: Mosquitto,
    tmp_path: Path,
) -> None:
    load, chance = LOADS[kind], Random(f"{kind} {seed}")
    settings = Settings(kafka=clean_broker, data_dir=tmp_path / "data", only_agencies=(load.agency,))
    installation = Installation.load(settings)
    world = _world(installation, load, seed)
    (tmp_path / "systems").mkdir()
    async with opened(installation.agencies, world, tmp_path / "systems", Servers({load.agency: maria()}, mosquitto.url)) as systems:
        environ = {**environ_for(tmp_path / "data", clean_broker, only=load.agency, BUS_INGEST__LEASE_SECONDS="3"), **systems.environ}
        async with running(installation, environ, port=free_port()) as site:
            speed = (world.told[-1].at - world.told[0].at).total_seconds() / _SECONDS
            playing = asyncio.create_task(systems.play(world, speed=speed, report=lambda _, __: None))
            killing = asyncio.create_task(_kills(site, kafka_node, chance))
            await asyncio.gather(playing, killing)
            await site.settle(lambda _, *, connectors_done: None)
            await _told_once(site.log.reader, installation, world)
            if (load.agency, load.source) not in systems.polled:
                assert await refused(site.log, [load.agency]) == world.refused.get(load.agency, 0)


def _world(installation: Installation, load: Load, seed: int) -> World:
    world = made(installation.agencies, ROOT / "schemas" / "reference", Plan(date(2023, 1, 2), load.days, seed, load.scale, RATES))
    return replace(world, told=[told for told in world.told if told.telling.source == load.source])


async def _kills(site: Site, node: KafkaNode, chance: Random) -> None:
    """Of the connector mostly, which this is about; of the worker; of the broker."""
    for number in range(KILLS):
        await asyncio.sleep(_SECONDS / (KILLS + 1) * chance.uniform(0.6, 1.2))
        if number % 4 == 2:
            await asyncio.to_thread(node.kill)
            await asyncio.sleep(chance.uniform(0, 2))
            await asyncio.to_thread(node.start)
            continue
        name = "streams" if number % 4 == 3 else "connectors"
        for tree in site.trees:
            child = tree.children.get(name)
            if child is not None and child.pid is not None:
                with suppress(ProcessLookupError):
                    os.kill(child.pid, signal.SIGKILL)


async def _told_once(reader: LogReader, installation: Installation, world: World) -> None:
    """By type and subject: what stands after everything is what happened, and each state of a thing stands in the log once."""
    wanted: dict[tuple[str, str], Any] = {}
    for fact in world.facts:
        wanted[fact.event.type, fact.event.subject] = None if fact.op is Op.CANCEL else fact.event.data
    assert len(wanted) > 100, "the load is one"
    found: dict[tuple[str, str], tuple[int, Any]] = {}
    for name, schema in installation.catalogue.types.items():
        for number in range(await reader.partitions(schema.type.topic)):
            highest: dict[str, int] = {}
            partition = TopicPartition(schema.type.topic, number)
            async for batch in reader.read(partition, 0, await reader.end(partition)):
                for record in batch:
                    if record.value is None:
                        continue
                    envelope = envelope_of(name, installation.codec.decode(record.value, record.headers))
                    # what a producer wrote twice, every reader drops by its sequence (R6)
                    if envelope.sequence <= highest.get(envelope.source, -1):
                        continue
                    highest[envelope.source] = envelope.sequence
                    key = name, envelope.event.subject
                    version, _ = found.get(key, (-1, None))
                    assert envelope.version > version, f"{key} is told twice"
                    found[key] = envelope.version, None if envelope.op is Op.CANCEL else envelope.event.data
    stands = {key: data for key, (_, data) in found.items() if data is not None}
    happened = {key: data for key, data in wanted.items() if data is not None}
    # a subject that is about a person is a pseudonym in the log: what stands of all of them is compared
    fields = {name: sorted({each for key, data in happened.items() if key[0] == name for each in data} - _personal(schema.avro))
              for name, schema in installation.catalogue.types.items()}  # fmt: skip
    told, meant = (
        Counter((name, *(_plain(data[each]) for each in fields[name])) for (name, _), data in states.items())
        for states in (stands, happened)
    )
    assert told == meant


def _plain(value: object) -> str:
    """The same for the same moment and the same number, however they are written."""
    match value:
        case datetime():
            return value.astimezone(UTC).isoformat()
        case Decimal():
            return format(value.normalize(), "f")
    return str(value)


def _personal(avro: Mapping[str, Any]) -> set[str]:
    """Fields that no reader gets as they were said."""
    return {field["name"] for field in avro["fields"] if field.get("pii")}
