"""What every kind of measure offers."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import polars as pl

#: A measure as it was compiled: its kind and all that decides its numbers, fit for JSON. It travels in the definition of each partial.
Form = Mapping[str, Any]

#: A contribution's values, in the order of the measure's expressions: integers in their scales; of distinct and register, texts.
Values = tuple[Any, ...]

#: What leaves the fold: fit for JSON, the first entry is n, equal states give equal summaries.
Summary = list[Any]


class Result(NamedTuple):
    """What readers see of a cell. Numbers are decimal texts without exponent; `value` is None when nothing entered or nothing divides it.

    `label` is the grade of an index. `error` bounds how far `value` may be off, as a decimal text ("0": it is exact), for the kinds that
    estimate: relative for distinct (at two standard errors) and quantile (always), seconds for a quantile of ages (always).
    """

    value: str | None
    numerator: str
    denominator: str
    label: str | None = None
    error: str | None = None


class Accumulator(Protocol):
    """How a cell of one measure is kept in the fold. The state is a list that only its accumulator looks into.

    Whatever the order and grouping in which the same contributions came and went, the state has the same summary and the same dump.
    """

    @property
    def width(self) -> int:
        """Number of values of a contribution."""
        ...

    def empty(self) -> list[Any]:
        """The state that nothing has entered."""
        ...

    def begin(self, group: list[Any]) -> list[Any]:
        """The state that a first group of events gives. May keep the list."""
        ...

    def absorb(self, acc: list[Any], group: Sequence[Any]) -> None:
        """Add a whole group of events: n, then what `totals` aggregated."""
        ...

    def add(self, acc: list[Any], values: Values) -> None:
        """Add one event."""
        ...

    def remove(self, acc: list[Any], values: Values) -> None:
        """Take one event out. Of measures that closings may have, it may come before its `add`."""
        ...

    def summary(self, acc: list[Any]) -> Summary:
        """What merge is told. Never a part of the state itself."""
        ...

    def dump(self, acc: list[Any]) -> object:
        """The state for JSON, equal for equal states."""
        ...

    def load(self, raw: Any) -> list[Any]:
        """The state that was dumped."""
        ...

    def totals(self, values: Sequence[str]) -> list[pl.Expr]:
        """Aggregations over the columns of values that make a group for `absorb`, n first. A row enters when none of its values is null."""
        ...


class MakeAccumulator(Protocol):
    """Makes the accumulator of a form."""

    def __call__(self, form: Form, *, correctable: bool) -> Accumulator: ...


@dataclass(frozen=True, slots=True)
class Family:
    """Kinds that are kept, put together and shown alike.

    `merge(form, summaries)` gives one summary of several, `result(form, summary, decimals, as_of_us)` what readers see of one. `closable`:
    summaries of differences, whose counts may be negative, add up to the summary of a state.
    """

    accumulator: MakeAccumulator
    merge: Callable[[Form, Sequence[Summary]], Summary]
    result: Callable[[Form, Summary, int, int | None], Result]
    closable: bool


def entering(values: Sequence[str]) -> list[pl.Expr]:
    """The columns of values, without the rows of which any of several is null (aggregations leave out the nulls of one by themselves)."""
    if len(values) == 1:
        return [pl.col(values[0])]
    whole = pl.all_horizontal(pl.col(name).is_not_null() for name in values)
    return [pl.col(name).filter(whole) for name in values]
