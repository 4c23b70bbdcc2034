"""How MCD names an RT and a month: `kode desa` of Kemendagri with RW and RT, and YYYY-MM. Pure."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated

from pydantic import Field

from bus.clock import LOCAL_ZONE
from bus.ingest.forms import Whole
from bus.ingest.privacy import desa_of
from bus.ingest.record import value_error

#: The number of an RW or RT, with zeros before it or without.
Number = Annotated[Whole, Field(ge=1, le=999)]

_MONTH = re.compile(r"(20[0-9]{2})-(0[1-9]|1[0-2])", re.ASCII)


def rt_code(desa: str, rw: int, rt: int) -> str:
    """PP.KK.CC.DDDD.RW3.RT3. Raises `RecordError` when the first part is no desa; whether it exists the region table says."""
    return f"{desa_of(desa, field='kode_desa')}.{rw:03d}.{rt:03d}"


def month_begin(text: str) -> datetime:
    """The beginning of a month in Asia/Jakarta. Raises `RecordError`."""
    found = _MONTH.fullmatch(text)
    if found is None:
        raise value_error("bulan", text, rule="invalid_value", allowed="YYYY-MM")
    return datetime(int(found[1]), int(found[2]), 1, tzinfo=LOCAL_ZONE)
