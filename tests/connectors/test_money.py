"""Budget and tax: cancelled payments are taken back, each year by itself, and no tax object leaves by its number."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import generate_latest

from bus.metrics import REGISTRY
from bus.testing.scanner import Scanner
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.connectors.ledger import Ledger

#: Made up, of a province that does not exist.
LAND = [f"0009050001001{number:04d}0" for number in range(1, 4)]
SKPD = "1.02.0.00.0.00.01.0000"
LINE = {
    "tahun": 2026, "kode_skpd": SKPD, "kode_program": "1.02.02", "kode_giat": "1.02.02.2.01", "kode_sub_giat": "1.02.02.2.01.0001",
}  # fmt: skip


def kept(at: str) -> dict[str, object]:
    return {"deleted_at": None, "updated_at": at}


def order(number: int, amount: str, transferred: str | None, at: str) -> dict[str, object]:
    flags = {"is_verifikasi_sp_2_d": 1, "is_transfer_sp_2_d": int(transferred is not None), "tanggal_transfer": transferred}
    kinds = {"jenis_sp_2_d": "LS", "jenis_ls_sp_2_d": "GAJI"}
    return {**LINE, "id_sp_2_d_detail": number, "tanggal_sp_2_d": "2026-01-12", **kinds, **flags, "nilai_sp_2_d": amount, **kept(at)}


async def test_a_cancelled_payment_leaves_the_realisation(tmp_path: Path) -> None:
    sipd = Ledger(tmp_path / "sipd.db")
    world = agency_world(tmp_path, "bpkad", BUS_BPKAD__URL=sipd.url)
    sipd.put("bus_pagu", {**LINE, "nilai": "1000000", **kept("2026-01-02 08:00:00")})
    sipd.put("bus_rak", *({**LINE, "bulan": month, "nilai_rak": "250000.25", **kept("2026-01-02 08:00:00")} for month in (1, 2)))
    sipd.put(
        "bus_sp2d", order(1, "100000.50", "2026-01-13", "2026-01-13 09:00:00"), order(2, "300000", "2026-01-14", "2026-01-14 09:00:00")
    )
    sipd.put("bus_sp2d", order(3, "700000", None, "2026-01-14 09:00:00"))
    await world.run()
    assert not await world.quarantine()
    shown = ("window_start", "value")
    january = "2026-01-01T00:00:00+07:00"
    assert brief(numbers("bpkad.realisation_skpd_month", world), *shown) == [(january, "40.0000500000")]
    sipd.do("UPDATE bus_sp2d SET deleted_at = '2026-02-03 08:00:00', updated_at = '2026-02-03 08:00:00' WHERE id_sp_2_d_detail = 2")
    await world.run()
    assert brief(numbers("bpkad.realisation_skpd_month", world), *shown) == [(january, "10.0000500000")]
    assert brief(numbers("bpkad.realisation_skpd_year", world), *shown) == [(january, "10.0000500000")]
    assert [float(value) for _, value in brief(numbers("bpkad.deviation_program_month", world), *shown)] == [-149999.75, -400000.0]
    assert brief(numbers("bpkad.issued_day", world), "value") == [("800000.50",)]


def assessed(land: str, year: int, amount: str, status: str = "0") -> dict[str, object]:
    days = {"tgl_terbit_sppt": f"{year}-01-15", "tgl_jatuh_tempo_sppt": f"{year}-09-30"}
    return {
        **place(land, year),
        "pbb_yg_harus_dibayar_sppt": amount,
        **days,
        "status_pembayaran_sppt": status,
        "diubah": f"{year}-01-15 08:00:00",
    }


def paid(land: str, year: int, day: str, amount: str, penalty: str = "0") -> dict[str, object]:
    sums = {"tgl_pembayaran_sppt": day, "jml_sppt_yg_dibayar": amount, "denda_sppt": penalty}
    return {**place(land, year), "pembayaran_sppt_ke": 1, **sums, "batal": 0, "diubah": f"{day} 08:00:00"}


def place(land: str, year: int) -> dict[str, object]:
    return {"nop": land, "kd_kecamatan": "050", "kd_kelurahan": "001", "thn_pajak_sppt": year}


async def test_tax_is_paid_for_its_year_and_nobody_is_named(tmp_path: Path) -> None:
    sismiop = Ledger(tmp_path / "sismiop.db")
    world = agency_world(tmp_path, "bapenda", BUS_BAPENDA__URL=sismiop.url)
    sismiop.put("bus_sppt", assessed(LAND[0], 2025, "100000"), assessed(LAND[0], 2026, "120000"), assessed(LAND[1], 2026, "40000"))
    sismiop.put("bus_sppt", assessed(LAND[2], 2026, "999", "2"))
    sismiop.put("bus_pembayaran_sppt", paid(LAND[0], 2025, "2026-02-01", "104000", "4000"), paid(LAND[1], 2026, "2026-02-01", "40000"))
    await world.run()
    assert not await world.quarantine()
    regency = [row for row in numbers("bapenda.realisation_day", world) if row["region"] == "33.09" and row["value"]]
    assert brief(regency, "window_start", "assessment_year", "value") == [("2026-02-01T00:00:00+07:00", "2026", "25.0000000000")]
    arrears = [row for row in numbers("bapenda.arrears_paid_day", world) if row["region"] == "33.09.05.1001"]
    assert brief(arrears, "assessment_year", "value") == [("2025", "100000.00")]
    sismiop.do("UPDATE bus_pembayaran_sppt SET batal = 1, diubah = '2026-02-02 08:00:00' WHERE thn_pajak_sppt = 2026")
    await world.run()
    newest = [row for row in numbers("bapenda.principal_paid_day", world) if row["region"] == "33.09"][-1]
    assert (newest["assessment_year"], newest["value"], newest["n"]) == ("2026", "0.00", "0")
    look = Scanner(LAND, codec=world.codec)
    parts = [(topic, number) for topic, count in world.log.topics.items() for number in range(count)]
    assert not [hit for topic, number in parts for hit in look.records(topic, world.log.records(topic, number))]
    assert not list(look.metrics(generate_latest(REGISTRY).decode()))
