"""The role as users run it, against real brokers: told once, also when it is killed at the worst moment, and when Kafka was away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx

from bus.kafka.admin import apply
from bus.kafka.client import KafkaPublisher
from bus.kafka.process import free_port
from bus.kafka.topics import Topic
from bus.settings import KafkaSettings
from tests.live.cli_process import environ_for, start_bus
from tests.unit.alerts.test_hook import SECRET, Receiver, receiving
from tests.unit.alerts.test_service import LEVELS, MERAPI, level, message
from tests.unit.alerts.world import row


@asynccontextmanager
async def running(environ: dict[str, str], *, kill: bool = False) -> AsyncIterator[None]:
    """`bus run alerts`, ended by SIGTERM or, with `kill`, by SIGKILL."""
    process = start_bus(["run", "alerts"], environ)
    try:
        yield
    finally:
        (process.kill if kill else process.terminate)()
        _, errors = await asyncio.to_thread(process.communicate, timeout=30)
    assert kill or process.returncode == 0, errors


def told(receiver: Receiver) -> list[tuple[str, str]]:
    return [(said["transition"], said["value"]) for said in (json.loads(body) for _, body in receiver.posts)]


async def test_killed_between_acceptance_and_mark_it_tells_that_one_again_as_itself(clean_broker: KafkaSettings, tmp_path: Path) -> None:
    await apply(clean_broker, [Topic(MERAPI.topic, 1, 1, {"cleanup.policy": "compact"})])
    receiver, port = Receiver(answers=[204, -204, 204]), free_port()
    async with receiving(receiver) as url, KafkaPublisher(clean_broker) as publisher:
        (tmp_path / "siaga.key").write_bytes(SECRET)
        channels = tmp_path / "channels.toml"
        channels.write_text(f'[siaga]\nkind = "webhook"\nurl = "{url}"\nsecret_file = "siaga.key"\n')
        environ = environ_for(tmp_path / "data", clean_broker, only="bpbd", BUS_ALERTS__PORT=str(port), BUS_ALERTS__CHANNELS=str(channels))

        async def posts(count: int) -> None:
            async with asyncio.timeout(60):
                while len(receiver.posts) < count:
                    await asyncio.sleep(0.02)

        async with running(environ, kill=True):
            await publisher.send([level(3, 1)])
            await posts(1)
            await publisher.send([level(4, 2), message(row(MERAPI, None, "MERAPI", LEVELS[3], revision=2))])
            # the second has arrived and is not answered
            await posts(2)
        await publisher.send([level(1, 3), message(row(MERAPI, None, "MERAPI", LEVELS[4], revision=3))])
        async with running(environ), httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as http:
            await posts(4)
            (alert,) = (await http.get("/v1/alerts")).json()["alerts"]
            assert (alert["open"], alert["reason"]) == (False, "cleared")
        assert told(receiver) == [("begun", "3"), ("changed", "4"), ("changed", "4"), ("ended", "1")]
        assert receiver.keys[1] == receiver.keys[2]
        assert len(set(receiver.keys)) == 3
