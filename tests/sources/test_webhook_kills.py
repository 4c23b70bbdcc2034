"""The ingress as a process that is killed in mid-load: senders repeat until they see 202, and the log has each record once."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from random import Random

import httpx
import pytest

from bus.events.codec import Codec, envelope_of
from bus.kafka.client import KafkaLogReader
from bus.kafka.ports import TopicPartition
from bus.ops.installation import Installation
from bus.ops.quarantine import list_quarantine
from bus.ops.wiring import apply_topics
from bus.settings import KafkaSettings, Settings
from tests.conftest import CAMPAIGN_BROKERS, SOAK
from tests.live.cli_process import environ_for
from tests.live.streams_site import WorkerProcess
from tests.sources.webhook_world import KEY, free_port, webhook_world

POSTS, KILLS = (100_000, 10) if SOAK else (2_000, 3)
SENDERS = 16
_TOPIC = "events.lab.sample.recorded.v1"


class Senders:
    """Offices with bad lines: every post is sent again until it is answered."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/v1/events/lab/notes"
        self._left = iter(range(POSTS))
        self.answered = 0
        self.repeated = 0
        self.subjects: set[str] = set()
        self.refused = 0

    async def run(self) -> None:
        async with httpx.AsyncClient(headers={"X-Api-Key": KEY}, timeout=20) as client:
            await asyncio.gather(*(self._sender(client) for _ in range(SENDERS)))

    async def _sender(self, client: httpx.AsyncClient) -> None:
        for number in self._left:
            content, kind, wrong = self._post(number)
            while (answer := await self._tried(client, content, kind)) is None:
                self.repeated += 1
                await asyncio.sleep(0.05)
            assert answer.json()["refused"] == wrong
            self.refused += wrong
            self.answered += 1

    async def _tried(self, client: httpx.AsyncClient, content: str, kind: str) -> httpx.Response | None:
        """The answer that ends it; None: to be sent again."""
        try:
            answer = await client.post(self._url, content=content, headers={"Content-Type": kind})
        except httpx.TransportError:
            return None
        assert answer.status_code in {202, 422, 429, 503}, answer.text
        return answer if answer.status_code in {202, 422} else None

    def _post(self, number: int) -> tuple[str, str, int]:
        if number % 50 == 7:
            return json.dumps({"no": f"{number}"}), "application/json", 1
        if number % 10 == 3:
            records = [{"no": f"{number}.{part}", "value": "a"} for part in range(5)]
            self.subjects |= {record["no"] for record in records}
            return json.dumps(records), "application/json", 0
        self.subjects.add(str(number))
        event = {"specversion": "1.0", "id": str(number), "source": "/desa", "type": "x", "data": {"no": str(number), "value": "a"}}
        return json.dumps(event), "application/cloudevents+json", 0


@pytest.mark.soak
@pytest.mark.parametrize("clean_broker", CAMPAIGN_BROKERS, indirect=True)
async def test_kills_under_load_lose_nothing_and_double_nothing(tmp_path: Path, clean_broker: KafkaSettings) -> None:
    world, port = webhook_world(tmp_path), free_port()
    environ = environ_for(
        tmp_path / "var", clean_broker, only="lab", BUS_OVERLAY=str(tmp_path / "overlay"), BUS_LAB__WEBHOOK_KEY=KEY, BUS_INGEST__INGRESS_PORT=str(port),
        BUS_INGEST__LEASE_SECONDS="2",
    )  # fmt: skip
    bus = {name: value for name, value in environ.items() if name.startswith("BUS_")}
    settings = Settings.from_env(bus, agencies=["lab"])
    await apply_topics(settings, Installation.load(settings).topics())
    senders, random = Senders(port), Random(4)
    sending = asyncio.create_task(senders.run())
    for number in range(KILLS + 1):
        connector = WorkerProcess(tmp_path, f"connectors-{number}", environ, ("bus", "run", "connectors"))
        due = POSTS if number == KILLS else POSTS * (number + random.uniform(0.3, 0.9)) / (KILLS + 1)
        try:
            while senders.answered < due:
                assert connector.process.poll() is None, connector.log.read_text()[-3000:]
                if sending.done():
                    sending.result()
                await asyncio.sleep(0.01)
            if number == KILLS:
                await sending
                await in_the_log(clean_broker, world.codec, senders)
        finally:
            connector.kill()
    assert senders.repeated


async def in_the_log(kafka: KafkaSettings, codec: Codec, senders: Senders) -> None:
    """Wait until everything is there; by the fold's rule each record is there once."""
    reader = KafkaLogReader(kafka)
    try:
        async with asyncio.timeout(600 if SOAK else 60):
            while (found := await folded(reader, codec)).keys() != senders.subjects:
                assert found.keys() <= senders.subjects
                await asyncio.sleep(0.3)
            assert set(found.values()) == {1}
            while len(await list_quarantine(reader, "lab")) < senders.refused:
                await asyncio.sleep(0.3)
    finally:
        await reader.close()


async def folded(reader: KafkaLogReader, codec: Codec) -> dict[str, int]:
    """Subject -> how many facts of it a fold applies: of each source and partition only rising sequences."""
    found: dict[str, int] = {}
    for number in range(await reader.partitions(_TOPIC)):
        partition, highest = TopicPartition(_TOPIC, number), dict[str, int]()
        end = await reader.end(partition)
        async for batch in reader.read(partition, 0, end):
            for record in batch:
                if record.value is None:
                    continue
                envelope = envelope_of(_TOPIC.removeprefix("events."), codec.decode(record.value, record.headers))
                if envelope.sequence > highest.get(envelope.source, -1):
                    highest[envelope.source] = envelope.sequence
                    found[envelope.event.subject] = found.get(envelope.event.subject, 0) + 1
    return found
