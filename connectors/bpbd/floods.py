"""Flooded areas, hour by hour: what enters a snapshot begins, what leaves it is over. Pure.

An area is known by a number of sixteen digits whose first seven are BPS's code of its kecamatan. Areas outside the regency, upstream of it,
stand in the snapshots too: they have no region of ours, only the number of their district.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bus.events.envelope import Event
from bus.ingest.code_table import CodeTable
from bus.ingest.forms import Moment
from bus.ingest.record import parse, value_error

EVENT_TYPE = "bpbd.flood.recorded.v1"

_FOLDER = Path(__file__).parent
_DEPTHS: Mapping[str, str] = tomllib.loads((_FOLDER / "lookups.toml").read_text(encoding="utf-8"))["depths"]
_DISTRICTS = CodeTable.load(_FOLDER / "kode_bps.csv")
_AREA = re.compile(r"[0-9]{16}", re.ASCII)
#: BPS's code of the regency.
_REGENCY = "3309"


class Area(BaseModel):
    """The properties of a feature."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    geom_id: str
    state: str
    changed: Moment


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """An area is flooded since `changed`. Raises `SourceChanged` or `RecordError`."""
    row = parse(Area, record)
    if not _AREA.fullmatch(row.geom_id):
        raise value_error("geom_id", row.geom_id, rule="invalid_value", allowed="16 angka/digits")
    if row.state not in _DEPTHS:
        raise value_error("state", row.state, rule="unknown_value", allowed=", ".join(_DEPTHS))
    district = row.geom_id[:7]
    data = {"district": district, "depth": _DEPTHS[row.state], "kode_wilayah": _region(district, row.changed)}
    yield Event(EVENT_TYPE, f"RW-{district}-{row.geom_id[7:]}", row.changed, data)


def _region(district: str, at: datetime) -> str | None:
    """The kecamatan of a BPS code; None outside the regency."""
    return _DISTRICTS.code(district, at, field="geom_id") if district.startswith(_REGENCY) else None
