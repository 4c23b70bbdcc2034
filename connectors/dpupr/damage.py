"""A report of road damage in its newest state. Pure. How long a repair took is counted from the report, in days of 24 hours."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping, Sequence
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text
from bus.ingest.privacy import Dropped, desa_of
from bus.ingest.record import parse, value_error

EVENT_TYPE = "dpupr.damage.changed.v1"

_LISTS: Mapping[str, Sequence[str]] = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))["lists"]
_REPAIRED = "SELESAI"
_DAY_SECONDS = 86_400


class Report(BaseModel):
    """A report as the application posts it at each change."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    no_laporan: Text
    status: Text
    waktu_lapor: Moment
    waktu_status: Moment
    no_ruas: Annotated[str, Field(description="blank where the road is not known yet")]
    tingkat: Text
    kode_desa: Text
    nama_pelapor: Dropped
    telepon_pelapor: Dropped
    keterangan: Dropped


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The report's state since `waktu_status`. Raises `SourceChanged` or `RecordError`."""
    row = parse(Report, record)
    for field, known in (("status", "states"), ("tingkat", "severities")):
        if getattr(row, field) not in _LISTS[known]:
            raise value_error(field, getattr(row, field), rule="unknown_value", allowed=", ".join(_LISTS[known]))
    if row.waktu_status < row.waktu_lapor:
        raise value_error("waktu_status", row.waktu_status.isoformat(), rule="out_of_range", allowed=f">= {row.waktu_lapor.isoformat()}")
    data = {
        "state": row.status, "reported_at": row.waktu_lapor, "road": row.no_ruas.strip() or None, "severity": row.tingkat,
        "repair_days": _days(row) if row.status == _REPAIRED else None, "kode_wilayah": desa_of(row.kode_desa, field="kode_desa"),
    }  # fmt: skip
    yield Event(EVENT_TYPE, row.no_laporan, row.waktu_status, data)


def _days(row: Report) -> Decimal:
    seconds = (row.waktu_status - row.waktu_lapor).total_seconds()
    return (Decimal(int(seconds)) / _DAY_SECONDS).quantize(Decimal("0.01"), ROUND_HALF_UP)
