"""Budgets as agencies uploaded them: title rows, then a header, then accounts and sums; each upload stands for itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from bus.events.envelope import Event


def to_events(record: Mapping[str, str]) -> Iterator[Event]:
    account = "".join(record["kode"].split()).strip(".")
    if not account:
        return  # a sum, or a note
    year = int(record["tahun"]) if record["tahun"].isdigit() else 2016
    data = {
        "account": account, "amount": record["nilai"], "region": record["daerah"], "year": record["tahun"],
        "organisation": record["kode_organisasi"],
    }  # fmt: skip
    yield Event("apbd.budget.recorded.v1", f"{record['kode_organisasi']}/{account}", datetime(year, 1, 1, tzinfo=UTC), data)
