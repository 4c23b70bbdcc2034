"""The tenants and services of the mall, from its own tables: instansi.csv and layanan.csv. Each row says whether it was verified.

Of the 27 tenants ten kinds are known from the press; the rest, and all 186 services with their tenants and standards, are places to be filled
in: which service is whose is made up until then.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from pathlib import Path

from bus.ingest.record import value_error

_FOLDER = Path(__file__).parent


def _rows(name: str) -> list[dict[str, str]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


#: Code of each tenant -> its row.
TENANTS: Mapping[str, Mapping[str, str]] = {row["kode"]: row for row in _rows("instansi.csv")}
#: Code of each service -> its row.
SERVICES: Mapping[str, Mapping[str, str]] = {row["kode"]: row for row in _rows("layanan.csv")}


def check_service(tenant: str, service: str) -> None:
    """Raises `SourceChanged` for a tenant or service that is in no table, `RecordError` for a service of another tenant."""
    if tenant not in TENANTS:
        raise value_error("instansi", tenant, rule="unknown_value", allowed=", ".join(TENANTS))
    if service not in SERVICES:
        raise value_error("layanan", service, rule="unknown_value", allowed=f"layanan.csv: {len(SERVICES)} kode/codes")
    if SERVICES[service]["instansi"] != tenant:
        raise value_error("layanan", service, rule="invalid_value", allowed=f"layanan dari/a service of {tenant}")
