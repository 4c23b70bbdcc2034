"""The gateway over real HTTP, following the log in memory."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator

import httpx
import pytest

from bus.errors import ConfigurationError
from bus.settings import GatewaySettings, Settings
from bus.testing.memory import MemoryLog
from tests.unit.gateway.feed import Client, gateway_over, listening, month, serving, until_ready, value

TOPIC = "indicators.dlh.pm10_mean"


@pytest.fixture
def log() -> MemoryLog:
    return MemoryLog({TOPIC: 1}, compacted=[TOPIC])


@pytest.fixture
async def http(log: MemoryLog) -> AsyncIterator[httpx.AsyncClient]:
    await log.send(
        [value("dlh.pm10_mean", "38.5161290323", numerator="1194", denominator="31"), value("dlh.pm10_mean", "28", window=month(2))]
    )
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as client:
        await until_ready(client)
        yield client


async def eventually(condition: object, seconds: float = 5) -> None:
    assert callable(condition)
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.01)


async def test_the_list_knows_titles_and_counts(http: httpx.AsyncClient) -> None:
    body = (await http.get("/v1/indicators")).json()
    found = {each["id"]: each for each in body["indicators"]}["dlh.pm10_mean"]
    assert found["cells"] == 2
    assert found["window"] == "1mo"
    assert found["event"] == "dlh.air_quality.recorded.v1"
    assert found["dimensions"] == ["station"]
    assert "PM10" in found["title"]["id"]
    assert "PM10" in found["title"]["en"]
    assert found["publish_class"] == "berkala"


async def test_a_value_comes_with_all_that_proves_it(http: httpx.AsyncClient) -> None:
    body = (await http.get("/v1/indicators/dlh.pm10_mean?window=2021-01&station=DKI1")).json()
    (cell,) = body["cells"]
    assert body["total"] == 1
    assert (cell["value"], cell["numerator"], cell["denominator"]) == ("38.5161290323", "1194", "31")
    assert (cell["revision"], cell["status"], cell["n"]) == (1, "provisional", 31)
    assert cell["window_start"] == "2021-01-01T00:00:00+07:00"
    assert cell["window_end"] == "2021-02-01T00:00:00+07:00"
    assert cell["evidence"][1] == {"topic": "events.dlh.air_quality.recorded.v1", "partition": 1, "offset": 42}
    assert cell["watermarks"] == {"dlh/ispu": "2021-01-31T00:00:00+07:00"}


async def test_unchanged_answers_are_304_and_changed_ones_are_not(http: httpx.AsyncClient, log: MemoryLog) -> None:
    path = "/v1/indicators/dlh.pm10_mean?window=2021-01"
    first = await http.get(path)
    again = await http.get(path, headers={"If-None-Match": f'"other", W/{first.headers["etag"]}'})
    assert (again.status_code, again.content) == (304, b"")
    await log.send([value("dlh.pm10_mean", "39", revision=2)])
    async with asyncio.timeout(5):
        while (last := await http.get(path, headers={"If-None-Match": first.headers["etag"]})).status_code == 304:
            await asyncio.sleep(0.02)
    assert last.json()["cells"][0]["value"] == "39"
    assert last.headers["etag"] != first.headers["etag"]


@pytest.mark.parametrize(
    ("path", "status", "expected"),
    [
        ("/v1/indicators/dlh.pm10_meen", 404, {"received": "dlh.pm10_meen"}),
        ("/v1/indicators/dlh.pm10_mean?stasiun=DKI1", 400, {"received": "stasiun", "allowed": ["window", "limit", "cursor", "station"]}),
        ("/v1/indicators/dlh.pm10_mean?window=january", 400, {"received": "january"}),
        ("/v1/indicators?x=1", 400, {"received": "x"}),
        ("/v1/stream?indicator=dlh.nope", 404, {"received": "dlh.nope"}),
        ("/v1/stream?detail=some", 400, {"received": "some", "allowed": ["full", "brief"]}),
        ("/v1/stream?x=1", 400, {"received": "x"}),
    ],
)
async def test_a_wrong_request_is_told_what_was_received_and_what_is_allowed(
    http: httpx.AsyncClient, path: str, status: int, expected: dict[str, object]
) -> None:
    answer = await http.get(path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    assert expected.items() <= answer.json().items()


async def test_a_404_names_near_matches(http: httpx.AsyncClient) -> None:
    assert "dlh.pm10_mean" in (await http.get("/v1/indicators/dlh.pm10_meen")).json()["near"]


async def test_the_page_the_docs_and_openapi_need_nobody_else(http: httpx.AsyncClient) -> None:
    for path in ("/", "/docs", "/js/main.js", "/css/base.css", "/icon.svg"):
        answer = await http.get(path)
        assert answer.status_code == 200, path
        assert "default-src 'self'" in answer.headers["content-security-policy"]
        assert "https://" not in answer.text, path
        assert "http://" not in answer.text.replace("http://www.w3.org/", ""), path
    paths = (await http.get("/openapi.json")).json()["paths"]
    assert {"/v1/indicators", "/v1/indicators/{indicator}", "/v1/stream", "/healthz", "/metrics"} <= set(paths)


async def test_metrics_count_clients(http: httpx.AsyncClient) -> None:
    async with listening(http, client := Client()):
        await eventually(lambda: client.token)
        assert "bus_gateway_clients 1.0" in (await http.get("/metrics")).text
    async with asyncio.timeout(5):
        while "bus_gateway_clients 0.0" not in (await http.get("/metrics")).text:
            await asyncio.sleep(0.02)


async def test_a_stream_is_a_snapshot_then_changes(http: httpx.AsyncClient, log: MemoryLog) -> None:
    async with listening(http, client := Client()):
        await eventually(lambda: client.token)
        assert client.kinds == ["status", "snapshot"]
        await log.send([value("dlh.pm10_mean", "40", revision=2)])
        await eventually(lambda: "change" in client.kinds)
    assert sorted(str(cell["value"]) for cell in client.cells.values()) == ["28", "40"]


async def test_a_stream_of_some_indicators_has_only_those(log: MemoryLog) -> None:
    for name in ("a.one", "a.two", "a.three"):
        log.create(f"indicators.{name}", compacted=True)
        await log.send([value(name, "1")])
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with listening(http, client := Client(), indicator="a.one,a.two", detail="brief"):
            await eventually(lambda: client.token)
    assert {key[0] for key in client.cells} == {"a.one", "a.two"}
    assert all("evidence" not in cell for cell in client.cells.values())


async def test_a_client_resumes_at_another_gateway_with_what_it_missed_only(log: MemoryLog) -> None:
    await log.send([value("dlh.pm10_mean", str(number), dimensions={"station": f"DKI{number}"}) for number in range(1, 6)])
    client = Client()
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with listening(http, client) as stream:
            await eventually(lambda: client.token)
            # The gateway goes: the stream ends in good order.
        assert stream.done()
    await log.send([value("dlh.pm10_mean", "99", revision=2, dimensions={"station": "DKI3"})])
    before, client.kinds = dict(client.cells), []
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with listening(http, client):
            await eventually(lambda: "change" in client.kinds)
        assert client.kinds == ["status", "change"]
        other = Client()
        async with listening(http, other):
            await eventually(lambda: other.token)
    assert client.cells == other.cells
    assert {key for key, cell in client.cells.items() if cell != before[key]} == {("dlh.pm10_mean", '[1609434000000000,["DKI3"]]')}


async def test_streams_end_when_the_gateway_stops(log: MemoryLog) -> None:
    gateway = gateway_over(log)
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with listening(http, client := Client()) as stream:
            await eventually(lambda: client.token)
            gateway.stop()
            async with asyncio.timeout(3):
                await stream


async def test_more_clients_than_allowed_are_refused_with_when_to_come_back(log: MemoryLog) -> None:
    async with serving(gateway_over(log, max_clients=1)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with listening(http, client := Client()):
            await eventually(lambda: client.token)
            answer = await http.get("/v1/stream")
            assert answer.status_code == 503
            assert int(answer.headers["retry-after"]) > 0
        async with listening(http, second := Client()):
            await eventually(lambda: second.token)


async def test_a_client_that_does_not_read_slows_nobody_and_is_not_remembered_in_full(log: MemoryLog) -> None:
    stations = [f"S{number:04}" for number in range(2_000)]
    await log.send([value("dlh.pm10_mean", "1", dimensions={"station": each}) for each in stations])
    gateway = gateway_over(log)
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        with socket.create_connection(("127.0.0.1", httpx.URL(url).port or 0)) as deaf:
            deaf.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: localhost\r\n\r\n")
            await eventually(lambda: gateway.hub.clients == 1)
            async with listening(http, client := Client(), detail="brief"):
                await eventually(lambda: client.token)
                for revision in range(2, 22):
                    await log.send([value("dlh.pm10_mean", str(revision), dimensions={"station": stations[7]}, revision=revision)])
                    await eventually(lambda revision=revision: any(c["value"] == str(revision) for c in client.cells.values()), 2)
            assert gateway.hub.clients >= 1


async def test_a_port_that_is_taken_is_a_configuration_error(log: MemoryLog) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        settings = Settings(gateway=GatewaySettings(port=taken.getsockname()[1]))
        with pytest.raises(ConfigurationError, match=r"BUS_GATEWAY__PORT.*cannot listen"):
            await gateway_over(log, settings=settings).run(lambda url: None)
