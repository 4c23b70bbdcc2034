"""The page tells what kind of number it shows: the current state, grades, rankings, regions, completeness, composites, durations."""

from __future__ import annotations

from typing import Any

import httpx

from bus.kafka.ports import Message
from bus.settings import ROOT
from bus.testing.memory import MemoryLog
from tests.browser.test_page import Page
from tests.unit.gateway.feed import NOW, gateway_over, serving, until_ready, value
from tests.unit.gateway.test_kinds import COMPOSITE

OVERLAY = ROOT / "tests" / "model" / "overlay"


def rows() -> list[Message]:
    return [
        value("uji.now_mean", "2.5", window=NOW, dimensions={}, n=2),
        value("uji.region_now", "12", window=NOW, dimensions={"place": "x", "region": "33.09"}),
        value("uji.region_now", "5", window=NOW, dimensions={"place": "x", "region": "33.09.01.2001.003.002"}),
        value("uji.survey_ikm", "81.25", dimensions={"service": "ktp"}, label="B", more={"heard": 26, "expected": 27}),
        value("uji.survey_ikm", "90", dimensions={"service": "kk"}, label="A", more={"heard": 27, "expected": 27}),
        value("uji.top_places", "9", dimensions={"rank": "1"}, label="selo"),
        value("uji.permit_time", "187200.0000000000", dimensions={"agency": "dinkes"}, revision=9, more={"late": 1, "corrected": 2}),
        value("uji.reading_distinct", "5013", dimensions={"place": "selo"}, more={"error": "0.0313"}),
        value("uji.total", "8.5", dimensions={"place": "selo"}, more=COMPOSITE),
        value("uji.reconciled", "7", window=NOW, dimensions={"match": "only_right", "region": "33.09.01"}),
    ]


async def test_what_kind_of_number_is_shown(browser: Any) -> None:
    page, messages = Page(browser), rows()
    log = MemoryLog({message.topic: 1 for message in messages}, compacted=[message.topic for message in messages])
    await log.send(messages)

    def card(name: str) -> str:
        return f"[data-indicator='{name}']"

    async with serving(gateway_over(log, overlay=OVERLAY)) as url, httpx.AsyncClient(base_url=url) as http:
        await until_ready(http)
        await page.open(f"{url}/#/indikator")
        await page.sees(f"{card('uji.now_mean')} output", "Keadaan sekarang")
        assert await page.texts(f"{card('uji.now_mean')} .status") == ["terkini"]
        assert await page.texts(f"{card('uji.now_mean')} .nav button") == []
        names = ["x · Kab. Boyolali (33.09)", "x · RT 002/RW 003 Tlogolele (33.09.01.2001.003.002)"]
        assert await page.texts(f"{card('uji.region_now')} .label") == names
        assert await page.texts(f"{card('uji.survey_ikm')} .grade") == ["A", "B"]
        assert await page.texts(f"{card('uji.survey_ikm')} .heard") == ["27 dari 27", "26 dari 27"]
        assert await page.texts(f"{card('uji.survey_ikm')} .heard.partial") == ["26 dari 27"]
        assert await page.texts(f"{card('uji.top_places')} .label") == ["1 · selo"]
        assert await page.texts(f"{card('uji.top_places')} .grade") == []
        assert await page.texts(f"{card('uji.permit_time')} .value") == ["2,2\nhari"]
        assert await page.texts(f"{card('uji.reading_distinct')} .value b") == ["≈ 5.013"]
        assert await page.texts(f"{card('uji.reconciled')} .label") == ["hanya di uji.register_mcd · Kec. Selo (33.09.01)"]
        await page.click(f"{card('uji.now_mean')} .value")
        await page.sees("dialog code", "bus verify uji.now_mean now")
        await page.click("dialog .plain")
        await page.click(f"{card('uji.permit_time')} .value")
        await page.sees("dialog dd", "9 (6 baru, 1 terlambat, 2 dikoreksi)")
        await page.click("dialog .plain")
        await page.click(f"{card('uji.reading_distinct')} .value")
        await page.sees("dialog dd", "± 3,13 %")
        await page.click("dialog .plain")
        await page.click(f"{card('uji.total')} .value")
        await page.sees("dialog dd", "uji.part_in, versi 2")
        assert await page.texts("dialog tbody tr:nth-child(3) td") == ["uji.part_out", "events.b.x.y.v1", "0", "5"]
        await page.click("dialog .plain")
        await page.click("[data-language=en]")
        await page.sees(f"{card('uji.survey_ikm')} .heard", "26 of 27")
        assert await page.texts(f"{card('uji.now_mean')} output") == ["Current state"]
        assert await page.texts(f"{card('uji.permit_time')} .value") == ["2.2\ndays"]
        assert await page.texts(f"{card('uji.register_siak')} h3") == []
    errors = [
        each["message"] for each in browser.get_log("browser") if each["level"] == "SEVERE" and "ERR_CONNECTION" not in each["message"]
    ]
    assert not errors
