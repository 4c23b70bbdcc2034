"""A pupil is in a class in a semester: counted once a semester, by the age at its beginning. Pure. Of the birthday only the band is kept."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Annotated

from pydantic import Field

from bus.events.envelope import Event
from bus.ingest.forms import Day, Text
from bus.ingest.privacy import age_years, subject_of
from bus.ingest.record import parse, value_error
from connectors.disdikbud.school import DapodikRow, PupilId, midnight, region_of

EVENT_TYPE = "disdikbud.pupil.studying.v1"
_SEMESTER = re.compile(r"(20[0-9]{2})([12])", re.ASCII)
#: The ages of which participation is told.
_GROUPS = ((0, 4, "0-4"), (5, 6, "5-6"), (7, 12, "7-12"), (13, 15, "13-15"), (16, 130, "16+"))


class Member(DapodikRow):
    """anggota_rombel with the pupil's birthday."""

    anggota_rombel_id: PupilId
    rombongan_belajar_id: PupilId
    semester_id: Text
    tanggal_lahir: Annotated[Day, Field(json_schema_extra={"pii": "quasi"})]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """That the pupil studies in the semester. Raises `SourceChanged` or `RecordError`."""
    row = parse(Member, record)
    begins = semester_begin(row.semester_id)
    age = age_years(row.tanggal_lahir, begins, field="tanggal_lahir")
    data = {
        "sex": row.jenis_kelamin, "age_group": next(name for low, high, name in _GROUPS if low <= age <= high),
        "school": row.npsn, "level": row.bentuk_pendidikan, "kode_wilayah": region_of(row.kode_wilayah, midnight(begins)),
    }  # fmt: skip
    yield Event(EVENT_TYPE, subject_of(row.peserta_didik_id, row.semester_id), midnight(begins), data)


def semester_begin(text: str) -> date:
    """The first day of a semester: of 20251 (odd) 1 July 2025, of 20252 (even) 1 January 2026. Raises `RecordError`."""
    found = _SEMESTER.fullmatch(text)
    if found is None:
        raise value_error("semester_id", text, rule="invalid_value", allowed="20251, 20252")
    return date(int(found[1]), 7, 1) if found[2] == "1" else date(int(found[1]) + 1, 1, 1)
