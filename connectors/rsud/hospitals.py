"""The hospitals of lookups.toml. Pure."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from pathlib import Path

from bus.ingest.record import value_error

_HOSPITALS: Mapping[str, Mapping[str, str]] = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))[
    "hospitals"
]


def place_of(code: str) -> str:
    """The kecamatan of a hospital. Raises `SourceChanged` for one that lookups.toml does not have."""
    known = _HOSPITALS.get(code)
    if known is None:
        raise value_error("kode_rs", code, rule="unknown_value", allowed=", ".join(_HOSPITALS))
    return known["kode_wilayah"]
