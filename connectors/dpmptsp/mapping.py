"""Status changes of licences in OSS-RBA: each is a step of its licence's clock, and those that decide are a decision too. Pure.

The status codes are OSS-RBA's own ("kode status izin", Lampiran 10) and stand in lookups.toml with their names; the licence types with
their standards are a table of the agency's (standar_izin.csv), whose rows say whether they were verified.
"""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict

from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text
from bus.ingest.privacy import BLANK, Dropped, Identifier, subject_of
from bus.ingest.record import parse, value_error

MOVED = "dpmptsp.permit.moved.v1"
DECIDED = "dpmptsp.permit.decided.v1"

_FOLDER = Path(__file__).parent
_LOOKUPS: Mapping[str, Any] = tomllib.loads((_FOLDER / "lookups.toml").read_text(encoding="utf-8"))
_STATUS: Mapping[str, str] = _LOOKUPS["status"]
_OUTCOME: Mapping[str, str] = _LOOKUPS["outcome"]
_AGENCIES: Mapping[str, str] = _LOOKUPS["agencies"]


def _standards() -> dict[str, int | None]:
    """Working days that each licence type may take; None where no standard is known."""
    with (_FOLDER / "standar_izin.csv").open(encoding="utf-8", newline="") as file:
        return {row["kd_izin"]: int(row["hari_kerja"]) if row["hari_kerja"] else None for row in csv.DictReader(file)}


STANDARDS = _standards()


class PermitId(Identifier):
    """OSS's number of a licence. It is long and made of digits, leads to its owner, and is kept as a pseudonym only."""

    __slots__ = ()
    kind = "id_izin"
    allowed = "I-<angka/digits>"

    @classmethod
    def normal(cls, text: str) -> str | None:
        found = super().normal(text)
        return found if found is not None and found.startswith("I-") and found[2:].isdigit() else None


class StatusChange(BaseModel):
    """A status change as OSS-RBA has it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nib: Dropped
    id_produk: Dropped
    id_proyek: Dropped
    oss_id: Dropped
    id_izin: PermitId
    kd_izin: Text
    kd_instansi: Text
    kd_status: Text
    tgl_status: Moment
    nip_status: Annotated[Dropped, BLANK]
    nama_status: Annotated[Dropped, BLANK]
    keterangan: Annotated[Dropped, BLANK]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The step, and the decision where it is one. Raises `SourceChanged` or `RecordError`."""
    row = parse(StatusChange, record)
    for field, code, known in (
        ("kd_status", row.kd_status, _STATUS),
        ("kd_izin", row.kd_izin, STANDARDS),
        ("kd_instansi", row.kd_instansi, _AGENCIES),
    ):
        if code not in known:
            raise value_error(field, code, rule="unknown_value", allowed=", ".join(known))
    permit = subject_of(row.id_izin)
    common = {"permit_type": row.kd_izin, "agency": _AGENCIES[row.kd_instansi]}
    yield Event(MOVED, permit, row.tgl_status, {**common, "status": row.kd_status, "standard_days": STANDARDS[row.kd_izin]})
    if row.kd_status in _OUTCOME:
        yield Event(DECIDED, permit, row.tgl_status, {**common, "outcome": _OUTCOME[row.kd_status]})
