"""Personal data at the door: what a mapping may use (`from bus.ingest.privacy import Nik, sealed, …`). See ADR 0023.

A mapping reads identifiers with the types of here, puts them into its events as they are, and never sees a pseudonym, a key or a raw text
of one; the core replaces them before anything is compared, kept, logged or sent.
"""

from __future__ import annotations

from bus.ingest.privacy.fields import BLANK, Dropped, Identifier, Nik, NoKk, PersonName, Phone
from bus.ingest.privacy.generalise import SEX, age_band, age_years, desa_of, sex, year_of
from bus.ingest.privacy.marks import sealed, subject_of

__all__ = [
    "BLANK",
    "SEX",
    "Dropped",
    "Identifier",
    "Nik",
    "NoKk",
    "PersonName",
    "Phone",
    "age_band",
    "age_years",
    "desa_of",
    "sealed",
    "sex",
    "subject_of",
    "year_of",
]
