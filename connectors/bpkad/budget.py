"""Budget (pagu) and cash plan (RAK) of each sub kegiatan, as SIPD-RI has them. Pure.

A change of the budget within the year is a correction of the same fact: it holds for the year, as the ratio against it does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Annotated

from pydantic import Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Whole
from bus.ingest.record import parse, value_error
from connectors.bpkad.accounts import Amount, Line

BUDGET = "bpkad.budget.set.v1"
CASH_PLAN = "bpkad.cash_plan.set.v1"


class Pagu(Line):
    """The budget of a sub kegiatan for a year."""

    nilai: Amount


class Rak(Line):
    """What a sub kegiatan plans to spend in a month."""

    bulan: Annotated[Whole, Field(ge=1, le=12)]
    nilai_rak: Amount


def pagu(record: Mapping[str, object]) -> Iterator[Event]:
    """The budget, from the first of January; nothing for a row that was taken out. Raises `SourceChanged` or `RecordError`."""
    row = parse(Pagu, record)
    if row.nilai < 0:
        raise value_error("nilai", str(row.nilai), rule="out_of_range", allowed=">= 0")
    data = {**row.account(), "amount": row.nilai}
    if row.deleted_at is None:
        yield Event(BUDGET, row.place, datetime(row.tahun, 1, 1, tzinfo=LOCAL_ZONE), data)


def rak(record: Mapping[str, object]) -> Iterator[Event]:
    """The plan of the month; nothing for a row that was taken out. Raises `SourceChanged` or `RecordError`."""
    row = parse(Rak, record)
    data = {**row.account(), "amount": row.nilai_rak}
    if row.deleted_at is None:
        yield Event(CASH_PLAN, f"{row.place}/{row.bulan:02d}", datetime(row.tahun, row.bulan, 1, tzinfo=LOCAL_ZONE), data)
