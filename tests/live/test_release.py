"""The role `release` as a process of its own over a broker: what it lets out, and that a killed one says nothing twice."""

from __future__ import annotations

import asyncio
import os
import sys
from collections import Counter
from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from bus.events.catalogue import Catalogue
from bus.events.codec import Codec
from bus.kafka.admin import apply
from bus.kafka.client import KafkaLogReader, KafkaPublisher
from bus.kafka.embedded import EmbeddedBroker
from bus.kafka.ports import Message, TopicPartition
from bus.ops.installation import Installation
from bus.settings import ROOT, KafkaSettings, Settings
from bus.streams.outputs import encode_output
from tests.unit.disclosure.world import DAY, START, World, place, table

#: What `mpp` is served as: its surveys by tenant are about persons.
MALL, TENANT = table("mpp.ikm_mall_month"), table("mpp.ikm_tenant_month", ["tenant"])
_SECONDS = 90.0


@asynccontextmanager
async def _release(broker: EmbeddedBroker, folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    environ: Mapping[str, str] = {
        **{name: value for name, value in os.environ.items() if not name.startswith("BUS_")},
        "BUS_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "BUS_KAFKA__EMBEDDED": "true",
        "BUS_ONLY_AGENCIES": "mpp",
        "BUS_DATA_DIR": str(folder),
        "BUS_RELEASE__POLL_SECONDS": "0.1",
    }
    process = await asyncio.create_subprocess_exec(sys.executable, "-m", "bus", "run", "release", env=environ, cwd=ROOT)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _public(reader: KafkaLogReader, codec: Codec) -> list[dict[str, object]]:
    rows = []
    for each in (MALL, TENANT):
        partition = TopicPartition(f"public.{each.id}", 0)
        end = await reader.end(partition)
        if end:
            async for batch in reader.read(partition, 0, end):
                rows += [codec.decode(record.value or b"", record.headers) for record in batch]
    return rows


async def _wait_for(reader: KafkaLogReader, codec: Codec, told: Collection[object]) -> list[dict[str, object]]:
    """All rows, once rows of so many answers are among them: tables are let out one after the other, in no order of theirs."""
    async with asyncio.timeout(_SECONDS):
        while True:
            found = await _public(reader, codec)
            if not Counter(told) - Counter(row["n"] for row in found):
                return found
            await asyncio.sleep(0.2)


def _messages(world: World, codec: Codec, at_us: int) -> list[Message]:
    messages = []
    for output in world.outputs():
        output.watermarks["s"] = at_us  # type: ignore[index]
        key, value, headers = encode_output(codec, output)
        messages.append(Message(f"history.{output.indicator}", 0, key, value, headers))
    return messages


async def test_small_cells_stay_inside_and_a_killed_stage_goes_on(make_embedded, tmp_path: Path) -> None:
    broker: EmbeddedBroker = make_embedded()
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, embedded=True)
    installation = Installation.load(Settings(kafka=kafka, only_agencies=("mpp",)))
    codec = Codec(Catalogue.load([ROOT / "schemas"]))
    await apply(kafka, installation.topics())
    world = World([MALL, TENANT])
    for tenant, answers in (("POLRES", 60), ("SAMSAT", 4), ("BPJS", 30)):
        world.add(place(tenant=tenant), answers)
    async with KafkaPublisher(kafka) as publisher, KafkaLogReader(kafka) as reader:
        await publisher.send(_messages(world, codec, START + 33 * DAY))
        async with _release(broker, tmp_path) as first:
            rows = await _wait_for(reader, codec, [94, 60, None, None])
            first.kill()
        found = {tuple(each["value"] for each in row["dimensions"]): row["n"] for row in rows}  # type: ignore[attr-defined]
        assert found == {(): 94, ("POLRES",): 60, ("SAMSAT",): None, ("BPJS",): None}
        world.add(place(tenant="POLRES"), 25)
        await publisher.send(_messages(world, codec, START + 50 * DAY))
        async with _release(broker, tmp_path):
            rows = await _wait_for(reader, codec, [119, 85])
        again = [(tuple(each["value"] for each in row["dimensions"]), row["n"]) for row in rows]  # type: ignore[attr-defined]
        assert sorted(again, key=repr).count(((), 94)) == 1
        assert ((), 119) in again
        assert (("POLRES",), 85) in again
        assert not any(row["n"] is not None and row["n"] < 10 for row in rows)  # type: ignore[operator]
