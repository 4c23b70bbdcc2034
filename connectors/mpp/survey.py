"""Answers of the satisfaction survey (SKM, PermenPANRB 14/2017): nine elements from 1 to 4, by their names. Pure.

Sources number the elements differently (complaints and facilities change places), so that here only names count. Who answered is not read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text, Whole
from bus.ingest.privacy import BLANK, Dropped
from bus.ingest.record import parse
from connectors.mpp.catalogue import check_service

EVENT_TYPE = "mpp.survey.answered.v1"
ELEMENTS = (
    "persyaratan", "prosedur", "waktu_penyelesaian", "kewajaran_tarif", "produk", "kompetensi_pelaksana", "perilaku_pelaksana",
    "penanganan_pengaduan", "sarana_prasarana",
)  # fmt: skip
#: Where an event calls an element otherwise than the form does.
_COLUMNS = {"kewajaran_tarif": "biaya"}
Score = Annotated[Whole, Field(ge=1, le=4)]


class Answers(BaseModel):
    """One questionnaire."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id_survei: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    waktu: Moment
    instansi: Text
    layanan: Text
    persyaratan: Score
    prosedur: Score
    waktu_penyelesaian: Score
    biaya: Score
    produk: Score
    kompetensi_pelaksana: Score
    perilaku_pelaksana: Score
    penanganan_pengaduan: Score
    sarana_prasarana: Score
    nama: Annotated[Dropped, BLANK]
    telepon: Annotated[Dropped, BLANK]
    saran: Annotated[Dropped, BLANK]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The nine scores. Raises `SourceChanged` or `RecordError`."""
    row = parse(Answers, record)
    check_service(row.instansi, row.layanan)
    data = {"tenant": row.instansi, "service": row.layanan, **{name: getattr(row, _COLUMNS.get(name, name)) for name in ELEMENTS}}
    yield Event(EVENT_TYPE, row.id_survei, row.waktu, data)
