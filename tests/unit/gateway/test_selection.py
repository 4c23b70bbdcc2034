"""Dimensions and subtrees choose the same cells for REST, streams and sockets; series are windows in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bus.clock import LOCAL_ZONE
from bus.testing.memory import MemoryLog
from consumers.dashboard.selection import QueryError, Selection, parse
from tests.unit.gateway.feed import NOW, Client, gateway_over, listening, month, serving, until_ready, value

CODES = ["33", "33.09", "33.09.05", "33.09.05.2001", "33.09.05.2001.001", "33.09.05.2001.001.002", "33.09.051", "33.09.06", "33.10", None]
codes = st.sampled_from([code for code in CODES[:6] + CODES[7:9] if code])


def chosen(*parameters: tuple[str, str]) -> list[str | None]:
    selection = parse(parameters, ["region", "sex"])
    return [code for code in CODES if selection.matches({"region": code, "sex": "L"})]


def test_a_region_is_itself_and_under_it_is_its_subtree() -> None:
    assert chosen(("region", "33.09.05")) == ["33.09.05"]
    assert chosen(("under", "33.09.05")) == ["33.09.05", "33.09.05.2001", "33.09.05.2001.001", "33.09.05.2001.001.002"]
    assert chosen(("under", "33.09.05"), ("region_depth", "1")) == ["33.09.05", "33.09.05.2001"]
    assert chosen(("region", "33.09.05"), ("region_depth", "1")) == ["33.09.05", "33.09.05.2001"]
    assert chosen(("under", "33.09.05"), ("region_depth", "0")) == ["33.09.05"]
    assert chosen(("under", "33.09.05,33.10")) == ["33.09.05", "33.09.05.2001", "33.09.05.2001.001", "33.09.05.2001.001.002", "33.10"]
    assert chosen(("region", "")) == [None]
    assert chosen(("under", "33"), ("sex", "P")) == []


@given(codes, codes, st.none() | st.integers(0, 5))
def test_a_subtree_is_what_the_codes_say(root: str, code: str, depth: int | None) -> None:
    given_, parts = root.split("."), code.split(".")
    below = parts[: len(given_)] == given_ and (depth is None or len(parts) - len(given_) <= depth)
    assert Selection(under=frozenset([root]), depth=depth).matches({"region": code}) is below


@pytest.mark.parametrize(
    ("parameters", "received"),
    [
        ([("under", "Boyolali")], "Boyolali"),
        ([("under", "33.9")], "33.9"),
        ([("under", "")], ""),
        ([("region_depth", "1")], "region_depth=1"),
        ([("under", "33"), ("region_depth", "-1")], "-1"),
        ([("under", "33"), ("region_depth", "9")], "9"),
        ([("under", "33"), ("region_depth", "1"), ("region_depth", "2")], "region_depth=2"),
        ([("region", ""), ("region_depth", "1")], ""),
        ([("station", "x")], "station"),
    ],
)
def test_what_cannot_be_chosen_is_refused_with_what_can(parameters: list[tuple[str, str]], received: str) -> None:
    with pytest.raises(QueryError) as refused:
        parse(parameters, ["region"])
    assert refused.value.received == received
    assert refused.value.allowed


def test_without_a_region_there_is_no_subtree() -> None:
    with pytest.raises(QueryError, match="unknown parameter under"):
        parse([("under", "33")], ["station"])


@pytest.fixture
async def log() -> MemoryLog:
    log = MemoryLog({"indicators.dlh.places": 1, "indicators.dlh.x": 1}, compacted=["indicators.dlh.places"])
    for number in range(1, 13):
        places = [value("dlh.places", str(number), window=month(number), dimensions={"region": code}) for code in CODES]
        await log.send([*places, value("dlh.x", "1", window=month(number))])
    await log.send([value("dlh.places", "77", window=NOW, dimensions={"region": "33.09"})])
    return log


@pytest.fixture
async def http(log: MemoryLog) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as client:
        await until_ready(client)
        yield client


async def test_rest_and_stream_choose_the_same_cells(http: httpx.AsyncClient, log: MemoryLog) -> None:
    body = (await http.get("/v1/indicators/dlh.places?under=33.09.05&region_depth=1&limit=5000")).json()
    assert body["total"] == 24
    async with listening(http, client := Client(), under="33.09.05", region_depth="1"):
        async with asyncio.timeout(5):
            while not client.token:
                await asyncio.sleep(0.01)
        assert {key for _, key in client.cells} == {cell["key"] for cell in body["cells"]}
        # What goes is told to those who had it, and to nobody else.
        gone = [value("dlh.places", None, window=month(1), dimensions={"region": code}, n=0, revision=2) for code in CODES]
        await log.send(gone)
        await log.send([value("dlh.places", "500", window=month(2), dimensions={"region": code}, revision=2) for code in CODES])
        async with asyncio.timeout(5):
            while sum(cell["value"] == "500" for cell in client.cells.values()) < 2:
                await asyncio.sleep(0.01)
        assert len(client.cells) == 22
    async with http.stream("GET", "/v1/stream?under=33.09.05&station=DKI1") as answer:
        assert answer.status_code == 200
    assert (await http.get("/v1/stream?indicator=dlh.x&under=33")).json()["received"] == "under"


async def test_series_are_windows_in_order_one_for_each_place(http: httpx.AsyncClient) -> None:
    path = "/v1/indicators/dlh.places/series"
    (line,) = (await http.get(f"{path}?region=33.09&from=2021-03&to=2021-06")).json()["series"]
    assert line["dimensions"] == {"region": "33.09"}
    assert [point["value"] for point in line["points"]] == ["3", "4", "5"]
    assert datetime.fromisoformat(line["points"][0]["window_start"]) == datetime(2021, 3, 1, tzinfo=LOCAL_ZONE)
    newest = (await http.get(f"{path}?under=33.09.05.2001&limit=2")).json()["series"]
    assert [(each["dimensions"]["region"], each["windows"], [p["value"] for p in each["points"]]) for each in newest] == [
        ("33.09.05.2001", 12, ["11", "12"]),
        ("33.09.05.2001.001", 12, ["11", "12"]),
        ("33.09.05.2001.001.002", 12, ["11", "12"]),
    ]
    for query, received in (("from=march", "march"), ("limit=0", "0"), ("limit=1&limit=2", "limit=2"), ("window=2021", "window")):
        answer = await http.get(f"{path}?{query}")
        assert (answer.status_code, answer.json()["received"]) == (400, received), query
    first = await http.get(path)
    assert (await http.get(path, headers={"If-None-Match": first.headers["etag"]})).status_code == 304
