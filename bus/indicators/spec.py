"""An indicator's TOML file as data: what may be written. Its meaning is checked against the event when it is compiled."""

from __future__ import annotations

import re
from datetime import date, datetime
from typing import Annotated, Literal

from pydantic import ConfigDict, Field, field_validator, model_validator

from bus.indicators.clock_spec import ClockSpec
from bus.indicators.composite_spec import CompositeSpec
from bus.indicators.measures import Measure
from bus.indicators.section import Section
from bus.indicators.windows import NOW, WINDOWS

_NAME = r"^[a-z][a-z0-9_]*$"
_LATE = re.compile(r"^(\d{1,4})(m|h|d|w)$")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}

#: k for the public where a file says nothing, and for the role `internal`: both have precedents; an Indonesian number is not known.
PUBLIC_THRESHOLD, INTERNAL_THRESHOLD = 10, 5

Text = Annotated[str, Field(min_length=1)]


class Title(Section):
    """What people read, in Indonesian and in English."""

    id: Text
    en: Text


class SatuData(Section):
    """Metadata of Satu Data Indonesia (Perpres 39/2019), in Indonesian."""

    konsep: Text
    definisi: Text
    rumus: Text
    satuan: Text
    ukuran: Text
    klasifikasi: Text
    produsen_data: Text
    interpretasi: str = ""


class Publish(Section):
    """How the public may see it (UU 14/2008).

    - `class`: berkala, serta_merta, setiap_saat or dikecualikan; of the last `basis` names the law it rests on and `until` the end of the
      period that the uji konsekuensi set (art. 17 to 20): nothing of it is ever published.
    - `min_cell`: k. Cells of 1 to k-1 persons are withheld, and what would give them away. 10 unless it is said; 0 only of what says
      nothing of persons. `people`: what counts them, the events, the value (a sum of persons) or the denominator.
    - `release`: the window at whose end numbers leave; "now": at once, only with min_cell = 0. By default a day, of serta_merta at once.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    class_: Literal["berkala", "serta_merta", "setiap_saat", "dikecualikan"] = Field(alias="class")
    min_cell: Annotated[int, Field(ge=0)] | None = None
    people: Literal["events", "value", "denominator"] = "events"
    licence: str = ""
    release: Literal["", "now", "1h", "1d", "1w", "1mo"] = ""
    basis: str = ""
    until: date | None = None

    @property
    def threshold(self) -> int:
        """k for the public."""
        return PUBLIC_THRESHOLD if self.min_cell is None else self.min_cell

    @property
    def internal_threshold(self) -> int:
        """k for those inside who have no right to single cases."""
        return min(INTERNAL_THRESHOLD, self.threshold)

    @property
    def release_window(self) -> str:
        """`release`, or what it is where it is not said."""
        return self.release or (NOW if self.class_ == "serta_merta" and not self.threshold else "1d")

    @model_validator(mode="after")
    def _fits(self) -> Publish:
        if self.class_ != "dikecualikan" and (self.basis or self.until):
            raise ValueError('basis and until only go with class = "dikecualikan"')
        if self.release == NOW and self.threshold:
            raise ValueError('release = "now" would show single events: it only goes with min_cell = 0')
        return self


class ExampleEvent(Section):
    """An event of an example: payload fields in `data`; those left out are null. `event` names the type where a composite has several."""

    event: str = ""
    subject: Text
    occurred_at: datetime
    op: Literal["CREATE", "CORRECT", "CANCEL"] = "CREATE"
    version: int | None = None
    data: dict[str, object] = Field(default_factory=dict)


class Example(Section):
    """Events in, rows out; executed by the tests and shown in the documentation."""

    about: str = ""
    events: list[ExampleEvent]
    rows: list[dict[str, object]]


class Spec(Section):
    """One file under schemas/indicators/."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9][a-z0-9_]*)+$")]
    version: Annotated[int, Field(ge=1)] = 1
    title: Title
    event: str = ""
    where: str | None = None
    measure: Measure | None = None
    composite: CompositeSpec | None = None
    clock: ClockSpec | None = None
    by: list[str] | dict[str, str] = Field(default_factory=list)
    region: str | None = None
    reporter: str | None = None
    window: str
    stock: bool = False
    late: str = "7d"
    minimum_n: Annotated[int, Field(ge=1)] | None = None
    unit: Text
    decimals: Annotated[int, Field(ge=0, le=18)] = 2
    family: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*$")] | None = None
    satu_data: SatuData | None = None
    publish: Publish
    examples: list[Example] = Field(default_factory=list)

    @field_validator("window")
    @classmethod
    def _window(cls, value: str) -> str:
        if value not in (*WINDOWS, NOW):
            raise ValueError(f"{value!r} is not a window; allowed: {', '.join(WINDOWS)}, {NOW} (the current state)")
        return value

    @field_validator("late")
    @classmethod
    def _late(cls, value: str) -> str:
        if not _LATE.match(value):
            raise ValueError(f"{value!r} is not a time span; write a number and m, h, d or w, as in '7d'")
        return value

    @field_validator("by")
    @classmethod
    def _by(cls, value: list[str] | dict[str, str]) -> list[str] | dict[str, str]:
        names = list(value)
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"named more than once: {', '.join(twice)}")
        wrong = [name for name in names if not re.match(_NAME, name)]
        if wrong:
            raise ValueError(f"names of dimensions are lower case with _: {', '.join(map(repr, wrong))}")
        return value

    @model_validator(mode="after")
    def _whole(self) -> Spec:
        leaf = [name for name in ("event", "where", "measure", "clock", "by", "region", "reporter", "minimum_n") if getattr(self, name)]
        if self.composite is not None:
            if leaf or self.stock:
                raise ValueError(f"a composite takes what its parts have: remove {', '.join(leaf) or 'stock'}")
        elif not (self.event and self.measure):
            missing = " and ".join(name for name in ("event", "measure") if not getattr(self, name))
            raise ValueError(f"is missing {missing}; or is it a [composite] of other indicators?")
        return self

    @property
    def is_stock(self) -> bool:
        """Whether it is about current states, and not about what happened in a window."""
        return self.stock or self.window == NOW

    @property
    def dimensions(self) -> dict[str, str]:
        """Name of each dimension -> its expression, in order."""
        return {name: name for name in self.by} if isinstance(self.by, list) else dict(self.by)

    @property
    def late_seconds(self) -> int:
        number, unit = self.late[:-1], self.late[-1]
        return int(number) * _SECONDS[unit]
