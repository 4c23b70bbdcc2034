"""Disasters: posts that close, reports that are refused, and real hourly snapshots of floods with the answers that others computed."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from bus.events.envelope import Op
from tests.connectors.agency_site import agency_world, numbers
from tests.pipeline.ingest_world import World
from tests.sources.files_world import changes, reference, take
from tests.sources.http_server import Asked, Interface

COUNTS = (
    "korban_meninggal", "korban_hilang", "korban_luka_berat", "korban_luka_ringan", "rumah_rusak_berat", "rumah_rusak_sedang",
    "rumah_rusak_ringan", "rumah_terendam", "fasilitas_kesehatan_rusak", "fasilitas_pendidikan_rusak", "jembatan_rusak",
)  # fmt: skip


class Centre:
    """The operations centre's service."""

    def __init__(self) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {"/kejadian": [], "/pos-pengungsian": [], "/gunung-api/tingkat": []}

    def answer(self, asked: Asked) -> Response:
        if asked.headers.get("authorization") != "Bearer rahasia":
            return Response(status_code=401)
        path = next(path for path in self.lists if asked.path.endswith(path))
        return Response(json.dumps({"data": self.lists[path], "last_page": 1}))


@pytest.fixture
def centre() -> Iterator[tuple[Centre, Interface]]:
    found = Centre()
    interface = Interface(found.answer)
    with interface.serving():
        yield found, interface


def world_of(base: Path, interface: Interface) -> World:
    return agency_world(base, "bpbd", BUS_BPBD__BASE_URL=f"{interface.url}/api", BUS_BPBD__API_KEY="rahasia")


def post(number: int, persons: int) -> dict[str, Any]:
    groups = dict.fromkeys(("anak", "lansia", "disabilitas", "ibu_hamil"), 0)
    names = {"id_pos": f"P{number}", "id_kejadian": "B1", "kode_desa": "33.09.01.2001", "waktu_laporan": "2026-01-14T06:00:00+07:00"}
    return {**names, "total_pengungsi": persons, "laki_laki": persons, "perempuan": 0, **groups}


def disaster(number: int, changed: int, **said: object) -> dict[str, Any]:
    names = {
        "id_kejadian": f"B{number}",
        "jenis_bencana": "BANJIR",
        "kode_desa": "33.09.19.2001",
        "waktu_kejadian": "2026-01-13T21:00:00+07:00",
    }
    states = {"status": "AKTIF", "status_verifikasi": "MENUNGGU_VERIFIKASI", "updated_at": f"2026-01-14T06:{changed:02}:00+07:00"}
    return {**names, **states, **dict.fromkeys(COUNTS, 0), **said}


def regency(name: str, world: World) -> int:
    return sum(int(row["value"]) for row in numbers(name, world) if row["region"] == "33.09")


async def poll(world: World) -> None:
    await world.runner(sleep=asyncio.sleep).run(until_end=True)


async def test_refugees_are_the_latest_count_of_each_open_post(tmp_path: Path, centre: tuple[Centre, Interface]) -> None:
    service, interface = centre
    world = world_of(tmp_path, interface)
    service.lists["/pos-pengungsian"] = [post(1, 120), post(2, 80)]
    await poll(world)
    assert regency("bpbd.refugees_now", world) == 200
    service.lists["/pos-pengungsian"] = [post(1, 90)]
    await poll(world)
    assert (regency("bpbd.refugees_now", world), regency("bpbd.refugee_posts_now", world)) == (90, 1)
    assert not await world.quarantine()


async def test_a_report_that_is_refused_takes_the_disaster_back(tmp_path: Path, centre: tuple[Centre, Interface]) -> None:
    service, interface = centre
    world = world_of(tmp_path, interface)
    service.lists["/kejadian"] = [disaster(1, 0, rumah_terendam=30), disaster(2, 0, rumah_terendam=4)]
    await poll(world)
    assert (regency("bpbd.disasters_active_now", world), regency("bpbd.houses_flooded_now", world)) == (2, 34)
    service.lists["/kejadian"] = [
        disaster(1, 5, status_verifikasi="DITOLAK"),
        disaster(2, 5, rumah_terendam=6, status_verifikasi="TERVERIFIKASI"),
    ]
    await poll(world)
    assert (regency("bpbd.disasters_active_now", world), regency("bpbd.houses_flooded_now", world)) == (1, 6)
    assert not await world.quarantine()


async def test_the_level_of_merapi_is_the_last_one(tmp_path: Path, centre: tuple[Centre, Interface]) -> None:
    service, interface = centre
    world = world_of(tmp_path, interface)
    for level, since in (("Level II (Waspada)", "2018-05-21T23:00:00+07:00"), ("Level III (Siaga)", "2020-11-05T12:00:00+07:00")):
        service.lists["/gunung-api/tingkat"] = [{"gunung": "Merapi", "tingkat": level, "sejak": since}]
        await poll(world)
        rows = numbers("bpbd.merapi_level_now", world)
        assert [row["level_name"] for row in rows] == [level]


async def test_real_snapshots_give_what_others_computed(tmp_path: Path, bus_test_data: Path) -> None:
    world = agency_world(tmp_path, "bpbd")
    names = take(world, sorted((bus_test_data / "banjir_bpbd").glob("*.geojson")))
    await world.run()
    assert not await world.quarantine(state=None)
    found = changes(world)
    wanted = {row["snapshot"]: row for row in reference(bus_test_data, "banjir_snapshot_diff.csv")}
    states = {row["snapshot"]: row for row in reference(bus_test_data, "banjir_snapshot_state.csv")}
    times = [name.removeprefix("jkt_floods_").removesuffix(".geojson") for name in names]
    assert found[1] == Counter({Op.CREATE: int(states[times[0]]["rw_flooded"])})
    for delivery, snapshot in enumerate(times[1:], 2):
        now, row = found.get(delivery, Counter()), wanted[snapshot]
        assert (now[Op.CREATE], now[Op.CANCEL]) == (int(row["rw_entered"]), int(row["rw_cleared"])), snapshot
    last = times[-1]
    depths: Counter[str] = Counter()
    districts: Counter[str] = Counter()
    for row in numbers("bpbd.flooded_district_now", world):
        depths[row["depth"]] += int(row["value"])
        districts[row["district"]] += int(row["value"])
    columns = {
        "TIDAK DIKETAHUI": "state1_unknown",
        "10-70 CM": "state2_10_70cm",
        "71-150 CM": "state3_71_150cm",
        "> 150 CM": "state4_gt150cm",
    }
    assert {name: depths[name] for name in columns} == {name: int(states[last][column]) for name, column in columns.items()}
    kecamatan = reference(bus_test_data, "banjir_snapshot_kecamatan.csv")
    assert districts == {row["bps_kecamatan7"]: int(row["rw_flooded"]) for row in kecamatan if row["snapshot"] == last}
