"""Per client: requests by a bucket of tokens, live streams by number; and one line of the access log for each request."""

from __future__ import annotations

import asyncio
from pathlib import Path

import httpx
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from bus.ops.apikeys import Role, add_key
from bus.testing.clock import ManualClock
from bus.testing.memory import MemoryLog
from consumers.dashboard.limits import Budget, name_of
from consumers.dashboard.refusal import Refusal
from tests.unit.gateway.feed import gateway_over, serving, until_ready, value
from tests.unit.gateway.sockets import talking

TOPIC = "indicators.dlh.pm10_mean"


def spent(budget: Budget, client: str) -> bool:
    try:
        budget.spend(client)
    except Refusal as refusal:
        return (refusal.status, (refusal.retry or 0) >= 1) != (429, True)
    return True


@given(st.lists(st.floats(0, 3), max_size=60), st.integers(1, 5), st.floats(0.5, 4))
def test_no_more_than_the_burst_and_what_the_rate_allows(waits: list[float], burst: int, rate: float) -> None:
    clock = ManualClock()
    budget = Budget(clock, per_second=rate, burst=burst, streams=1)
    taken = 0
    for number, wait in enumerate(waits):
        clock.advance(wait)
        taken += spent(budget, "a")
        assert spent(budget, f"other {number}")
    assert taken <= burst + rate * sum(waits) + 1e-6


def test_an_ipv6_host_is_its_network() -> None:
    assert name_of("2001:db8::1") == name_of("2001:db8::ffff") != name_of("2001:db8:0:1::1")
    assert name_of("10.0.0.7") == "10.0.0.7"


async def test_too_many_requests_are_told_when_to_come_back_and_others_are_not(tmp_path: Path) -> None:
    key = add_key(tmp_path / "keys", "planner", Role.INTERNAL)
    gateway = gateway_over(MemoryLog(), keys_file=tmp_path / "keys", requests_per_second=0.01, burst=5)
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        codes = [(await http.get("/v1/indicators/a.b")).status_code for _ in range(7)]
        assert codes == [404] * 5 + [429] * 2
        refused = await http.get("/")
        assert (refused.status_code, refused.headers["content-type"]) == (429, "application/problem+json")
        assert int(refused.headers["retry-after"]) > 50
        assert (await http.get("/v1/indicators/a.b", headers={"X-API-Key": key})).status_code in {404, 503}
        assert (await http.get("/healthz")).status_code == 200
        # Guesses are counted too, by where they come from.
        guesses = [(await http.get("/", headers={"X-API-Key": f"simpul_{number}"})).status_code for number in range(6)]
        assert guesses == [401] * 5 + [429]


async def test_live_streams_of_a_client_are_counted_over_both_ways() -> None:
    log = MemoryLog({TOPIC: 1})
    await log.send([value("dlh.pm10_mean", "38")])
    async with serving(gateway_over(log, streams_per_client=2)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with http.stream("GET", "/v1/stream") as one, talking(url) as talk:
            assert one.status_code == 200
            talk.send(type="subscribe", id="a")
            assert (await talk.receive() or {})["type"] == "status"
            assert (await http.get("/v1/stream")).status_code == 429
            talk.send(type="subscribe", id="b")
            while (message := await talk.receive() or {})["type"] != "problem":
                pass
            assert message["problem"]["status"] == 429
        async with asyncio.timeout(5):
            while True:
                async with http.stream("GET", "/v1/stream") as again:
                    if again.status_code == 200:
                        break


@pytest.mark.parametrize("on", [True, False])
async def test_the_access_log_says_who_and_what_it_cost_and_nothing_private(tmp_path: Path, on: bool) -> None:
    key = add_key(tmp_path / "keys", "planner", Role.INTERNAL)
    log = MemoryLog({TOPIC: 1})
    await log.send([value("dlh.pm10_mean", "38")])
    async with serving(gateway_over(log, keys_file=tmp_path / "keys", access_log=on)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        while (await http.get("/healthz", headers={"X-API-Key": key})).status_code != 200:
            await asyncio.sleep(0.02)
        with structlog.testing.capture_logs() as lines:
            answer = await http.get("/v1/indicators/dlh.pm10_mean?station=DKI1", headers={"X-API-Key": key})
            await http.get("/secret-path?x=1")
            await http.get("/v1/indicators/not.there")
            ticket = (await http.post("/v1/tickets", headers={"X-API-Key": key})).json()["ticket"]
            async with talking(url, f"/v1/ws?ticket={ticket}") as talk:
                talk.send(type="ping")
                await talk.receive()
            async with asyncio.timeout(5):
                while on and not any(line.get("route") == "/v1/ws" for line in lines):
                    await asyncio.sleep(0.02)
    told = [line for line in lines if line["event"] == "gateway.request"]
    if not on:
        assert told == []
        return
    first = told[0]
    assert {name: first[name] for name in ("client", "role", "method", "route", "indicator", "status", "bytes")} == {
        "client": "planner",
        "role": "internal",
        "method": "GET",
        "route": "/v1/indicators/{indicator}",
        "indicator": "dlh.pm10_mean",
        "status": 200,
        "bytes": len(answer.content),
    }
    assert first["ms"] > 0
    assert [line["route"] for line in told[1:]] == ["(none)", "/v1/indicators/{indicator}", "/v1/tickets", "/v1/ws"]
    assert told[-1]["status"] == 101
    for secret in (key, ticket, "DKI1", "secret-path", "not.there"):
        assert secret not in str(lines), secret
