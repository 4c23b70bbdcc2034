"""Puskesmas and desa as health applications name them. Pure. Names occur in several kecamatan, so a desa is looked up with its own."""

from __future__ import annotations

import re
from datetime import datetime
from pathlib import Path

from bus.ingest.code_table import CodeTable

_PUSKESMAS = CodeTable.load(Path(__file__).with_name("kode_puskesmas.csv"))
_DESA = CodeTable.load(Path(__file__).with_name("kode_desa.csv"))
_PREFIX = re.compile(r"^((UPT|UPTD|BLUD) )*(PUSKESMAS|PKM) ")


def puskesmas_of(text: str, at: datetime, *, field: str) -> tuple[str, str]:
    """Name without "Puskesmas" before it, and kecamatan. Raises `SourceChanged` for one that the table does not have."""
    name = _PREFIX.sub("", " ".join(text.upper().split()))
    return name, _PUSKESMAS.code(name, at, field=field)


def desa_code(kecamatan: str, desa: str, at: datetime, *, field: str) -> str:
    """The desa of that name in that kecamatan. Raises `SourceChanged` for names that the table does not have."""
    return _DESA.code("/".join(" ".join(name.upper().split()) for name in (kecamatan, desa)), at, field=field)
