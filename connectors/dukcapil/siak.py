"""Rows as SIAK's views give them (`views.sql`), one model each."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from bus.ingest.forms import Day, Moment, Text, Whole
from bus.ingest.privacy import BLANK, Nik

#: A day of a person's life: quasi, so that an error shows its shape only.
LifeDay = Annotated[Day, Field(json_schema_extra={"pii": "quasi"})]


class Registered(BaseModel):
    """What every row has: where, whether it was cancelled, and when it last changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    no_kec: Whole
    no_kel: Whole
    batal: Annotated[Whole, Field(ge=0, le=1)]
    diubah: Moment


class OfPerson(Registered):
    """A row about one person."""

    nik: Annotated[Nik | None, BLANK]
    jenis_klmin: Annotated[Whole, Field(ge=1, le=2, json_schema_extra={"pii": "quasi"})]


class Birth(OfPerson):
    """CAPIL_LAHIR."""

    bayi_no: Whole
    tgl_lahir: LifeDay
    plpr_tgl_lapor: Day


class Death(OfPerson):
    """CAPIL_MATI."""

    mati_no: Whole
    tgl_mati: LifeDay
    plpr_tgl_lapor: Day


class Move(OfPerson):
    """A row about one person of a move."""

    klasifikasi: Whole
    created_date: Day


class Arrival(Move):
    """DATANG_HEADER and its persons."""

    datang_no: Text
    tgl_datang: LifeDay


class Departure(Move):
    """PINDAH_HEADER and its persons."""

    pindah_no: Text
    tgl_pindah: LifeDay


class Marriage(Registered):
    """CAPIL_KAWIN."""

    kawin_no: Whole
    tgl_kawin: LifeDay
    kawin_tgl_lapor: Day


class Divorce(Registered):
    """CAPIL_CERAI."""

    cerai_no: Whole
    tgl_cerai: LifeDay
    cerai_tgl_lapor: Day
