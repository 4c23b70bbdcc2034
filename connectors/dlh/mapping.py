"""Daily air-quality indices (ISPU): one row a station and day becomes one fact. Pure.

The readings are the agency's; the largest index, the category and the critical pollutant are computed from them. What the file says of
those three is compared only: the published `critical` is known to name the wrong pollutant. A row whose readings are all missing (`---`,
blank, or 0, which is no reading) is a day without data: an event of nulls, so that completeness can be told.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationInfo

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.record import parse, value_error

_LOOKUPS = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))
_MISSING = frozenset(_LOOKUPS["missing"])
_MIN, _MAX = int(_LOOKUPS["index_min"]), int(_LOOKUPS["index_max"])
_STATIONS: Mapping[str, str] = _LOOKUPS["stations"]
_CATEGORIES: list[tuple[int, str]] = [(int(item["upto"]), item["name"]) for item in _LOOKUPS["categories"]]
_CATEGORY_NAMES = (*(name for _, name in _CATEGORIES), str(_LOOKUPS["no_data"]))
_POLLUTANTS: Mapping[str, list[str]] = _LOOKUPS["pollutants"]
_SPELLINGS = {spelling: name for name, spellings in _POLLUTANTS.items() for spelling in spellings}

_INDEX_ALLOWED = f"{_MIN}..{_MAX}, '---', kosong/blank, 0 (tanpa data/no data)"
_WHOLE_NUMBER = re.compile(r"-?[0-9]{1,9}")

EVENT_TYPE = "dlh.air_quality.recorded.v1"


def _index(value: str, info: ValidationInfo) -> int | None:
    """An index, or None for what is no reading: a missing marker, or 0."""
    text = value.strip()
    if text in _MISSING or text == "0":
        return None
    if not _WHOLE_NUMBER.fullmatch(text):
        raise value_error(str(info.field_name), text, rule="invalid_value", allowed=_INDEX_ALLOWED)
    number = int(text)
    if not _MIN <= number <= _MAX:
        raise value_error(str(info.field_name), text, rule="out_of_range", allowed=_INDEX_ALLOWED)
    return number


def _day(value: str, info: ValidationInfo) -> date:
    text = value.strip()
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text)
    except ValueError:
        pass
    raise value_error(str(info.field_name), text, rule="invalid_value", allowed="tanggal/date YYYY-MM-DD")


def _station(value: str, info: ValidationInfo) -> str:
    code = station_code(value)
    if not code:
        raise value_error(str(info.field_name), value.strip(), rule="unknown_value", allowed=", ".join(_STATIONS))
    return code


def station_code(text: str) -> str:
    """The code that a station's name begins with, or "" when it is none that we know."""
    name = text.strip()
    return name[:4] if name[:4] in _STATIONS and not name[4:5].isalnum() else ""


def _category(value: str, info: ValidationInfo) -> str:
    text = " ".join(value.split()).upper()
    if text not in _CATEGORY_NAMES:
        raise value_error(str(info.field_name), value.strip(), rule="unknown_value", allowed=", ".join(_CATEGORY_NAMES))
    return text


def _critical(value: str, info: ValidationInfo) -> str | None:
    text = value.strip()
    if text in _MISSING:
        return None
    if text.upper() not in _SPELLINGS:
        raise value_error(str(info.field_name), text, rule="unknown_value", allowed=", ".join((*_SPELLINGS, "kosong/blank")))
    return _SPELLINGS[text.upper()]


Index = Annotated[int | None, BeforeValidator(_index)]


class IspuRow(BaseModel):
    """A row as the agency exports it, by our column names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tanggal: Annotated[date, BeforeValidator(_day)]
    stasiun: Annotated[str, BeforeValidator(_station)]
    pm10: Index
    pm25: Index
    so2: Index
    co: Index
    o3: Index
    no2: Index
    max: Index
    critical: Annotated[str | None, BeforeValidator(_critical)]
    categori: Annotated[str, BeforeValidator(_category)]

    @property
    def readings(self) -> dict[str, int | None]:
        """In the order that decides a tie."""
        return {"pm10": self.pm10, "pm25": self.pm25, "so2": self.so2, "co": self.co, "o3": self.o3, "no2": self.no2}

    def computed(self) -> tuple[int | None, str | None, str | None]:
        """Largest index, its category, and the first pollutant that has it; nulls on a day without data."""
        present = {name: value for name, value in self.readings.items() if value is not None}
        if not present:
            return None, None, None
        critical = max(present, key=present.__getitem__)
        largest = present[critical]
        return largest, next(name for upto, name in _CATEGORIES if largest <= upto), critical.upper()


def to_events(record: Mapping[str, object]) -> Iterable[Event]:
    """The one fact of a row. Raises `SourceChanged` or `RecordError` naming field, value and what is allowed."""
    row = parse(IspuRow, record)
    largest, category, critical = row.computed()
    data = {
        "station": row.stasiun, "station_name": _STATIONS[row.stasiun], **row.readings,
        "max_index": largest, "category": category, "critical": critical,
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.stasiun}/{row.tanggal.isoformat()}", datetime.combine(row.tanggal, time(), LOCAL_ZONE), data)


def key_of(record: Mapping[str, str]) -> tuple[str, str]:
    """Station code and day: the two spellings of a station are one. Raises when either cannot be read."""
    return date.fromisoformat(record["tanggal"].strip()).isoformat(), station_code(record["stasiun"])


def doubts_of(record: Mapping[str, object]) -> Iterable[str]:
    """Which of the three computed columns the file gives otherwise."""
    row = parse(IspuRow, record)
    largest, category, critical = row.computed()
    if row.max != largest:
        yield "max_differs"
    if row.categori != (category or _LOOKUPS["no_data"]):
        yield "category_differs"
    if row.critical is not None and row.critical != critical and (critical is None or getattr(row, row.critical.lower()) != largest):
        yield "critical_differs"
