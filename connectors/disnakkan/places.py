"""Cooperatives and kecamatan as the livestock agency writes them. Pure."""

from __future__ import annotations

import tomllib
from datetime import datetime
from pathlib import Path
from typing import Any

from bus.ingest.code_table import CodeTable
from bus.ingest.record import value_error

_FOLDER = Path(__file__).parent
LOOKUPS: dict[str, Any] = tomllib.loads((_FOLDER / "lookups.toml").read_text(encoding="utf-8"))
_KECAMATAN = CodeTable.load(_FOLDER / "kode_kecamatan.csv")


def kud_of(text: str, *, field: str) -> str:
    """The cooperative as lookups.toml spells it. Raises `SourceChanged` for another."""
    name = " ".join(text.upper().split())
    if name not in LOOKUPS["kud"]:
        raise value_error(field, text, rule="unknown_value", allowed=", ".join(LOOKUPS["kud"]))
    return name


def kecamatan_of(text: str, at: datetime, *, field: str) -> str:
    """The kecamatan of that name. Raises `SourceChanged` for one that the table does not have."""
    return _KECAMATAN.code(" ".join(text.upper().split()), at, field=field)
