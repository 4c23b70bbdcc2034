"""The open-data page in a real browser: search and facets, a dataset with its editions, two languages, a narrow screen."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from bus.testing.memory import MemoryLog
from tests.browser.test_page import Page
from tests.sources.webhook_world import drained
from tests.unit.ppid.desk import TEXT, desk, portal_beside, ppid_world
from tests.unit.ppid.feed import PM10, local, portal_over, public, released, serving, until_ready

_HEADS = {
    "/": "Open data of the PPID", "/dip": "List of public information", "/changelog": "Change log", "/masukan": "Give feedback / report an error",
}  # fmt: skip
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def log() -> MemoryLog:
    log = MemoryLog({f"public.{PM10}": 1, "public.dlh.pm10_mean": 1})
    await log.send(
        [
            public("60", at=released(1)),
            public("5", at=released(1), indicator="dlh.pm10_mean"),
            public("61.5", at=released(8), revision=2),
            public("12", at=released(8), window=(local(2026, 2), local(2026, 3))),
            public(None, at=released(8), dimensions={"station": EVIL}),
        ]
    )
    return log


async def test_a_citizen_finds_reads_and_goes_back_in_time(browser: Any, log: MemoryLog, tmp_path: Path) -> None:
    page = Page(browser)
    async with serving(portal_over(log, f"sqlite:///{tmp_path / 'ppid.db'}", tmp_path)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http, 2)
        await page.open(url)
        await page.sees(".result h2", "Nilai tertinggi indeks PM10 per bulan")
        assert len(await page.texts(".result")) == 2
        await page.script("const s = document.getElementById('search'); s.value = 'tertinggi'; s.dispatchEvent(new Event('input'))")
        await page.sees(".count", "1 dataset")
        assert await page.script("return location.search") == "?q=tertinggi"
        await page.click(".result h2 a")
        await page.sees("h1", "Nilai tertinggi indeks PM10 per bulan")
        await page.sees("td.number", "61,5")
        assert await page.texts("td.withheld") == ["ditahan"]
        assert EVIL in await page.texts("td")  # as text, not as an element
        assert await page.script("return document.querySelectorAll('td img').length") == 0
        assert await page.script("return document.querySelectorAll('.chart path.line').length") > 0
        assert len(await page.texts(".files a[download]")) == 5
        await page.click("[data-language='en']")
        await page.sees("h1", "Highest PM10 index per month")
        await page.sees("td.number", "61.5")
        await page.script("const s = document.getElementById('vintage'); s.selectedIndex = 1; s.dispatchEvent(new Event('change'))")
        await page.sees("td.number", "60")
        await page.sees(".note a", "Open the newest edition")
        for path in ("/", f"/dataset/{PM10}", "/dip", "/changelog", "/masukan"):
            driver = browser
            driver.execute_cdp_cmd(
                "Emulation.setDeviceMetricsOverride", {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
            )
            await page.open(url + path)
            await page.sees("h1", _HEADS.get(path, "Highest PM10 index per month"))
            assert await page.script("return document.documentElement.scrollWidth") <= 360, path
        logged = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE"]
        assert logged == []


async def test_a_citizen_writes_and_gets_a_receipt(browser: Any, log: MemoryLog, tmp_path: Path) -> None:
    """From the dataset's page: personal data are refused and the text stays; then there is a receipt, and one feedback in the log."""
    page, world = Page(browser), ppid_world(tmp_path)
    async with desk(world, portal_beside(world, tmp_path, log=log)) as http:
        await until_ready(http, 2)
        await page.open(f"{http.base_url}/dataset/{PM10}")
        await page.sees("p.crumbs a", "Beri masukan / laporkan kesalahan")
        await page.click("a[href^='/masukan?dataset']")
        await says(page, "#privacy", "tanpa data pribadi")
        await says(page, ".lead", "Nilai tertinggi indeks PM10 per bulan")
        await page.script(typed("Hubungi saya di 0812 3456 7890 segera"))
        await page.click(".send")
        await says(page, "#fault", "nomor telepon")
        assert await page.script("return document.activeElement.id") == "text"
        assert await page.script("return document.getElementById('text').getAttribute('aria-invalid')") == "true"
        assert world.folded() == []
        await page.script(typed(TEXT))
        await page.open(f"{http.base_url}/masukan?dataset={PM10}")  # loaded again, nothing is lost
        await says(page, "#privacy", "tanpa data pribadi")
        assert await page.script("return document.getElementById('text').value") == TEXT
        assert await page.script("return getComputedStyle(document.querySelector('.trap')).left") == "-10000px"
        await page.click("[data-language='en']")
        await page.sees("h1", "Give feedback / report an error")
        await page.click(".send")
        await says(page, ".receipt .number", "M-")
        (number,) = await page.texts(".receipt .number")
        await drained(world, 2)
        assert {each.event.subject for each in world.folded()} == {number, f"{number}/MASUK"}
        assert await page.script("return sessionStorage.length") == 0
        logged = [entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE" and "422" not in entry["message"]]
        assert logged == []


async def says(page: Page, selector: str, part: str) -> None:
    """Wait until a text there has that part."""
    async with asyncio.timeout(15):
        while not any(part in text for text in await page.texts(selector)):
            await asyncio.sleep(0.05)


def typed(text: str) -> str:
    """What a person who types that does to the page."""
    return f"const t = document.getElementById('text'); t.value = {json.dumps(text)}; t.dispatchEvent(new Event('input'))"
