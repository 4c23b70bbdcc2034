"""The residents whom an RT knows. Pure. A line is two facts: that this RT lists the person, and how the person stands.

Who is listed by two RTs is two listings and one person: that is how doubles are found. Of the person stands what was said last.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bus.events.envelope import Event
from bus.ingest.forms import Text
from bus.ingest.privacy import Nik, NoKk, sex, subject_of
from bus.ingest.record import parse, value_error
from connectors.mcd.places import Number, month_begin, rt_code

LISTED = "mcd.resident.listed.v1"
PERSON = "mcd.person.reported.v1"

_STATUS: Mapping[str, str] = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))["status"]


class Resident(BaseModel):
    """A line of the template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nik: Nik
    no_kk: NoKk
    jk: Text
    kode_desa: Text
    rw: Number
    rt: Number
    status: Text
    bulan: Text


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The listing and the person, as of the beginning of the month. Raises `SourceChanged` or `RecordError`."""
    row = parse(Resident, record)
    status = _STATUS.get(row.status.upper())
    if status is None:
        raise value_error("status", row.status, rule="unknown_value", allowed=", ".join(_STATUS))
    month, place = month_begin(row.bulan), rt_code(row.kode_desa, row.rw, row.rt)
    data = {"household": row.no_kk, "status": status, "kode_wilayah": place}
    yield Event(LISTED, subject_of(place, row.nik), month, {**data, "person": row.nik})
    yield Event(PERSON, subject_of(row.nik), month, {**data, "sex": sex(row.jk, field="jk")})
