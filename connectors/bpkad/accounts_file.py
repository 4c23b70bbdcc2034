"""The budget by account, as an agency uploads it for everybody to read: one line an account. Pure.

Parents are sums of their children, so that lines are never added up; what an indicator shows are the lines that are headings (revenue, spending).
A line without a code is a sum or a note, and tells nothing that is not told elsewhere.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import datetime
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field
from pydantic_core import PydanticCustomError

from bus.clock import LOCAL_ZONE
from bus.events.envelope import Event
from bus.ingest.forms import Text, Whole
from bus.ingest.privacy import BLANK
from bus.ingest.record import parse
from connectors.bpkad.accounts import Amount

EVENT_TYPE = "bpkad.account_budget.recorded.v1"
_HEADINGS: Mapping[str, str] = tomllib.loads(Path(__file__).with_name("lookups.toml").read_text(encoding="utf-8"))["headings"]
#: Thousands in groups, and a decimal comma: nothing else that this could be.
_GROUPED = re.compile(r"[0-9]{1,3}(\.[0-9]{3})+,[0-9]{1,2}", re.ASCII)
_CODE = re.compile(r"[0-9]+(\.[0-9]+)*")


def _code(value: object) -> str:
    """An account's code without blanks and the last dot."""
    text = "".join(value.split()).strip(".") if isinstance(value, str) else "?"
    if text and not _CODE.fullmatch(text):
        raise PydanticCustomError("form", "kode/code 1.02.03, atau kosong/or blank")
    return text


def _organisation(value: object) -> str:
    """The code that the title begins with; some write a comma for a dot, and the name behind a dash."""
    found = re.match(r"\s*([0-9]+([.,][0-9]+)*)\s*[.,]?\s*($|-)", value) if isinstance(value, str) else None
    if found is None:
        raise PydanticCustomError("form", "kode organisasi/code of the organisation 1.02.03")
    return found[1].replace(",", ".")


def _ungrouped(value: object) -> object:
    return value.replace(".", "") if isinstance(value, str) and _GROUPED.fullmatch(value.strip()) else value


class Account(BaseModel):
    """A line, with the titles of its file."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    daerah: Text
    tahun: Annotated[Whole, Field(ge=2000, le=2100)]
    kode_organisasi: Annotated[str, BeforeValidator(_organisation)]
    kode: Annotated[str, BeforeValidator(_code)]
    uraian: str
    nilai: Annotated[Amount | None, BLANK, BeforeValidator(_ungrouped)]


def to_events(record: Mapping[str, object]) -> Iterator[Event]:
    """The account, if the line is one. Raises `SourceChanged` or `RecordError`: an amount that could be read in two ways is an error."""
    row = parse(Account, record)
    if not row.kode:
        return
    words = " ".join(row.uraian.split())
    data = {
        "region_name": row.daerah, "fiscal_year": str(row.tahun), "organisation": row.kode_organisasi, "account": row.kode, "description": words,
        "heading": _HEADINGS.get(words.upper()), "amount": row.nilai,
    }  # fmt: skip
    yield Event(EVENT_TYPE, f"{row.tahun}/{row.kode_organisasi}/{row.kode}", datetime(row.tahun, 1, 1, tzinfo=LOCAL_ZONE), data)
