"""Daily prices of food by market and commodity: one row becomes one fact. Pure.

A price of 0 is what the export writes when nothing was asked or its service was out: no price, an event of null, so that the days
without one can be counted. What the row says of the day before is compared only: that price is a fact of its own.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationInfo

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import LocalNumber, Text, Whole
from bus.ingest.record import parse, value_error

EVENT_TYPE = "disdagperin.price.recorded.v1"

_LOOKUPS = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))
_MARKETS: Mapping[str, Mapping[str, str]] = _LOOKUPS["markets"]
_ALERTS: Mapping[str, int] = _LOOKUPS["alerts"]
_ISO = re.compile(r"([0-9]{4})-([0-9]{2})-([0-9]{2})", re.ASCII)
_STROKES = re.compile(r"([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})", re.ASCII)
_DAY_FIRST = re.compile(r"([0-9]{1,2})[-/]([0-9]{1,2})[-/]([0-9]{4})", re.ASCII)


def day_of(text: str) -> date:
    """The day of a row: 2025-09-13, or with strokes the month first, as one spreadsheet wrote it: 9/13/2025. Raises `ValueError`."""
    if iso := _ISO.fullmatch(text):
        return date(int(iso[1]), int(iso[2]), int(iso[3]))
    if strokes := _STROKES.fullmatch(text):
        return date(int(strokes[3]), int(strokes[1]), int(strokes[2]))
    raise ValueError(text)


def _before_of(text: str) -> date:
    """The day before, in the same row: 12-9-2025 or 12/9/2025, the day first."""
    if found := _DAY_FIRST.fullmatch(text):
        return date(int(found[3]), int(found[2]), int(found[1]))
    raise ValueError(text)


def _day(value: str, info: ValidationInfo) -> date:
    try:
        return (day_of if info.field_name == "tanggal" else _before_of)(value.strip())
    except ValueError:
        allowed = "2025-09-13, 9/13/2025" if info.field_name == "tanggal" else "12-9-2025, 12/9/2025"
        raise value_error(str(info.field_name), value.strip(), rule="invalid_value", allowed=allowed) from None


def _known(value: str, info: ValidationInfo) -> str:
    """The value as lookups.toml spells it."""
    table: Mapping[str, object] = _LOOKUPS[{"satuan": "units", "gap_perubahan": "moves", "pasar": "markets"}[str(info.field_name)]]
    text = " ".join(value.split())
    text = text.upper() if info.field_name == "pasar" else text
    if text not in table:
        raise value_error(str(info.field_name), text, rule="unknown_value", allowed=", ".join(filter(None, table)))
    return text


Known = Annotated[str, BeforeValidator(_known)]


Rupiah = Annotated[Whole, Field(ge=0, le=10_000_000)]


class PriceRow(BaseModel):
    """A row of the export, by our column names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tanggal: Annotated[date, BeforeValidator(_day)]
    pasar: Known
    id: Annotated[Whole, Field(ge=1, le=9_999_999)]
    komoditas: Text
    satuan: Known
    harga: Rupiah
    harga_kemarin: Rupiah
    tanggal_kemarin: Annotated[date, BeforeValidator(_day)]
    gap: Annotated[Whole, Field(ge=-10_000_000, le=10_000_000)]
    gap_persen: LocalNumber
    gap_perubahan: Known


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The price of a commodity on a market. Raises `SourceChanged` or `RecordError`."""
    row = parse(PriceRow, record)
    market, alert = _MARKETS[row.pasar], _ALERTS.get(str(row.id))
    data = {
        "market": market["name"], "commodity_id": row.id, "commodity": row.komoditas, "unit": _LOOKUPS["units"][row.satuan],
        "price": Decimal(row.harga) if row.harga else None, "alert_price": Decimal(alert) if alert is not None else None,
        "kode_wilayah": market["kode_wilayah"],
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.tanggal}/{market['name']}/{row.id}", datetime.combine(row.tanggal, time(), LOCAL_ZONE), data)


def key_of(record: Mapping[str, str]) -> Sequence[str]:
    """Day, market and commodity, however the day is spelt. Raises `ValueError` for a day that cannot be read."""
    market = " ".join(record["pasar"].upper().split())
    return (day_of(record["tanggal"].strip()).isoformat(), market or "-", record["id"].strip())


def doubts_of(record: Mapping[str, object]) -> Iterator[str]:
    """What the row says of the day before and cannot be so. Its price there is known to differ from what was published on that day."""
    row = parse(PriceRow, record)
    if row.tanggal_kemarin != row.tanggal - timedelta(days=1):
        yield "previous_day_differs"
    if row.gap != row.harga - row.harga_kemarin:
        yield "gap_differs"
    if _LOOKUPS["moves"][row.gap_perubahan] != (row.gap > 0) - (row.gap < 0):
        yield "move_differs"
