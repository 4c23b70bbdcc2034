"""How many children under five a desa has to weigh in a month (S of SKDN). Pure; counts only. It is the denominator, so it is its own fact."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Text, Whole
from bus.ingest.record import parse, value_error
from connectors.dinkes.places import desa_code, puskesmas_of

EVENT_TYPE = "dinkes.target.set.v1"
_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)


class Target(BaseModel):
    """A line of the list."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    bulan: Text
    kec: Text
    puskesmas: Text
    desa: Text
    sasaran: Annotated[Whole, Field(ge=0, le=100_000)]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The desa's target of the month. Raises `SourceChanged` or `RecordError`."""
    row = parse(Target, record)
    month = _MONTH.fullmatch(row.bulan)
    if month is None:
        raise value_error("bulan", row.bulan, rule="invalid_value", allowed="YYYY-MM")
    at = datetime(int(month[1]), int(month[2]), 1, tzinfo=LOCAL_ZONE)
    puskesmas, _ = puskesmas_of(row.puskesmas, at, field="puskesmas")
    data = {"children": row.sasaran, "puskesmas": puskesmas, "kode_wilayah": desa_code(row.kec, row.desa, at, field="desa")}
    yield Event(EVENT_TYPE, f"{data['kode_wilayah']}/{row.bulan}", at, data)
