"""A visit to a puskesmas, as an application reports it: FHIR Encounter. Pure. Neither name nor diagnosis is kept; who came is a pseudonym."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from bus.events.envelope import Event
from bus.ingest.forms import Moment, Text
from bus.ingest.privacy import BLANK, Identifier, PersonName
from bus.ingest.record import parse, value_error
from connectors.dinkes.places import puskesmas_of

EVENT_TYPE = "dinkes.visit.changed.v1"
_CLASSES: Mapping[str, str] = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))["visit_class"]
Status = Literal["planned", "arrived", "triaged", "in-progress", "onleave", "finished", "cancelled", "entered-in-error"]


class PatientReference(Identifier):
    """`Patient/<number of SATUSEHAT>`."""

    __slots__ = ()
    kind = "satusehat"
    allowed = "Patient/<nomor IHS/IHS number>"

    @classmethod
    def normal(cls, text: str) -> str | None:
        found = super().normal(text)
        return found if found is not None and found.startswith("PATIENT/") and found[8:].isalnum() else None


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Coding(_Part):
    """What kind of visit it is."""

    code: Text


class Subject(_Part):
    """Who came. The name is checked, and goes no further."""

    reference: PatientReference
    display: Annotated[PersonName | None, BLANK]


class Period(_Part):
    """From when to when."""

    start: Moment
    end: Moment | None


class Provider(_Part):
    """Which puskesmas it is, by its name."""

    display: Text


class Encounter(_Part):
    """The resource."""

    resource_type: Annotated[Literal["Encounter"], Field(alias="resourceType")]
    id: Annotated[str, Field(pattern=r"^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$")]
    status: Status
    kind: Annotated[Coding, Field(alias="class")]
    subject: Subject
    period: Period
    provider: Annotated[Provider, Field(alias="serviceProvider")]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The visit as it stands; nothing for one that was entered in error. Raises `SourceChanged` or `RecordError`."""
    row = parse(Encounter, record)
    visit_class = _CLASSES.get(row.kind.code)
    if visit_class is None:
        raise value_error("class.code", row.kind.code, rule="unknown_value", allowed=", ".join(_CLASSES))
    if row.period.end is not None and row.period.end < row.period.start:
        raise value_error("period.end", row.period.end.isoformat(), rule="out_of_range", allowed=">= period.start")
    puskesmas, place = puskesmas_of(row.provider.display, row.period.start, field="serviceProvider.display")
    data = {
        "patient": row.subject.reference, "puskesmas": puskesmas, "visit_class": visit_class, "status": row.status,
        "ended_at": row.period.end, "kode_wilayah": place,
    }  # fmt: skip
    if row.status != "entered-in-error":
        yield Event(EVENT_TYPE, row.id, row.period.start, data)
