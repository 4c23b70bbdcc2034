"""The catalogue of a neighbouring regency's mall: tenants, licence types with the time that they may take, steps of procedures. Pure.

Durations are typed in by hand. Read is a number with a unit that cannot be meant otherwise; any other text is null, never a guess, and goes along
as it is, so that whoever knows what is meant can still say it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text, Whole
from bus.ingest.privacy import BLANK
from bus.ingest.record import parse

TENANT = "mpp_tetangga.tenant.listed.v1"
LICENCE_TYPE = "mpp_tetangga.licence_type.listed.v1"
STEP = "mpp_tetangga.step.listed.v1"
#: The day on which the mall opened, for tables that have no time of their own: what they list is offered since then at the latest.
_OPENED = datetime(2020, 1, 23, tzinfo=LOCAL_ZONE)

#: "hari" alone is left as it is: whether it means working days is not said.
_UNITS = {"menit": "MENIT", "jam": "JAM", "hari": "HARI", "hari kerja": "HARI_KERJA"}
_DURATION = re.compile(rf"(?:maksimal )?([1-9][0-9]{{0,2}}) (?:\(([a-z ]+)\) )?({'|'.join(_UNITS)})", re.ASCII)
_NUMBERS = ("satu", "dua", "tiga", "empat", "lima", "enam", "tujuh", "delapan", "sembilan", "sepuluh", "sebelas")

_Number = Annotated[Whole, Field(ge=1)]


class Tenant(BaseModel):
    """An agency with a counter in the mall."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id_instansi: _Number
    kd_dinas: Text
    nm_dinas: Text


class LicenceType(BaseModel):
    """A kind of licence. Its code is no key: two have the same."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id_izin: _Number
    kode_izin: Annotated[Text | None, BLANK]
    nama_izin: Text
    durasi: str
    status: Literal["Aktif", "Tidak Aktif"]


class Step(BaseModel):
    """A step on the way to a licence, without its text."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: _Number
    id_izin: _Number | None
    created_at: Moment


def tenants(record: Mapping[str, object]) -> Iterator[Event]:
    """The tenant as it is listed. Raises `SourceChanged` or `RecordError`, as do the others."""
    row = parse(Tenant, record)
    yield Event(TENANT, str(row.id_instansi), _OPENED, {"code": row.kd_dinas, "name": row.nm_dinas})


def licence_types(record: Mapping[str, object]) -> Iterator[Event]:
    """The licence type as it is listed, offered or not."""
    row = parse(LicenceType, record)
    value, unit = duration_of(row.durasi) or (None, None)
    duration = {"duration_text": row.durasi, "duration": value, "duration_unit": unit}
    data = {"code": row.kode_izin, "name": row.nama_izin, "state": row.status, **duration}
    yield Event(LICENCE_TYPE, str(row.id_izin), _OPENED, data)


def steps(record: Mapping[str, object]) -> Iterator[Event]:
    """The step, at the time at which it was entered."""
    row = parse(Step, record)
    yield Event(STEP, str(row.id), row.created_at, {"licence_type": None if row.id_izin is None else str(row.id_izin)})


def duration_of(text: str) -> tuple[int, str] | None:
    """At most how long a licence takes, as value and unit; None where that cannot be told, or number and number word differ."""
    found = _DURATION.fullmatch(" ".join(text.casefold().split()))
    if found is None or (found[2] is not None and _number_of(found[2]) != int(found[1])):
        return None
    return int(found[1]), _UNITS[found[3]]


def _number_of(words: str) -> int | None:
    """A number word from 1 to 99."""
    match words.split():
        case [one] if one in _NUMBERS:
            return _NUMBERS.index(one) + 1
        case [one, "belas"] if one in _NUMBERS[1:9]:
            return 10 + _NUMBERS.index(one) + 1
        case [ten, "puluh", *rest] if ten in _NUMBERS[1:9] and len(rest) < 2 and {*rest} <= {*_NUMBERS[:9]}:
            return 10 * (_NUMBERS.index(ten) + 1) + sum(_NUMBERS.index(one) + 1 for one in rest)
    return None
