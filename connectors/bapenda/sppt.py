"""Land and building tax (PBB-P2): what was assessed (SPPT) and what was paid of it. Pure.

The number of a tax object (NOP) leads to its owner, and what an owner pays is financial data: it leaves as a pseudonym only. The kecamatan and
kelurahan of SISMIOP are numbers of its own (kode_pbb.csv), neither Kemendagri's nor BPS's.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.code_table import CodeTable
from bus.ingest.forms import Day, LocalNumber, Moment, Whole
from bus.ingest.privacy import Identifier, subject_of
from bus.ingest.record import parse, value_error

ISSUED = "bapenda.sppt.issued.v1"
PAID = "bapenda.sppt.paid.v1"

_FOLDER = Path(__file__).parent
_REGIONS = CodeTable.load(_FOLDER / "kode_pbb.csv")
_LOOKUPS: Mapping[str, Any] = tomllib.loads((_FOLDER / "lookups.toml").read_text(encoding="utf-8"))
_STATUS: Mapping[str, str] = _LOOKUPS["status"]
_CENT = Decimal("0.01")


class Nop(Identifier):
    """The number of a tax object: province 2, regency 2, kecamatan 3, kelurahan 3, block 3, number 4, kind 1; dots and dashes do not matter."""

    __slots__ = ()
    kind = "nop"
    allowed = "NOP 18 angka/digits"

    @classmethod
    def normal(cls, text: str) -> str | None:
        digits = re.sub(r"[\s.\-]", "", text)
        return digits if re.fullmatch(r"[0-9]{18}", digits, re.ASCII) else None


def _rupiah(value: Decimal) -> Decimal:
    if value < 0 or value != value.quantize(_CENT):
        raise PydanticCustomError("form", "rupiah, >= 0, paling banyak dua desimal/at most two decimals")
    return value.quantize(_CENT)


#: What somebody owes or pays: an error shows its shape only.
Rupiah = Annotated[LocalNumber, AfterValidator(_rupiah), Field(json_schema_extra={"pii": "quasi"})]
Code = Annotated[str, Field(pattern=r"^[0-9]{3}$")]


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    nop: Nop
    kd_kecamatan: Code
    kd_kelurahan: Code
    thn_pajak_sppt: Annotated[Whole, Field(ge=1994, le=2100)]
    diubah: Moment


class Sppt(_Row):
    """SPPT: the tax of an object for a year."""

    pbb_yg_harus_dibayar_sppt: Rupiah
    tgl_terbit_sppt: Day
    tgl_jatuh_tempo_sppt: Day
    status_pembayaran_sppt: str


class Payment(_Row):
    """PEMBAYARAN_SPPT: one payment of it."""

    pembayaran_sppt_ke: Annotated[Whole, Field(ge=1, le=999)]
    tgl_pembayaran_sppt: Day
    jml_sppt_yg_dibayar: Rupiah
    denda_sppt: Rupiah
    batal: Annotated[Whole, Field(ge=0, le=1)]


def ketetapan(record: Mapping[str, object]) -> Iterator[Event]:
    """The assessment; nothing for one that was cancelled. Raises `SourceChanged` or `RecordError`."""
    row = parse(Sppt, record)
    issued = _midnight(row.tgl_terbit_sppt)
    status = _STATUS.get(row.status_pembayaran_sppt)
    if status is None:
        raise value_error("status_pembayaran_sppt", row.status_pembayaran_sppt, rule="unknown_value", allowed=", ".join(_STATUS))
    if row.tgl_jatuh_tempo_sppt < row.tgl_terbit_sppt:
        raise value_error("tgl_jatuh_tempo_sppt", str(row.tgl_jatuh_tempo_sppt), rule="out_of_range", allowed=">= tgl_terbit_sppt")
    data = {
        "assessment_year": str(row.thn_pajak_sppt),
        "assessed_amount": row.pbb_yg_harus_dibayar_sppt,
        "kode_wilayah": _region(row, issued),
    }
    if status != "BATAL":
        yield Event(ISSUED, subject_of(row.nop, row.thn_pajak_sppt), issued, data)


def pembayaran(record: Mapping[str, object]) -> Iterator[Event]:
    """The payment, principal and penalty apart; nothing for one that was cancelled. Raises `SourceChanged` or `RecordError`."""
    row = parse(Payment, record)
    paid_at = _midnight(row.tgl_pembayaran_sppt)
    principal = row.jml_sppt_yg_dibayar - (row.denda_sppt if _LOOKUPS["paid_includes_penalty"] else 0)
    if principal < 0:
        raise value_error("jml_sppt_yg_dibayar", "", rule="out_of_range", allowed=">= denda_sppt")
    data = {
        "assessment_year": str(row.thn_pajak_sppt), "principal_amount": principal, "penalty_amount": row.denda_sppt,
        "arrears": row.tgl_pembayaran_sppt.year > row.thn_pajak_sppt, "kode_wilayah": _region(row, paid_at),
    }  # fmt: skip
    if not row.batal:
        yield Event(PAID, subject_of(row.nop, row.thn_pajak_sppt, row.pembayaran_sppt_ke), paid_at, data)


def _region(row: _Row, at: datetime) -> str:
    return _REGIONS.code(f"{row.kd_kecamatan}/{row.kd_kelurahan}", at, field="kd_kelurahan")


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), LOCAL_ZONE)
