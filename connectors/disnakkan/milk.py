"""Milk that a farmer delivers to a cooperative. Pure. The farmer is a pseudonym; where the cows stand is told by kecamatan."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import LocalNumber, Moment, Text, Whole
from bus.ingest.privacy import Dropped, Nik
from bus.ingest.record import parse, value_error
from connectors.disnakkan.places import LOOKUPS, kecamatan_of, kud_of

EVENT_TYPE = "disnakkan.milk.delivered.v1"
_CENTILITRE = Decimal("0.01")


class Delivery(BaseModel):
    """A row of the view."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    no_setoran: Text
    kud: Text
    nik_peternak: Nik
    nama_peternak: Dropped
    kecamatan: Text
    waktu: Moment
    sesi: Text
    liter: Annotated[LocalNumber, Field(gt=0, le=5_000)]
    batal: Annotated[Whole, Field(ge=0, le=1)]
    diubah: Moment


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The delivery; nothing of one that was taken back. Raises `SourceChanged` or `RecordError`."""
    row = parse(Delivery, record)
    if row.sesi not in LOOKUPS["sessions"]:
        raise value_error("sesi", row.sesi, rule="unknown_value", allowed=", ".join(LOOKUPS["sessions"]))
    if row.liter != row.liter.quantize(_CENTILITRE):
        raise value_error("liter", str(row.liter), rule="invalid_value", allowed="dua angka desimal/two decimal places")
    data = {
        "farmer": row.nik_peternak, "kud": kud_of(row.kud, field="kud"), "session": row.sesi, "litres": row.liter.quantize(_CENTILITRE),
        "kode_wilayah": kecamatan_of(row.kecamatan, row.waktu, field="kecamatan"),
    }  # fmt: skip
    if not row.batal:
        yield Event(EVENT_TYPE, row.no_setoran, row.waktu, data)
