"""The gateway over real brokers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from bus.kafka.admin import apply, delete_topics
from bus.kafka.client import KafkaPublisher
from bus.kafka.node import KafkaNode
from bus.kafka.ports import Message
from bus.kafka.topics import Topic
from bus.ops.apikeys import Role, add_key
from bus.settings import GatewaySettings, KafkaSettings, Settings
from consumers.dashboard.gateway import create
from tests.unit.gateway.feed import Client, listening, released, serving, until_ready, value
from tests.unit.gateway.sockets import talking


async def make(kafka: KafkaSettings, id_: str) -> None:
    """The topic of an indicator."""
    await apply(kafka, [Topic(f"indicators.{id_}", 1, 1, {"cleanup.policy": "compact"})])


def settings_for(kafka: KafkaSettings) -> Settings:
    return Settings(kafka=kafka, gateway=GatewaySettings(port=0))


async def test_values_changes_a_new_topic_and_a_resume(clean_broker: KafkaSettings) -> None:
    one, two = "live.one", "live.two"
    await make(clean_broker, one)
    async with KafkaPublisher(clean_broker) as publisher:
        await publisher.send([value(one, str(number), dimensions={"station": f"S{number}"}) for number in range(1200)])
        client = Client()
        async with serving(create(settings_for(clean_broker))) as url, httpx.AsyncClient(base_url=url) as http:
            await until_ready(http, 30)
            assert (await http.get(f"/v1/indicators/{one}?limit=5000")).json()["total"] == 1200
            assert (await http.get("/config")).json() == {"compatibilityLevel": "FULL_TRANSITIVE"}
            schema_id = int.from_bytes(value(one, "1").value[1:5], "big")  # type: ignore[index]
            assert "bus.indicator_value" in (await http.get(f"/schemas/ids/{schema_id}")).json()["schema"]
            async with listening(http, client, indicator=one):
                await eventually(lambda: len(client.cells) == 1200)
                assert client.kinds.count("snapshot") == 3
                began = time.monotonic()
                await publisher.send([value(one, "-1", revision=2, dimensions={"station": "S7"})])
                await eventually(lambda: any(cell["value"] == "-1" for cell in client.cells.values()))
                assert time.monotonic() - began < 3
            await make(clean_broker, two)
            await publisher.send([value(two, "5")])
            async with asyncio.timeout(15):
                while (await http.get(f"/v1/indicators/{two}")).status_code != 200:
                    await asyncio.sleep(0.1)
        await publisher.send([value(one, "-2", revision=2, dimensions={"station": "S8"})])
        client.kinds = []
        async with serving(create(settings_for(clean_broker))) as url, httpx.AsyncClient(base_url=url) as http:
            await until_ready(http, 30)
            async with listening(http, client, indicator=one):
                await eventually(lambda: "change" in client.kinds)
            assert client.kinds == ["status", "change"]
    assert sorted(float(str(cell["value"])) for cell in client.cells.values())[:2] == [-2, -1]


async def test_roles_sockets_and_revisions(clean_broker: KafkaSettings, tmp_path: Path) -> None:
    id_ = "dlh.pm10_mean"
    key = add_key(tmp_path / "keys", "planner", Role.INTERNAL)
    compact = {"cleanup.policy": "compact"}
    topics = [Topic(f"{prefix}.{id_}", 1, 1, {} if prefix == "history" else compact) for prefix in ("indicators", "history", "public")]
    await apply(clean_broker, topics)
    rows = [value(id_, "38", n=31), value(id_, "3", n=3, dimensions={"station": "DKI9"}), value(id_, "39", n=32, revision=2)]
    async with KafkaPublisher(clean_broker) as publisher:
        past = [Message(f"history.{id_}", 0, each.key, each.value, each.headers) for each in rows]
        await publisher.send([*rows, *past, released(id_, "37")])
        settings = Settings(kafka=clean_broker, gateway=GatewaySettings(port=0, keys_file=tmp_path / "keys"))
        async with serving(create(settings)) as one, serving(create(settings)) as two, httpx.AsyncClient(base_url=one) as http:
            await until_ready(http, 30)
            path, head = f"/v1/indicators/{id_}", {"X-API-Key": key}
            async with asyncio.timeout(30):
                while (await http.get("/healthz", headers=head)).status_code != 200:
                    await asyncio.sleep(0.1)
                while (await http.get(path)).json().get("total") != 1:
                    await asyncio.sleep(0.1)
            assert [cell["value"] for cell in (await http.get(path, headers=head)).json()["cells"]] == ["39"]
            assert [cell["value"] for cell in (await http.get(path)).json()["cells"]] == ["37"]
            inside = (await http.get(f"{path}/revisions?window=2021-01&station=DKI1", headers=head)).json()
            assert [each["value"] for each in inside["revisions"]] == ["38", "39"]
            outside = (await http.get(f"{path}/revisions?window=2021-01&station=DKI1")).json()
            assert [each["value"] for each in outside["revisions"]] == ["37"]
            async with talking(one) as talk:
                talk.send(type="subscribe", id="a")
                token = ""
                while not token:
                    token = (await talk.receive() or {}).get("token", "")
            await publisher.send([released(id_, "36", revision=2)])
            async with talking(two) as talk:
                talk.send(type="subscribe", id="a", token=token)
                kinds, values = [], list[object]()
                while "36" not in values:
                    message = await talk.receive() or {}
                    kinds.append(message["type"])
                    values += [cell["value"] for cell in message["data"].get("cells", ())]
                assert set(kinds) == {"status", "change"}


@pytest.mark.kafka
async def test_kafka_goes_away_and_comes_back(kafka_node: KafkaNode, settings_of: Callable[[KafkaNode], KafkaSettings]) -> None:
    kafka = settings_of(kafka_node)
    await delete_topics(kafka, lambda topic: not topic.startswith("__"))
    name = "live.x"
    await make(kafka, name)
    async with KafkaPublisher(kafka) as publisher:
        await publisher.send([value(name, "1")])
    async with serving(create(settings_for(kafka))) as url, httpx.AsyncClient(base_url=url, timeout=30) as http:
        await until_ready(http, 60)
        async with listening(http, client := Client(), indicator=name):
            await eventually(lambda: client.token)
            await asyncio.to_thread(kafka_node.kill)
            async with asyncio.timeout(40):
                while (await http.get("/healthz")).status_code == 200:
                    await asyncio.sleep(0.2)
            stale = await http.get(f"/v1/indicators/{name}")
            assert stale.json()["cells"][0]["value"] == "1"
            await asyncio.to_thread(kafka_node.restart)
            async with KafkaPublisher(kafka) as publisher:
                await publisher.send([value(name, "2", revision=2)])
            await until_ready(http, 60)
            await eventually(lambda: [cell["value"] for cell in client.cells.values()] == ["2"], 60)


async def eventually(condition: Callable[[], object], seconds: float = 20) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.02)
