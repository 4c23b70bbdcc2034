"""Indicators made of other indicators.

Choices:

- K1  Parts meet on equal window and dimensions, roll-ups included. What is put together are the parts' values before rounding; the result
      is published half-even to max(10, decimals) places.
- K2  A part's row without a value is a missing row. With no part there, there is no row; sum and gap take a missing part as 0, all others
      have no row then, nor where they would divide by 0.
- K3  n is the sum of the parts' n, numerator and denominator are the value before rounding. A row is final when each part's window is
      (whether or not it has a row there). `now`: never.
- K4  `change`: against the window just before, or the same one a year before (of 29 February: 28 February; of weeks: the ISO week of that
      number, or else the last); no row when there is none. Percent: 100 * (now - then) / |then|. n is that of both windows.
- K5  `rate`: the dimension `key` is looked up as the table's key; no row for what is not in the table.
- K6  `top`: within equal other dimensions the k highest values, equal ones by the item's text (null as the empty text); dimensions are the
      others and `rank` ("1" ...), the item is the label, n that of the item. Regions are those of `level`. Whom nobody is in is on no rank.
- K7  `reconcile`: by subject. Both there: `matched` when all fields are equal (null equals null), else `conflicting`. The region is the
      left one's, else the right one's. Value and n are the number of subjects. Rows are those of which there are any.
- K8  revision, late, corrected, withdrawn, heard, expected and `as_of_us` of composites are not said here.
- K9  Of a part that is a closing counts what stands at the window's end: its newest row so far; of a composite of closings, what K1 to K6
      make of what stands then. There is a row for every window in which any part has one (a `change`: its part; a `top`: any of those that
      share the other dimensions). If all parts are closings, so is it, and such a row is there also without a value; of a `top` as many as
      ever had a place to lose.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

from tests.model.events import Reading
from tests.model.measures import half_even
from tests.model.regions import ancestors
from tests.model.states import Cell, Definition, State
from tests.model.times import window_before, year_before
from tests.model.views import FINAL, PROVISIONAL, Published, Rows

#: Of a region's code, by level.
_COMPONENTS = {"kecamatan": 3, "desa": 4, "rw": 5, "rt": 6}

#: Key -> the row of a reference table.
Table = Mapping[str, Mapping[str, str]]


#: Whether a window that begins then is final.
Finality = Callable[[int], bool]


class Part:
    """An indicator as others are made of it: its rows, and what stands in a cell at its window's end. `closes`: what stood stands on."""

    def __init__(self, dims: Sequence[str], window: str, rows: Rows, is_final: Finality, *, closing: bool, closes: bool) -> None:
        self.dims, self.window, self.rows, self.is_final, self.closing, self.closes = dims, window, rows, is_final, closing, closes

    @classmethod
    def leaf(cls, definition: Definition, reading: Reading, rows: Rows, partitions: int) -> Part:
        def is_final(start: int) -> bool:
            return definition.window != "now" and reading.all_passed(definition.closes(start), partitions)

        return cls(definition.dims, definition.window, rows, is_final, closing=definition.closing, closes=definition.closing)

    def stands(self, cell: Cell) -> Published | None:
        """The row; of closings the newest one so far."""
        if not self.closes:
            return self.rows.get(cell)
        starts = [start for start, dims in self.rows if dims == cell[1] and start <= cell[0]]
        return self.rows[max(starts), cell[1]] if starts else None

    def value(self, cell: Cell) -> Fraction | None:
        row = self.stands(cell)
        return None if row is None else row.unrounded

    def n(self, cell: Cell) -> int:
        row = self.stands(cell)
        return 0 if row is None else row.n


class Composed(Part):
    """A composite of any kind but reconcile."""

    def __init__(self, raw: Mapping[str, Any], dims: Sequence[str], parts: Sequence[Part], tables: Mapping[str, Table]) -> None:
        closing, closes = all(part.closing for part in parts), any(part.closes for part in parts)
        super().__init__(
            dims, parts[0].window, {}, lambda start: all(part.is_final(start) for part in parts), closing=closing, closes=closes
        )
        self.spec, self.parts, self.tables, self.places = raw["composite"], parts, tables, max(10, raw.get("decimals", 2))
        cells = {cell for part in parts for cell in part.rows}
        if self.spec["kind"] == "top":
            cells = {row for cell in cells for row in self._ranks(cell)}
        made = {cell: self.stands(cell) for cell in cells}
        self.rows = {cell: row for cell, row in made.items() if row is not None and (closing or row.value is not None)}

    def stands(self, cell: Cell) -> Published | None:
        if self.spec["kind"] == "top":
            return self._ranked(cell)
        if all(part.stands(cell) is None for part in self.parts):
            return None
        count = sum(part.n(each) for part in self.parts for each in _cells(self.spec, part, cell))
        return self._published(_value(self.spec, self.parts, cell, self.tables), count, cell[0])

    def _published(self, value: Fraction | None, n: int, start: int, label: str | None = None) -> Published:
        status = FINAL if self.is_final(start) else PROVISIONAL
        if value is None:
            return Published(None, Fraction(0), Fraction(1), 0, 0, 0, 0, 0, 0, 0, status)
        return Published(half_even(value, self.places), value, Fraction(1), n, 0, 0, 0, 0, 0, 0, status, label, unrounded=value)

    def _ranks(self, cell: Cell) -> list[Cell]:
        """The rows that a part's row can make another."""
        start, dims = cell
        place = self.parts[0].dims.index(self.spec["item"])
        if not self._of_level(dims[place]):
            return []
        return [(start, (*dims[:place], *dims[place + 1 :], str(rank))) for rank in range(1, self.spec["k"] + 1)]

    def _of_level(self, item: str | None) -> bool:
        return "level" not in self.spec or (item is not None and len(item.split(".")) == _COMPONENTS[self.spec["level"]])

    def _ranked(self, cell: Cell) -> Published | None:
        (part,), (start, (*others, rank)) = self.parts, cell
        place = part.dims.index(self.spec["item"])
        members = {dims for _, dims in part.rows if [*dims[:place], *dims[place + 1 :]] == others and self._of_level(dims[place])}
        standing = [(dims[place] or "", row) for dims in members if (row := part.stands((start, dims))) is not None]
        ordered = sorted(
            ((row.unrounded, item, row.n) for item, row in standing if row.n and row.unrounded is not None),
            key=lambda one: (-one[0], one[1]),
        )
        if int(rank or 0) <= len(ordered):
            value, item, n = ordered[int(rank or 0) - 1]
            return self._published(value, n, start, item)
        return self._published(None, 0, start) if int(rank or 0) <= len(standing) else None


def read_table(path: Path) -> Table:
    """A CSV file by its first column."""
    with path.open(encoding="utf-8", newline="") as lines:
        return {next(iter(line.values())): line for line in csv.DictReader(lines)}


def _cells(spec: Mapping[str, Any], part: Part, cell: Cell) -> list[Cell]:
    """The rows of a part that a row is made of."""
    return [cell, (_former(spec, part, cell[0]), cell[1])] if spec["kind"] == "change" else [cell]


def _former(spec: Mapping[str, Any], part: Part, start: int) -> int:
    return (window_before if spec["against"] == "previous" else year_before)(start, part.window)


def _value(spec: Mapping[str, Any], parts: Sequence[Part], cell: Cell, tables: Mapping[str, Table]) -> Fraction | None:
    values = [part.value(cell) for part in parts]
    known = [value or Fraction(0) for value in values]
    per = Fraction(str(spec.get("per", 1)))
    if all(value is None for value in values):
        return None
    match spec["kind"]:
        case "sum":
            return sum(known, Fraction(0))
        case "gap":
            return known[0] - known[1]
        case "ratio":
            return None if None in values or not known[1] else known[0] / known[1] * per
        case "rate":
            name = cell[1][list(parts[0].dims).index(spec["table"]["key"])]
            row = tables[spec["table"]["name"]].get(str(name))
            return None if row is None or not int(row[spec["table"]["column"]]) else known[0] / int(row[spec["table"]["column"]]) * per
        case "change":
            return _change(spec, parts[0], cell, values[0])
    raise NotImplementedError(spec["kind"])


def _change(spec: Mapping[str, Any], part: Part, cell: Cell, now: Fraction | None) -> Fraction | None:
    then = part.value((_former(spec, part, cell[0]), cell[1]))
    percent = spec.get("as") == "percent"
    if now is None or then is None or (percent and not then):
        return None
    return 100 * (now - then) / abs(then) if percent else now - then


def reconciled(left: State, right: State) -> Rows:
    """How many subjects two registers agree on."""
    counts: Counter[tuple[str | None, ...]] = Counter()
    for status, region in compared(left, right).values():
        regions = ancestors(region) if region is not None else [None]
        counts.update((status, code) if code is not None else (status,) for code in regions)
    return {
        (0, dims): Published(Fraction(count), Fraction(count), Fraction(1), count, 0, 0, 0, 0, 0, 0, PROVISIONAL)
        for dims, count in counts.items()
    }


def compared(left: State, right: State) -> dict[str, tuple[str, str | None]]:
    """Subject -> how it stands, and its region."""
    sides = [{str(subject): next(iter(view.items())) for subject, view in state.views.items() if view} for state in (left, right)]
    found = {}
    for subject in {*sides[0], *sides[1]}:
        one, other = (side.get(subject) for side in sides)
        status = "only_right" if one is None else "only_left" if other is None else "matched" if one[1] == other[1] else "conflicting"
        (_, dims), _ = one or other or ((0, ()), ())
        found[subject] = status, dims[-1] if "region" in left.definition.raw else None
    return found
