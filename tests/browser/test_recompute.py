"""A number of the page is recomputed from the log at a click: a real broker, a real `bus verify`, the page's own words for the outcome."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import httpx

from bus.indicators.outputs import Output
from bus.kafka.admin import apply
from bus.kafka.client import KafkaPublisher
from bus.kafka.embedded import EmbeddedBroker
from bus.kafka.ports import Message
from bus.kafka.topics import Topic
from bus.ops.installation import Installation
from bus.settings import GatewaySettings, KafkaSettings, Settings
from consumers.dashboard.gateway import create
from tests.browser.test_page import Page
from tests.pipeline.test_verification import published
from tests.unit.gateway.feed import serving, until_ready

ID = "dlh.pm10_mean"
EVENTS = "events.dlh.air_quality.recorded.v1"


def wrong(outputs: list[Output]) -> list[Output]:
    """What the workers say, but the last number is another one."""
    return [*outputs[:-1], replace(outputs[-1], value="1.0000000000")]


async def test_a_number_is_recomputed_at_a_click(
    browser: Any, make_embedded: Callable[[], EmbeddedBroker], settings_of: Callable[[EmbeddedBroker], KafkaSettings]
) -> None:
    kafka = settings_of(make_embedded())
    log = await published(Installation.load(Settings()), wrong)
    compact = {"cleanup.policy": "compact"}
    await apply(kafka, [Topic(EVENTS, kafka.event_partitions, 1, {}), Topic(f"indicators.{ID}", 1, 1, compact)])
    async with KafkaPublisher(kafka) as publisher:
        for topic, number in (*((EVENTS, number) for number in range(kafka.event_partitions)), (f"indicators.{ID}", 0)):
            await publisher.send([Message(r.topic, r.partition, r.key, r.value, r.headers) for r in log.records(topic, number)])
    page = Page(browser)
    gateway = create(Settings(kafka=kafka, gateway=GatewaySettings(port=0)))
    async with serving(gateway) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http, 60)
        await page.open(f"{url}/#/indikator/{ID}?station=DKI2")
        await page.sees(".evidence code", f"bus verify {ID} 2024-03-01/DKI2", 60)
        await page.click(".recompute button")
        await page.sees(".recompute button", "Hitung ulang sekarang")
        outcome = await said(page, "good")
        assert outcome.startswith("Cocok: dihitung ulang dari 90 catatan dalam ")
        await page.script("location.hash = '#/indikator/dlh.pm10_mean?station=DKI3'")
        await page.sees(".evidence code", f"bus verify {ID} 2024-03-01/DKI3", 60)
        await page.click(".recompute button")
        assert (await said(page, "bad")).startswith("Berbeda pada value: dihitung ulang dari ")


async def said(page: Page, state: str) -> str:
    """What became of it, once that is known."""
    selector = f".outcome[data-state={state}]"
    for _ in range(600):
        if found := await page.texts(selector):
            return found[0]
        await page.wait()
    raise AssertionError(f"{selector}: {await page.texts('.outcome')}")
