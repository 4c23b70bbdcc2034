"""An alert rule's TOML file as data: what may be written. Its meaning is checked against the indicator when it is compiled."""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bus.indicators.section import Section
from bus.indicators.spec import Text, Title

_SPAN = re.compile(r"^(\d{1,4})(m|h|d|w)$")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def span_seconds(text: str) -> int:
    """Seconds of a time span such as "90m", "3h", "7d", "2w". Raises `ValueError` for another form."""
    found = _SPAN.match(text)
    if found is None:
        raise ValueError(f"{text!r} is not a time span; write a number and m, h, d or w, as in '3h'")
    return int(found[1]) * _SECONDS[found[2]]


def _span(text: object) -> object:
    if isinstance(text, str):
        span_seconds(text)
    return text


def _exact(number: object) -> object:
    """A number as it is written: of a float its shortest form, so that 0.1 is a tenth."""
    if isinstance(number, int | float | str) and not isinstance(number, bool):
        try:
            found = Decimal(str(number))
        except InvalidOperation:
            raise ValueError(f"{number!r} is not a number") from None
        if not found.is_finite():
            raise ValueError(f"{number!r} is not a number that can be compared")
        return found
    return number


Number = Annotated[Decimal, BeforeValidator(_exact)]
Span = Annotated[str, BeforeValidator(_span)]


class Threshold(Section):
    """The value is above or below a number; `clear`: it is over only when the value is back past this one (default: the same).

    `steps` are further numbers in that direction: who was told is told again when one is passed, or passed back.
    """

    kind: Literal["threshold"]
    above: Number | None = None
    below: Number | None = None
    clear: Number | None = None
    steps: list[Number] = Field(default_factory=list)


class Change(Section):
    """The value rose or fell by more than a number against the window before it, of the same dimensions; `percent` of that one's value."""

    kind: Literal["change"]
    rise: Number | None = None
    fall: Number | None = None
    percent: bool = False
    clear: Number | None = None
    steps: list[Number] = Field(default_factory=list)


class Missing(Section):
    """Nothing new was said for a time (`silent_for`), or at least so many of the expected reporters are not heard of (`reporters`)."""

    kind: Literal["missing"]
    silent_for: Span | None = None
    reporters: Annotated[int, Field(ge=1)] | None = None


class Sla(Section):
    """A service standard is about to be broken at `warn`, and broken at `limit`. `warn` below `limit`: more is worse (an age); above: less is."""

    kind: Literal["sla"]
    warn: Number
    limit: Number
    clear: Number | None = None


Condition = Annotated[Threshold | Change | Missing | Sla, Field(discriminator="kind")]


class AlertSpec(Section):
    """One file under schemas/alerts/.

    `where`: dimension -> the values that are watched. `level`: only regions of that level. `per`: the dimensions that tell one episode from
    another (default: all); of the cells that share them the worst counts. `after`: how long after its end a window is judged (default: at
    once, while it still fills). `fresh`: how long after its end a window can still alarm anybody. `serta_merta`: it is told before all else,
    also where the series as such is published periodically; rules over indicators of that class always are. `recipients` are names of
    channels.
    """

    id: Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*(\.[a-z0-9][a-z0-9_]*)+$")]
    title: Title
    indicator: Text
    severity: Literal["info", "warning", "danger"]
    serta_merta: bool = False
    recipients: list[Annotated[str, Field(pattern=r"^[a-z][a-z0-9_]*$")]] = Field(default_factory=list)
    where: dict[str, str | list[str]] = Field(default_factory=dict)
    level: str = ""
    per: list[str] | None = None
    after: Span | None = None
    fresh: Span = "7d"
    when: Condition
    text: Title
    recovered: Title | None = None

    @field_validator("recipients")
    @classmethod
    def _once(cls, value: list[str]) -> list[str]:
        twice = sorted({name for name in value if value.count(name) > 1})
        if twice:
            raise ValueError(f"named more than once: {', '.join(twice)}")
        return value

    @model_validator(mode="after")
    def _directed(self) -> AlertSpec:
        when = self.when
        match when:
            case Threshold():
                _one_of("above", when.above, "below", when.below)
            case Change():
                _one_of("rise", when.rise, "fall", when.fall)
                wrong = [str(each) for each in (when.rise, when.fall, *when.steps) if each is not None and each < 0]
                if wrong:
                    raise ValueError(f"how much it rises or falls is not negative; received {', '.join(wrong)}")
            case Missing():
                _one_of("silent_for", when.silent_for, "reporters", when.reporters)
            case Sla() if when.warn == when.limit:
                raise ValueError(f"warn and limit are both {when.limit}; warn before the limit")
        return self


def _one_of(one: str, first: object, other: str, second: object) -> None:
    if (first is None) == (second is None):
        raise ValueError(f"say either {one} or {other}, and not both" if first is not None else f"is missing {one} or {other}")
