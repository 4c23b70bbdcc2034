"""Animals that fell ill, recovered or died of a disease on a day. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Day, Text, Whole
from bus.ingest.record import parse, value_error
from connectors.disnakkan.places import LOOKUPS, kecamatan_of

EVENT_TYPE = "disnakkan.disease.counted.v1"
Heads = Annotated[Whole, Field(ge=0, le=100_000)]


class Line(BaseModel):
    """A line of the report."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tanggal: Day
    kecamatan: Text
    penyakit: Text
    ternak: Text
    kasus_baru: Heads
    sembuh: Heads
    mati: Heads


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The counts of a day. Raises `SourceChanged` or `RecordError`."""
    row = parse(Line, record)
    disease, species = row.penyakit.upper(), row.ternak.upper()
    for field, said, known in (("penyakit", disease, "diseases"), ("ternak", species, "species")):
        if said not in LOOKUPS[known]:
            raise value_error(field, said, rule="unknown_value", allowed=", ".join(LOOKUPS[known]))
    at = datetime.combine(row.tanggal, time(), LOCAL_ZONE)
    place = kecamatan_of(row.kecamatan, at, field="kecamatan")
    data = {
        "disease": disease, "species": species, "new_cases": row.kasus_baru, "recovered": row.sembuh, "dead": row.mati, "kode_wilayah": place,
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.tanggal}/{place}/{disease}/{species}", at, data)


def key_of(record: Mapping[str, str]) -> Sequence[str]:
    """Day, kecamatan, disease and species, however they are spelt. Raises `RecordError` for a line that cannot be read."""
    row = parse(Line, record)
    return [row.tanggal.isoformat(), *(text.upper() for text in (row.kecamatan, row.penyakit, row.ternak))]
