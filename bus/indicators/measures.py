"""The `measure` of an indicator's TOML file as data: what may be written there. It is compiled by `bus.indicators.measured`."""

from __future__ import annotations

import re
from fractions import Fraction
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from bus.indicators.section import Section

_FRACTION = re.compile(r"^\d{1,9}(\.\d{1,9}|/[1-9]\d{0,8})?$")
_DECIMAL = re.compile(r"^\d{1,9}(\.\d{1,9})?$")
_SPAN = re.compile(r"^([1-9]\d{0,3})(m|h|d)$")
_SECONDS = {"m": 60, "h": 3600, "d": 86_400}

#: kind -> the keys that it takes beside `kind`: those that it must have, and those that it may have.
PARTS: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    kind: (frozenset(must.split()), frozenset(may.split()))
    for kind, must, may in (
        ("count", "", ""),
        ("sum", "of", ""),
        ("mean", "of", ""),
        ("min", "of", ""),
        ("max", "of", ""),
        ("ratio", "numerator denominator", ""),
        ("weighted_mean", "of weight", ""),
        ("index", "of weight factor", "places grades"),
        ("distinct", "of", "exact"),
        ("quantile", "of p", "error"),
        ("age", "of", "p resolution"),
        ("within", "", ""),
        ("register", "fields", ""),
    )
}

Kind = Literal[
    "count", "sum", "mean", "min", "max", "ratio", "weighted_mean", "index", "distinct", "quantile", "age", "within", "register"
]  # fmt: skip


def _written(value: object) -> object:
    """A number as its text: a whole one may be written without quotes; another one not, because TOML would make a double of it."""
    if isinstance(value, float):
        raise ValueError(f"write it in quotes, as in '{value!r}': it is meant exactly as it is written")  # noqa: TRY004  a problem of the file
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


def _decimal(value: str) -> str:
    if not _DECIMAL.match(value):
        raise ValueError(f"{value!r} is not a number; write a decimal such as '0.25'")
    return value


Decimal = Annotated[str, BeforeValidator(_written)]


class Grade(Section):
    """A grade of an index: it holds from the value `from` on, up to the next higher grade."""

    label: Annotated[str, Field(min_length=1)]
    from_: Annotated[Decimal, Field(alias="from")]

    _from = field_validator("from_")(_decimal)


class Measure(Section):
    """What is measured.

    - `of`, an expression: sum, mean, min, max, distinct, quantile, age (when it was opened); a list of them: index.
    - `numerator` and `denominator`, expressions: ratio. `weight`: of a weighted mean an expression; of an index a number, as '1/9'.
    - `scale`: the decimal places that a double is rounded to before it enters.
    - index: value = `factor` * `weight` * sum of all elements / n, rounded half up to `places`, then graded.
    - distinct: counted exactly up to `exact` different values, estimated beyond.
    - quantile: `p` between 0 and 1, `error` its relative error. age: with `p` a quantile, its error in time being `resolution`.
    - register: `fields`, expressions that are compared by an indicator that reconciles two registers.
    """

    kind: Kind
    of: str | list[str] | None = None
    numerator: str | None = None
    denominator: str | None = None
    scale: Annotated[int, Field(ge=0, le=9)] | None = None
    weight: Decimal | None = None
    factor: Decimal | None = None
    places: Annotated[int, Field(ge=0, le=9)] | None = None
    grades: list[Grade] | None = None
    exact: Annotated[int, Field(ge=64, le=16_384)] | None = None
    p: Decimal | None = None
    error: Decimal | None = None
    resolution: str | None = None
    fields: Annotated[list[str], Field(min_length=1)] | None = None

    @field_validator("of", mode="before")
    @classmethod
    def _of(cls, value: object) -> object:
        if isinstance(value, str) or (isinstance(value, list) and value and all(isinstance(each, str) for each in value)):
            return value
        raise ValueError(f"must be an expression or, of an index, a list of expressions; got {value!r}")

    @field_validator("p")
    @classmethod
    def _p(cls, value: str) -> str:
        if not 0 < Fraction(_decimal(value)) < 1:
            raise ValueError(f"{value!r} must lie between 0 and 1, as in '0.9'; for the extremes there are min and max")
        return value

    @field_validator("error")
    @classmethod
    def _error(cls, value: str) -> str:
        if not Fraction("0.001") <= Fraction(_decimal(value)) <= Fraction("0.1"):
            raise ValueError(f"{value!r} must lie between '0.001' and '0.1', the share that the value may be off by")
        return value

    @field_validator("resolution")
    @classmethod
    def _resolution(cls, value: str) -> str:
        if not _SPAN.match(value) or seconds(value) < 900:
            raise ValueError(f"{value!r} is not a resolution; write a number and m, h or d, from '15m' on")
        return value

    @field_validator("grades")
    @classmethod
    def _grades(cls, value: list[Grade]) -> list[Grade]:
        for what, given in (("label", [each.label for each in value]), ("from", [Fraction(each.from_) for each in value])):
            if len(set(given)) < len(given):
                raise ValueError(f"two grades have the same {what}")
        return value

    @model_validator(mode="after")
    def _parts(self) -> Measure:
        must, may = PARTS[self.kind]
        given = {name for name in type(self).model_fields if name not in ("kind", "scale") and getattr(self, name) is not None}
        if not must <= given <= must | may:
            takes, got = (" and ".join(sorted(names)) or "nothing" for names in (must, given))
            optional = f" (and may have {' and '.join(sorted(may))})" if may else ""
            raise ValueError(f"kind = {self.kind!r} takes {takes} beside it{optional}, got {got}")
        if isinstance(self.of, list) != (self.kind == "index") and self.of is not None:
            takes, got = ("a list of expressions", "one") if self.kind == "index" else ("one expression", "a list")
            raise ValueError(f"of: kind = {self.kind!r} takes {takes}, got {got}")
        if self.kind == "age" and self.resolution and not self.p:
            raise ValueError("resolution: only with p, the quantile whose error it is; a mean age is exact")
        if self.kind == "index":
            self._index()
        return self

    def _index(self) -> None:
        for name in ("weight", "factor"):
            value = getattr(self, name)
            if not _FRACTION.match(value) or not Fraction(value):
                raise ValueError(f"{name}: {value!r} is not a number above 0; write a fraction such as '1/9', which is exact, or a decimal")
        places = 2 if self.places is None else self.places
        for grade in self.grades or ():
            if len(grade.from_.partition(".")[2]) > places:
                raise ValueError(f"grades: from = {grade.from_!r} is finer than the value, which is rounded to places = {places} before")


def seconds(span: str) -> int:
    """A `resolution` in seconds."""
    number, unit = span[:-1], span[-1]
    return int(number) * _SECONDS[unit]
