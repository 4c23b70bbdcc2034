"""Requests for information as the PPID's register has them, step by step. Pure. Who asks, and for what, is not read.

UU 14/2008 art. 22: the answer is due within 10 working days; by a notice with its reasons it may take 7 more.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Day, Moment, Whole
from bus.ingest.privacy import BLANK, Dropped
from bus.ingest.record import listed, parse, value_error

RECEIVED = "ppid.request.received.v1"
MOVED = "ppid.request.moved.v1"
#: Working days (UU 14/2008 art. 22).
LIMIT_DAYS, EXTENSION_DAYS = 10, 7

_LOOKUPS: Mapping[str, Any] = tomllib.loads((Path(__file__).parent / "lookups.toml").read_text(encoding="utf-8"))


class Step(BaseModel):
    """A step of a request, with the request's own data as they are then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nomor: Annotated[str, Field(pattern=r"^[0-9]{1,5}/PPID/[0-9]{4}$")]
    opd: str
    kategori: str
    kanal: str
    tanggal_masuk: Moment
    batas_waktu: Day
    perpanjangan_hari: Annotated[Whole, Field(ge=0, le=EXTENSION_DAYS)]
    status: Literal["DITERIMA", "DIPERPANJANG", "DIKABULKAN", "SEBAGIAN", "DITOLAK", "DICABUT"]
    waktu: Moment
    nama: Annotated[Dropped, BLANK]
    nik: Annotated[Dropped, BLANK]
    kontak: Annotated[Dropped, BLANK]
    rincian: Annotated[Dropped, BLANK]
    tujuan: Annotated[Dropped, BLANK]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The step; the first one is also that a request came. Raises `SourceChanged` or `RecordError`."""
    row = parse(Step, record)
    if row.waktu < row.tanggal_masuk:
        raise value_error("waktu", row.waktu.isoformat(), rule="out_of_range", allowed=">= tanggal_masuk")
    if row.batas_waktu < row.tanggal_masuk.date():
        raise value_error("batas_waktu", row.batas_waktu.isoformat(), rule="out_of_range", allowed=">= tanggal_masuk")
    if row.perpanjangan_hari and row.status == "DITERIMA":
        raise value_error("perpanjangan_hari", str(row.perpanjangan_hari), rule="invalid_value", allowed="0 bila/when status = DITERIMA")
    data = {
        "agency": listed("opd", row.opd, _LOOKUPS),
        "category": listed("kategori", row.kategori, _LOOKUPS),
        "channel": listed("kanal", row.kanal, _LOOKUPS),
    }
    if row.status == "DITERIMA":
        yield Event(RECEIVED, row.nomor, row.tanggal_masuk, data)
    moved = {
        **data, "status": row.status, "received_at": row.tanggal_masuk, "due_on": row.batas_waktu,
        "limit_days": LIMIT_DAYS + row.perpanjangan_hari,
    }  # fmt: skip
    yield Event(MOVED, row.nomor, row.waktu, moved)
