"""The `[calendar]` section of a reference table's TOML file: that its rows are days off, and for which days that is known."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from pydantic import Field, field_validator, model_validator

from bus.indicators.section import Section

#: From 1965 on Asia/Jakarta is UTC+7 throughout, which the arithmetic of days relies on.
EARLIEST = date(1965, 1, 1)

#: ISO: Monday is 1.
Weekday = Annotated[int, Field(ge=1, le=7)]


class CalendarForm(Section):
    """The days of the week that are worked, and the first and the last day that the table speaks of.

    A day is a working day if its weekday is in `workdays` and it is not the key of a row. Of days before `covers_from` or after `covers_to` nothing
    is known: what needs them is refused, not guessed.
    """

    covers_from: date
    covers_to: date
    workdays: list[Weekday] = Field(default_factory=lambda: [1, 2, 3, 4, 5], min_length=1)

    @field_validator("workdays")
    @classmethod
    def _ascending(cls, value: list[int]) -> list[int]:
        if value != sorted(set(value)):
            raise ValueError(f"write each day of the week once, in order, Monday = 1 … Sunday = 7; got {value}")
        return value

    @model_validator(mode="after")
    def _covers(self) -> CalendarForm:
        if not EARLIEST <= self.covers_from <= self.covers_to:
            raise ValueError(
                f"covers_from … covers_to must be dates in this order, from {EARLIEST} on; got {self.covers_from} … {self.covers_to}"
            )
        return self
