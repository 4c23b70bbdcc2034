"""The register of residents of SIAK: who lives where, and who does no more. Pure. Region down to the RT, because RTs are compared with it."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.code_table import CodeTable
from bus.ingest.forms import Moment, Whole
from bus.ingest.privacy import Nik, NoKk, sex, subject_of
from bus.ingest.record import parse, value_error

EVENT_TYPE = "dukcapil.person.registered.v1"

_FOLDER = Path(__file__).parent
_REGIONS = CodeTable.load(_FOLDER / "kode_wilayah.csv")
_STATUS: Mapping[str, str] = tomllib.loads((_FOLDER / "lookups.toml").read_text(encoding="utf-8"))["status"]


class Biodata(BaseModel):
    """BIODATA_WNI and DATA_KELUARGA."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nik: Nik
    no_kk: NoKk
    jenis_klmin: Annotated[Whole, Field(ge=1, le=2, json_schema_extra={"pii": "quasi"})]
    flag_status: Whole
    no_kec: Whole
    no_kel: Whole
    no_rw: Annotated[Whole, Field(ge=0, le=999)]
    no_rt: Annotated[Whole, Field(ge=0, le=999)]
    diubah: Moment


def biodata(record: Mapping[str, object]) -> Iterator[Event]:
    """How a person stands in the register since `diubah`. Raises `SourceChanged` or `RecordError`."""
    row = parse(Biodata, record)
    status = _STATUS.get(str(row.flag_status))
    if status is None:
        raise value_error("flag_status", str(row.flag_status), rule="unknown_value", allowed=", ".join(_STATUS))
    desa = _REGIONS.code(f"{row.no_kec}/{row.no_kel}", row.diubah, field="no_kel")
    data = {
        "household": row.no_kk,
        "sex": sex(row.jenis_klmin, field="jenis_klmin"),
        "status": status,
        "kode_wilayah": f"{desa}.{row.no_rw:03d}.{row.no_rt:03d}" if row.no_rw and row.no_rt else desa,
    }
    yield Event(EVENT_TYPE, subject_of(row.nik), row.diubah, data)
