"""Children of school age in the half-yearly consolidated data (DKB), as counts: no person is in it. Pure.

The count at the end of a half-year is dated to the first day after it, on which the next school semester begins.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.code_table import CodeTable
from bus.ingest.forms import Text, Whole
from bus.ingest.privacy import sex
from bus.ingest.record import parse, value_error

EVENT_TYPE = "dukcapil.school_age.counted.v1"
_REGIONS = CodeTable.load(Path(__file__).parent / "kode_wilayah.csv")
_SEMESTER = re.compile(r"(20\d\d)-?([12])", re.ASCII)


class SchoolAge(BaseModel):
    """A line of the table."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    semester: Text
    no_kec: Whole
    kelompok_umur: Literal["5-6", "7-12", "13-15"]
    jenis_kelamin: Text
    jumlah: Annotated[Whole, Field(ge=0, le=2_000_000)]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """How many children of one age group and sex live in a kecamatan. Raises `SourceChanged` or `RecordError`."""
    row = parse(SchoolAge, record)
    named = _SEMESTER.fullmatch(row.semester)
    if named is None:
        raise value_error("semester", row.semester, rule="invalid_value", allowed="2026-1, 2026-2")
    year, half = int(named[1]), int(named[2])
    at = datetime(year, 7, 1, tzinfo=LOCAL_ZONE) if half == 1 else datetime(year + 1, 1, 1, tzinfo=LOCAL_ZONE)
    data = {
        "semester": f"{year}-{half}", "age_group": row.kelompok_umur, "sex": sex(row.jenis_kelamin, field="jenis_kelamin"),
        "children": row.jumlah, "kode_wilayah": _REGIONS.code(str(row.no_kec), at, field="no_kec"),
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{data['semester']}/{data['kode_wilayah']}/{data['age_group']}/{data['sex']}", at, data)
