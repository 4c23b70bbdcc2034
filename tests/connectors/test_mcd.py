"""MCD: a report is typed at the desa and posted; what its parameters do not allow is told at once, and a second report mends the first."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

from connectors.mcd import reports
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.sources.webhook_world import KEY, drained, free_port, posting

PARAMETERS = list(reports._PARAMETERS)


def report(*, score: int, rt: int = 1, answers: Mapping[str, object] = MappingProxyType({})) -> dict[str, object]:
    scores: dict[str, object] = {**dict.fromkeys(PARAMETERS, score), **answers}
    return {"waktu": "2026-02-03T19:20:00+07:00", "bulan": "2026-01", "kode_desa": "33.09.05.1001", "rw": 2, "rt": rt, "jawaban": scores}


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
