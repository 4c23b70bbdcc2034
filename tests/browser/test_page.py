"""The page in a real browser: it shows a number, sees it change, loses the server and heals."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import httpx
import pytest

from bus.settings import GatewaySettings, Settings
from bus.testing.memory import MemoryLog
from tests.unit.gateway.feed import gateway_over, month, serving, until_ready, value

TOPIC = "indicators.dlh.pm10_mean"
CARD = "[data-indicator='dlh.pm10_mean']"


@pytest.fixture
async def log() -> MemoryLog:
    log = MemoryLog({TOPIC: 1}, compacted=[TOPIC])
    await log.send(
        [
            value("dlh.pm10_mean", "30.25", window=month(1)),
            value("dlh.pm10_mean", "38.5161290323", window=month(2), numerator="1194", denominator="31", revision=31),
            value("dlh.pm10_mean", "12.5", window=month(2), dimensions={"station": "DKI2"}, status="final"),
        ]
    )
    return log


class Page:
    """What a reader sees and does."""

    def __init__(self, driver: Any) -> None:
        self.driver = driver

    async def open(self, url: str) -> None:
        await asyncio.to_thread(self.driver.get, url)

    async def script(self, text: str) -> Any:
        return await asyncio.to_thread(self.driver.execute_script, text)

    async def texts(self, selector: str) -> list[str]:
        found = await self.script(
            f"return [...document.querySelectorAll({json.dumps(selector)})].filter(n => n.checkVisibility()).map(n => n.innerText.trim())"
        )
        return [str(text) for text in found]

    async def click(self, selector: str) -> None:
        await self.script(f"document.querySelector({json.dumps(selector)}).click()")

    async def wait(self) -> None:
        """A moment between two looks."""
        await asyncio.sleep(0.1)

    async def sees(self, selector: str, text: str, seconds: float = 15) -> None:
        found: list[str] = []
        try:
            async with asyncio.timeout(seconds):
                while text not in (found := await self.texts(selector)):
                    await asyncio.sleep(0.05)
        except TimeoutError:
            pytest.fail(f"{selector} shows {found}, not {text!r}")


async def test_a_number_is_shown_changes_and_survives_the_loss_of_the_server(browser: object, log: MemoryLog) -> None:
    page = Page(browser)
    gateway = gateway_over(log)
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        await page.open(f"{url}/#/indikator")
        await page.sees(f"{CARD} .value b", "38,52")
        assert await page.texts(f"{CARD} output") == ["Februari 2021"]
        assert await page.texts(f"{CARD} .label") == ["DKI1", "DKI2"]
        assert await page.texts(f"{CARD} .status") == ["sementara", "final"]
        assert "Langsung" in (await page.texts("#link-text"))[0]
        assert await page.script(f'return document.querySelector("{CARD} .value").title') == "38,5161290323"
        await log.send([value("dlh.pm10_mean", "40.75", window=month(2), revision=32)])
        await page.sees(f"{CARD} .value b", "40,75")
        assert await page.script(f"return document.querySelector(\"{CARD} .row\").classList.contains('changed')")
        port = httpx.URL(url).port or 0
    await page.sees(
        "#notice", "Sambungan ke server terputus. Angka di bawah adalah keadaan terakhir; halaman menyambung kembali dengan sendirinya."
    )
    assert "40,75" in await page.texts(f"{CARD} .value b")
    await log.send([value("dlh.pm10_mean", "41.5", window=month(2), revision=33)])
    again = gateway_over(log, settings=Settings(gateway=GatewaySettings(port=port)))
    async with serving(again):
        await page.sees(f"{CARD} .value b", "41,50", 30)
        await page.sees("#announce", "Langsung")
        assert await page.texts("#notice") == []


async def test_the_evidence_other_windows_languages_and_a_narrow_screen(browser: Any, log: MemoryLog) -> None:
    page = Page(browser)
    async with serving(gateway_over(log)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        await page.open(f"{url}/#/indikator")
        await page.sees(f"{CARD} .value b", "38,52")
        await page.click(f"{CARD} .value")
        await page.sees("dialog code", "bus verify dlh.pm10_mean 2021-02-01/DKI1")
        await page.sees("dialog dd", "1.194 / 31")
        assert await page.texts("dialog tbody tr:nth-child(2) td") == ["events.dlh.air_quality.recorded.v1", "1", "42"]
        await page.click("dialog .plain")
        await page.click(f"{CARD} .nav button")
        await page.sees(f"{CARD} .value b", "30,25")
        await page.click(f"{CARD} .newest")
        await page.click("[data-language=en]")
        await page.sees(f"{CARD} .value b", "38.52")
        assert await page.texts(f"{CARD} output") == ["February 2021"]
        assert await page.script("return document.documentElement.lang") == "en"
        narrow = {"width": 360, "height": 800, "deviceScaleFactor": 1, "mobile": True}
        await asyncio.to_thread(browser.execute_cdp_cmd, "Emulation.setDeviceMetricsOverride", narrow)
        assert await page.script("return document.documentElement.scrollWidth <= 360")
    errors = [
        entry["message"] for entry in browser.get_log("browser") if entry["level"] == "SEVERE" and "ERR_CONNECTION" not in entry["message"]
    ]
    assert not errors
