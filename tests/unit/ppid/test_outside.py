"""What `bus demo --check` asks portal and alerts: only a portal that serves what is public, and as it is live, passes."""

from __future__ import annotations

from pathlib import Path

import pytest

from bus.errors import BusError
from bus.ops.installation import Installation
from bus.ops.outside import Published, alerts, published
from bus.settings import Settings
from bus.testing.memory import MemoryLog
from tests.unit.alerts.test_service import MERAPI, level, log_of
from tests.unit.alerts.test_service import alerts as alerts_over
from tests.unit.alerts.test_service import serving as serving_alerts
from tests.unit.gateway.feed import value
from tests.unit.ppid.feed import PM10, local, portal_over, public, released, serving

JANUARY, FEBRUARY = (local(2026, 1), local(2026, 2)), (local(2026, 2), local(2026, 3))


@pytest.fixture(scope="module")
def installation() -> Installation:
    return Installation.load(Settings(only_agencies=("dlh",)))


async def _log(live: str = "60") -> MemoryLog:
    """January as it is live, February withheld at one station, and newer by now at another one; a closing of nobody, and a row of nobody,
    which is none."""
    log = MemoryLog({f"public.{PM10}": 1, f"indicators.{PM10}": 1})
    await log.send(
        [
            public("60", at=released(1)),
            public(None, at=released(1), window=FEBRUARY),
            public("12", at=released(1), window=FEBRUARY, dimensions={"station": "BYL2"}),
            public("0", at=released(1), dimensions={"station": "BYL3"}, more={"n": 0, "closing": True, "value": None}),
            public("0", at=released(1), dimensions={"station": "BYL4"}, more={"n": 0}),
            value(PM10, live, window=JANUARY, dimensions={"station": "BYL1"}),
            value(PM10, "0", window=JANUARY, dimensions={"station": "BYL3"}, n=0, more={"closing": True}),
            value(PM10, "99", window=FEBRUARY, dimensions={"station": "BYL1"}),
            value(PM10, "14", window=FEBRUARY, dimensions={"station": "BYL2"}, revision=2),
        ]
    )
    return log


async def test_a_portal_that_serves_what_is_public_is_counted(installation: Installation, tmp_path: Path) -> None:
    log = await _log()
    async with serving(portal_over(log, "", tmp_path)) as url:
        assert await published(url, installation, log) == Published(datasets=1, rows=4, suppressed=1, superseded=1)


async def test_a_number_that_is_not_the_live_one_is_named(installation: Installation, tmp_path: Path) -> None:
    log = await _log(live="61")
    async with serving(portal_over(log, "", tmp_path)) as url:
        with pytest.raises(BusError, match=r"dlh\.pm10_max: .*'60'.*'61'"):
            await published(url, installation, log)


async def test_a_portal_that_serves_other_rows_or_none_fails(installation: Installation, tmp_path: Path) -> None:
    log = await _log()
    async with serving(portal_over(await _log(), "", tmp_path)) as url:
        await log.send([public("61", at=released(8), revision=2)])
        with pytest.raises(BusError, match=r"4 rows are served, 4 are public, 3 are the same"):
            await published(url, installation, log, seconds=2)
    async with serving(portal_over(MemoryLog(), "", tmp_path / "empty")) as url:
        with pytest.raises(BusError, match="no dataset is served"):
            await published(url, installation, log, seconds=1)


async def test_alerts_are_counted_once_they_are_known(tmp_path: Path) -> None:
    log = log_of(MERAPI)
    await log.send([level(3, 1)])
    async with serving_alerts(alerts_over(tmp_path, log, [MERAPI])) as http:
        assert await alerts(str(http.base_url)) == 1
    with pytest.raises(BusError, match="not served"):
        await alerts("http://127.0.0.1:1", seconds=0.1)
