"""A made-up clinic whose records are full of what must not leave it: as its key, in what it refuses, in free text."""

from __future__ import annotations

import json
from pathlib import Path

from bus.settings import ROOT

MANIFEST = """
id = "klinik"
title = "Klinik"
owner = "Klinik rekaan"
summary = "Sebuah klinik rekaan yang catatannya penuh data pribadi. A made-up clinic whose records are full of personal data."
settings = ["folder", "base_url"]
[events."klinik.visit.recorded.v1"]
access = "restricted"
[sources.visits]
kind = "table"
key = ["nik", "tanggal"]
header = { nik = ["nik"], tanggal = ["tanggal"], kk = ["kk"], nama = ["nama"], hp = ["hp"], alamat = ["alamat"], catatan = ["catatan"], jk = ["jk"] }
[sources.posted]
type = "http"
path = "/visits"
key = ["nik", "tanggal"]
"""

MAPPING = """
from datetime import date, datetime, time
from typing import Annotated
from pydantic import BaseModel, ConfigDict, Field
from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.privacy import BLANK, Nik, NoKk, PersonName, Phone, sealed, sex, subject_of
from bus.ingest.record import parse

class Visit(BaseModel):
    model_config = ConfigDict(extra="forbid")
    nik: Nik
    tanggal: date
    kk: Annotated[NoKk | None, BLANK]
    nama: PersonName
    hp: Annotated[Phone | None, BLANK]
    alamat: Annotated[str, Field(json_schema_extra={"pii": "quasi"})]
    catatan: str
    jk: str

def to_events(record):
    row = parse(Visit, record)
    data = {
        "person": row.nik, "family": row.kk, "name": row.nama, "phone": row.hp, "address": sealed(row.alamat), "note": row.catatan,
        "sex": sex(row.jk, field="jk"),
    }
    yield Event("klinik.visit.recorded.v1", subject_of(row.nik, row.tanggal), datetime.combine(row.tanggal, time(), LOCAL_ZONE), data)
"""

FIELDS: list[dict[str, object]] = [
    {"name": "person", "type": "string", "pii": "direct", "doc": "Pseudonym of the NIK."},
    {"name": "family", "type": ["null", "string"], "default": None, "pii": "direct", "doc": "Pseudonym of the No. KK."},
    {"name": "name", "type": "string", "pii": "direct", "doc": "Pseudonym of the name."},
    {"name": "phone", "type": ["null", "string"], "default": None, "pii": "direct", "doc": "Pseudonym of the telephone number."},
    {"name": "address", "type": ["null", "string"], "default": None, "pii": "quasi", "sealed": True, "doc": "Address."},
    {"name": "note", "type": "string", "doc": "Free text."},
    {"name": "sex", "type": "string", "pii": "quasi", "generalised": "as it is", "doc": "L or P."},
]

INDICATOR = """
id = "klinik.persons"
title = { id = "Pasien", en = "Patients" }
event = "klinik.visit.recorded.v1"
measure = { kind = "distinct", of = "person" }
by = ["sex"]
window = "1mo"
unit = "orang"
[publish]
class = "dikecualikan"
"""


def clinic(base: Path) -> tuple[Path, Path]:
    """Its connectors folder and its schemas folder."""
    folder, schemas = base / "overlay" / "connectors" / "klinik", base / "overlay" / "schemas"
    folder.mkdir(parents=True)
    (folder / "agency.toml").write_text(MANIFEST)
    (folder / "mapping.py").write_text(MAPPING)
    template = json.loads((ROOT / "schemas/events/dlh/air_quality.recorded.v1.avsc").read_text())
    template["namespace"] = "klinik.visit.recorded"
    template["fields"] = [*template["fields"][:7], *FIELDS]
    path = schemas / "events" / "klinik" / "visit.recorded.v1.avsc"
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps(template))
    (schemas / "indicators").mkdir()
    (schemas / "indicators" / "klinik.persons.toml").write_text(INDICATOR)
    return folder.parent, schemas
