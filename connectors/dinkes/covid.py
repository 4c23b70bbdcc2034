"""COVID-19 by kelurahan: the cumulative counts of a day, which stands in the workbook's name. Pure.

Rows are known by their code alone. The line of the total is no fact of its own, and gives none; lines of people who live elsewhere or nobody
knows where have no region.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Text, Whole
from bus.ingest.record import parse, value_error

EVENT_TYPE = "dinkes.covid.counted.v1"
_ELSEWHERE: Sequence[str] = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))["covid"]["elsewhere"]
_MONTHS = ("januari", "februari", "maret", "april", "mei", "juni", "juli", "agustus", "september", "oktober", "november", "desember")
_CODE = re.compile(r"(\d\d)(\d\d)(\d\d)(\d{4})", re.ASCII)
Count = Annotated[Whole, Field(ge=0, le=100_000_000)]


class Line(BaseModel):
    """A line of the sheet `data`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tanggal: Text
    kode: str
    kecamatan: str
    positif: Count
    sembuh: Count
    meninggal: Count


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The counts of a kelurahan, or of those who live nowhere in the region. Raises `SourceChanged` or `RecordError`."""
    row = parse(Line, record)
    code, at = row.kode.strip().upper(), datetime.combine(day_of(row.tanggal), time(), LOCAL_ZONE)
    if code in {"", "TOTAL"}:
        return
    known = _CODE.fullmatch(code)
    if known is None and code not in _ELSEWHERE:
        raise value_error("kode", code, rule="unknown_value", allowed=f"10 angka/digits, {', '.join(_ELSEWHERE)}")
    data = {
        "kode_wilayah": ".".join(known.groups()) if known else None, "district": row.kecamatan.strip() or code,
        "positive": row.positif, "recovered": row.sembuh, "dead": row.meninggal,
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{at:%Y-%m-%d}/{code}", at, data)


def key_of(record: Mapping[str, str]) -> Sequence[str]:
    """Day and code; the line of the total has none in some workbooks."""
    return (record["tanggal"], record["kode"].strip() or "TOTAL")


def day_of(text: str) -> date:
    """A day such as "31 MEI 2020". Raises `RecordError`."""
    day, _, rest = text.partition(" ")
    month, _, year = rest.partition(" ")
    try:
        return date(int(year), _MONTHS.index(month.lower()) + 1, int(day))
    except (ValueError, OverflowError):
        raise value_error("tanggal", text, rule="invalid_value", allowed="31 Mei 2020") from None
