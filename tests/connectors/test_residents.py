"""SIAK and MCD: vital events by two days, what is cancelled, and the two registers compared person by person."""

from __future__ import annotations

from pathlib import Path

from prometheus_client import generate_latest

from bus.metrics import REGISTRY
from bus.testing.scanner import Scanner
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.connectors.siak import siak_world

#: Made up, of a province that does not exist.
ANI, BUDI, CICI, DODI, EKA = (f"000905410190000{number}" for number in range(1, 6))
KK = "0009051201160001"


def person(nik: str, status: int = 0, *, kel: int = 1001, sex: int = 1) -> tuple[object, ...]:
    return (nik, KK, sex, status, 5, kel, 2, 1, "2026-01-05 08:00:00")


async def test_births_count_on_their_day_and_on_the_day_of_the_report_until_they_are_cancelled(tmp_path: Path) -> None:
    siak, world = siak_world(tmp_path)
    siak.put("kelahiran", (1, None, 2, "2025-12-30", "2026-01-05", 5, 1001, 0, "2026-01-05 09:00:00"))
    siak.put("kelahiran", (2, None, 2, "2026-01-02", "2026-01-05", 5, 1001, 0, "2026-01-05 09:10:00"))
    siak.put("kematian", (1, ANI, 2, "2025-12-31", "2026-01-06", 5, 1001, 0, "2026-01-06 09:00:00"))
    await world.run()
    assert not await world.quarantine()
    shown = ("window_start", "region", "value")
    assert brief(numbers("dukcapil.births_event_month", world), *shown) == [
        (start, region, "1")
        for start in ("2025-12-01T00:00:00+07:00", "2026-01-01T00:00:00+07:00")
        for region in ("33.09", "33.09.05", "33.09.05.1001")
    ]
    assert {value for _, _, value in brief(numbers("dukcapil.births_report_month", world), *shown)} == {"2"}
    siak.do("UPDATE bus_kelahiran SET batal = 1, diubah = '2026-01-07 08:00:00' WHERE bayi_no = 2")
    await world.run()
    assert {value for _, _, value in brief(numbers("dukcapil.births_report_month", world), *shown)} == {"1"}
    assert brief(numbers("dukcapil.net_change_event_month", world), *shown)[0] == ("2025-12-01T00:00:00+07:00", "33.09", "0")


async def test_mcd_and_siak_are_compared_person_by_person_and_nobody_is_named(tmp_path: Path) -> None:
    siak, dukcapil = siak_world(tmp_path)
    siak.put("biodata", person(ANI), person(BUDI, 1), person(CICI, 2), person(DODI, kel=1002), person(EKA))
    mcd = agency_world(tmp_path, "mcd", BUS_MCD__WEBHOOK_KEY="kunci-rahasia-laboratorium-1")
    header = "NIK;No KK;Nama;JK;Kode Desa;RW;RT;Status;Bulan"
    lines = [f"{nik};{KK};RAHASIA SEKALI;L;33.09.05.1001;2;1;Tetap;2026-01" for nik in (ANI, BUDI, CICI, DODI)]
    mcd.put("warga.csv", *lines, f"{ANI};{KK};RAHASIA SEKALI;L;33.09.05.1001;2;2;Tetap;2026-01", header=header)
    await dukcapil.run()
    await mcd.runner().run(until_end=True)
    for world in (dukcapil, mcd):
        assert not await world.quarantine()
        look = Scanner([ANI, BUDI, CICI, DODI, EKA, KK, "RAHASIA SEKALI"], codec=world.codec)
        parts = [(topic, number) for topic, count in world.log.topics.items() for number in range(count)]
        assert not [hit for topic, number in parts for hit in look.records(topic, world.log.records(topic, number))]
        assert not list(look.metrics(generate_latest(REGISTRY).decode()))
    desa = [row for row in numbers("mcd.siak_gap", mcd, dukcapil) if row["region"] == "33.09.05.1001"]
    # Ani is alike, Dodi lives in another desa there, Budi and Cici are no active residents, Eka no RT knows
    assert brief(desa, "match", "value") == [("conflicting", "1"), ("matched", "1"), ("only_left", "2"), ("only_right", "1")]
    for name, who in (("mcd.siak_gap_dead", "Budi"), ("mcd.siak_gap_moved", "Cici")):
        found = [row for row in numbers(name, mcd, dukcapil) if row["region"] == "33.09.05.1001" and row["match"] == "matched"]
        assert brief(found, "value") == [("1",)], who
    doubles = {row["region"]: row["value"] for row in numbers("mcd.doubles_now", mcd)}
    assert (doubles["33.09.05.1001"], doubles["33.09.05.1001.002.001"]) == ("1", "0")
    whole = [row for row in numbers("mcd.siak_difference", mcd, dukcapil) if row["region"] == "33.09"]
    assert brief(whole, "sex", "value") == [("L", "1")]
