"""The dairy herd of a month, by cooperative and kecamatan. Pure. Cow-days are what litres of a month are divided by."""

from __future__ import annotations

import calendar
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Text, Whole
from bus.ingest.record import parse, value_error
from connectors.disnakkan.places import kecamatan_of, kud_of

EVENT_TYPE = "disnakkan.herd.counted.v1"
_MONTH = re.compile(r"(20[0-9]{2})-([0-9]{2})", re.ASCII)


def _month(value: str, info: ValidationInfo) -> datetime:
    found = _MONTH.fullmatch(value.strip())
    if not found or not 1 <= int(found[2]) <= 12:
        raise value_error(str(info.field_name), value.strip(), rule="invalid_value", allowed="bulan/month YYYY-MM")
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=LOCAL_ZONE)


class Herd(BaseModel):
    """A line of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bulan: Annotated[datetime, BeforeValidator(_month)]
    kud: Text
    kecamatan: Text
    sapi_perah: Annotated[Whole, Field(ge=0, le=500_000)]
    sapi_laktasi: Annotated[Whole, Field(ge=0, le=500_000)]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The herd of a month. Raises `SourceChanged` or `RecordError`; more productive cows than cows is one."""
    row = parse(Herd, record)
    if row.sapi_laktasi > row.sapi_perah:
        raise value_error("sapi_laktasi", str(row.sapi_laktasi), rule="out_of_range", allowed=f"<= sapi_perah ({row.sapi_perah})")
    kud, place = kud_of(row.kud, field="kud"), kecamatan_of(row.kecamatan, row.bulan, field="kecamatan")
    days = calendar.monthrange(row.bulan.year, row.bulan.month)[1]
    data = {"kud": kud, "cows": row.sapi_perah, "productive": row.sapi_laktasi, "days_in_month": days, "kode_wilayah": place}
    yield Event(EVENT_TYPE, f"{row.bulan:%Y-%m}/{kud}/{place}", row.bulan, data)


def key_of(record: Mapping[str, str]) -> Sequence[str]:
    """Month, cooperative and kecamatan, however they are spelt."""
    return [" ".join(record[name].upper().split()) for name in ("bulan", "kud", "kecamatan")]
