"""Services that are measured in time: licences, complaints and the queue. Steps come one by one, twice, and from another day's numbers."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from connectors.mpp.catalogue import SERVICES, TENANTS
from tests.connectors.agency_site import agency_world, brief, numbers
from tests.connectors.ledger import Ledger
from tests.pipeline.ingest_world import World
from tests.sources.http_server import Asked, Interface
from tests.sources.webhook_world import KEY, drained, free_port


async def post(world: World, source: str, records: Sequence[dict[str, Any]], events: int) -> None:
    """The connector runs until the records that were posted are that many events."""
    running = asyncio.create_task(world.runner(sleep=asyncio.sleep).run(until_end=False))
    base = f"http://127.0.0.1:{world.environ['BUS_INGEST__INGRESS_PORT']}"
    async with httpx.AsyncClient(base_url=f"{base}/v1/events/{world.agency_id}", headers={"X-Api-Key": KEY}, timeout=30) as client:
        async with asyncio.timeout(30):
            while not running.done():
                try:
                    if (await client.get(f"{base}/healthz")).json()["sources"] >= 1:
                        break
                except httpx.TransportError:
                    await asyncio.sleep(0.02)
        for record in records:
            answer = await client.post(source, json=record)
            assert answer.status_code == 202, answer.text
        await drained(world, events)
    running.cancel()
    await asyncio.wait({running})


def status(number: int, code: str, at: str) -> dict[str, Any]:
    names = dict.fromkeys(("nib", "id_produk", "id_proyek", "oss_id", "nip_status", "nama_status", "keterangan"), "RAHASIA")
    return {**names, "id_izin": f"I-{number:020d}", "kd_izin": "SPPL", "kd_instansi": "DLH", "kd_status": code, "tgl_status": at}


async def test_the_clock_of_a_licence_stops_goes_on_and_begins_anew(tmp_path: Path) -> None:
    """The standard is three working days. What is sent twice is one step."""
    world = agency_world(tmp_path, "dpmptsp", BUS_DPMPTSP__WEBHOOK_KEY=KEY, BUS_INGEST__INGRESS_PORT=str(free_port()))
    paused = [status(1, *step) for step in (("10", "2026-01-05 08:00"), ("41", "2026-01-06 08:00"), ("42", "2026-01-12 08:00"))]
    anew = [status(2, *step) for step in (("10", "2026-01-05 08:00"), ("43", "2026-01-12 08:00"), ("44", "2026-01-13 08:00"))]
    slow = [status(3, "10", "2026-01-05 08:00"), status(3, "57", "2026-01-13 08:00")]
    ends = [status(1, "50", "2026-01-13 08:00"), status(2, "90", "2026-01-13 20:00")]
    records = [*paused, *anew, *paused, *slow, *ends, *anew, *ends]
    await post(world, "izin", records, 10 + 3)
    shown = brief(numbers("dpmptsp.within_sla_day", world), "permit_type", "numerator", "denominator")
    assert shown == [("SPPL", "2", "3")]
    # two days with a pause, half a day since the new beginning, six days
    assert brief(numbers("dpmptsp.working_time_day", world), "numerator") == [(f"{17 * 43_200}.000000",)]
    assert brief(numbers("dpmptsp.issued_day", world), "value") == [("1",)]
    assert brief(numbers("dpmptsp.auto_approved_share_day", world), "value") == [("33.3333333333",)]


class Lapor:
    """SP4N-LAPOR!'s side: one step a page."""

    def __init__(self) -> None:
        self.steps: list[dict[str, Any]] = []

    def answer(self, asked: Asked) -> Response:
        if asked.headers.get("x-api-key") != "rahasia":
            return Response(status_code=401)
        rows = [step for step in self.steps if step["waktu"] >= asked.params.get("sejak", "")]
        page = int(asked.params["halaman"])
        return Response(json.dumps({"data": rows[page - 1 : page], "meta": {"halaman_terakhir": max(1, len(rows))}}))


def step(number: int, name: str, at: str, received: str, opd: str | None = "DPUPR") -> dict[str, Any]:
    who = {"nama": "RAHASIA", "telepon": "0800123456", "email": "rahasia@example.go.id"}
    report = {"nomor_laporan": str(number), "jenis": "Pengaduan", "kategori": "Infrastruktur", "opd": opd, "kode_kecamatan": "330905"}
    times = {"tanggal_masuk": f"{received}T08:00:00+07:00", "status": name, "waktu": f"{at}T08:00:00+07:00"}
    return {**report, **times, "judul": "RAHASIA", "isi": "RAHASIA", "pelapor": who}


async def test_complaints_are_read_page_by_page_and_each_step_once(tmp_path: Path) -> None:
    lapor = Lapor()
    interface = Interface(lapor.answer)
    with interface.serving():
        world = agency_world(tmp_path, "diskominfo", BUS_DISKOMINFO__BASE_URL=interface.url, BUS_DISKOMINFO__API_KEY="rahasia")
        lapor.steps = [step(1, "Masuk", "2026-01-05", "2026-01-05", None), step(2, "Masuk", "2026-01-05", "2026-01-05", None)]
        lapor.steps += [step(1, "Verifikasi", "2026-01-08", "2026-01-05", None), step(1, "Disposisi", "2026-01-08", "2026-01-05")]
        await world.runner(sleep=asyncio.sleep).run(until_end=True)
        lapor.steps += [step(2, "Verifikasi", "2026-01-09", "2026-01-05", None), step(1, "Tindak lanjut", "2026-01-15", "2026-01-05")]
        await world.runner(sleep=asyncio.sleep).run(until_end=True)
    assert not await world.quarantine()
    assert len(world.folded()) == 6
    verified = [row for row in numbers("diskominfo.verified_in_time_month", world) if row["region"] == "33.09.05"]
    assert brief(verified, "agency", "numerator", "denominator") == [("ADMIN", "1", "2")]
    answered = [row for row in numbers("diskominfo.answered_in_time_month", world) if row["region"] == "33.09.05"]
    assert brief(answered, "agency", "numerator", "denominator") == [("DPUPR", "1", "1")]
    still = [row for row in numbers("diskominfo.open_now", world) if row["region"] == "33.09" and row["n"] != "0"]
    assert brief(still, "agency", "value") == [("ADMIN", "1"), ("DPUPR", "1")]


def ticket(number: int, state: str, taken: str, called: str | None = None, done: str | None = None, day: str = "2026-01-12") -> str:
    times = {"waktu_ambil": taken, "waktu_panggil": called, "waktu_selesai": done}
    moments = {name: f"{day}T{value}:00+07:00" if value else None for name, value in times.items()}
    person = {"nik": "0009054601260001", "telepon": "0800123456"}
    return json.dumps(
        {"tanggal": day, "prefix": "B", "nomor": number, "instansi": "POLRES", "layanan": "L002", "status": state, **moments, **person}
    )


async def test_numbers_of_another_day_are_other_tickets(tmp_path: Path) -> None:
    queue = Ledger(tmp_path / "queue.db")
    world = agency_world(tmp_path, "mpp", BUS_MPP__URL=queue.url, BUS_INGEST__INGRESS_PORT=str(free_port()))
    queue.do(
        "CREATE TABLE bus_outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, op TEXT NOT NULL DEFAULT 'CREATE', payload TEXT NOT NULL,"
        " made_at TEXT NOT NULL DEFAULT (strftime('%Y-%m-%d %H:%M:%f', 'now')), taken_at TEXT)"
    )
    for payload in (
        ticket(1, "MENUNGGU", "08:00"), ticket(2, "MENUNGGU", "08:01"), ticket(1, "DIPANGGIL", "08:00", "08:10"),
        ticket(1, "SELESAI", "08:00", "08:10", "08:15"), ticket(2, "LEWAT", "08:01", "08:31"), ticket(1, "MENUNGGU", "09:00", day="2026-01-13"),
    ):  # fmt: skip
        queue.do("INSERT INTO bus_outbox (payload) VALUES (?)", payload)
    await world.run()
    assert not await world.quarantine()
    [abandoned] = numbers("mpp.abandoned_day", world)
    assert (abandoned["window_start"], abandoned["value"]) == ("2026-01-12T00:00:00+07:00", "50.0000000000")
    [waited] = numbers("mpp.wait_p90_hour", world)
    assert waited["n"] == "2"
    assert float(waited["value"]) == pytest.approx(30, rel=0.01)
    [served] = numbers("mpp.service_median_day", world)
    assert float(served["value"]) == pytest.approx(5, rel=0.01)


def test_the_catalogue_has_the_size_that_is_known_and_says_what_is_not() -> None:
    assert (len(TENANTS), len(SERVICES)) == (27, 186)
    assert sum(row["terverifikasi"] == "ya" for row in TENANTS.values()) == 10
    assert {row["terverifikasi"] for row in SERVICES.values()} == {"tidak"}
    assert {row["instansi"] for row in SERVICES.values()} == TENANTS.keys()
