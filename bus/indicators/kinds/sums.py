"""Measures that are sums: count, sum, mean, ratio, weighted_mean, index, within, and the mean age of what is open.

The state is the summary: [n, sum …], integers without bound. Adding is inverted by subtracting, so entries may be negative in between,
and summaries of differences add up as those of states do.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from fractions import Fraction
from operator import add, mul
from typing import Any

import polars as pl

from bus.indicators.decimals import decimal_text, quotient, quotient_half_up
from bus.indicators.kinds.interface import Family, Form, Result, Summary, Values, entering

#: kind -> number of sums. Each is the sum of one value, except for weighted_mean.
SUMS = {"count": 0, "sum": 1, "mean": 1, "ratio": 2, "weighted_mean": 2, "index": 1, "within": 1, "age": 1}

#: A mean or a quotient is shown with at least so many places.
PLACES = 10


class Sums:
    """One sum for each value."""

    def __init__(self, form: Form) -> None:
        self.width = SUMS[form["kind"]]

    def empty(self) -> list[int]:
        return [0] * (self.width + 1)

    def begin(self, group: list[int]) -> list[int]:
        return group

    def add(self, acc: list[int], values: Values) -> None:
        acc[0] += 1
        for position, value in enumerate(values, 1):
            acc[position] += value

    def remove(self, acc: list[int], values: Values) -> None:
        acc[0] -= 1
        for position, value in enumerate(values, 1):
            acc[position] -= value

    def absorb(self, acc: list[int], group: Sequence[int]) -> None:
        acc[:] = map(add, acc, group)

    def summary(self, acc: list[int]) -> Summary:
        return list(acc)

    def dump(self, acc: list[int]) -> object:
        return acc

    def load(self, raw: Sequence[int]) -> list[int]:
        return list(raw)

    def totals(self, values: Sequence[str]) -> list[pl.Expr]:
        if not values:
            return [pl.len().alias("__n")]
        kept = entering(values)
        return [kept[0].count().alias("__n"), *(each.cast(pl.Int128).sum() for each in kept)]


class WeightedSums(Sums):
    """The sums of value times weight, and of the weights. A group is (n, values, weights): products can be larger than Polars' integers."""

    def begin(self, group: list[Any]) -> list[int]:
        acc = self.empty()
        self.absorb(acc, group)
        return acc

    def add(self, acc: list[int], values: Values) -> None:
        super().add(acc, (values[0] * values[1], values[1]))

    def remove(self, acc: list[int], values: Values) -> None:
        super().remove(acc, (values[0] * values[1], values[1]))

    def absorb(self, acc: list[int], group: Sequence[Any]) -> None:
        n, values, weights = group
        super().absorb(acc, (n, sum(map(mul, values, weights)), sum(weights)))

    def totals(self, values: Sequence[str]) -> list[pl.Expr]:
        kept = entering(values)
        return [kept[0].count().alias("__n"), *kept]


def _accumulator(form: Form, *, correctable: bool) -> Sums:
    """The accumulator of one of the kinds in `SUMS`."""
    return WeightedSums(form) if form["kind"] == "weighted_mean" else Sums(form)


def _merge(form: Form, summaries: Sequence[Summary]) -> Summary:
    """Entry by entry, their sum."""
    return list(map(sum, zip(*summaries, strict=True))) if summaries else [0] * (SUMS[form["kind"]] + 1)


def _result(form: Form, summary: Summary, decimals: int, as_of_us: int | None) -> Result:
    """Quotients are rounded half-even to `max(10, decimals)` places; an index half up to its own places, then graded."""
    kind, n = form["kind"], summary[0]
    if kind == "count":
        return Result(str(n) if n else None, str(n), "1")
    if kind == "sum":
        text = decimal_text(summary[1], form["scale"])
        return Result(text if n else None, text, "1")
    if kind == "index":
        return _index(form, summary)
    if kind == "age":
        return _age(summary, decimals, as_of_us)
    top, bottom, scale, bottom_scale = summary[1], n, form.get("scale", 0), form.get("denominator_scale", 0)
    if kind in ("ratio", "weighted_mean"):
        bottom = summary[2]
    value = quotient(top * 10**bottom_scale, bottom * 10**scale, max(PLACES, decimals)) if n and bottom else None
    return Result(value, decimal_text(top, scale), decimal_text(bottom, bottom_scale))


def _index(form: Form, summary: Summary) -> Result:
    """factor * weight * (sum of all elements) / n, exact until it is rounded."""
    factor = Fraction(form["factor"]) * Fraction(form["weight"])
    top, bottom = summary[1] * factor.numerator, summary[0] * factor.denominator
    numerator, denominator = decimal_text(top, form["scale"]), str(bottom)
    if not bottom:
        return Result(None, numerator, denominator)
    value = quotient_half_up(top, bottom * 10 ** form["scale"], form["places"])
    label = next((label for label, least in form["grades"] if Decimal(value) >= Decimal(least)), None)
    return Result(value, numerator, denominator, label=label)


def _age(summary: Summary, decimals: int, as_of_us: int | None) -> Result:
    """Seconds from the mean opening time to `as_of_us`."""
    n, opened = summary
    if not n or as_of_us is None:
        return Result(None, "0", str(n))
    micros = n * as_of_us - opened
    return Result(quotient(micros, n * 1_000_000, max(PLACES, decimals)), decimal_text(micros, 6), str(n))


FAMILY = Family(_accumulator, _merge, _result, closable=True)
