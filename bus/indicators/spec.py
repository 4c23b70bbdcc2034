"""An indicator's TOML file as data: what may be written. Its meaning is checked against the event when it is compiled."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from bus.indicators.windows import WINDOWS

_NAME = r"^[a-z][a-z0-9_]*$"
_LATE = re.compile(r"^(\d{1,4})(m|h|d|w)$")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}

Text = Annotated[str, Field(min_length=1)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


class Title(_Section):
    """What people read, in Indonesian and in English."""

    id: Text
    en: Text


class Measure(_Section):
    """What is measured: `of` for sum, mean, min and max; `numerator` and `denominator` for ratio; nothing for count."""

    kind: Literal["count", "sum", "mean", "min", "max", "ratio"]
    of: str | None = None
    numerator: str | None = None
    denominator: str | None = None
    scale: Annotated[int, Field(ge=0, le=9)] | None = None

    @model_validator(mode="after")
    def _parts(self) -> Measure:
        needed = {"count": set(), "ratio": {"numerator", "denominator"}}.get(self.kind, {"of"})
        given = {name for name in ("of", "numerator", "denominator") if getattr(self, name) is not None}
        if given != needed:
            takes, got = (" and ".join(sorted(names)) or "nothing" for names in (needed, given))
            raise ValueError(f"kind = {self.kind!r} takes {takes} beside it, got {got}")
        return self


class SatuData(_Section):
    """Metadata of Satu Data Indonesia (Perpres 39/2019), in Indonesian."""

    konsep: Text
    definisi: Text
    rumus: Text
    satuan: Text
    ukuran: Text
    klasifikasi: Text
    produsen_data: Text
    interpretasi: str = ""


class Publish(_Section):
    """How the public may see it (UU 14/2008): `class`, the smallest cell shown, licence, and how long after the window's end."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, populate_by_name=True)

    class_: Literal["berkala", "serta_merta", "setiap_saat", "dikecualikan"] = Field(alias="class")
    min_cell: Annotated[int, Field(ge=0)] = 0
    licence: str = ""
    release: str = ""


class ExampleEvent(_Section):
    """An event of an example: payload fields in `data`; those left out are null."""

    subject: Text
    occurred_at: datetime
    op: Literal["CREATE", "CORRECT", "CANCEL"] = "CREATE"
    version: int | None = None
    data: dict[str, object] = Field(default_factory=dict)


class Example(_Section):
    """Events in, rows out; executed by the tests and shown in the documentation."""

    about: str = ""
    events: list[ExampleEvent]
    rows: list[dict[str, object]]


class Spec(_Section):
    """One file under schemas/indicators/."""

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9][a-z0-9_]*)+$")]
    version: Annotated[int, Field(ge=1)] = 1
    title: Title
    event: str
    where: str | None = None
    measure: Measure
    by: list[str] | dict[str, str] = Field(default_factory=list)
    region: str | None = None
    window: str
    late: str = "7d"
    unit: Text
    decimals: Annotated[int, Field(ge=0, le=18)] = 2
    family: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_.]*$")] | None = None
    satu_data: SatuData | None = None
    publish: Publish
    examples: list[Example] = Field(default_factory=list)

    @field_validator("window")
    @classmethod
    def _window(cls, value: str) -> str:
        if value == "now":
            raise ValueError(f"'now' (current state) is not available yet; allowed: {', '.join(WINDOWS)}")
        if value not in WINDOWS:
            raise ValueError(f"{value!r} is not a window; allowed: {', '.join(WINDOWS)}")
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

    @property
    def dimensions(self) -> dict[str, str]:
        """Name of each dimension -> its expression, in order."""
        return {name: name for name in self.by} if isinstance(self.by, list) else dict(self.by)

    @property
    def late_seconds(self) -> int:
        number, unit = _LATE.match(self.late).groups()  # type: ignore[union-attr]
        return int(number) * _SECONDS[unit]
