"""Social aid of a family in a programme and stage: granted, paid, failed to be paid, ended. Pure.

A family (KPM) is known by the pseudonym of its card. Each kind is an event type of its own, so that a payment without a grant is seen as
one: it counts among the paid, not among the granted.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Day, LocalNumber, Moment, Text, Whole
from bus.ingest.privacy import Dropped, NoKk, desa_of, subject_of
from bus.ingest.record import parse, value_error

_LOOKUPS = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))
_PROGRAMS: Mapping[str, int] = _LOOKUPS["programs"]
_KINDS: Mapping[str, str] = _LOOKUPS["kinds"]
_REASONS: Mapping[str, str] = _LOOKUPS["reasons"]
_STAGE = re.compile(r"20[0-9]{2}-[0-9]{1,2}", re.ASCII)

GRANTED, PAID, FAILED, GRADUATED = (_KINDS[kind] for kind in ("PENETAPAN", "SALUR", "GAGAL SALUR", "GRADUASI"))


class Transaction(BaseModel):
    """A row of the view."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id_transaksi: Text
    jenis: Text
    program: Text
    tahap: Text
    no_kk: NoKk
    nama_penerima: Dropped
    no_rekening: Dropped
    no_hp: Dropped
    desil: Annotated[Whole | None, Field(ge=1, le=10, json_schema_extra={"pii": "quasi"})]
    kode_desa: Annotated[str, Field(json_schema_extra={"pii": "quasi"})]
    tanggal: Day
    nominal: Annotated[LocalNumber | None, Field(ge=0, le=100_000_000, json_schema_extra={"pii": "quasi"})]
    alasan: str
    batal: Annotated[Whole, Field(ge=0, le=1)]
    diubah: Moment


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """What happened to the family's aid; nothing of a row that was taken back. Raises `SourceChanged` or `RecordError`."""
    row = parse(Transaction, record)
    for field, known in (("jenis", _KINDS), ("program", _PROGRAMS), ("alasan", _REASONS)):
        if getattr(row, field) not in known:
            raise value_error(field, getattr(row, field), rule="unknown_value", allowed=", ".join(filter(None, known)))
    if not _STAGE.fullmatch(row.tahap):
        raise value_error("tahap", row.tahap, rule="invalid_value", allowed="2026-1")
    if not row.batal:
        kind = _KINDS[row.jenis]
        subject = subject_of(row.program, row.tahap, row.no_kk)
        if kind in {PAID, FAILED}:
            subject = subject_of(row.program, row.tahap, row.no_kk, row.id_transaksi)
        yield Event(kind, subject, datetime.combine(row.tanggal, time(), LOCAL_ZONE), _data(row, kind))


def _data(row: Transaction, kind: str) -> dict[str, object]:
    common = {
        "transaction": row.id_transaksi,
        "program": row.program,
        "stage": row.tahap,
        "kode_wilayah": desa_of(row.kode_desa, field="kode_desa"),
    }
    if kind == GRANTED:
        limit = _PROGRAMS[row.program]
        return {**common, "target": "TIDAK DIKETAHUI" if row.desil is None else "SASARAN" if row.desil <= limit else "DI LUAR SASARAN"}
    if kind == PAID:
        return {**common, "family": row.no_kk, "amount": _rupiah(row)}
    return {**common, "family": row.no_kk, "reason": _REASONS[row.alasan]} if kind == FAILED else {**common, "reason": _REASONS[row.alasan]}


def _rupiah(row: Transaction) -> Decimal:
    """Whole rupiah. A payment without an amount is none."""
    if row.nominal is None or row.nominal != row.nominal.to_integral_value():
        raise value_error(
            "jenis", row.jenis, rule="invalid_value", allowed="SALUR dengan nominal rupiah utuh/with an amount of whole rupiah"
        )
    return row.nominal.to_integral_value()
