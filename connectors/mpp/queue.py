"""Tickets of the queue: taken, called, done, missed or given up. Pure. Who took a ticket is not read."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import ROUND_HALF_UP, Decimal
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Day, Moment, Text, Whole
from bus.ingest.privacy import BLANK, Dropped
from bus.ingest.record import parse, value_error
from connectors.mpp.catalogue import check_service

EVENT_TYPE = "mpp.ticket.changed.v1"
_CALLED = frozenset({"DIPANGGIL", "SELESAI", "LEWAT"})


class Ticket(BaseModel):
    """A ticket as it stands."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tanggal: Day
    prefix: Annotated[str, Field(pattern=r"^[A-Z]{1,3}$")]
    nomor: Annotated[Whole, Field(ge=1, le=9_999)]
    instansi: Text
    layanan: Text
    status: Literal["MENUNGGU", "DIPANGGIL", "SELESAI", "LEWAT", "BATAL"]
    waktu_ambil: Moment
    waktu_panggil: Annotated[Moment | None, BLANK]
    waktu_selesai: Annotated[Moment | None, BLANK]
    nik: Annotated[Dropped, BLANK]
    telepon: Annotated[Dropped, BLANK]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The ticket with its waiting and service time so far. Raises `SourceChanged` or `RecordError`: times that contradict each other or
    the state are errors."""
    row = parse(Ticket, record)
    check_service(row.instansi, row.layanan)
    if row.waktu_ambil.date() != row.tanggal:
        raise value_error("waktu_ambil", row.waktu_ambil.isoformat(), rule="out_of_range", allowed=row.tanggal.isoformat())
    if row.status in _CALLED and row.waktu_panggil is None:
        raise value_error("waktu_panggil", "", rule="missing_value", allowed=f"waktu, karena/a time, for status = {row.status}")
    if (row.status == "SELESAI") != (row.waktu_selesai is not None):
        raise value_error("status", row.status, rule="invalid_value", allowed="SELESAI bila dan hanya bila/if and only if waktu_selesai")
    _in_order("waktu_panggil", row.waktu_ambil, row.waktu_panggil)
    _in_order("waktu_selesai", row.waktu_panggil, row.waktu_selesai)
    data = {
        "tenant": row.instansi, "service": row.layanan, "state": row.status,
        "wait_minutes": _minutes(row.waktu_ambil, row.waktu_panggil), "service_minutes": _minutes(row.waktu_panggil, row.waktu_selesai),
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.tanggal}/{row.prefix}/{row.nomor}", row.waktu_ambil, data)


def _in_order(field: str, first: Moment | None, then: Moment | None) -> None:
    if first is not None and then is not None and then < first:
        raise value_error(field, then.isoformat(), rule="out_of_range", allowed=f">= {first.isoformat()}")


def _minutes(first: Moment | None, then: Moment | None) -> Decimal | None:
    """Rounded half up to hundredths."""
    if first is None or then is None:
        return None
    return (Decimal(int((then - first).total_seconds())) / 60).quantize(Decimal("0.01"), ROUND_HALF_UP)
