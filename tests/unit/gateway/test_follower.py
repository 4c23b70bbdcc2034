from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager

import httpx
import pytest

from bus.errors import TransientError
from bus.kafka.ports import LogReader
from bus.settings import GatewaySettings, Settings
from bus.testing.memory import MemoryLog
from consumers.dashboard.gateway import Gateway
from tests.unit.gateway.feed import CODEC, QUICK, Client, gateway_over, listening, serving, until_ready, value

TOPIC = "indicators.dlh.x"


class Broker:
    """A broker that can be away, and come back with another log."""

    def __init__(self, log: MemoryLog) -> None:
        self.log = log
        self.away = False

    @asynccontextmanager
    async def open_reader(self) -> AsyncIterator[LogReader]:
        self.check()
        yield self.log

    async def topics(self, _reader: LogReader) -> Sequence[str]:
        self.check()
        return list(self.log.topics)

    def check(self) -> None:
        if self.away:
            raise TransientError("no broker at 127.0.0.1:9092")

    def gateway(self) -> Gateway:
        return Gateway(Settings(gateway=GatewaySettings(port=0)), self.open_reader, self.topics, CODEC, pace=QUICK)


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog({TOPIC: 1}, compacted=[TOPIC], batch_records=3)


async def eventually(condition: Callable[[], object], seconds: float = 5) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def health(http: httpx.AsyncClient, status: str) -> dict[str, object]:
    async with asyncio.timeout(5):
        while (body := (await http.get("/healthz")).json())["status"] != status:
            await asyncio.sleep(0.02)
    return dict(body)


async def test_a_new_topic_is_found_while_running(log: MemoryLog) -> None:
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with listening(http, client := Client()):
            await eventually(lambda: client.token)
            log.create("indicators.dlh.later", compacted=True)
            await log.send([value("dlh.later", "5")])
            await eventually(lambda: client.cells)
        assert (await http.get("/v1/indicators/dlh.later")).json()["total"] == 1


async def test_many_records_are_read_in_batches_and_over_compacted_ends(log: MemoryLog) -> None:
    await log.send([value("dlh.x", str(number), revision=number, dimensions={"station": str(number % 7)}) for number in range(1, 40)])
    log.compact(TOPIC)
    gateway = gateway_over(log)
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        assert (await http.get("/v1/indicators/dlh.x")).json()["total"] == 7
        assert gateway.state.indicators["dlh.x"].position == 39


async def test_without_a_broker_nothing_is_served_as_if_it_were_known(log: MemoryLog) -> None:
    broker = Broker(log)
    broker.away = True
    async with serving(broker.gateway()) as url, httpx.AsyncClient(base_url=url) as http:
        body = await health(http, "unready")
        assert "no broker at 127.0.0.1:9092" in str(body["reason"]) or "no broker has answered" in str(body["reason"])
        for path in ("/v1/indicators", "/v1/indicators/dlh.x", "/v1/stream"):
            answer = await http.get(path)
            assert answer.status_code == 503, path
            assert answer.headers["retry-after"]
        assert (await http.get("/")).status_code == 200
        broker.away = False
        await health(http, "ok")


async def test_a_broker_that_goes_away_and_comes_back_is_survived(log: MemoryLog) -> None:
    broker = Broker(log)
    await log.send([value("dlh.x", "1")])
    async with serving(broker.gateway()) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with listening(http, client := Client()):
            await eventually(lambda: client.token)
            broker.away = True
            body = await health(http, "degraded")
            assert (await http.get("/healthz")).status_code == 503
            assert "no answer from Kafka" in str(body["reason"])
            stale = await http.get("/v1/indicators/dlh.x")
            assert (stale.status_code, stale.headers["simpul-state"]) == (200, "stale")
            assert stale.json()["cells"][0]["value"] == "1"
            await log.send([value("dlh.x", "2", revision=2)])
            broker.away = False
            await health(http, "ok")
            await eventually(lambda: [cell["value"] for cell in client.cells.values()] == ["2"])
            assert client.kinds.count("status") >= 2
        assert (await http.get("/v1/indicators/dlh.x")).headers["simpul-state"] == "live"


async def test_a_log_that_began_anew_replaces_what_was_known(log: MemoryLog) -> None:
    broker = Broker(log)
    await log.send([value("dlh.x", "1", revision=9), value("dlh.x", "7", dimensions={"station": "DKI2"})])
    async with serving(broker.gateway()) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with listening(http, client := Client()):
            await eventually(lambda: client.token)
            fresh = MemoryLog({TOPIC: 1}, compacted=[TOPIC])
            await fresh.send([value("dlh.x", "3", revision=1)])
            broker.log = fresh
            broker.away = True
            await asyncio.sleep(0.1)
            broker.away = False
            await eventually(lambda: [cell["value"] for cell in client.cells.values()] == ["3"])


async def test_unreadable_records_are_told(log: MemoryLog) -> None:
    message = value("dlh.x", "1")
    log.append(type(message)(TOPIC, 0, message.key, b"\x00\xff\xff\xff\xff"))
    await log.send([value("dlh.x", "2", dimensions={"station": "DKI2"})])
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as http:
        body = await health(http, "degraded")
        assert "indicators.dlh.x at offset 0" in str(body["reason"])
        assert (await http.get("/v1/indicators/dlh.x")).json()["total"] == 1


async def test_a_fault_of_ours_ends_the_gateway() -> None:
    async def broken(_reader: LogReader) -> Sequence[str]:
        raise KeyError("ours")

    broker = Broker(MemoryLog())
    gateway = Gateway(Settings(gateway=GatewaySettings(port=0)), broker.open_reader, broken, CODEC, pace=QUICK)
    with pytest.raises(KeyError, match="ours"):
        await asyncio.wait_for(gateway.run(lambda url: None), 10)
