"""A disaster with what it did, as counted so far. Pure. Counts are of the newest report, never summed over reports."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text, Whole
from bus.ingest.privacy import desa_of
from bus.ingest.record import parse, value_error

EVENT_TYPE = "bpbd.disaster.recorded.v1"

_LOOKUPS = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))
Count = Annotated[Whole, Field(ge=0, le=2_000_000)]


class Disaster(BaseModel):
    """A disaster as the operations centre's service has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id_kejadian: Text
    jenis_bencana: Text
    kode_desa: Text
    waktu_kejadian: Moment
    status: Text
    status_verifikasi: Text
    korban_meninggal: Count
    korban_hilang: Count
    korban_luka_berat: Count
    korban_luka_ringan: Count
    rumah_rusak_berat: Count
    rumah_rusak_sedang: Count
    rumah_rusak_ringan: Count
    rumah_terendam: Count
    fasilitas_kesehatan_rusak: Count
    fasilitas_pendidikan_rusak: Count
    jembatan_rusak: Count
    updated_at: Moment


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The disaster's state. A report that was refused in verification does not come here. Raises `SourceChanged` or `RecordError`."""
    row = parse(Disaster, record)
    for field, known in (("jenis_bencana", "kinds"), ("status", "states"), ("status_verifikasi", "verification")):
        if getattr(row, field) not in _LOOKUPS[known]:
            raise value_error(field, getattr(row, field), rule="unknown_value", allowed=", ".join(_LOOKUPS[known]))
    data = {
        "kind": row.jenis_bencana, "state": row.status, "verification": row.status_verifikasi,
        "dead": row.korban_meninggal, "missing": row.korban_hilang,
        "badly_hurt": row.korban_luka_berat, "slightly_hurt": row.korban_luka_ringan,
        "houses_heavy": row.rumah_rusak_berat, "houses_moderate": row.rumah_rusak_sedang, "houses_light": row.rumah_rusak_ringan,
        "houses_flooded": row.rumah_terendam, "health_facilities": row.fasilitas_kesehatan_rusak,
        "schools": row.fasilitas_pendidikan_rusak, "bridges": row.jembatan_rusak, "reported_at": row.updated_at,
        "kode_wilayah": desa_of(row.kode_desa, field="kode_desa"),
    }  # fmt: skip
    yield Event(EVENT_TYPE, row.id_kejadian, row.waktu_kejadian, data)
