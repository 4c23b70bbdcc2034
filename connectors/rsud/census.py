"""The daily census of a ward: patient-days, who came and who left, and how long those who left had stayed. Pure; counts only.

The hospital counts (a census is taken at midnight); the bus adds up. From these sums, and nothing else, follow BOR, AvLOS, TOI and BTO.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator, Mapping
from datetime import datetime, time
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Day, Moment, Text, Whole
from bus.ingest.record import parse, value_error
from connectors.rsud.hospitals import place_of

EVENT_TYPE = "rsud.census.recorded.v1"
Count = Annotated[Whole, Field(ge=0, le=100_000)]


class Census(BaseModel):
    """A ward's day."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kode_rs: Text
    ruang: Text
    tanggal: Day
    tempat_tidur: Count
    pasien_awal: Count
    masuk: Count
    keluar_hidup: Count
    meninggal: Count
    hari_perawatan: Count
    lama_dirawat: Count
    diubah: Moment


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The ward's day. Raises `SourceChanged` or `RecordError`: more who left than were there, or longer stays than nobody's, are errors."""
    row = parse(Census, record)
    left = row.keluar_hidup + row.meninggal
    if left > row.pasien_awal + row.masuk:
        raise value_error("keluar_hidup", str(row.keluar_hidup), rule="out_of_range", allowed="<= pasien_awal + masuk")
    if not left and row.lama_dirawat:
        raise value_error(
            "lama_dirawat", str(row.lama_dirawat), rule="out_of_range", allowed="0 bila tidak ada pasien keluar/when nobody left"
        )
    data = {
        "hospital": row.kode_rs, "ward": row.ruang, "beds": row.tempat_tidur, "before": row.pasien_awal, "admitted": row.masuk,
        "discharged": left, "died": row.meninggal, "patient_days": row.hari_perawatan, "stay_days": row.lama_dirawat,
        "days_in_month": monthrange(row.tanggal.year, row.tanggal.month)[1], "kode_wilayah": place_of(row.kode_rs),
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.kode_rs}/{row.ruang}/{row.tanggal}", datetime.combine(row.tanggal, time(), LOCAL_ZONE), data)
