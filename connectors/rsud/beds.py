"""Beds of a room as SIRANAP has them: how many there are, are taken and are free at the time that the record names. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text, Whole
from bus.ingest.record import parse, value_error
from connectors.rsud.hospitals import place_of

EVENT_TYPE = "rsud.beds.recorded.v1"
Count = Annotated[Whole, Field(ge=0, le=100_000)]


class Room(BaseModel):
    """A room of one kind of bed, by SIRANAP's names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kode_rs: Text
    id_tt: Count
    tt: Text
    ruang: Text
    kode_siranap: Text
    jumlah_ruang: Count
    jumlah: Count
    terpakai: Count
    antrian: Count
    prepare: Count
    kosong: Count
    covid: Annotated[Whole, Field(ge=0, le=1)]
    terpakai_dbd: Count
    tglupdate: Moment


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The room's state. Raises `SourceChanged` or `RecordError`; more beds taken by dengue patients than taken at all is one."""
    row = parse(Room, record)
    if row.terpakai_dbd > row.terpakai:
        raise value_error("terpakai_dbd", str(row.terpakai_dbd), rule="out_of_range", allowed=f"<= terpakai ({row.terpakai})")
    data = {
        "hospital": row.kode_rs, "bed_type": row.tt, "siranap": row.kode_siranap, "ward": row.ruang, "rooms": row.jumlah_ruang,
        "beds": row.jumlah, "occupied": row.terpakai, "queue": row.antrian, "in_preparation": row.prepare, "free": row.kosong,
        "covid": bool(row.covid), "occupied_dengue": row.terpakai_dbd, "kode_wilayah": place_of(row.kode_rs),
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.kode_rs}/{row.id_tt}/{row.ruang}", row.tglupdate, data)


def doubts_of(record: Mapping[str, object]) -> Iterator[str]:
    """Whether the free beds that are named are not those that are left: the number that is named is kept."""
    row = parse(Room, record)
    if row.kosong != row.jumlah - row.terpakai - row.prepare:
        yield "free_differs"
