"""The page of the README's third subscriber in a real browser, served as the README says: under the gateway's own address."""

from __future__ import annotations

import asyncio

import httpx
from starlette.responses import HTMLResponse

from bus.testing.memory import MemoryLog
from tests.browser.test_page import Page
from tests.live.test_readme import DATASET, snippet
from tests.unit.gateway.feed import gateway_over, month, serving, until_ready, value

_PATH = "/halaman"


async def test_the_readme_page_shows_rows_and_what_becomes_of_them(browser: object) -> None:
    topic = f"indicators.{DATASET}"
    log = MemoryLog({topic: 1}, compacted=[topic])
    await log.send([value(DATASET, "92", window=month(1)), value(DATASET, "71", window=month(2))])
    gateway, page = gateway_over(log), Page(browser)
    inner = gateway.app

    async def proxied(scope, receive, send) -> None:
        mine = scope["type"] == "http" and scope["path"] == _PATH
        await (HTMLResponse(snippet("html")) if mine else inner)(scope, receive, send)

    gateway.app = proxied  # type: ignore[assignment]
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        await page.open(url + _PATH)
        await page.sees("#rows li", "2021-01-01T00:00:00+07:00 92")
        await log.send([value(DATASET, "88.5", window=month(2), revision=2)])
        await page.sees("#rows li", "2021-02-01T00:00:00+07:00 88.5")
        assert await asyncio.wait_for(page.texts("#rows li"), 10) == ["2021-01-01T00:00:00+07:00 92", "2021-02-01T00:00:00+07:00 88.5"]
