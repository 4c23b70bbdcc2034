"""Reference tables: what is not an event but numbers depend on it (region codes, holidays, populations), each row with its period.

A table is two texts, a CSV file and a TOML file that says what it is; this module reads no files. Values are exact: integers, decimals,
dates and texts, never doubles. The fingerprint covers all that a number can depend on, so a changed table is a changed indicator.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal

from bus.indicators.partial import canonical
from bus.indicators.reference_form import ColumnForm, TableForm
from bus.indicators.windows import LOCAL_ZONE, to_micros

Value = str | int | Decimal | date | bool | None
Key = tuple[Value, ...]

#: Ends of a period that has none, in UTC microseconds: before and after every moment that an event can have.
BEGINNING, END = -(1 << 63), (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table, in force from `since` (inclusive) until `until` (exclusive), UTC microseconds. `line` is that of the file."""

    values: Mapping[str, Value]
    since: int
    until: int
    line: int


@dataclass(frozen=True, slots=True, eq=False)
class ReferenceTable:
    """A table without a fault. `rows` are in the order of the file; `history` has those of each key in the order of time.

    Made by `bus.indicators.reference_rows.parse_table` only, which sees to it that the periods of a key touch without overlapping.
    """

    name: str
    form: TableForm
    fingerprint: str
    rows: tuple[Row, ...]
    history: Mapping[Key, tuple[Row, ...]]

    @property
    def version(self) -> int:
        return self.form.version

    @property
    def columns(self) -> Mapping[str, ColumnForm]:
        """The columns by name, in the order of the TOML file."""
        return self.form.columns

    def row(self, key: Value | Key, at_us: int) -> Mapping[str, Value] | None:
        """The values in force under that key at that moment (UTC microseconds), or None. A key of one column need not be a tuple."""
        periods = self.history.get(key if isinstance(key, tuple) else (key,), ())
        index = bisect_right(periods, at_us, key=_since) - 1
        return periods[index].values if index >= 0 and at_us < periods[index].until else None


#: All tables by name.
References = Mapping[str, ReferenceTable]


def _since(row: Row) -> int:
    return row.since


def make_table(name: str, form: TableForm, rows: Sequence[Row]) -> ReferenceTable:
    """The table of rows that have been checked."""
    history: dict[Key, list[Row]] = {}
    for row in rows:
        history.setdefault(key_of(form, row), []).append(row)
    ordered = {key: tuple(sorted(periods, key=_since)) for key, periods in history.items()}
    return ReferenceTable(name, form, _fingerprint(form, rows), tuple(rows), ordered)


def key_of(form: TableForm, row: Row) -> Key:
    """The values that name the row."""
    return tuple(row.values[name] for name in form.key)


def local_midnight(day: date) -> int:
    """The moment at which that day begins in Asia/Jakarta, UTC microseconds."""
    return to_micros(datetime(day.year, day.month, day.day, tzinfo=LOCAL_ZONE))


def _fingerprint(form: TableForm, rows: Sequence[Row]) -> str:
    """SHA-256 of keys, types and cells, whatever the order of columns and rows; labels, titles and sources decide no number."""
    names = sorted(name for name, column in form.columns.items() if not column.label)
    content = {
        "columns": [[name, form.columns[name].type] for name in names],
        "key": form.key,
        "period": form.period,
        "rows": sorted([_plain(row.values[name]) for name in names] for row in rows),
        "tree": None if form.tree is None else form.tree.model_dump(),
    }
    if form.calendar is not None:
        content["calendar"] = form.calendar.model_dump(mode="json")
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def _plain(value: Value) -> list[str]:
    """A cell so that equal values are equal texts, and null is no text; sortable."""
    if value is None:
        return []
    if isinstance(value, Decimal):
        text = format(value, "f")  # not normalize(), which rounds to the context's precision
        return [(text.rstrip("0").rstrip(".") if "." in text else text) if value else "0"]
    return [value.isoformat() if isinstance(value, date) else str(value)]
