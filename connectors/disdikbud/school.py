"""What every record of Dapodik says of a school, and who a pupil is. Pure. Dapodik has region codes of its own (kode_wilayah.csv)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from datetime import date, datetime, time
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.ingest.code_table import CodeTable
from bus.ingest.forms import Moment, Text, Whole
from bus.ingest.privacy import Identifier
from bus.ingest.record import value_error

_FOLDER = Path(__file__).parent
_REGIONS = CodeTable.load(_FOLDER / "kode_wilayah.csv")
_LOOKUPS: Mapping[str, Mapping[str, str]] = tomllib.loads((_FOLDER / "lookups.toml").read_text(encoding="utf-8"))
_UUID = re.compile(r"[0-9A-F]{8}(-[0-9A-F]{4}){3}-[0-9A-F]{12}", re.ASCII)

Level = Literal["TK", "SD", "SMP"]
Sex = Annotated[Literal["L", "P"], Field(json_schema_extra={"pii": "quasi"})]
Npsn = Annotated[str, Field(pattern=r"^[0-9P][0-9]{7}$")]


class PupilId(Identifier):
    """peserta_didik_id or registrasi_id, a UUID."""

    __slots__ = ()
    kind = "dapodik"
    allowed = "UUID"

    @classmethod
    def normal(cls, text: str) -> str | None:
        found = super().normal(text)
        return found if found is not None and _UUID.fullmatch(found) else None


class Nisn(Identifier):
    """A pupil's national number, ten digits."""

    __slots__ = ()
    kind = "nisn"
    allowed = "NISN: 10 angka/digits"

    @classmethod
    def normal(cls, text: str) -> str | None:
        return text if re.fullmatch(r"[0-9]{10}", text, re.ASCII) else None


class DapodikRow(BaseModel):
    """What all rows have. A row with soft_delete = 1 is taken back before any mapping sees it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    peserta_didik_id: PupilId
    npsn: Npsn
    bentuk_pendidikan: Level
    kode_wilayah: Text
    jenis_kelamin: Sex
    soft_delete: Annotated[Whole, Field(ge=0, le=0)]
    last_update: Moment


def region_of(code: str, at: datetime) -> str:
    """The kecamatan of Dapodik's code. Raises `SourceChanged` for one that the table does not have."""
    return _REGIONS.code(code, at, field="kode_wilayah")


def meaning_of(table: str, code: int, *, field: str) -> str:
    """What a code of lookups.toml means. Raises `SourceChanged`."""
    known = _LOOKUPS[table]
    if str(code) not in known:
        raise value_error(field, str(code), rule="unknown_value", allowed=", ".join(known))
    return known[str(code)]


def midnight(day: date) -> datetime:
    """The beginning of a day in Asia/Jakarta."""
    return datetime.combine(day, time(), LOCAL_ZONE)
