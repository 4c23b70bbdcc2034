"""Social aid: paid among set, what is taken back, and no family that could be known again."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from prometheus_client import generate_latest

from bus.metrics import REGISTRY
from bus.testing.scanner import Scanner
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.pipeline.ingest_world import World

#: Made up, of a province that does not exist.
FAMILIES = [f"000905120116000{number}" for number in range(1, 6)]
NAME, ACCOUNT, PHONE = "CONTOH RAHASIA", "7788990011", "081200000001"
COLUMNS = (
    "id_transaksi, jenis, program, tahap, no_kk, nama_penerima, no_rekening, no_hp, desil integer, kode_desa, tanggal, nominal integer, "
    "alasan, batal integer, diubah"
)


class Aid:
    """The agency's side: the view as a table of a database."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.number = 0
        self.do(f"CREATE TABLE bus_bantuan ({COLUMNS})")

    def do(self, statement: str, values: tuple[object, ...] = ()) -> None:
        with sqlite3.connect(self.path) as connection:
            connection.execute(statement, values)
        connection.close()

    def put(self, kind: str, family: str, *, decile: int | None = 2, amount: int | None = None, reason: str = "") -> None:
        self.number += 1
        row = (
            f"T{self.number}", kind, "PKH", "2026-1", family, NAME, ACCOUNT, PHONE, decile, "33.09.05.1001", "2026-01-12", amount, reason, 0,
            f"2026-01-12 08:00:{self.number:02}",
        )  # fmt: skip
        self.do(f"INSERT INTO bus_bantuan VALUES ({', '.join('?' * len(row))})", row)


def desa(name: str, world: World) -> list[tuple[str, ...]]:
    return brief([row for row in numbers(f"dinsos.{name}", world) if row["region"] == "33.09.05.1001"], "value")


async def test_families_paid_among_families_set(tmp_path: Path) -> None:
    aid = Aid(tmp_path / "bantuan.db")
    world = agency_world(tmp_path, "dinsos", BUS_DINSOS__URL=f"sqlite:///{aid.path}")
    for number, family in enumerate(FAMILIES[:4]):
        aid.put("PENETAPAN", family, decile=(2, 4, 5, None)[number])
    for family in (FAMILIES[0], FAMILIES[0], FAMILIES[1], FAMILIES[4]):
        aid.put("SALUR", family, amount=750_000)
    aid.put("GAGAL SALUR", FAMILIES[2], reason="01")
    await world.run()
    assert not await world.quarantine()
    # four are set; two of them and one that was never set are paid
    assert (desa("kpm_set_now", world), desa("kpm_paid_now", world)) == ([("4",)], [("3",)])
    assert desa("kpm_paid_share_now", world) == [("75.0000000000",)]
    assert desa("aid_amount_now", world) == [("3000000",)]
    # one of the three whose decile is known
    assert desa("outside_target_now", world) == [("33.3333333333",)]
    aid.do("UPDATE bus_bantuan SET batal = 1, diubah = '2026-01-13 08:00:00' WHERE no_kk = ? AND jenis = 'SALUR'", (FAMILIES[4],))
    await world.run()
    assert desa("kpm_paid_share_now", world) == [("50.0000000000",)]
    assert desa("aid_amount_now", world) == [("2250000",)]
    look = Scanner([*FAMILIES, NAME, ACCOUNT, PHONE], codec=world.codec)
    parts = [(topic, number) for topic, count in world.log.topics.items() for number in range(count)]
    assert not [hit for topic, number in parts for hit in look.records(topic, world.log.records(topic, number))]
    assert not list(look.metrics(generate_latest(REGISTRY).decode()))
