"""Roads: reports are posted as they change, and what a survey says of a segment again takes the place of the first."""

from __future__ import annotations

from pathlib import Path

from tests.connectors.agency_site import agency_world, brief, numbers
from tests.pipeline.ingest_world import World
from tests.sources.webhook_world import KEY, drained, free_port, posting

HEADER = "Survei;No. Ruas;Nama Ruas;Segmen;Kecamatan;Panjang (km);Jenis Permukaan;Kondisi;Tanggal Survei"


def roads(base: Path) -> World:
    return agency_world(base, "dpupr", BUS_DPUPR__WEBHOOK_KEY=KEY, BUS_INGEST__INGRESS_PORT=str(free_port()))


def report(number: int, state: str, *, day: int = 12, hour: int = 8) -> dict[str, str]:
    names = {"no_laporan": f"JLN-{number}", "status": state, "no_ruas": "", "tingkat": "BERAT", "kode_desa": "33.09.03.2001"}
    times = {"waktu_lapor": "2026-01-12T08:00:00+07:00", "waktu_status": f"2026-01-{day:02}T{hour:02}:00:00+07:00"}
    return {**names, **times, "nama_pelapor": "CONTOH RAHASIA", "telepon_pelapor": "081200000001", "keterangan": "lubang"}


async def test_open_reports_and_the_median_of_repairs(tmp_path: Path) -> None:
    world = roads(tmp_path)
    async with posting(world) as client:
        for number in range(1, 6):
            assert (await client.post("laporan", json=report(number, "MASUK"))).status_code == 202
        for number, state, day, hour in ((1, "SELESAI", 14, 8), (2, "SELESAI", 15, 20), (3, "SELESAI", 22, 8), (4, "DITOLAK", 13, 8)):
            assert (await client.post("laporan", json=report(number, state, day=day, hour=hour))).status_code == 202
        refused = await client.post("laporan", json=report(6, "HILANG"))
        assert refused.status_code == 422
        await drained(world, 9)
    desa = [row for row in numbers("dpupr.damage_open_now", world) if row["region"] == "33.09.03.2001"]
    assert brief(desa, "state", "value") == [("MASUK", "1")]
    (median,) = (row["value"] for row in numbers("dpupr.repair_days_month", world) if row["region"] == "33.09.03.2001")
    # 2, 3.5 and 10 days, within one percent
    assert abs(float(median) - 3.5) <= 0.035


async def test_lengths_add_up_and_a_mended_line_counts_once(tmp_path: Path) -> None:
    world = roads(tmp_path)
    lines = [
        "2026-1;001;Boyolali - Cepogo;0+000;Boyolali;1,250;Aspal;Baik;12/01/2026",
        "2026-1;001;Boyolali - Cepogo;1+250;Cepogo;0,750;Aspal;Rusak Berat;12/01/2026",
    ]
    world.put("survei.csv", *lines, header=HEADER)
    await world.runner().run(until_end=True)
    whole = [row for row in numbers("dpupr.road_steady_survey", world) if row["region"] == "33.09"]
    assert brief(whole, "value") == [("62.5000000000",)]
    world.put("survei-perbaikan.csv", lines[1].replace("Rusak Berat", "Sedang"), header=HEADER)
    await world.runner().run(until_end=True)
    assert not await world.quarantine()
    whole = [row for row in numbers("dpupr.road_steady_survey", world) if row["region"] == "33.09"]
    assert brief(whole, "value") == [("100.0000000000",)]
