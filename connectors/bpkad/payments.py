"""Payment orders (SP2D): issued, disbursed, cancelled. Pure. Payees and their bank accounts are not read.

An SP2D is disbursed when the bank has transferred it; one that was cancelled (`deleted_at`) comes to nothing, so that what was said of it is
taken back from the day on which it was said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime, time
from typing import Annotated, Literal

from pydantic import Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Day, Whole
from bus.ingest.privacy import BLANK
from bus.ingest.record import parse, value_error
from connectors.bpkad.accounts import Amount, Line

ISSUED = "bpkad.payment.issued.v1"
DISBURSED = "bpkad.payment.disbursed.v1"
Flag = Annotated[Whole, Field(ge=0, le=1)]


class Payment(Line):
    """What an SP2D pays for one sub kegiatan."""

    id_sp_2_d_detail: Whole
    tanggal_sp_2_d: Day
    jenis_sp_2_d: Literal["UP", "GU", "TU", "LS"]
    jenis_ls_sp_2_d: Annotated[Literal["GAJI", "BARANG DAN JASA", "PIHAK KETIGA", "LAINNYA"] | None, BLANK]
    is_verifikasi_sp_2_d: Flag
    is_transfer_sp_2_d: Flag
    tanggal_transfer: Annotated[Day | None, BLANK]
    nilai_sp_2_d: Amount


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """Issued, and disbursed once it is; nothing of a cancelled one. Raises `SourceChanged` or `RecordError`."""
    row = parse(Payment, record)
    if row.nilai_sp_2_d < 0:
        raise value_error("nilai_sp_2_d", str(row.nilai_sp_2_d), rule="out_of_range", allowed=">= 0")
    if bool(row.is_transfer_sp_2_d) != (row.tanggal_transfer is not None):
        raise value_error(
            "is_transfer_sp_2_d",
            str(row.is_transfer_sp_2_d),
            rule="invalid_value",
            allowed="1 bila dan hanya bila ada tanggal_transfer/1 if and only if there is tanggal_transfer",
        )
    if row.tanggal_transfer is not None and row.tanggal_transfer < row.tanggal_sp_2_d:
        raise value_error("tanggal_transfer", str(row.tanggal_transfer), rule="out_of_range", allowed=">= tanggal_sp_2_d")
    data = {**row.account(), "payment_kind": row.jenis_sp_2_d, "direct_kind": row.jenis_ls_sp_2_d, "amount": row.nilai_sp_2_d}
    if row.deleted_at is not None:
        return
    subject = f"{row.tahun}/{row.id_sp_2_d_detail}"
    yield Event(ISSUED, subject, datetime.combine(row.tanggal_sp_2_d, time(), LOCAL_ZONE), data)
    if row.tanggal_transfer is not None:
        yield Event(DISBURSED, subject, datetime.combine(row.tanggal_transfer, time(), LOCAL_ZONE), data)
