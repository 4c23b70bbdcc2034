"""register: a cell is one subject, and holds what its newest state says. Two registers are compared by `bus.indicators.reconcile`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import polars as pl

from bus.indicators.kinds.interface import Family, Form, Result, Summary, Values


class Register:
    """[n, the values or None]. What stands is replaced, so the order in which old values go and new ones come does not matter."""

    def __init__(self, form: Form) -> None:
        self.width = int(form["fields"])

    def empty(self) -> list[Any]:
        return [0, None]

    def begin(self, group: Sequence[Any]) -> list[Any]:
        raise TypeError("a register is of states, which come one by one")

    def absorb(self, acc: list[Any], group: Sequence[Any]) -> None:
        self.begin(group)

    def add(self, acc: list[Any], values: Values) -> None:
        acc[0] += 1
        acc[1] = list(values)

    def remove(self, acc: list[Any], values: Values) -> None:
        acc[0] -= 1
        if acc[1] == list(values):
            acc[1] = None

    def summary(self, acc: list[Any]) -> Summary:
        return list(acc)

    def dump(self, acc: list[Any]) -> object:
        return acc

    def load(self, raw: Sequence[Any]) -> list[Any]:
        return list(raw)

    def totals(self, values: Sequence[str]) -> list[pl.Expr]:
        raise TypeError("a register is of states, which come one by one")


def _accumulator(form: Form, *, correctable: bool) -> Register:
    return Register(form)


def _merge(form: Form, summaries: Sequence[Summary]) -> Summary:
    """A subject lies in one partition only, so at most one of them has anything to say."""
    return next((summary for summary in summaries if summary[0]), [0, None])


def _result(form: Form, summary: Summary, decimals: int, as_of_us: int | None) -> Result:
    """Nobody is shown a subject."""
    return Result(None, "0", "1")


FAMILY = Family(_accumulator, _merge, _result, closable=False)
