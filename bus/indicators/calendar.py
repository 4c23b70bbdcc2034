"""Working days and working time: which days are worked in the regency, as a reference table says, and arithmetic over them.

Days are those of Asia/Jakarta. A working day counts its whole 24 hours, because periods of service are set in days (ADR 0016); a day
off counts nothing. Time is counted in microseconds, so that working times add up exactly over adjacent intervals.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Iterator, Mapping, Sequence
from datetime import date, timedelta
from itertools import accumulate
from typing import Protocol

import polars as pl

from bus.errors import ConfigurationError, Problem
from bus.indicators.calendar_form import CalendarForm

#: The reference table that expressions and clocks take their working days from.
TABLE = "hari_libur"

#: Microseconds of a working day.
DAY_US = 86_400_000_000

_OFFSET_US = 7 * 3_600_000_000  # Asia/Jakarta since 1964; see `EARLIEST`
_EPOCH = date(1970, 1, 1).toordinal()


class OutsideCalendar(ValueError):
    """A day that the calendar says nothing about; the message names it and the days that are covered."""


class Form(Protocol):
    """What is needed of `bus.indicators.reference_form.TableForm`."""

    @property
    def calendar(self) -> CalendarForm | None: ...
    @property
    def key(self) -> Sequence[str]: ...


class Row(Protocol):
    """What is needed of a row of a reference table."""

    @property
    def values(self) -> Mapping[str, object]: ...
    @property
    def line(self) -> int: ...


class Table(Protocol):
    """What is needed of `bus.indicators.reference.ReferenceTable`."""

    @property
    def name(self) -> str: ...
    @property
    def form(self) -> Form: ...
    @property
    def rows(self) -> Sequence[Row]: ...


class WorkingCalendar:
    """The working days from `first` to `last`, both included. Every method refuses days outside of these, whatever the result would be."""

    __slots__ = ("_before", "_covered", "_days", "_works", "first", "last")

    def __init__(self, first: date, last: date, off: Collection[date], workdays: Collection[int] = (1, 2, 3, 4, 5)) -> None:
        self.first = first
        self.last = last
        days = [first + timedelta(days=index) for index in range((last - first).days + 1)]
        worked = [day.isoweekday() in workdays and day not in off for day in days]
        #: How many working days lie before the day of that index; one entry more than there are days.
        self._before = list(accumulate(worked, initial=0))
        self._days = pl.Series(days, dtype=pl.Date)
        self._works = pl.Series(worked, dtype=pl.Boolean)
        self._covered = f"the calendar covers {first} to {last}"

    @classmethod
    def from_table(cls, table: Table) -> WorkingCalendar:
        """The calendar that a reference table with a `[calendar]` section describes.

        Raises `ConfigurationError` when it has none, or one with `calendar_problems`.
        """
        form = table.form.calendar
        if form is None:
            raise ConfigurationError([Problem(f"{table.name}.toml", "has no [calendar] section, so it does not say which days are worked")])
        if problems := list(calendar_problems(table, f"{table.name}.csv")):
            raise ConfigurationError(problems)
        off = {day for _, day in _days_off(table)}
        return cls(form.covers_from, form.covers_to, off, form.workdays)

    @property
    def days(self) -> int:
        """How many days it covers, worked or not."""
        return len(self._days)

    def covers(self, at_us: int) -> bool:
        """Whether the moment lies on a day that the calendar covers."""
        return 0 <= self._index(at_us) < len(self._days)

    def is_working_day(self, day: date) -> bool:
        """Whether that day is worked. Raises `OutsideCalendar`."""
        index = self._place(day)
        return self._before[index] < self._before[index + 1]

    def working_micros(self, since_us: int, until_us: int) -> int:
        """Microseconds of working days from one moment to another (UTC microseconds since 1970), 0 when it is not later.

        For moments a <= b <= c the time from a to c is that from a to b and that from b to c. Raises `OutsideCalendar` when either lies
        outside.
        """
        return max(0, self._elapsed(until_us) - self._elapsed(since_us))

    def working_days_between(self, since: date, until: date) -> int:
        """How many working days come after `since`, up to and including `until`; 0 when it is not later. Raises `OutsideCalendar`."""
        return max(0, self._before[self._place(until) + 1] - self._before[self._place(since) + 1])

    def add_working_days(self, day: date, count: int) -> date:
        """The day on which a period of so many working days ends that begins after `day`; `day` itself when there are none.

        Raises `OutsideCalendar` also when the period ends after the last day, `ValueError` when `count` is negative.
        """
        if count < 0:
            raise ValueError(f"a period has 0 or more working days, got {count}")
        after = self._before[self._place(day) + 1]
        if count == 0:
            return day
        if after + count > self._before[-1]:
            raise OutsideCalendar(f"{count} working days after {day} end after {self.last}; {self._covered}")
        return self.first + timedelta(days=bisect_left(self._before, after + count) - 1)

    # The same over columns. Null gives null; so does a day outside, which `outside` tells apart: the caller makes a fault of it.

    def outside(self, day: pl.Expr) -> pl.Expr:
        """Whether a day (`Date`) is one of which the calendar says nothing; false for null."""
        return ~day.is_between(pl.lit(self.first), pl.lit(self.last)).fill_null(True)

    def working_days_expr(self, since: pl.Expr, until: pl.Expr) -> pl.Expr:
        """`working_days_between` of two columns of days (`Date`), as Int64."""
        return (self._days_to(until, 1) - self._days_to(since, 1)).clip(lower_bound=0)

    def working_micros_expr(self, since: pl.Expr, until: pl.Expr) -> pl.Expr:
        """`working_micros` of two columns of UTC moments (`Datetime('us')`, of any zone), as Int64."""
        return (self._elapsed_expr(until) - self._elapsed_expr(since)).clip(lower_bound=0)

    def _days_to(self, day: pl.Expr, offset: int) -> pl.Expr:
        counts = pl.Series(self._before[offset : offset + len(self._days)], dtype=pl.Int64)
        return day.replace_strict(self._days, counts, default=None, return_dtype=pl.Int64)

    def _elapsed_expr(self, moment: pl.Expr) -> pl.Expr:
        local = moment.to_physical() + _OFFSET_US
        day = (local // DAY_US).cast(pl.Int32).cast(pl.Date)
        worked = day.replace_strict(self._days, self._works, default=None, return_dtype=pl.Boolean)
        return self._days_to(day, 0) * DAY_US + pl.when(worked).then(local % DAY_US).otherwise(0)

    def _elapsed(self, at_us: int) -> int:
        """Working microseconds from the beginning of the first day to that moment."""
        index = self._index(at_us)
        if not 0 <= index < len(self._days):
            raise OutsideCalendar(f"a moment {'before' if index < 0 else 'after'} all that is known; {self._covered}")
        before, after = self._before[index], self._before[index + 1]
        return before * DAY_US + ((at_us + _OFFSET_US) % DAY_US if before < after else 0)

    def _index(self, at_us: int) -> int:
        return (at_us + _OFFSET_US) // DAY_US + _EPOCH - self.first.toordinal()

    def _place(self, day: date) -> int:
        index = day.toordinal() - self.first.toordinal()
        if not 0 <= index < len(self._days):
            raise OutsideCalendar(f"{day} is unknown; {self._covered}")
        return index


def calendar_problems(table: Table, file: str) -> Iterator[Problem]:
    """Rows of a calendar (T01) that name days which it says it does not cover: one of the two is wrong. `file` is that of the rows."""
    form = table.form.calendar
    if form is None:
        return
    for line, day in _days_off(table):
        if not form.covers_from <= day <= form.covers_to:
            what = f"received {day}; allowed: a day from covers_from = {form.covers_from} to covers_to = {form.covers_to}"
            yield Problem(f"{file}:{line}: {table.form.key[0]}", what, "T01")


def _days_off(table: Table) -> Iterator[tuple[int, date]]:
    for row in table.rows:
        day = row.values[table.form.key[0]]
        if isinstance(day, date):  # always: the form sees to it
            yield row.line, day
