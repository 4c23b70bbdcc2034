"""Vital events and moves of SIAK: births, deaths, arrivals, departures, marriages, divorces. Pure.

Each fact is told twice, as two event types: on the day on which it happened and on the day on which it was reported, which for SIAK is
what counts. Births and deaths are reported late, often by months; neither day can stand for the other. A row that SIAK marks as cancelled
comes to nothing, so that what was said before is taken back.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from pathlib import Path

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.code_table import CodeTable
from bus.ingest.privacy import sex
from bus.ingest.record import parse, value_error
from connectors.dukcapil.siak import Arrival, Birth, Death, Departure, Divorce, Marriage, OfPerson, Registered

OCCURRED = "dukcapil.population_change.occurred.v1"
REPORTED = "dukcapil.population_change.reported.v1"
CIVIL_STATUS = "dukcapil.civil_status.registered.v1"

_FOLDER = Path(__file__).parent
_REGIONS = CodeTable.load(_FOLDER / "kode_wilayah.csv")
_SCOPE: Mapping[str, str] = tomllib.loads((_FOLDER / "lookups.toml").read_text(encoding="utf-8"))["scope"]


def kelahiran(record: Mapping[str, object]) -> Iterator[Event]:
    """A birth, by the desa of the child's family. This and the others raise `SourceChanged` or `RecordError`."""
    row = parse(Birth, record)
    yield from _change(row, "LAHIR", row.bayi_no, row.tgl_lahir, row.plpr_tgl_lapor)


def kematian(record: Mapping[str, object]) -> Iterator[Event]:
    """A death, by the desa where the person lived."""
    row = parse(Death, record)
    yield from _change(row, "MATI", row.mati_no, row.tgl_mati, row.plpr_tgl_lapor)


def datang(record: Mapping[str, object]) -> Iterator[Event]:
    """A person who moved into a desa, perhaps from another of the regency."""
    row = parse(Arrival, record)
    yield from _change(row, "DATANG", row.datang_no, row.tgl_datang, row.created_date, field="created_date", scope=_scope(row.klasifikasi))


def pindah(record: Mapping[str, object]) -> Iterator[Event]:
    """A person who moved out of a desa, perhaps to another of the regency."""
    row = parse(Departure, record)
    yield from _change(row, "PINDAH", row.pindah_no, row.tgl_pindah, row.created_date, field="created_date", scope=_scope(row.klasifikasi))


def kawin(record: Mapping[str, object]) -> Iterator[Event]:
    """A marriage that civil registration keeps (those of Muslims are kept by the KUA)."""
    row = parse(Marriage, record)
    yield from _civil_status(row, "KAWIN", row.kawin_no, row.tgl_kawin, row.kawin_tgl_lapor, field="kawin_tgl_lapor")


def cerai(record: Mapping[str, object]) -> Iterator[Event]:
    """A divorce that civil registration keeps."""
    row = parse(Divorce, record)
    yield from _civil_status(row, "CERAI", row.cerai_no, row.tgl_cerai, row.cerai_tgl_lapor, field="cerai_tgl_lapor")


def region_of(no_kec: int, no_kel: int, at: datetime) -> str:
    """The desa that SIAK's two numbers mean at that time. Raises `SourceChanged`, `RecordError`."""
    return _REGIONS.code(f"{no_kec}/{no_kel}", at, field="no_kel")


def midnight(day: date) -> datetime:
    """The beginning of a day in Asia/Jakarta."""
    return datetime.combine(day, time(), LOCAL_ZONE)


def _change(
    row: OfPerson, kind: str, number: object, happened: date, reported: date, *, field: str = "plpr_tgl_lapor", scope: str | None = None
) -> Iterator[Event]:
    data = {
        "kind": kind, "person": row.nik, "sex": sex(row.jenis_klmin, field="jenis_klmin"), "scope": scope,
        "kode_wilayah": region_of(row.no_kec, row.no_kel, midnight(reported)),
    }  # fmt: skip
    _in_order(happened, reported, field)
    if not row.batal:
        yield Event(OCCURRED, f"{kind}/{number}", midnight(happened), {**data, "reported_date": reported})
        yield Event(REPORTED, f"{kind}/{number}", midnight(reported), {**data, "days_late": (reported - happened).days})


def _civil_status(row: Registered, kind: str, number: int, happened: date, reported: date, *, field: str) -> Iterator[Event]:
    data = {"kind": kind, "kode_wilayah": region_of(row.no_kec, row.no_kel, midnight(reported)), "days_late": (reported - happened).days}
    _in_order(happened, reported, field)
    if not row.batal:
        yield Event(CIVIL_STATUS, f"{kind}/{number}", midnight(reported), data)


def _scope(code: int) -> str:
    scope = _SCOPE.get(str(code))
    if scope is None:
        raise value_error("klasifikasi", str(code), rule="unknown_value", allowed=", ".join(_SCOPE))
    return scope


def _in_order(happened: date, reported: date, field: str) -> None:
    if happened > reported:
        allowed = "tanggal kejadian <= tanggal lapor/event date <= report date"
        raise value_error(field, reported.isoformat(), rule="out_of_range", allowed=allowed)
