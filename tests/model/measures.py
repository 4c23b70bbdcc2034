"""From what stands in a cell to its numbers, in fractions.

Choices:

- M1  Where nothing stands (n = 0), value is None, numerator 0, denominator 1 (0 of mean, ratio and their like).
- M2  Quotients are published half-even to max(10, decimals) places; all else is exact. An index is half-up to its `places` (2), and its grade
      is that of the published value.
- M3  A quantile is the value with rank ceil(p * n) in ascending order (the lowest for p = 0); what is published may be off by the
      relative `error`. Numerator is the value, denominator 1.
- M4  Ages are seconds from the opening time to `as_of`, which is the newest time of any partition; of things opened later: negative.
      Numerator is the sum of ages, denominator n. With `p`, off by at most one `resolution`.
- M5  `within` counts contributions whose clock is at most the limit, among all.
- M6  `distinct` publishes the number as numerator, and denominator 1.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from tests.model.sql import Value
from tests.model.times import SECOND, micros, span

Values = Sequence[Sequence[Value]]


@dataclass(frozen=True)
class Result:
    """Numbers of a cell. What is published may differ from `value` by `within` (0: not at all). `unrounded`: before M2."""

    n: int
    value: Fraction | None
    numerator: Fraction
    denominator: Fraction
    label: str | None = None
    within: Fraction = Fraction(0)

    @property
    def unrounded(self) -> Fraction | None:
        return None if self.value is None else self.numerator / self.denominator


def measured(measure: Mapping[str, Any], values: Values, *, decimals: int, as_of: int | None) -> Result:
    """What the measure makes of the contributions in a cell."""
    return _KINDS[measure["kind"]](measure, values, max(10, decimals), as_of)


def half_even(value: Fraction, places: int) -> Fraction:
    """Rounded as a quotient is published."""
    return Fraction(round(value * 10**places), 10**places)


def half_up(value: Fraction, places: int) -> Fraction:
    """Rounded as schools teach it; exact, by way of an integer and its rest."""
    whole, rest = divmod(abs(value) * 10**places, 1)
    scaled = whole + (1 if rest >= Fraction(1, 2) else 0)
    return Fraction(scaled if value >= 0 else -scaled, 10**places)


def grade(value: Fraction, grades: Sequence[Mapping[str, Any]]) -> str | None:
    """The label with the highest `from` that is not above the value."""
    reached = [(Fraction(str(each["from"])), each["label"]) for each in grades if Fraction(str(each["from"])) <= value]
    return max(reached)[1] if reached else None


def _quotient(n: int, top: Fraction, bottom: Fraction, places: int) -> Result:
    return Result(n, half_even(top / bottom, places) if n and bottom else None, top, bottom)


def _plain(n: int, value: Fraction) -> Result:
    return Result(n, value if n else None, value if n else Fraction(0), Fraction(1))


def _sum(values: Values, part: int = 0) -> Fraction:
    return sum((each[part] for each in values), Fraction(0))


def _count(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    return _plain(len(values), Fraction(len(values)))


def _total(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    return _plain(len(values), _sum(values))


def _mean(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    return _quotient(len(values), _sum(values), Fraction(len(values)), places)


def _least(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    return _plain(len(values), min((each[0] for each in values), default=Fraction(0)))


def _most(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    return _plain(len(values), max((each[0] for each in values), default=Fraction(0)))


def _ratio(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    return _quotient(len(values), _sum(values, 0), _sum(values, 1), places)


def _weighted(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    return _quotient(len(values), sum((value * weight for value, weight in values), Fraction(0)), _sum(values, 1), places)


def _index(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    n = len(values)
    factor = Fraction(str(measure["factor"])) * Fraction(str(measure["weight"]))
    top = factor * _sum(values)
    if not n:
        return Result(0, None, Fraction(0), Fraction(0))
    value = half_up(top / n, measure.get("places", 2))
    return Result(n, value, top, Fraction(n), grade(value, measure.get("grades", ())))


def _distinct(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    found = Fraction(len({each[0] for each in values}))
    # Beyond `exact` it is estimated; a sketch of k entries is off by less than 5 / sqrt(k) but once in a million times.
    sketched = found > measure.get("exact", 4096)
    result = _plain(len(values), found)
    return Result(result.n, result.value, result.numerator, result.denominator, within=found / 4 if sketched else Fraction(0))


def rank(p: Fraction, n: int) -> int:
    """Place (from 0) of the quantile p among n values."""
    return max(0, math.ceil(p * n) - 1)


def _quantile(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    if not values:
        return _plain(0, Fraction(0))
    found = sorted(each[0] for each in values)[rank(Fraction(measure["p"]), len(values))]
    return Result(len(values), found, found, Fraction(1), within=abs(found) * Fraction(measure.get("error", "0.01")))


def _age(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    if not values or as_of is None:
        return _quotient(0, Fraction(0), Fraction(0), places) if "p" not in measure else _plain(0, Fraction(0))
    ages = sorted(Fraction(as_of - micros(each[0]), SECOND) for each in values)
    if "p" not in measure:
        return _quotient(len(ages), sum(ages, Fraction(0)), Fraction(len(ages)), places)
    found = ages[rank(Fraction(measure["p"]), len(ages))]
    return Result(len(ages), found, found, Fraction(1), within=Fraction(span(measure.get("resolution", "1h")), SECOND))


def _within(measure: Mapping[str, Any], values: Values, places: int, as_of: int | None) -> Result:
    return _quotient(len(values), _sum(values), Fraction(len(values)), places)


_KINDS: Mapping[str, Callable[[Mapping[str, Any], Values, int, int | None], Result]] = {
    "count": _count,
    "sum": _total,
    "mean": _mean,
    "min": _least,
    "max": _most,
    "ratio": _ratio,
    "weighted_mean": _weighted,
    "index": _index,
    "distinct": _distinct,
    "quantile": _quantile,
    "age": _age,
    "within": _within,
}
