"""Education: what Dapodik deletes softly is taken back, and participation is pupils by children of that age."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import Response

from bus.errors import RecordError
from connectors.disdikbud.classes import semester_begin
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.connectors.siak import siak_world
from tests.pipeline.ingest_world import World
from tests.sources.http_server import Asked, Interface


class Dapodik:
    """The agency's service: rows that changed since."""

    def __init__(self) -> None:
        self.rows: dict[str, list[dict[str, Any]]] = {"registrasi-peserta-didik": [], "anggota-rombel": []}

    def answer(self, asked: Asked) -> Response:
        if asked.headers.get("authorization") != "Bearer rahasia":
            return Response(status_code=401)
        rows = [row for row in self.rows[asked.path.rpartition("/")[2]] if row["last_update"] >= asked.params.get("since", "")]
        page = int(asked.params["page"])
        return Response(json.dumps({"rows": rows[page - 1 : page], "last_page": max(1, len(rows))}))


@pytest.fixture
def dapodik() -> Iterator[tuple[Dapodik, Interface]]:
    found = Dapodik()
    interface = Interface(found.answer)
    with interface.serving():
        yield found, interface


def common(pupil: int, *, updated: str = "2025-07-20T10:00:00+07:00", deleted: int = 0) -> dict[str, Any]:
    names = {"npsn": "20300001", "bentuk_pendidikan": "SD", "kode_wilayah": "030905", "jenis_kelamin": "L"}
    return {"peserta_didik_id": uuid(pupil), **names, "soft_delete": deleted, "last_update": updated}


def uuid(number: int) -> str:
    return f"7c1e0000-0000-4000-8000-{number:012x}"


def member(pupil: int, number: int, **how: Any) -> dict[str, Any]:
    ids = {"anggota_rombel_id": uuid(number), "rombongan_belajar_id": uuid(99)}
    return {**ids, **common(pupil, **how), "semester_id": "20252", "tanggal_lahir": "2016-05-01"}


def registration(pupil: int, number: int, **how: Any) -> dict[str, Any]:
    left = {"jenis_keluar_id": 5, "tanggal_keluar": "2025-09-01"} if pupil == 3 else {"jenis_keluar_id": None, "tanggal_keluar": None}
    return {
        "registrasi_id": uuid(number), "nisn": None, "jenis_pendaftaran_id": 1, "tanggal_masuk_sekolah": "2025-07-14", **left,
        **common(pupil, **how),
    }  # fmt: skip


async def poll(world: World) -> None:
    await world.runner(sleep=asyncio.sleep).run(until_end=True)


async def test_soft_deletes_take_back_and_participation_is_a_share(tmp_path: Path, dapodik: tuple[Dapodik, Interface]) -> None:
    service, interface = dapodik
    settings = {"BASE_URL": f"{interface.url}/api", "API_KEY": "rahasia", "WEBHOOK_KEY": "kunci-rahasia-laboratorium-1"}
    world = agency_world(tmp_path, "disdikbud", **{f"BUS_DISDIKBUD__{name}": value for name, value in settings.items()})
    _, population = siak_world(tmp_path)
    service.rows["anggota-rombel"] = [member(1, 11), member(2, 12), member(3, 13), member(3, 14)]
    service.rows["registrasi-peserta-didik"] = [registration(pupil, 20 + pupil) for pupil in (1, 2, 3)]
    await poll(world)
    later = {"updated": "2025-07-21T10:00:00+07:00", "deleted": 1}
    service.rows["anggota-rombel"].append(member(2, 12, **later))
    service.rows["registrasi-peserta-didik"].append(registration(2, 22, **later))
    await poll(world)
    assert not await world.quarantine()
    shown = [row for row in numbers("disdikbud.admissions_month", world) if row["region"] == "33.09"]
    assert brief(shown, "kind", "value") == [("BARU", "2")]
    shown = [row for row in numbers("disdikbud.leavers_month", world) if row["region"] == "33.09"]
    assert brief(shown, "window_start", "reason", "value") == [("2025-09-01T00:00:00+07:00", "PUTUS SEKOLAH", "1")]
    lines = "2025-2;5;7-12;L;5\n2025-2;1;7-12;L;3\n"
    population.put_bytes("dkb.csv", f"semester;no_kec;kelompok umur;jk;jumlah\n{lines}".encode())
    await population.run()
    rows = numbers("disdikbud.school_participation", world, population)
    assert brief(rows, "window_start", "region", "value") == [
        ("2026-01-01T00:00:00+07:00", "33.09", "25.0000000000"),
        ("2026-01-01T00:00:00+07:00", "33.09.05", "40.0000000000"),
    ]


def test_a_semester_begins_in_july_or_in_january() -> None:
    assert [semester_begin(text) for text in ("20251", "20252")] == [date(2025, 7, 1), date(2026, 1, 1)]
    for wrong in ("2025-1", "20253", "1"):
        with pytest.raises(RecordError):
            semester_begin(wrong)
