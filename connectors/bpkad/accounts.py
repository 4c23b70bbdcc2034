"""What the rows of SIPD-RI have in common: which part of whose budget it is, amounts in rupiah, and whether it was cancelled. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field
from pydantic_core import PydanticCustomError

from bus.ingest.forms import LocalNumber, Moment, Whole
from bus.ingest.privacy import BLANK
from bus.ingest.record import value_error

_SKPD = r"^\d\.\d{2}\.\d\.\d{2}\.\d\.\d{2}\.\d{2}\.\d{4}$"


def _rupiah(value: Decimal) -> Decimal:
    if value != value.quantize(Decimal("0.01")):
        raise PydanticCustomError("form", "paling banyak dua desimal/at most two decimals")
    return value.quantize(Decimal("0.01"))


#: Rupiah and sen.
Amount = Annotated[LocalNumber, AfterValidator(_rupiah)]


class Line(BaseModel):
    """A line of a sub kegiatan of an SKPD (perangkat daerah)."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tahun: Annotated[Whole, Field(ge=2015, le=2100)]
    kode_skpd: Annotated[str, Field(pattern=_SKPD)]
    kode_program: Annotated[str, Field(pattern=r"^\d\.\d{2}\.\d{2}$")]
    kode_giat: Annotated[str, Field(pattern=r"^\d\.\d{2}\.\d{2}\.\d\.\d{2}$")]
    kode_sub_giat: Annotated[str, Field(pattern=r"^\d\.\d{2}\.\d{2}\.\d\.\d{2}\.\d{4}$")]
    deleted_at: Annotated[Moment | None, BLANK]
    updated_at: Moment

    def account(self) -> dict[str, object]:
        """Year, SKPD, program, kegiatan and sub kegiatan as an event has them. Raises `RecordError` when a code is not below the one above it."""
        for field, above in (("kode_giat", self.kode_program), ("kode_sub_giat", self.kode_giat)):
            code = str(getattr(self, field))
            if not re.match(re.escape(above) + r"\.", code):
                raise value_error(field, code, rule="invalid_value", allowed=f"{above}.…")
        return {
            "fiscal_year": str(self.tahun), "skpd": self.kode_skpd, "program": self.kode_program, "activity": self.kode_giat,
            "sub_activity": self.kode_sub_giat,
        }  # fmt: skip

    @property
    def place(self) -> str:
        """The line's part of a subject."""
        return f"{self.tahun}/{self.kode_skpd}/{self.kode_sub_giat}"
