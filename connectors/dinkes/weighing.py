"""A child under five was measured (e-PPGBM): a line is the child's measurement of its month. Pure. Health data of a child: what is kept is coarse.

The subject is child and month, so that of several measurements in a month one counts: the one that came last, and in a file that is the
lowest line. Exports of e-PPGBM are in the order of days. The category is computed from the z-score; the file's own is compared only.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.errors import RecordError
from bus.events.envelope import Event
from bus.ingest.forms import Day, LocalNumber, Text
from bus.ingest.privacy import BLANK, Nik, sex, subject_of
from bus.ingest.record import parse, value_error
from connectors.dinkes.places import desa_code, puskesmas_of

EVENT_TYPE = "dinkes.child.measured.v1"
_HEIGHT: Mapping[str, str] = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))["height"]
_CATEGORIES = {name.casefold(): category for name, category in _HEIGHT.items()}
_AGE = re.compile(r"(?:(\d{1,2})\s*tahun)?[\s,-]*(?:(\d{1,2})\s*bulan)?[\s,-]*(?:(\d{1,2})\s*hari)?", re.IGNORECASE | re.ASCII)
_GROUPS = ((5, "0-5"), (11, "6-11"), (23, "12-23"), (35, "24-35"), (47, "36-47"), (59, "48-59"))


class Weighing(BaseModel):
    """A line of the export, as far as it is read."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nik: Nik
    jk: Text
    tgl_lahir: Annotated[Day, Field(json_schema_extra={"pii": "quasi"})]
    kec: Text
    puskesmas: Text
    desa: Text
    usia: Annotated[Text, Field(json_schema_extra={"pii": "quasi"})]
    tanggal: Day
    tbu: Annotated[Text | None, BLANK]
    zs_tbu: Annotated[LocalNumber | None, BLANK, Field(json_schema_extra={"pii": "quasi"})]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The measurement. Raises `SourceChanged` or `RecordError`; a z-score beyond 6 is none that a living child has (WHO)."""
    row = parse(Weighing, record)
    written_age(row.usia)
    _category(row.tbu)
    at = datetime.combine(row.tanggal, time(), LOCAL_ZONE)
    puskesmas, _ = puskesmas_of(row.puskesmas, at, field="puskesmas")
    data = {
        "sex": sex(row.jk, field="jk"), "age_months": age_group(age_in_months(row.tgl_lahir, row.tanggal)),
        "height_for_age": height_for_age(row.zs_tbu), "puskesmas": puskesmas, "kode_wilayah": desa_code(row.kec, row.desa, at, field="desa"),
    }  # fmt: skip
    yield Event(EVENT_TYPE, subject_of(row.nik, f"{row.tanggal:%Y-%m}"), at, data)


def doubts_of(record: Mapping[str, object]) -> Iterator[str]:
    """Whether category or age in the file are not those that follow from z-score and days."""
    if "zs_tbu" not in record:
        return
    row = parse(Weighing, record)
    if row.tbu is not None and _category(row.tbu) != height_for_age(row.zs_tbu):
        yield "height_category_differs"
    if written_age(row.usia) != age_in_months(row.tgl_lahir, row.tanggal):
        yield "age_differs"


def written_age(text: str) -> int:
    """Months of an age such as "2 Tahun - 3 Bulan - 12 Hari"; days do not make a month. Raises `RecordError` without showing the text."""
    found = _AGE.fullmatch(text.strip())
    if found is None or not any(found.groups()):
        raise RecordError("usia: no age", field="usia", rule="invalid_value", allowed="2 Tahun - 3 Bulan [- 12 Hari]")
    return int(found[1] or 0) * 12 + int(found[2] or 0)


def age_in_months(born: date, on: date) -> int:
    """Completed months."""
    return (on.year - born.year) * 12 + on.month - born.month - (on.day < born.day)


def age_group(months: int) -> str:
    """The band of a child under five. Raises `RecordError` before birth and from five years on."""
    group = next((name for upto, name in _GROUPS if months <= upto), None) if months >= 0 else None
    if group is None:
        raise RecordError("tgl_lahir: out of range", field="tgl_lahir", rule="out_of_range", allowed="balita/child of 0..59 bulan/months")
    return group


def height_for_age(z: Decimal | None) -> str | None:
    """TB/U by WHO's cut-offs: below -3 SANGAT PENDEK, below -2 PENDEK, up to 3 NORMAL, else TINGGI; null when it was not measured."""
    if z is None:
        return None
    if abs(z) > 6:
        raise RecordError("zs_tbu: out of range", field="zs_tbu", rule="out_of_range", allowed="-6..6")
    return "SANGAT PENDEK" if z < -3 else "PENDEK" if z < -2 else "NORMAL" if z <= 3 else "TINGGI"


def _category(text: str | None) -> str | None:
    if text is None:
        return None
    category = _CATEGORIES.get(text.casefold())
    if category is None:
        raise value_error("tbu", text, rule="unknown_value", allowed=", ".join(_HEIGHT))
    return category
