"""The condition of a segment of a road as surveyed. Pure."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.code_table import CodeTable
from bus.ingest.forms import Day, LocalNumber, Text
from bus.ingest.record import parse, value_error

EVENT_TYPE = "dpupr.segment.surveyed.v1"

_FOLDER = Path(__file__).parent
_LOOKUPS = tomllib.loads((_FOLDER / "lookups.toml").read_text(encoding="utf-8"))
_CONDITIONS: Mapping[str, bool] = _LOOKUPS["conditions"]
_SURFACES: Sequence[str] = _LOOKUPS["lists"]["surfaces"]
_KECAMATAN = CodeTable.load(_FOLDER / "kode_kecamatan.csv")
_SURVEY = re.compile(r"20[0-9]{2}(-[12])?", re.ASCII)
_METRE = Decimal("0.001")


class Segment(BaseModel):
    """A line of the survey."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    survei: Text
    no_ruas: Text
    nama_ruas: Text
    segmen: Text
    kecamatan: Text
    panjang_km: Annotated[LocalNumber, Field(gt=0, le=100)]
    permukaan: Text
    kondisi: Text
    tanggal: Day


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The segment's condition in that survey. Raises `SourceChanged` or `RecordError`."""
    row = parse(Segment, record)
    if not _SURVEY.fullmatch(row.survei):
        raise value_error("survei", row.survei, rule="invalid_value", allowed="2026, 2026-1, 2026-2")
    condition, surface = row.kondisi.upper(), row.permukaan.upper()
    for field, said, known in (("kondisi", condition, _CONDITIONS), ("permukaan", surface, _SURFACES)):
        if said not in known:
            raise value_error(field, said, rule="unknown_value", allowed=", ".join(known))
    if row.panjang_km != row.panjang_km.quantize(_METRE):
        raise value_error("panjang_km", str(row.panjang_km), rule="invalid_value", allowed="tiga angka desimal/three decimal places")
    at = datetime.combine(row.tanggal, time(), LOCAL_ZONE)
    data = {
        "survey": row.survei, "road": row.no_ruas, "road_name": row.nama_ruas, "segment": row.segmen, "length_km": row.panjang_km.quantize(_METRE),
        "surface": surface, "condition": condition, "steady": _CONDITIONS[condition],
        "kode_wilayah": _KECAMATAN.code(row.kecamatan.upper(), at, field="kecamatan"),
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.survei}/{row.no_ruas}/{row.segmen}", at, data)
