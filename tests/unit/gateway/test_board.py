"""The board by role, what an indicator means, and alerts that are passed on to whom they are for."""

from __future__ import annotations

import asyncio
import hashlib
import re
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.board.loader import check_board, load_board
from bus.settings import ROOT
from bus.testing.memory import MemoryLog
from tests.unit.gateway.alerting import Episodes, alert, alerting
from tests.unit.gateway.feed import NOW, gateway_over, month, released, serving, until_ready, value
from tests.unit.gateway.two_worlds import log_of

AIR, REFUGEES, BORN = "dlh.pm10_mean", "bpbd.refugees_now", "mcd.persons_now"


def headers(key: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {key}"}


async def test_each_role_gets_the_headlines_that_it_may_see(tmp_path: Path, keys: dict[str, str]) -> None:
    log = log_of([value(AIR, "38")])
    gateway = gateway_over(log, keys_file=tmp_path / "keys", portal_url="https://ppid.example/")
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        boards = {role: (await http.get("/v1/board", headers=headers(key))).json() for role, key in keys.items()}
        tag = (await http.get("/v1/board", headers=headers(keys["internal"]))).headers["etag"]
        unchanged = await http.get("/v1/board", headers=headers(keys["internal"]) | {"If-None-Match": tag})
        assert unchanged.status_code == 304
        assert (await http.get("/v1/board?x=1")).status_code == 400
    shown = {role: {tile["indicator"] for sector in board["sectors"] for tile in sector["tiles"]} for role, board in boards.items()}
    assert shown["restricted"] == shown["internal"] > shown["public"]
    assert REFUGEES in shown["public"]
    assert BORN not in shown["public"]
    assert all(sector["tiles"] for sector in boards["public"]["sectors"])
    assert [boards[role]["role"] for role in ("public", "internal")] == ["public", "internal"]
    assert boards["public"]["portal_url"] == "https://ppid.example"
    assert boards["public"]["alerts"] is False
    assert boards["public"]["map"]["indicator"] is None
    places = boards["public"]["map"]["tiles"]
    assert len({(each["row"], each["column"]) for each in places}) == len(places) == 22


async def test_an_overlay_replaces_a_sector_adds_another_and_draws_its_own_map(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "board.toml").write_text(
        '[[sector]]\nid = "siaga"\ntitle = { id = "Lain", en = "Other" }\ntiles = [{ indicator = "dlh.highest_index_daily" }]\n'
        '[[sector]]\nid = "baru"\ntitle = { id = "Baru", en = "New" }\ntiles = [{ indicator = "mpp.ikm_mall_month" }]\n'
        '[map]\nroot = "33.09"\nrows = [["33.09.01"]]\n'
    )
    board, problems = load_board([ROOT / "schemas", tmp_path / "schemas"])
    assert problems == []
    ids = [each.id for each in board.sector]
    assert (ids[0], ids[-1], ids.count("siaga")) == ("siaga", "baru", 1)
    assert board.sector[0].title.id == "Lain"
    assert board.map is not None
    assert board.map.rows == [["33.09.01"]]


@pytest.mark.parametrize(
    ("text", "line", "what"),
    [
        ('tiles = [\n  { indicator = "dlh.pm10_maen" },\n]', 5, "there is no indicator 'dlh.pm10_maen'; near: dlh.pm10_mean"),
        ('tiles = [\n  { indicator = "dlh.pm10_mean" },\n]', 5, "missing: station"),
        ('tiles = [{ indicator = "dlh.pm10_mean", where = { place = "x", station = "DKI1" } }]', 4, "has no dimension 'place'"),
        ('tiles = [{ indicator = "dlh.pm10_mean", where = { station = "A" }, newest = ["station"] }]', 4, "fixed by where already"),
        ('tiles = [{ indicator = "dlh.pm10_mean", whre = { station = "A" } }]', 4, "unknown key"),
        ("tiles = []", 1, "at least 1 item"),
        ('tiles = [{ indicator = "mcd.register" }]', 4, "about single subjects"),
        (
            'tiles = [{ indicator = "dlh.unhealthy_days" }]\n[map]\nroot = "33.09"\nrows = [["33.10.01"]]',
            5,
            "not below root 33.09: 33.10.01",
        ),
        ('tiles = [{ indicator = "dlh.unhealthy_days" }]\n[map]\nroot = "33.09"\nrows = [["33.09.01", "33.09.01"]]', 5, "drawn twice"),
        (
            'tiles = [{ indicator = "dlh.unhealthy_days" }]\n[map]\nroot = "33.09"\nindicator = "dlh.pm10_mean"\nrows = [["33.09.01"]]',
            5,
            "no indicator 'dlh.pm10_mean' that has regions",
        ),
    ],
)
def test_what_is_wrong_with_a_board_is_said_with_its_line(tmp_path: Path, indicators: Any, text: str, line: int, what: str) -> None:
    path = tmp_path / "board.toml"
    path.write_text(f'[[sector]]\nid = "x"\ntitle = {{ id = "X", en = "X" }}\n{text}\n')
    (problem,) = check_board(path, indicators)
    assert what in problem.what
    assert problem.where.startswith(f"{path}:{line}: ")


async def test_a_faulty_board_costs_the_board_and_no_number(tmp_path: Path) -> None:
    (tmp_path / "schemas").mkdir()
    (tmp_path / "schemas" / "board.toml").write_text("[[sector]\n")
    async with serving(gateway_over(log_of([value(AIR, "38")]), overlay=tmp_path)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        assert (await http.get("/v1/board")).json()["sectors"]
        assert (await http.get(f"/v1/indicators/{AIR}")).json()["total"] == 1


async def test_what_an_indicator_means_and_whose_it_is(tmp_path: Path, keys: dict[str, str]) -> None:
    async with (
        serving(gateway_over(log_of([value(AIR, "38")]), keys_file=tmp_path / "keys")) as url,
        httpx.AsyncClient(base_url=url, headers=headers(keys["internal"])) as http,
    ):
        await until_ready(http)
        air = (await http.get(f"/v1/indicators/{AIR}/definition")).json()
        gap = (await http.get("/v1/indicators/mcd.siak_difference/definition")).json()
        assert (await http.get("/v1/indicators/dlh.none/definition")).status_code == 404
        assert (await http.get(f"/v1/indicators/{BORN}/definition", headers=headers(keys["public"]))).status_code == 404
    assert air["publish"]["class"] == "berkala"
    assert air["satu_data"]["produsen_data"] == "Dinas Lingkungan Hidup"
    assert air["agencies"] == {"dlh": "Dinas Lingkungan Hidup"}
    assert set(gap["agencies"]) == {"mcd", "dukcapil"}
    assert "UU 27/2022" in gap["publish"]["basis"]


def test_code_of_others_is_what_it_says_it_is() -> None:
    vendor = ROOT / "consumers" / "dashboard" / "page" / "vendor"
    told = dict(re.findall(r"`([\w/.]+\.(?:js|css))` \| ([0-9a-f]{64})", (vendor / "README.md").read_text()))
    held = {
        path.relative_to(vendor).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in vendor.rglob("*.*s*")
        if path.is_file()
    }
    assert told == held


async def test_alerts_are_passed_on_to_those_who_may_see_what_they_are_about(tmp_path: Path, keys: dict[str, str]) -> None:
    about = {"window_start": month(1)[0].isoformat(), "dimensions": {"station": "DKI1"}}
    told = Episodes(
        [
            alert(AIR, "38", **about),
            alert(AIR, "3", window_start=about["window_start"], dimensions={"station": "DKI9"}),
            alert(AIR, "37", window_start=month(2)[0].isoformat(), dimensions={"station": "DKI1"}),
            alert(REFUGEES, "156", serta_merta=True, severity="danger", dimensions={"region": "33.09"}),
            alert("nobody.knows", "1", serta_merta=True),
            alert("dlh.sensor_hours_day", None),
        ]
    )
    few = {"station": "DKI9"}
    log = log_of([value(AIR, "38"), value(AIR, "3", n=3, dimensions=few), value(AIR, "37", window=month(2)), released(AIR, "38")])
    async with alerting(told) as (source, strip):
        gateway = gateway_over(log, keys_file=tmp_path / "keys", alerts_url=source)
        async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
            await until_ready(http)

            async def seen(role: str) -> list[str]:
                return [each["value"] for each in (await alerts_of(http, keys[role]))["alerts"]]

            await connected(http, keys["internal"])
            assert await seen("restricted") == ["38", "3", "37", "156", None]
            assert await seen("internal") == ["38", "37", "156", None]
            assert await seen("public") == ["38", "156"]
            assert (await http.get("/v1/board", headers=headers(keys["public"]))).json()["alerts"] is True
            ticket = (await http.post("/v1/tickets", headers=headers(keys["restricted"]))).json()["ticket"]
            async with http.stream("GET", "/v1/alerts/stream", params={"ticket": ticket}) as stream:
                lines = stream.aiter_lines()
                assert '"value":"3"' in await data(lines)
                told.alerts = [alert(AIR, "39", **about)]
                strip.changed()
                assert '"value":"39"' in await data(lines)
            assert (await http.get("/v1/alerts/stream?ticket=x.y")).status_code == 401


async def test_alerts_that_are_away_are_said_to_be_and_come_back(memory_log: MemoryLog) -> None:
    told = Episodes([alert(REFUGEES, "156", serta_merta=True)])
    async with alerting(told) as (source, _strip):
        port = httpx.URL(source).port or 0
        gateway = gateway_over(log_of([value(REFUGEES, "156", window=NOW, dimensions={"region": "33.09"})]), alerts_url=source)
        server = serving(gateway)
        url = await server.__aenter__()
        http = httpx.AsyncClient(base_url=url)
        await until_ready(http)
        await connected(http)
    try:
        await connected(http, there=False)
        assert [each["value"] for each in (await alerts_of(http))["alerts"]] == ["156"]
        async with alerting(told, port):
            await connected(http)
        assert (await http.get(f"/v1/indicators/{REFUGEES}")).status_code == 200
    finally:
        await http.aclose()
        await server.__aexit__(None, None, None)


async def test_without_an_alerts_consumer_there_is_nothing(memory_log: MemoryLog) -> None:
    async with serving(gateway_over(log_of([value(AIR, "38")]))) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        assert (await http.get("/v1/alerts")).status_code == 404
        assert (await http.get("/v1/alerts/stream")).status_code == 404


async def alerts_of(http: httpx.AsyncClient, key: str = "") -> dict[str, Any]:
    answer = await http.get("/v1/alerts", headers=headers(key) if key else {})
    assert answer.status_code == 200, answer.text
    found = answer.json()
    assert isinstance(found, dict)
    return found


async def connected(http: httpx.AsyncClient, key: str = "", *, there: bool = True) -> None:
    async with asyncio.timeout(20):
        while (await alerts_of(http, key))["connected"] is not there:
            await asyncio.sleep(0.02)


async def data(lines: Any) -> str:
    async with asyncio.timeout(20):
        async for line in lines:
            if line.startswith("data:"):
                return str(line)
    raise AssertionError("the stream ended")
