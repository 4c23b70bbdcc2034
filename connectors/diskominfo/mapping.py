"""Steps of a report in SP4N-LAPOR!: received, verified, passed on, answered, closed. Pure. Who reported and what was written is not read."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.code_table import CodeTable
from bus.ingest.forms import Moment
from bus.ingest.privacy import BLANK, Dropped
from bus.ingest.record import listed, parse, value_error

EVENT_TYPE = "diskominfo.complaint.moved.v1"

_FOLDER = Path(__file__).parent
_REGIONS = CodeTable.load(_FOLDER / "kode_kecamatan.csv")
_LOOKUPS: Mapping[str, Any] = tomllib.loads((_FOLDER / "lookups.toml").read_text(encoding="utf-8"))


class Reporter(BaseModel):
    """Known to be there, and not read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nama: Dropped
    telepon: Dropped
    email: Dropped


class Step(BaseModel):
    """A step as the interface gives it: the report's own data stand in each, as they were then."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nomor_laporan: Annotated[str, Field(pattern=r"^[0-9]{1,12}$")]
    jenis: str
    kategori: str
    opd: Annotated[str | None, BLANK]
    kode_kecamatan: Annotated[str | None, BLANK]
    tanggal_masuk: Moment
    status: str
    waktu: Moment
    judul: Annotated[Dropped, BLANK]
    isi: Annotated[Dropped, BLANK]
    pelapor: Reporter | None


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The step. A report of no place is one of the regency; one that nobody was given yet is with the administrator. Raises `SourceChanged` or
    `RecordError`."""
    row = parse(Step, record)
    if row.waktu < row.tanggal_masuk:
        raise value_error("waktu", row.waktu.isoformat(), rule="out_of_range", allowed=">= tanggal_masuk")
    data = {
        "kind": listed("jenis", row.jenis, _LOOKUPS),
        "category": listed("kategori", row.kategori, _LOOKUPS),
        "agency": listed("opd", row.opd, _LOOKUPS) if row.opd is not None else str(_LOOKUPS["administrator"]),
        "status": listed("status", row.status, _LOOKUPS),
        "received_at": row.tanggal_masuk,
        "kode_wilayah": _region(row),
    }
    yield Event(EVENT_TYPE, row.nomor_laporan, row.waktu, data)


def _region(row: Step) -> str:
    if row.kode_kecamatan is None:
        return str(_LOOKUPS["regency"])
    return _REGIONS.code(row.kode_kecamatan.strip(), row.waktu, field="kode_kecamatan")
