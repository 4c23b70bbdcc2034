"""The board in a real browser: every route shows what the log says, changes with it, leads down to the proof, and is there for everybody."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from importlib.resources import files
from typing import Any

import httpx
import pytest

from bus.clock import LOCAL_ZONE
from bus.kafka.ports import Message
from bus.settings import GatewaySettings, Settings
from bus.testing.memory import MemoryLog
from consumers.dashboard.gateway import Gateway
from tests.browser.test_page import Page
from tests.unit.gateway.alerting import Episodes, alert, alerting
from tests.unit.gateway.feed import NOW, gateway_over, month, released, serving, until_ready, value

AIR, BEDS, FAMILIES = "dlh.highest_index_daily", "rsud.bor_now", "dukcapil.households_now"
PAGES = ("#/", "#/peta", "#/peta?wilayah=33.09.01", "#/mpp", "#/indikator?instansi=dlh", f"#/indikator/{AIR}", f"#/indikator/{BEDS}")
NARROW = {"width": 360, "height": 740, "deviceScaleFactor": 1, "mobile": True}


def day(number: int) -> tuple[datetime, datetime]:
    start = datetime(2026, 1, number, tzinfo=LOCAL_ZONE)
    return start, start + timedelta(days=1)


def families(region: str, count: int, revision: int = 1) -> Message:
    return value(FAMILIES, str(count), window=NOW, dimensions={"region": region}, n=count, revision=revision)


def rows() -> list[Message]:
    air = [value(AIR, str(40 + number), window=day(number), dimensions={}, status="final") for number in range(1, 13)]
    beds = {"PANDANARANG": "76.9230769231", "SIMO": "59.5"}
    halls = [
        ("mpp.waiting_tenant_day", "4"),
        ("mpp.wait_median_tenant_day", "12.5"),
        ("mpp.wait_p90_tenant_day", "31.25"),
        ("mpp.abandoned_tenant_day", "7.5"),
    ]
    return [
        *air,
        *(
            value(BEDS, text, window=NOW, dimensions={"hospital": name, "region": "33.09"}, more={"heard": 2, "expected": 3})
            for name, text in beds.items()
        ),
        *(families(f"33.09.{number:02}", number * 10) for number in range(1, 21)),
        *(
            families(code, count)
            for code, count in (("33.09", 2100), ("33.09.01.2001", 7), ("33.09.01.2001.003", 6), ("33.09.01.2001.003.002", 5))
        ),
        *(value(id_, text, window=day(12), dimensions={"tenant": "POLRES"}) for id_, text in halls),
        value("mpp.ikm_tenant_month", "81.25", window=month(1, 2026), dimensions={"tenant": "POLRES"}, label="B"),
        value("mpp.ikm_mall_month", "88.89", window=month(1, 2026), dimensions={}, label="A"),
    ]


@pytest.fixture
async def log() -> MemoryLog:
    messages = rows()
    topics = {message.topic: 1 for message in messages}
    log = MemoryLog({**topics, **{topic.replace("indicators.", "history."): 1 for topic in topics}}, compacted=list(topics))
    await log.send(messages)
    await log.send([Message(each.topic.replace("indicators.", "history."), 0, each.key, each.value, each.headers) for each in messages])
    return log


@asynccontextmanager
async def opened(browser: Any, gateway: Gateway, where: str = "#/") -> AsyncIterator[tuple[Page, str]]:
    """A page at that route, as if nobody had been there before."""
    page = Page(browser)
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        await page.open("about:blank")
        await page.open(f"{url}/{where}")
        await page.script("localStorage.clear()")
        await page.script("location.reload()")
        await page.sees("#announce", "Langsung", 30)
        yield page, url


def errors(browser: Any) -> list[str]:
    found = [each["message"] for each in browser.get_log("browser") if each["level"] == "SEVERE"]
    return [each for each in found if "ERR_CONNECTION" not in each and "503" not in each]


async def go(page: Page, where: str) -> None:
    await page.script(f"location.hash = {json.dumps(where)}")


async def test_headlines_show_value_trend_change_and_how_far_to_trust_them_and_change_by_themselves(
    one_browser: Any, log: MemoryLog
) -> None:
    air = f"[data-headline='{AIR}']"
    async with opened(one_browser, gateway_over(log)) as (page, _url):
        await page.sees(f"{air} .figure b", "52")
        assert await page.texts(f"{air} .change") == ["naik 1,0 poin dari 11 Jan 2026 (memburuk)"]
        assert await page.texts(f"{air} .about .status") == ["final"]
        assert await page.script(f'return document.querySelector("{air} polyline").getAttribute("points").split(" ").length') == 12
        beds = f"[data-headline='{BEDS}']"
        assert await page.texts(f"{beds} .figure b") == ["76,9", "59,5", "–"]
        assert await page.texts(f"{beds} .heard.partial") == ["2 dari 3", "2 dari 3"]
        assert await page.script("return document.title") == "Ikhtisar · Simpul"
        assert await page.script("return document.querySelector('#routes [aria-current]').dataset.route") == "overview"
        await log.send([value(AIR, "61", window=day(12), dimensions={}, status="final", revision=2)])
        await page.sees(f"{air} .figure b", "61")
        await page.sees(f"{air} .fresh", "baru saja")
        await page.click("[data-language=en]")
        await page.sees(f"{air} .change", "up 10.0 points from 11 Jan 2026 (worse)")
        await page.click("#theme")
        assert await page.script("return document.documentElement.dataset.theme") == "light"
        await page.click(f"{air} a")
        await page.sees(".hero b", "61")
        assert await page.script("return document.activeElement === document.querySelector('h1')")
        await page.script("history.back()")
        await page.sees("h1", "Overview")
    assert errors(one_browser) == []


async def test_the_map_colours_kecamatan_and_leads_down_to_the_rt(one_browser: Any, log: MemoryLog) -> None:
    async with opened(one_browser, gateway_over(log), "#/peta") as (page, _url):
        await page.sees("[data-region='33.09.01'] b", "10")
        assert await page.texts(".tilemap [data-region='33.09.22'] b") == ["tanpa data"]
        shades = await page.script("return [...document.querySelectorAll('.tilemap a')].map(n => n.className)")
        assert {name: shades.count(name) for name in set(shades)} == {"q0": 4, "q1": 4, "q2": 4, "q3": 4, "q4": 4, "empty": 2}
        assert (await page.texts(".legend li"))[0] == "10 – 40"
        await log.send([families("33.09.01", 11, revision=2)])
        await page.sees(".tilemap [data-region='33.09.01'] b", "11")
        await page.click(".tilemap [data-region='33.09.01'] a")
        for code, name, count in (
            ("33.09.01.2001", "Tlogolele", "7 KK"),
            ("33.09.01.2001.003", "RW 003", "6 KK"),
            ("33.09.01.2001.003.002", "RT 002", "5 KK"),
        ):
            row = f".children tr[data-region='{code}']"
            await page.sees(f"{row} th a", name)
            assert await page.texts(f"{row} td.number a") == [count]
            await page.click(f"{row} th a")
        await page.sees(".trail li:last-child", "RT 002")
        assert [text.removeprefix("›").strip() for text in await page.texts(".trail li")] == [
            "Boyolali",
            "Selo",
            "Tlogolele",
            "RW 003",
            "RT 002",
        ]
        await page.script("history.back()")
        await page.sees(".trail li:last-child", "RW 003")
    assert errors(one_browser) == []


async def test_an_indicator_has_a_chart_a_breakdown_its_meaning_and_its_past(one_browser: Any, log: MemoryLog) -> None:
    gateway = gateway_over(log, portal_url="https://ppid.example")
    async with opened(one_browser, gateway, f"#/indikator/{AIR}") as (page, _url):
        await page.sees(".hero b", "52")
        assert await page.script("return document.querySelectorAll('.plot canvas').length") == 1
        assert await page.script("return document.querySelectorAll('.values tbody tr').length") == 12
        await page.sees(".meaning dd", "UU 14/2008 Pasal 9")
        assert await page.texts(".meaning .agencies") == ["Instansi di baliknya: Dinas Lingkungan Hidup"]
        assert await page.script("return document.querySelector('.meaning .plain').href") == f"https://ppid.example/masukan?indikator={AIR}"
        await page.sees(".past h3", "Riwayat revisi")
        assert await page.script("return document.querySelectorAll('.past tbody tr').length") == 1
        await page.click(".stepper button")
        await page.sees(".hero b", "51")
        await page.sees(".evidence code", f"bus verify {AIR} 2026-01-11")
        await go(page, f"#/indikator/{BEDS}?hospital=SIMO&region=33.09")
        await page.sees(".hero b", "59,5")
        assert await page.texts(".breakdown tbody th") == ["PANDANARANG", "SIMO"]
        await page.click(".breakdown [data-sort=value]")
        await page.click(".breakdown [data-sort=value]")
        assert await page.texts(".breakdown tbody th") == ["SIMO", "PANDANARANG"]
        assert await page.script("return document.querySelector('.breakdown [aria-sort=ascending]').innerText.trim()") == "Nilai ▲"
        await page.click(".breakdown tbody tr:nth-child(2) a")
        await page.sees(".hero b", "76,9")
        await go(page, "#/indikator/dlh.none")
        await page.sees(".view .empty", "Indikator ini tidak ada, atau tidak untuk peran Anda.")
    assert errors(one_browser) == []


async def test_the_public_sees_what_was_released_that_numbers_are_withheld_and_no_way_to_recompute(one_browser: Any) -> None:
    told = [
        released("bpbd.refugees_now", "156", window=NOW, dimensions={"region": "33.09"}),
        released("bpbd.refugees_now", "150", window=NOW, dimensions={"region": "33.09.01"}),
        released("bpbd.refugees_now", None, window=NOW, dimensions={"region": "33.09.02"}, suppressed=True),
    ]
    log = MemoryLog({"public.bpbd.refugees_now": 1}, compacted=["public.bpbd.refugees_now"])
    await log.send(told)
    async with opened(one_browser, gateway_over(log, anonymous="public"), "#/peta?indikator=bpbd.refugees_now") as (page, _url):
        await page.sees(".tilemap [data-region='33.09.02'] b", "ditahan")
        assert await page.script("return document.querySelector(\".tilemap [data-region='33.09.02'] a\").className") == "empty"
        assert "ditahan. Angka kecil ditahan untuk melindungi orang." in await page.texts(".legend li")
        await go(page, "#/indikator/bpbd.refugees_now?region=33.09")
        await page.sees(".hero b", "156")
        await page.sees(".evidence h3", "Dibuat dari peristiwa sampai posisi log ini")
        assert await page.texts(".recompute button") == []
        await go(page, "#/")
        await page.sees("[data-headline='bpbd.refugees_now'] .figure b", "156")
        assert await page.texts("[data-headline='mcd.persons_now']") == []
    assert errors(one_browser) == []


async def test_the_hall_shows_who_waits_and_goes_on_when_the_server_was_away(one_browser: Any, log: MemoryLog) -> None:
    row = "[data-tenant=POLRES]"
    async with opened(one_browser, gateway_over(log), "#/mpp") as (page, url):
        await page.sees(f"{row} [data-key=waiting]", "4")
        assert await page.texts(f"{row} td") == ["4", "12,5", "31,3", "7,5", "81,3 B"]
        assert await page.texts("[data-figure=ikm] b") == ["88,89"]
        assert await page.texts("[data-figure=longest] b") == ["13′"]
        port = httpx.URL(url).port or 0
    await page.sees("#announce", "Sambungan terputus")
    await log.send([value("mpp.waiting_tenant_day", "6", window=day(12), dimensions={"tenant": "POLRES"}, revision=2)])
    async with serving(gateway_over(log, settings=Settings(gateway=GatewaySettings(port=port)))):
        await page.sees(f"{row} [data-key=waiting]", "6", 30)
        await page.sees("[data-figure=waiting] b", "6")
    assert errors(one_browser) == []


async def test_alerts_stand_over_every_route_and_their_absence_is_said_quietly(one_browser: Any, log: MemoryLog) -> None:
    urgent = alert(BEDS, "76.9", severity="danger", serta_merta=True, dimensions={"hospital": "SIMO", "region": "33.09"})
    told = Episodes([alert(AIR, "52"), urgent])
    async with alerting(told) as (source, strip), opened(one_browser, gateway_over(log, alerts_url=source)) as (page, _url):
        await page.sees(".alert strong", "Bahaya · Serta merta", 30)
        assert await page.texts(".alert strong") == ["Bahaya · Serta merta", "Waspada"]
        await go(page, "#/mpp")
        await page.sees("[data-tenant=POLRES] [data-key=waiting]", "4")
        assert await page.texts(".alert a") == [f"{BEDS} melewati ambang: 76.9", f"{AIR} melewati ambang: 52"]
        await page.click(".alert a")
        await page.sees(".hero b", "59,5")
        told.alerts = []
        strip.changed()
        async with asyncio.timeout(15):
            while await page.texts(".alert"):
                await asyncio.sleep(0.05)
        strip.close()
        await page.sees("#strip .state", "Layanan peringatan sedang tidak tersambung.", 30)
        assert await page.texts(".hero b") == ["59,5"]
    assert errors(one_browser) == []


async def test_pages_that_were_left_hold_no_connection(one_browser: Any, log: MemoryLog) -> None:
    async with alerting(Episodes([])) as (source, _strip), opened(one_browser, gateway_over(log, alerts_url=source)) as (page, url):
        # A browser has six connections for one server; a page holds two.
        for _ in range(5):
            await page.open("about:blank")
            await page.open(f"{url}/#/mpp")
            await page.sees("#announce", "Langsung", 20)
    assert errors(one_browser) == []


async def test_every_route_is_accessible_in_both_themes_and_fits_a_phone(one_browser: Any, log: MemoryLog) -> None:
    axe = files("axe_core_python").joinpath("axe.min.js").read_text(encoding="utf-8")
    told_of = "v => [v.id, v.nodes.map(n => `${n.html} ${n.failureSummary}`).slice(0, 3)]"
    check = f"axe.run(document, {{ resultTypes: ['violations'] }}).then(found => arguments[0](found.violations.map({told_of})))"
    told = Episodes(
        [alert(BEDS, "76.9", severity="danger", serta_merta=True), alert(AIR, "52"), alert("dlh.sensor_hours_day", None, severity="info")]
    )
    async with alerting(told) as (source, _strip), opened(one_browser, gateway_over(log, alerts_url=source)) as (page, _url):
        await page.sees(".alert strong", "Bahaya · Serta merta", 30)
        await page.script(axe)
        for theme in ("light", "dark"):
            while await page.script("return document.documentElement.dataset.theme") != theme:
                await page.click("#theme")
            for where in PAGES:
                await go(page, where)
                await settled(page, where)
                assert await asyncio.to_thread(one_browser.execute_async_script, check) == [], (theme, where)
        try:
            await asyncio.to_thread(one_browser.execute_cdp_cmd, "Emulation.setDeviceMetricsOverride", NARROW)
            for where in PAGES:
                await go(page, where)
                await settled(page, where)
                assert await page.script("return document.documentElement.scrollWidth") == 360, where
        finally:
            await asyncio.to_thread(one_browser.execute_cdp_cmd, "Emulation.clearDeviceMetricsOverride", {})
    assert errors(one_browser) == []


async def settled(page: Page, where: str) -> None:
    """Until the route is drawn and nothing of it is being loaded."""
    script = "return location.hash === arguments[0] && !document.querySelector('.view .wait') && Boolean(document.querySelector('.view h1')?.innerText)"
    async with asyncio.timeout(30):
        while not await asyncio.to_thread(page.driver.execute_script, script, where):
            await asyncio.sleep(0.05)
