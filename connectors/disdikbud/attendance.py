"""How many pupils of a school were there on a day on which it taught. Pure; counts only."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Day, Text, Whole
from bus.ingest.record import parse, value_error
from connectors.disdikbud.school import Level, Npsn, midnight, region_of

EVENT_TYPE = "disdikbud.attendance.recorded.v1"
Count = Annotated[Whole, Field(ge=0, le=10_000)]


class Attendance(BaseModel):
    """A school's day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    npsn: Npsn
    bentuk_pendidikan: Level
    kode_wilayah: Text
    tanggal: Day
    siswa_aktif: Count
    hadir: Count
    izin: Count
    sakit: Count
    alpa: Count


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The school's day. Raises `SourceChanged`, or `RecordError` when those there and not there are not all."""
    row = parse(Attendance, record)
    if row.hadir + row.izin + row.sakit + row.alpa != row.siswa_aktif:
        raise value_error("siswa_aktif", str(row.siswa_aktif), rule="out_of_range", allowed="= hadir + izin + sakit + alpa")
    at = midnight(row.tanggal)
    data = {
        "school": row.npsn, "level": row.bentuk_pendidikan, "pupils": row.siswa_aktif, "present": row.hadir, "excused": row.izin, "ill": row.sakit,
        "unexcused": row.alpa, "kode_wilayah": region_of(row.kode_wilayah, at),
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.npsn}/{row.tanggal}", at, data)
