"""The public answer to a feedback, by the producing agency or the PPID for it. Pure. An answer that names a person is refused."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text
from bus.ingest.record import parse, value_error
from connectors.ppid.feedback import MOVED, About, Kind, Number, agency_of, refuse_personal

ANSWERED = "ppid.feedback.answered.v1"


class Answer(BaseModel):
    """One answer. `waktu`: when it was first answered, also where the answer is mended later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nomor: Number
    tentang: About
    jenis: Kind
    diterima: Moment
    waktu: Moment
    hasil: Literal["DIPERBAIKI", "DIJELASKAN", "TIDAK_DITERIMA"]
    jawaban: Annotated[Text, Field(min_length=10, max_length=1_000, json_schema_extra={"pii": "quasi"})]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The answer, and that there is one. Raises `SourceChanged` or `RecordError`."""
    row = parse(Answer, record)
    refuse_personal("jawaban", row.jawaban)
    if row.waktu < row.diterima:
        raise value_error("waktu", row.waktu.isoformat(), rule="out_of_range", allowed=">= diterima")
    common = {"number": row.nomor, "about": row.tentang, "agency": agency_of(row.tentang), "kind": row.jenis, "received_at": row.diterima}
    yield Event(ANSWERED, row.nomor, row.waktu, {**common, "outcome": row.hasil, "answer": row.jawaban})
    yield Event(MOVED, f"{row.nomor}/DIJAWAB", row.waktu, {**common, "status": "DIJAWAB"})
