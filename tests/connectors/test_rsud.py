"""Hospitals: a room that is missing from the whole list is closed, and the census of days adds up to the numbers of a month."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from tests.connectors.agency_site import agency_world, brief, numbers
from tests.pipeline.ingest_world import World
from tests.sources.http_server import Asked, Interface


class Hospital:
    """The hospitals' service."""

    def __init__(self) -> None:
        self.rooms: list[dict[str, Any]] = []
        self.days: list[dict[str, Any]] = []

    def answer(self, asked: Asked) -> Response:
        if asked.headers.get("x-api-key") != "rahasia":
            return Response(status_code=401)
        if asked.path.endswith("/siranap/tempat-tidur"):
            return Response(json.dumps({"fasyankes": self.rooms}))
        return Response(json.dumps({"data": self.days if asked.params["halaman"] == "1" else []}))


@pytest.fixture
def hospital() -> Iterator[tuple[Hospital, Interface]]:
    found = Hospital()
    interface = Interface(found.answer)
    with interface.serving():
        yield found, interface


def world_of(base: Path, interface: Interface) -> World:
    return agency_world(base, "rsud", BUS_RSUD__BASE_URL=f"{interface.url}/api", BUS_RSUD__API_KEY="rahasia")


def room(number: int, beds: int, taken: int) -> dict[str, Any]:
    counts = {"jumlah_ruang": 2, "jumlah": beds, "terpakai": taken, "antrian": 0, "prepare": 0, "kosong": beds - taken, "terpakai_dbd": 0}
    names = {"kode_rs": "SIMO", "id_tt": number, "tt": "Kelas III", "ruang": f"R{number}", "kode_siranap": "0007", "covid": 0}
    return {**names, **counts, "tglupdate": "2026-01-12 07:00:00"}


def day(number: int, *, left: int, stayed: int) -> dict[str, Any]:
    counts = {"tempat_tidur": 20, "pasien_awal": 15, "masuk": 3, "keluar_hidup": left, "meninggal": 0, "hari_perawatan": 15}
    when = f"2026-01-{number:02}"
    return {"kode_rs": "SIMO", "ruang": "R1", "tanggal": when, **counts, "lama_dirawat": stayed, "diubah": f"{when}T23:59:00+07:00"}


async def poll(world: World) -> None:
    await world.runner(sleep=asyncio.sleep).run(until_end=True)


async def test_a_room_that_is_missing_is_closed(tmp_path: Path, hospital: tuple[Hospital, Interface]) -> None:
    service, interface = hospital
    world = world_of(tmp_path, interface)
    service.rooms = [room(1, 30, 24), room(2, 10, 1)]
    await poll(world)
    assert brief(numbers("rsud.bor_now", world), "region", "value") == [("33.09", "62.5000000000"), ("33.09.13", "62.5000000000")]
    assert sum(int(row["value"]) for row in numbers("rsud.beds_free_now", world) if row["region"] == "33.09") == 15
    service.rooms = [room(1, 30, 27)]
    await poll(world)
    assert brief(numbers("rsud.bor_now", world), "region", "value") == [("33.09", "90.0000000000"), ("33.09.13", "90.0000000000")]
    assert not await world.quarantine()


async def test_days_add_up_to_the_numbers_of_a_month_and_a_mended_day_counts_once(
    tmp_path: Path, hospital: tuple[Hospital, Interface]
) -> None:
    service, interface = hospital
    world = world_of(tmp_path, interface)
    service.days = [day(number, left=3, stayed=12) for number in range(1, 32)]
    await poll(world)
    service.days = [day(31, left=4, stayed=19)]
    await poll(world)
    left, stayed = 30 * 3 + 4, 30 * 12 + 19
    wanted = {
        "bor": (100 * 31 * 15, 31 * 20), "avlos": (stayed, left), "toi": (31 * 20 - 31 * 15, left), "bto": (left * 31, 31 * 20),
    }  # fmt: skip
    for name, (numerator, denominator) in wanted.items():
        rows = [row for row in numbers(f"rsud.{name}_month", world) if row["region"] == "33.09.13"]
        assert brief(rows, "numerator", "denominator") == [(str(numerator), str(denominator))], name
    assert brief([numbers("rsud.bor_month", world)[0]], "value") == [("75.0000000000",)]
