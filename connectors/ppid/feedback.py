"""What somebody said about a dataset or a page of the board, as the portal's form sends it. Pure.

The form asks for nobody's name and refuses numbers and addresses of persons; here they are refused once more, for whoever sends otherwise. The
text is sealed. Whose dataset it is follows from its id, not from what the sender says.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.errors import RecordError
from bus.events.envelope import Event
from bus.events.free_text import personal_in
from bus.ingest.forms import Moment
from bus.ingest.messages import shape_of
from bus.ingest.privacy import sealed
from bus.ingest.record import parse

RECEIVED = "ppid.feedback.received.v1"
MOVED = "ppid.feedback.moved.v1"

#: The number on the receipt: consonants only, so that it looks like nobody's number and spells nothing.
Number = Annotated[str, Field(pattern=r"^M(-[B-DF-HJ-NP-TV-XZ]{4}){3}$")]
#: An indicator's id; its dataset has the same.
About = Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9][a-z0-9_]*)+$", max_length=100)]
Kind = Literal["KESALAHAN", "SARAN", "PERTANYAAN"]


class Feedback(BaseModel):
    """One letter."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    nomor: Number
    waktu: Moment
    tentang: About
    jenis: Kind
    isi: Annotated[str, Field(min_length=10, max_length=2_000, repr=False, json_schema_extra={"pii": "quasi"})]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The letter, and that it came. Raises `SourceChanged` or `RecordError`; a text with a person's number or address in it is an error."""
    row = parse(Feedback, record)
    refuse_personal("isi", row.isi)
    common = {"about": row.tentang, "agency": agency_of(row.tentang), "kind": row.jenis}
    yield Event(RECEIVED, row.nomor, row.waktu, {**common, "text": sealed(row.isi)})
    moved = {"number": row.nomor, **common, "status": "MASUK", "received_at": row.waktu}
    yield Event(MOVED, f"{row.nomor}/MASUK", row.waktu, moved)


def agency_of(about: str) -> str:
    """The producing agency of a dataset, as the other agencies' tables write it."""
    return about.partition(".")[0].upper()


def refuse_personal(field: str, text: str) -> None:
    """Raises `RecordError`, without the value, when a number or address of a person stands in the text."""
    if found := personal_in(text):
        allowed = "teks tanpa NIK, nomor telepon dan alamat surel/a text without NIK, telephone number and e-mail address"
        rule = found if found in ("nik", "phone") else "invalid_value"
        raise RecordError(f"{field}: holds personal data", field=field, rule=rule, received=shape_of(text[:200]), allowed=allowed)
