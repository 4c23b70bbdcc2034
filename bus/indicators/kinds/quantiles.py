"""quantile, and the quantile of ages: how many values lie in each of fixed buckets.

The state is [n, {bucket: count}]; counts are integers, a bucket without any is left out, and a summary lists [bucket, count] in order. So
parts add up in any order, what entered can be taken out again, and counts may be negative in between. The p-quantile of n values is the
one of rank ceil(p * n) (the *nearest rank*: an actual value, not something between two); its bucket is known exactly, and the number that
stands for the bucket is off by at most the published error.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from fractions import Fraction
from typing import Any

import polars as pl

from bus.indicators.decimals import decimal_text
from bus.indicators.kinds.interface import Family, Form, Result, Summary, Values
from bus.indicators.kinds.logarithmic import buckets

_MICROS = 1_000_000


class CountedBuckets:
    """How many values lie in each bucket; `place` gives the bucket of a value."""

    width = 1

    def __init__(self, place: Callable[[int], int]) -> None:
        self._place = place

    def empty(self) -> list[Any]:
        return [0, {}]

    def begin(self, group: list[Any]) -> list[Any]:
        acc = self.empty()
        self.absorb(acc, group)
        return acc

    def add(self, acc: list[Any], values: Values) -> None:
        self._count(acc, self._place(values[0]), 1)

    def remove(self, acc: list[Any], values: Values) -> None:
        self._count(acc, self._place(values[0]), -1)

    def absorb(self, acc: list[Any], group: Sequence[Any]) -> None:
        for bucket, count in Counter(map(self._place, group[1])).items():
            self._count(acc, bucket, count)

    def summary(self, acc: list[Any]) -> Summary:
        return [acc[0], _listed(acc[1])]

    def dump(self, acc: list[Any]) -> object:
        return self.summary(acc)

    def load(self, raw: Any) -> list[Any]:
        return [raw[0], dict(raw[1])]

    def totals(self, values: Sequence[str]) -> list[pl.Expr]:
        value = pl.col(values[0])
        return [value.count().alias("__n"), value.drop_nulls()]

    @staticmethod
    def _count(acc: list[Any], bucket: int, more: int) -> None:
        acc[0] += more
        counts = acc[1]
        count = counts.get(bucket, 0) + more
        if count:
            counts[bucket] = count
        else:
            del counts[bucket]


def _listed(counts: Mapping[int, int]) -> list[list[int]]:
    return [[bucket, counts[bucket]] for bucket in sorted(counts) if counts[bucket]]


def _accumulator(form: Form, *, correctable: bool) -> CountedBuckets:
    """The accumulator of a quantile, or of the quantile of ages: its buckets are spans of opening times."""
    if form["kind"] == "age":
        span = form["resolution"] * _MICROS
        return CountedBuckets(lambda opened: opened // span)
    return CountedBuckets(buckets(form["error"]).place)


def _merge(form: Form, summaries: Sequence[Summary]) -> Summary:
    """Bucket by bucket, the sum of the counts."""
    counts: Counter[int] = Counter()
    for _, listed in summaries:
        for bucket, count in listed:
            counts[bucket] += count
    return [sum(n for n, _ in summaries), _listed(counts)]


def _result(form: Form, summary: Summary, decimals: int, as_of_us: int | None) -> Result:
    """The number that stands for the bucket of the p-quantile."""
    if form["kind"] == "age":
        return _age(form, summary, as_of_us)
    if not summary[0]:
        return Result(None, decimal_text(0, form["scale"]), "1")
    fixed, bucket = buckets(form["error"]), _ranked(summary[1], _rank(form["p"], summary[0]))
    text = decimal_text(fixed.value(bucket), form["scale"])
    return Result(text, text, "1", error="0" if fixed.exact(bucket) else form["error"])


def _age(form: Form, summary: Summary, as_of_us: int | None) -> Result:
    """The oldest age that the bucket of the p-quantile can stand for: seconds from the beginning of its span of opening times."""
    if not summary[0] or as_of_us is None:
        return Result(None, "0", "1")
    youngest_first = reversed(summary[1])
    opened = _ranked(youngest_first, _rank(form["p"], summary[0])) * form["resolution"] * _MICROS
    text = decimal_text(as_of_us - opened, 6)
    return Result(text, text, "1", error=str(form["resolution"]))


def _rank(p: str, n: int) -> int:
    """ceil(p * n), from 1."""
    share = Fraction(p)
    return max(1, -(-share.numerator * n // share.denominator))


def _ranked(listed: Iterable[Sequence[int]], rank: int) -> int:
    """The bucket that holds the value of that rank."""
    bucket = 0
    for bucket, count in listed:  # noqa: B007  the last one, should counts not reach the rank
        rank -= count
        if rank <= 0:
            break
    return bucket


FAMILY = Family(_accumulator, _merge, _result, closable=True)
