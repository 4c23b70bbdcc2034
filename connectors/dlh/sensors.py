"""Readings of air-quality sensors: one message becomes one fact. Pure.

PM2.5 comes hourly, the others at least at 09:00 and 15:00. A level is what the sensor measured, not an index: how levels become ISPU is not here.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict

from bus.events.envelope import Event
from bus.ingest.forms import LocalNumber, Moment
from bus.ingest.record import parse, value_error

EVENT_TYPE = "dlh.reading.measured.v1"

_LOOKUPS = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))
_STATIONS: Mapping[str, Mapping[str, str]] = _LOOKUPS["sensors"]
_PARAMETERS: Mapping[str, Mapping[str, str]] = _LOOKUPS["parameters"]
_PLACES = Decimal("0.001")


def _written(value: object) -> object:
    """A number of a JSON message as it was written: the shortest decimal that is the double is what the sensor sent."""
    return str(value) if isinstance(value, float) else value


class Message(BaseModel):
    """A message, with what its topic says."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    stasiun: str
    parameter: str
    waktu: Moment
    nilai: Annotated[LocalNumber, BeforeValidator(_written)]
    satuan: str


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The reading. Raises `SourceChanged` for an unknown station, parameter or unit, `RecordError` for a level that cannot be."""
    row = parse(Message, record)
    station, parameter = _STATIONS.get(row.stasiun), _PARAMETERS.get(row.parameter)
    if station is None:
        raise value_error("stasiun", row.stasiun, rule="unknown_value", allowed=", ".join(_STATIONS))
    if parameter is None:
        raise value_error("parameter", row.parameter, rule="unknown_value", allowed=", ".join(_PARAMETERS))
    if row.satuan != parameter["unit"]:
        raise value_error("satuan", row.satuan, rule="unknown_value", allowed=parameter["unit"])
    if not 0 <= row.nilai <= Decimal(parameter["highest"]):
        raise value_error("nilai", str(row.nilai), rule="out_of_range", allowed=f"0..{parameter['highest']} {parameter['unit']}")
    if row.nilai != row.nilai.quantize(_PLACES):
        raise value_error("nilai", str(row.nilai), rule="invalid_value", allowed="tiga angka desimal/three decimal places")
    data = {
        "station": row.stasiun, "parameter": parameter["name"], "level": row.nilai.quantize(_PLACES), "hour": row.waktu.hour,
        "kode_wilayah": station["kode_wilayah"],
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.stasiun}/{parameter['name']}/{row.waktu:%Y-%m-%dT%H:%M:%S}", row.waktu, data)
