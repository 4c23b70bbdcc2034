"""Milk: litres of a month by productive cow and day, deliveries that are taken back, and farmers who are pseudonyms."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from bus.testing.scanner import Scanner
from tests.connectors.agency_site import agency_world, brief, numbers

#: Made up, of a province that does not exist.
FARMERS = ["0009051107900003", "0009055203920004"]
NAME = "PETERNAK RAHASIA"
COLUMNS = "no_setoran, kud, nik_peternak, nama_peternak, kecamatan, waktu, sesi, liter, batal integer, diubah"


def delivery(number: int) -> tuple[object, ...]:
    day = f"2026-01-{1 + number:02}"
    names = (f"CPG-{number}", "KUD Cepogo", FARMERS[number % 2], NAME, "Cepogo")
    return (*names, f"{day} 06:00:00", "PAGI", "155,25", 0, f"{day} 06:01:00")


async def test_litres_by_productive_cow_and_day(tmp_path: Path) -> None:
    path = tmp_path / "susu.db"
    rows = [delivery(number) for number in range(4)]
    with sqlite3.connect(path) as connection:
        connection.execute(f"CREATE TABLE bus_setoran ({COLUMNS})")
        connection.executemany("INSERT INTO bus_setoran VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
    connection.close()
    world = agency_world(tmp_path, "disnakkan", BUS_DISNAKKAN__URL=f"sqlite:///{path}")
    world.put("populasi-2026-01.csv", "2026-01;KUD Cepogo;Cepogo;3;2", header="Bulan;KUD;Kecamatan;Sapi Perah;Sapi Laktasi")
    await world.run()
    assert not await world.quarantine()
    kecamatan = [row for row in numbers("disnakkan.milk_month", world) if row["region"] == "33.09.03"]
    assert brief(kecamatan, "value") == [("621.00",)]
    with sqlite3.connect(path) as connection:
        connection.execute("UPDATE bus_setoran SET batal = 1, diubah = '2026-01-20 08:00:00' WHERE no_setoran = 'CPG-3'")
        connection.execute("UPDATE bus_setoran SET liter = '154.25', diubah = '2026-01-20 08:00:01' WHERE no_setoran = 'CPG-2'")
    connection.close()
    await world.run()
    # 464.75 litres of 2 cows in 31 days
    per_cow = [row for row in numbers("disnakkan.milk_per_cow_month", world) if row["region"] == "33.09.03"]
    assert brief(per_cow, "value") == [(f"{464.75 / 62:.10f}",)]
    assert brief(numbers("disnakkan.milk_farmers_month", world)[:1], "value") == [("2",)]
    look = Scanner([*FARMERS, NAME], codec=world.codec)
    parts = [(topic, number) for topic, count in world.log.topics.items() for number in range(count)]
    assert not [hit for topic, number in parts for hit in look.records(topic, world.log.records(topic, number))]
