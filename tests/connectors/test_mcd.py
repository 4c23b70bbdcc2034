"""MCD: a report is typed at the desa and posted; what its parameters do not allow is told at once, and a second report mends the first."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from types import MappingProxyType

import httpx

from connectors.mcd import reports
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.pipeline.ingest_world import World
from tests.sources.webhook_world import KEY, drained, free_port

PARAMETERS = list(reports._PARAMETERS)


def report(*, score: int, rt: int = 1, answers: Mapping[str, object] = MappingProxyType({})) -> dict[str, object]:
    scores: dict[str, object] = {**dict.fromkeys(PARAMETERS, score), **answers}
    return {"waktu": "2026-02-03T19:20:00+07:00", "bulan": "2026-01", "kode_desa": "33.09.05.1001", "rw": 2, "rt": rt, "jawaban": scores}


@asynccontextmanager
async def posting(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """The connector runs, and its ingress listens."""
    running = asyncio.create_task(world.runner(sleep=asyncio.sleep).run(until_end=False))
    base = f"http://127.0.0.1:{world.environ['BUS_INGEST__INGRESS_PORT']}"
    async with httpx.AsyncClient(base_url=f"{base}/v1/events/mcd", headers={"X-Api-Key": KEY}, timeout=30) as client:
        while not running.done():
            try:
                if (await client.get(f"{base}/healthz")).json()["sources"] == 1:
                    break
            except httpx.TransportError:
                await asyncio.sleep(0.02)
        yield client
    running.cancel()
    await asyncio.wait({running})


async def test_reports_are_posted_and_mended(tmp_path: Path) -> None:
    world = agency_world(tmp_path, "mcd", BUS_MCD__WEBHOOK_KEY=KEY, BUS_INGEST__INGRESS_PORT=str(free_port()))
    async with posting(world) as client:
        for sent in (report(score=2), report(score=4, rt=2), report(score=3)):
            answer = await client.post("laporan", json=sent)
            assert answer.status_code == 202, answer.text
        for wrong in (report(score=5), report(score=1, answers={PARAMETERS[0]: "banyak"}), report(score=1, answers={"XYZ9": 1})):
            answer = await client.post("laporan", json=wrong)
            assert answer.status_code == 422, answer.text
        await drained(world, 3 * len(PARAMETERS) + 2)
    scores = [row for row in numbers("mcd.score_month", world) if row["region"].startswith("33.09.05.1001.002")]
    assert brief(scores, "region", "value") == [
        ("33.09.05.1001.002", "87.5000000000"),
        ("33.09.05.1001.002.001", "75.0000000000"),
        ("33.09.05.1001.002.002", "100.0000000000"),
    ]
    assert brief([numbers("mcd.rt_reported_month", world)[0]], "region", "value") == [("33.09", "2")]
