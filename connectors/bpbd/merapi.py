"""The level of a volcano's activity as declared last. Pure. It goes out at once (serta merta)."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text
from bus.ingest.record import parse, value_error

EVENT_TYPE = "bpbd.merapi_level.declared.v1"

_LOOKUPS = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))
_LEVELS: Mapping[str, int] = _LOOKUPS["levels"]
_VOLCANOES: Mapping[str, str] = _LOOKUPS["volcanoes"]


class Level(BaseModel):
    """A volcano and its level."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    gunung: Text
    tingkat: Text
    sejak: Moment


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The volcano's level since `sejak`. Raises `SourceChanged` or `RecordError`."""
    row = parse(Level, record)
    volcano = row.gunung.upper().removeprefix("GUNUNG ")
    if volcano not in _VOLCANOES:
        raise value_error("gunung", row.gunung, rule="unknown_value", allowed=", ".join(_VOLCANOES))
    if row.tingkat not in _LEVELS:
        raise value_error("tingkat", row.tingkat, rule="unknown_value", allowed=", ".join(_LEVELS))
    data = {"volcano": volcano, "level": _LEVELS[row.tingkat], "level_name": row.tingkat, "kode_wilayah": _VOLCANOES[volcano]}
    yield Event(EVENT_TYPE, volcano, row.sejak, data)
