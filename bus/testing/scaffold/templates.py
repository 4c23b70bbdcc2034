"""The texts of a new agency. Each `@name@` is filled in; the example is a counter where people are served."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

MANIFEST = """id = "@agency@"
title = { id = "@Agency@", en = "@Agency@" }
owner = "nama bidang yang bertanggung jawab"
summary = "Layanan yang selesai di loket, satu catatan setiap layanan. Services completed at the counter, one record each."
settings = @settings@

[events."@agency@.service.completed.v1"]
key = "subject"
access = "internal"

@source@
"""

MAPPING = '''"""Services completed at the counter of @Agency@. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date, datetime, time
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.privacy import Nik, age_band, desa_of
from bus.ingest.record import parse

EVENT_TYPE = "@agency@.service.completed.v1"
AGES = (0, 18, 60)


class Service(BaseModel):
    """One record, by the source's own names. What is not named here is refused, so that a change of the source is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nomor: Annotated[str, Field(pattern=r"^L[0-9]{4,}$")]
    tanggal: date
    layanan: Literal["KTP", "KK", "AKTA"]
    kode_desa: str
    nik: Nik
    tanggal_lahir: Annotated[date, Field(json_schema_extra={"pii": "quasi"})]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The one fact of a record. The NIK leaves as a pseudonym only: the core replaces it after this function."""
    row = parse(Service, record)
    data = {
        "service": row.layanan,
        "village": desa_of(row.kode_desa, field="kode_desa"),
        "age": age_band(row.tanggal_lahir, row.tanggal, AGES, field="tanggal_lahir"),
        "person": row.nik,
    }
    yield Event(EVENT_TYPE, row.nomor, datetime.combine(row.tanggal, time(), LOCAL_ZONE), data)
'''

#: NIK of province 00 cannot exist. The last record is refused: its service is not in the list.
_RECORDS: list[tuple[str, ...]] = [
    ("L0001", "2026-01-05", "KTP", "33.09.01.2001", "0009010503990001", "1999-03-05"),
    ("L0002", "2026-01-05", "KK", "33.09.01.2002", "0009014612580002", "1958-12-06"),
    ("L0003", "2026-01-06", "KTP", "33.09.01.2001", "0009011707120003", "2012-07-17"),
    ("L0004", "2026-01-06", "PASPOR", "33.09.01.2001", "0009010503990001", "1999-03-05"),
]
_FIELDS = ("nomor", "tanggal", "layanan", "kode_desa", "nik", "tanggal_lahir")
CSV = "".join(",".join(line) + "\n" for line in (_FIELDS, *_RECORDS))
JSON_LINES = "".join(json.dumps(dict(zip(_FIELDS, record, strict=True))) + "\n" for record in _RECORDS)


def envelope_fields() -> list[dict[str, object]]:
    """The fields that every event schema begins with."""
    texts = {
        "source": ("string", "The stream of publication: <agency>/<source id>, with #<place> for a record replayed from quarantine."),
        "sequence": ("long", "Position in `source`: strictly increasing, so that a repeat is known for one."),
        "version": ("long", "Order of the states of one subject: the highest wins, whenever it arrives."),
        "subject": ("string", "Identity of the fact within this type; also the partition key."),
        "occurred_at": ({"type": "long", "logicalType": "timestamp-micros"}, "When the fact happened (UTC), not when it was reported."),
    }
    op = {"type": "enum", "name": "Op", "symbols": ["CREATE", "CORRECT", "CANCEL"], "default": "CREATE"}
    fields: list[dict[str, object]] = [{"name": name, "type": kind, "doc": doc} for name, (kind, doc) in texts.items()]
    fields.append({"name": "op", "type": op, "default": "CREATE", "doc": "What the event does to its subject's state."})
    fields.append({"name": "batch", "type": "string", "doc": "The delivery that brought the event, which is withdrawn as a whole."})
    return fields


_PAYLOAD: list[dict[str, object]] = [
    {"name": "service", "type": "string", "doc": "KTP, KK or AKTA."},
    {"name": "village", "type": "string", "doc": "Code of the desa where the person lives, as the counter wrote it: PP.KK.CC.DDDD."},
    {
        "name": "age", "type": "string", "doc": "Age on that day: 0-17, 18-59 or 60+.", "pii": "quasi", "class": "general",
        "generalised": "age band",
    },
    {"name": "person", "type": "string", "doc": "Who was served: pseudonym of the NIK.", "pii": "direct", "class": "general"},
]  # fmt: skip
SCHEMA = (
    json.dumps(
        {
            "type": "record",
            "name": "v1",
            "namespace": "@agency@.service.completed",
            "correctable": True,
            "doc": "A service was completed at the counter. Subject: its number; occurred_at: local midnight (Asia/Jakarta) of its day.",
            "fields": [*envelope_fields(), *_PAYLOAD],
        },
        indent=2,
    )
    + "\n"
)

INDICATOR = """id = "@agency@.services_month"
title = { id = "Layanan selesai per bulan", en = "Services completed per month" }
event = "@agency@.service.completed.v1"
measure = { kind = "count" }
by = ["service", "age"]
window = "1mo"
unit = "layanan"

[publish]
class = "dikecualikan"     # until it was decided how the public may see it
basis = "UU 14/2008 Pasal 17 huruf h"   # the law that it rests on, as the uji konsekuensi says
until = 2031-12-31         # and when its period ends

[[examples]]
about = "Two of one kind in January; a third person's in February is another row."
events = [
  { subject = "L1", occurred_at = 2026-01-05T00:00:00, data = { service = "KTP", age = "18-59", village = "33.09.01.2001" } },
  { subject = "L2", occurred_at = 2026-01-06T00:00:00, data = { service = "KTP", age = "18-59", village = "33.09.01.2002" } },
  { subject = "L3", occurred_at = 2026-02-02T00:00:00, data = { service = "KTP", age = "60+", village = "33.09.01.2001" } },
]
rows = [
  { window_start = 2026-01-01, service = "KTP", age = "18-59", n = 2 },
  { window_start = 2026-02-01, service = "KTP", age = "60+", n = 1 },
]
"""


@dataclass(frozen=True, slots=True)
class SourceText:
    """The [sources.layanan] of one kind, and the settings that it needs."""

    manifest: str
    settings: tuple[str, ...]


SOURCES: Mapping[str, SourceText] = {
    "files": SourceText(
        """
# Files with a header line, put into the folder of the setting; a file adds to those before it.
[sources.layanan]
type = "files"
kind = "append"
key = ["nomor"]
patterns = ["*.csv"]

[sources.layanan.header]
nomor = ["no", "nomor layanan"]
tanggal = ["tgl"]
layanan = ["jenis layanan"]
kode_desa = ["kode wilayah"]
nik = ["no. nik"]
tanggal_lahir = ["tgl lahir"]
""",
        ("folder",),
    ),
    "sql": SourceText(
        """
# An outbox table that the agency's system fills.
[sources.layanan]
type = "sql"
mode = "outbox"
key = ["nomor"]
""",
        ("url",),
    ),
    "postgres-cdc": SourceText(
        """
# Every committed change of a PostgreSQL table of the agency's own system; what opens it to us: bus ddl postgres-cdc --table public.layanan
[sources.layanan]
type = "postgres-cdc"
tables = ["public.layanan"]
key = ["nomor"]
""",
        ("url",),
    ),
    "http": SourceText(
        """
# A REST interface that is asked again and again.
[sources.layanan]
type = "http"
path = "/layanan"
key = ["nomor"]
""",
        ("base_url",),
    ),
    "webhook": SourceText(
        """
# Records that the agency's system posts to the ingress.
[sources.layanan]
type = "webhook"
key = ["nomor"]
""",
        ("webhook_key",),
    ),
    "mqtt": SourceText(
        """
# Messages from an MQTT broker.
[sources.layanan]
type = "mqtt"
topics = ["@agency@/layanan"]
key = ["nomor"]
""",
        ("mqtt_url",),
    ),
}
