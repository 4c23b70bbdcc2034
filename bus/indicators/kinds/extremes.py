"""min and max. An extreme cannot be taken back, so of correctable events the fold keeps how often each value is there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import polars as pl

from bus.indicators.decimals import decimal_text
from bus.indicators.kinds.interface import Family, Form, Result, Summary, Values

Pick = Callable[[Iterable[int]], int]


def _pick(form: Form) -> Pick:
    return min if form["kind"] == "min" else max


class Extreme:
    """Of immutable events, only ever added to: [n, extreme or None]."""

    width = 1

    def __init__(self, form: Form) -> None:
        self.kind = form["kind"]
        self._pick = _pick(form)

    def empty(self) -> list[int | None]:
        return [0, None]

    def begin(self, group: list[int | None]) -> list[int | None]:
        return group

    def add(self, acc: list[int | None], values: Values) -> None:
        self.absorb(acc, (1, values[0]))

    def remove(self, acc: list[int | None], values: Values) -> None:
        raise TypeError(f"{self.kind} of an event that cannot be corrected has nothing to take back")

    def absorb(self, acc: list[int | None], group: Sequence[int]) -> None:
        if not group[0]:
            return
        held = acc[1]
        acc[0] = (acc[0] or 0) + group[0]
        acc[1] = group[1] if held is None else self._pick((held, group[1]))

    def summary(self, acc: list[int | None]) -> Summary:
        return list(acc)

    def dump(self, acc: list[int | None]) -> object:
        return acc

    def load(self, raw: Sequence[int | None]) -> list[int | None]:
        return list(raw)

    def totals(self, values: Sequence[str]) -> list[pl.Expr]:
        value = pl.col(values[0])
        return [value.count().alias("__n"), value.min() if self.kind == "min" else value.max()]


class CountedValues:
    """Of correctable events: [{value: how often}]."""

    width = 1

    def __init__(self, form: Form) -> None:
        self.kind = form["kind"]
        self._pick = _pick(form)

    def empty(self) -> list[dict[int, int]]:
        return [{}]

    def begin(self, group: Sequence[Any]) -> list[Any]:
        raise TypeError(f"{self.kind} of correctable events takes them one by one")

    def add(self, acc: list[dict[int, int]], values: Values) -> None:
        counts = acc[0]
        counts[values[0]] = counts.get(values[0], 0) + 1

    def remove(self, acc: list[dict[int, int]], values: Values) -> None:
        counts = acc[0]
        left = counts[values[0]] - 1
        if left:
            counts[values[0]] = left
        else:
            del counts[values[0]]

    def absorb(self, acc: list[dict[int, int]], group: Sequence[Any]) -> None:
        self.begin(group)

    def summary(self, acc: list[dict[int, int]]) -> Summary:
        counts = acc[0]
        return [sum(counts.values()), self._pick(counts) if counts else None]

    def dump(self, acc: list[dict[int, int]]) -> object:
        return [sorted(acc[0].items())]

    def load(self, raw: Sequence[Sequence[tuple[int, int]]]) -> list[dict[int, int]]:
        return [dict(raw[0])]

    def totals(self, values: Sequence[str]) -> list[pl.Expr]:
        raise TypeError(f"{self.kind} of correctable events takes them one by one")


def _accumulator(form: Form, *, correctable: bool) -> Extreme | CountedValues:
    """The accumulator of min or max."""
    return CountedValues(form) if correctable else Extreme(form)


def _merge(form: Form, summaries: Sequence[Summary]) -> Summary:
    """The extreme of the extremes."""
    extremes = [extreme for _, extreme in summaries if extreme is not None]
    return [sum(n for n, _ in summaries), _pick(form)(extremes) if extremes else None]


def _result(form: Form, summary: Summary, decimals: int, as_of_us: int | None) -> Result:
    """The extreme itself."""
    if summary[1] is None:
        return Result(None, decimal_text(0, form["scale"]), "1")
    text = decimal_text(summary[1], form["scale"])
    return Result(text, text, "1")


FAMILY = Family(_accumulator, _merge, _result, closable=False)
