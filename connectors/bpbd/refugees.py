"""Refugees of a post as counted last. Pure. The number of now is the sum over posts, never over reports."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text, Whole
from bus.ingest.privacy import desa_of
from bus.ingest.record import parse, value_error

EVENT_TYPE = "bpbd.refugees.counted.v1"
Count = Annotated[Whole, Field(ge=0, le=2_000_000)]


class Post(BaseModel):
    """An open post with its latest count."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id_pos: Text
    id_kejadian: Text
    kode_desa: Text
    waktu_laporan: Moment
    total_pengungsi: Count
    laki_laki: Count
    perempuan: Count
    anak: Count
    lansia: Count
    disabilitas: Count
    ibu_hamil: Count


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The post's state. Raises `SourceChanged` or `RecordError`; a group that is larger than all of them is one."""
    row = parse(Post, record)
    for name in ("anak", "lansia", "disabilitas", "ibu_hamil"):
        if getattr(row, name) > row.total_pengungsi:
            allowed = f"<= total_pengungsi ({row.total_pengungsi})"
            raise value_error(name, str(getattr(row, name)), rule="out_of_range", allowed=allowed)
    data = {
        "disaster": row.id_kejadian, "persons": row.total_pengungsi, "men": row.laki_laki, "women": row.perempuan, "children": row.anak,
        "elderly": row.lansia, "disabled": row.disabilitas, "pregnant": row.ibu_hamil, "kode_wilayah": desa_of(row.kode_desa, field="kode_desa"),
    }  # fmt: skip
    yield Event(EVENT_TYPE, row.id_pos, row.waktu_laporan, data)


def doubts_of(record: Mapping[str, object]) -> Iterator[str]:
    """Whether men and women are not the total that is named: the total is kept."""
    row = parse(Post, record)
    if row.laki_laki + row.perempuan != row.total_pengungsi:
        yield "total_differs"
