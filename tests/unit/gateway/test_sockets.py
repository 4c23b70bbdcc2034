"""The stream over a WebSocket: the same messages, several subscriptions, and nothing kept for who does not read."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.ops.apikeys import Role, add_key
from bus.testing.memory import MemoryLog
from consumers.dashboard.gateway import Gateway
from tests.unit.gateway.feed import Client, gateway_over, listening, released, serving, until_ready, value
from tests.unit.gateway.sockets import Rejected, Talk, talking

TOPIC = "indicators.dlh.pm10_mean"
REGIONS = ("33.09", "33.09.05", "33.09.05.2001", "33.09.06", None)


@pytest.fixture
async def log() -> MemoryLog:
    log = MemoryLog({TOPIC: 1, "indicators.dlh.places": 1}, compacted=[TOPIC, "indicators.dlh.places"])
    await log.send([value("dlh.pm10_mean", "38")])
    await log.send([value("dlh.places", "5", dimensions={"region": code}) for code in REGIONS])
    return log


@pytest.fixture
async def url(log: MemoryLog) -> AsyncIterator[str]:
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        yield url


async def until(talk: Talk, kind: str, id_: str = "a") -> dict[str, Any]:
    """The next message of that kind."""
    while True:
        message = await talk.receive()
        assert message is not None, talk.closed
        if message["type"] == kind and message.get("id", id_) == id_:
            return message


async def test_subscriptions_are_snapshots_then_changes_and_resume(url: str, log: MemoryLog) -> None:
    async with talking(url) as talk:
        talk.send(type="subscribe", id="a", indicator=["dlh.pm10_mean"], detail="brief")
        talk.send(type="subscribe", id="b", where={"under": "33.09.05"})
        snapshot, below = await until(talk, "snapshot"), await until(talk, "snapshot", "b")
        assert [cell["value"] for cell in snapshot["data"]["cells"]] == ["38"]
        assert [cell["dimensions"]["region"] for cell in below["data"]["cells"]] == ["33.09.05", "33.09.05.2001"]
        await log.send([value("dlh.pm10_mean", "39", revision=2), value("dlh.places", "6", revision=2, dimensions={"region": "33.09.06"})])
        change = await until(talk, "change")
        assert [cell["value"] for cell in change["data"]["cells"]] == ["39"]
        talk.send(type="unsubscribe", id="a")
        talk.send(type="ping")
        assert (await until(talk, "pong"))["type"] == "pong"
    await log.send([value("dlh.pm10_mean", "40", revision=3)])
    async with talking(url) as talk:
        talk.send(type="subscribe", id="a", indicator="dlh.pm10_mean", token=snapshot["token"])
        missed = await until(talk, "change")
        while [cell["value"] for cell in missed["data"]["cells"]] != ["40"]:
            missed = await until(talk, "change")
        # Of another filter the token is foreign.
        talk.send(type="subscribe", id="c", indicator="dlh.pm10_mean", where={"station": "DKI1"}, token=missed["token"])
        assert (await until(talk, "snapshot", "c"))["data"]["complete"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{", {"status": 400, "detail": "the message is no JSON"}),
        ("[" * 5000, {"status": 400}),
        ('{"type": "shout"}', {"received": "shout", "allowed": ["subscribe", "unsubscribe", "ping"]}),
        ('{"type": "ping", "x": 1}', {"detail": "unknown field x"}),
        ('{"type": "subscribe", "id": 5}', {"status": 400}),
        ('{"type": "subscribe", "indicator": ["dlh.nope"]}', {"status": 404, "received": "dlh.nope"}),
        ('{"type": "subscribe", "where": {"stasiun": "DKI1"}}', {"received": "stasiun"}),
        ('{"type": "subscribe", "where": {"ticket": "x"}}', {"received": "ticket"}),
        ('{"type": "subscribe", "where": {"under": "Boyolali"}}', {"received": "Boyolali"}),
        ('{"type": "subscribe", "where": []}', {"status": 400}),
        ('{"type": "unsubscribe", "id": "z"}', {"status": 404, "received": "z"}),
    ],
)
async def test_a_wrong_message_is_told_so_and_the_socket_stays(url: str, text: str, expected: dict[str, object]) -> None:
    async with talking(url) as talk:
        talk.send_text(text)
        problem = await until(talk, "problem", "z" if '"z"' in text else "")
        assert expected.items() <= problem["problem"].items()
        talk.send(type="ping")
        assert await until(talk, "pong")


async def test_bytes_and_too_much_close_it(url: str) -> None:
    async with talking(url) as talk:
        talk.send_bytes(b"\x00")
        assert await talk.receive() is None
        assert talk.closed == 1003
    async with talking(url) as talk:
        talk.send_text('{"type": "' + "p" * 70_000 + '"}')
        assert await talk.receive() is None
        assert talk.closed == 1009


async def test_a_gateway_that_ends_closes_with_a_code_to_come_back(log: MemoryLog) -> None:
    gateway = gateway_over(log)
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        async with talking(url) as talk:
            talk.send(type="subscribe", id="a")
            await until(talk, "snapshot")
            gateway.stop()
            while await talk.receive() is not None:
                pass
            assert talk.closed == 1012


async def test_a_foreign_page_gets_no_socket_to_this_machine(url: str) -> None:
    own = httpx.URL(url)
    async with talking(url, headers={"Origin": f"http://{own.host}:{own.port}"}) as talk:
        talk.send(type="ping")
        assert await until(talk, "pong")
    with pytest.raises(Rejected) as refused:
        async with talking(url, headers={"Origin": "http://example.org"}):
            pass
    assert refused.value.status == 403


async def test_roles_hold_on_sockets_and_end_with_their_key(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    key = add_key(path, "planner", Role.INTERNAL)
    small = value("dlh.pm10_mean", "3", n=3, dimensions={"station": "DKI9"})
    log = MemoryLog({TOPIC: 1, "public.dlh.pm10_mean": 1})
    await log.send([value("dlh.pm10_mean", "38"), small, released("dlh.pm10_mean", "37")])
    async with serving(gateway_over(log, keys_file=path)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        ticket = (await http.post("/v1/tickets", headers={"X-API-Key": key})).json()["ticket"]
        seen = {}
        for name, address in (("public", "/v1/ws"), ("internal", f"/v1/ws?ticket={ticket}")):
            async with talking(url, address, {"Origin": "http://example.org"}) as talk:
                talk.send(type="subscribe", id="a")
                seen[name] = [cell["value"] for cell in (await until(talk, "snapshot"))["data"]["cells"]]
        assert seen == {"public": ["37"], "internal": ["38"]}
        for wrong in ({"X-API-Key": "simpul_x"}, {"Authorization": "Basic eDp5"}):
            with pytest.raises(Rejected) as refused:
                async with talking(url, headers=wrong):
                    pass
            assert refused.value.status == 401
        async with talking(url, headers={"X-API-Key": key}) as talk:
            talk.send(type="subscribe", id="a")
            await until(talk, "snapshot")
            path.write_text("# nobody\n")
            for revision in range(2, 100):
                await log.send([value("dlh.pm10_mean", str(revision), revision=revision)])
                if await talk.receive() is None:
                    break
            assert talk.closed == 4401


def buffered(gateway: Gateway) -> int:
    """What the gateway holds for the slowest of its connections, in bytes."""
    assert gateway.service.server is not None
    return max(each.transport.get_write_buffer_size() for each in gateway.service.server.server_state.connections)


async def test_who_does_not_read_costs_little_and_slows_nobody(log: MemoryLog) -> None:
    """Some megabytes of changes for a socket and a stream that nobody reads, while another one has each of them at once."""
    gateway = gateway_over(log)
    stations = [f"S{number}" for number in range(200)]
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        where = httpx.URL(url)
        deaf = socket.create_connection((where.host, where.port))
        deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        deaf.sendall(f"GET /v1/stream HTTP/1.1\r\nHost: {where.host}\r\n\r\n".encode())
        async with talking(url) as other_deaf, listening(http, client := Client(), detail="brief"):
            other_deaf.send(type="subscribe", id="a")
            async with asyncio.timeout(5):
                while gateway.hub.clients < 3 or not client.token:
                    await asyncio.sleep(0.01)
            sizes = []
            for revision in range(2, 62):
                await log.send(
                    [value("dlh.pm10_mean", str(revision), revision=revision, dimensions={"station": each}) for each in stations]
                )
                async with asyncio.timeout(5):
                    while sum(cell["value"] == str(revision) for cell in client.cells.values()) < len(stations):
                        await asyncio.sleep(0.01)
                log.compact(TOPIC)
                sizes.append(buffered(gateway))
            assert gateway.hub.clients == 3
        deaf.close()
    # Twelve thousand cells of about a kilobyte are twelve megabytes for each of the two if they were kept. What is: one message of 200.
    assert 0 < max(sizes) < 1_000_000
    assert sizes[-1] == sizes[-5]
