"""What each subject puts into which cells, and which events changed what. Whole views are made anew after every event and compared.

Choices:

- S1  A row that an indicator cannot use (`Fault`) is to it as if it had not come, except for time (E2), reporters (V5) and clocks (C6).
      Whether it can be used is asked only where `where` is true and the operation is not CANCEL.
- S2  A contribution is the dimensions and the values of the measure's expressions, as written: an event that leaves both as they were
      changes nothing; doubles are compared after rounding, an index by the sum of its elements. A null among the values: the row does
      not enter (`register`, whose fields may be null, apart).
- S3  An event corrects (when it changes a cell) what its subject said before: in a flow any earlier event that could be used, whatever its
      number and op; in a stock only when it is not later than the state with the highest version; of a clock when it is no CREATE.
- S4  An event is late when its partition had reached the end of the event's own window + `late` (or passed it) before it came, whichever
      cells it changes. For `now`: never.
- S5  Closings: each moment at which a subject's state becomes another is a change of the cells that it leaves and enters (or stays in with
      other values), in the window of that moment, also when it is undone within the window. An event changes a cell when it changes which
      such changes its subject has there.
- S6  A cell that was ever changed stays a row, with n = 0 when nobody is left.
- S7  Of a subject's events with one version only the first that could be used counts.
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property
from typing import Any

from tests.model.clock import clock_values
from tests.model.events import Reading, Row, Schema
from tests.model.regions import Fault, Regions
from tests.model.sql import Value, evaluate, text_of
from tests.model.times import span, window_of

Dims = tuple[str | None, ...]
#: (start of the window, dimensions)
Cell = tuple[int, Dims]
Values = tuple[Value, ...]
Contribution = tuple[Dims, Values]
#: What one subject puts where; of closings: what it took out (-1) and put in (1) in that window.
View = dict[Cell, Values]

#: A row's value is not used beyond this, in units of the scale.
LIMIT = 2**95


@dataclass(frozen=True)
class Definition:
    """An indicator's TOML file that has an event, with what is needed to read the event."""

    raw: Mapping[str, Any]
    schema: Schema
    regions: Regions
    holidays: frozenset[Any] = frozenset()

    @property
    def id(self) -> str:
        return str(self.raw["id"])

    @property
    def window(self) -> str:
        return str(self.raw["window"])

    @property
    def stock(self) -> bool:
        return bool(self.raw.get("stock")) or self.window == "now"

    @property
    def closing(self) -> bool:
        return self.stock and self.window != "now"

    @cached_property
    def late(self) -> int:
        return span(self.raw.get("late", "7d"))

    @property
    def measure(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.raw["measure"]
        return found

    @cached_property
    def by(self) -> Mapping[str, str]:
        by = self.raw.get("by", [])
        return {name: name for name in by} if isinstance(by, list) else by

    @property
    def dims(self) -> tuple[str, ...]:
        return (*self.by, *(["region"] if "region" in self.raw else []))

    def closes(self, moment: int) -> int:
        """When the window of that moment is over, the time for being late included."""
        return window_of(moment, self.window)[1] + self.late

    def passes(self, row: Row) -> bool:
        return "where" not in self.raw or evaluate(self.raw["where"], row.values, self.holidays) is True

    def dimensions(self, row: Row) -> Dims:
        """The row's dimensions. Raises `Fault` for a region that cannot be told."""
        dims = [text_of(evaluate(text, row.values)) for text in self.by.values()]
        if "region" in self.raw:
            dims.append(self.regions.resolve(evaluate(self.raw["region"], row.values), row.at))
        return tuple(dims)

    def contribution(self, row: Row) -> Contribution | None:
        """What the row puts in if it stands; None: nothing. Raises `Fault`."""
        if row.op == "CANCEL" or not self.passes(row):
            return None
        dims, values = self.dimensions(row), self._values(row)
        return None if None in values and self.measure["kind"] != "register" else (dims, values)

    def _values(self, row: Row) -> Values:
        measure = self.measure
        match measure["kind"]:
            case "count" | "within":
                texts = []
            case "ratio":
                texts = [measure["numerator"], measure["denominator"]]
            case "weighted_mean":
                texts = [measure["of"], measure["weight"]]
            case "index":
                texts = measure["of"]
            case "register":
                texts = measure["fields"]
            case _:
                texts = [measure["of"]]
        if "clock" in self.raw:
            return ()
        values = tuple([self._exact(evaluate(text, row.values, self.holidays)) for text in texts])
        return (sum(values),) if measure["kind"] == "index" and None not in values else values

    def _exact(self, value: Value) -> Value:
        if isinstance(value, bool) and self.measure["kind"] in ("ratio", "index"):
            return Fraction(value)
        if not isinstance(value, float):
            return value
        if not math.isfinite(value):
            raise Fault("not_finite")
        unit = 10 ** int(self.measure["scale"])
        if abs(scaled := round(Fraction(value) * unit)) >= LIMIT:
            raise Fault("too_large")
        return Fraction(scaled, unit)


def standing(rows: Sequence[Row], until: int | None = None) -> Row | None:
    """The row with the highest version among those that happened before `until` (UTC microseconds)."""
    return max((row for row in rows if until is None or row.at < until), key=lambda row: row.version, default=None)


def state_at(definition: Definition, rows: Sequence[Row], until: int | None = None) -> Contribution | None:
    """What a subject is just before `until`; without it: now."""
    row = standing(rows, until)
    return None if row is None else definition.contribution(row)


def flow_view(definition: Definition, rows: Sequence[Row]) -> View:
    row = standing(rows)
    found = None if row is None else definition.contribution(row)
    if row is None or found is None:
        return {}
    return {(window_of(row.at, definition.window)[0], found[0]): found[1]}


def closing_view(definition: Definition, rows: Sequence[Row]) -> View:
    view: dict[Cell, list[Any]] = defaultdict(list)
    for moment in sorted({row.at for row in rows}):
        start = window_of(moment, definition.window)[0]
        before, after = state_at(definition, rows, moment), state_at(definition, rows, moment + 1)
        if before != after:
            for sign, state in ((-1, before), (1, after)):
                if state is not None:
                    view[start, state[0]].append((sign, state[1]))
    return {cell: tuple(sorted(changes)) for cell, changes in view.items()}


def clock_view(definition: Definition, rows: Sequence[Row]) -> View:
    found = clock_values(definition.raw["clock"], definition.measure, rows, definition.holidays)
    if found is None:
        return {}
    row, values = found
    entering = None if faulty(definition, row) else definition.contribution(row)
    return {} if entering is None else {(window_of(row.at, definition.window)[0], entering[0]): values}


@dataclass
class State:
    """An indicator over the whole log: per subject what it puts where, and per cell how many events of each kind changed it."""

    definition: Definition
    reading: Reading
    views: dict[object, View] = field(default_factory=dict)
    known: dict[object, list[Row]] = field(default_factory=lambda: defaultdict(list))
    changes: dict[Cell, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))
    faults: list[tuple[int, int]] = field(default_factory=list)

    def values(self, start: int, holds: Callable[[Dims], bool]) -> list[Values]:
        """What stands in the cells of a window whose dimensions `holds` takes; of closings: at the window's end."""
        if not self.definition.closing:
            return [values for view in self.views.values() for cell, values in view.items() if cell[0] == start and holds(cell[1])]
        end = window_of(start, self.definition.window)[1]
        states = [state_at(self.definition, rows, end) for rows in self.known.values()]
        return [state[1] for state in states if state is not None and holds(state[0])]

    def counted(self, start: int, holds: Callable[[Dims], bool]) -> Counter[str]:
        """How many events of each kind changed those cells; of closings: in the window and all earlier ones."""
        total: Counter[str] = Counter()
        for cell, found in self.changes.items():
            if holds(cell[1]) and (cell[0] == start or (self.definition.closing and cell[0] < start)):
                total += found
        return total


def fold(definition: Definition, reading: Reading) -> State:
    """All rows, one by one."""
    state = State(definition, reading)
    view_of = _view_of(definition)
    for row in reading.rows:
        subject = row.subject if definition.schema.correctable else row.place
        if faulty(definition, row):
            state.faults.append(row.place)
            if "clock" not in definition.raw:
                continue
        rows, before = state.known[subject], state.views.get(subject, {})
        if definition.schema.correctable and row.version in {each.version for each in rows}:
            continue
        corrects = _corrects(definition, rows, row)
        rows.append(row)
        after = view_of(definition, rows)
        state.views[subject] = after
        for cell in {cell for cell in (*before, *after) if before.get(cell) != after.get(cell)}:
            state.changes[cell][_kind(definition, row, corrects=corrects)] += 1
    return state


def faulty(definition: Definition, row: Row) -> bool:
    """Whether the indicator cannot use the row."""
    try:
        definition.contribution(row)
    except Fault:
        return True
    return False


def _corrects(definition: Definition, known: Sequence[Row], row: Row) -> bool:
    if "clock" in definition.raw:
        return row.op != "CREATE"
    last = standing(known)
    return last is not None and (not definition.stock or row.at <= last.at)


def _view_of(definition: Definition) -> Callable[[Definition, Sequence[Row]], View]:
    if "clock" in definition.raw:
        return clock_view
    return closing_view if definition.closing else flow_view


def _kind(definition: Definition, row: Row, *, corrects: bool) -> str:
    if row.withdraws:
        return "withdrawn"
    if corrects:
        return "corrected"
    return "late" if row.before is not None and row.before >= definition.closes(row.at) else "new"


def reporters(definition: Definition, reading: Reading) -> Mapping[int, set[str]]:
    """Who was heard of in each window that anybody was heard of in (V5)."""
    heard: dict[int, set[str]] = defaultdict(set)
    for row, who in _reports(definition, reading):
        heard[window_of(row.at, definition.window)[0]].add(who)
    return heard


def _reports(definition: Definition, reading: Reading) -> Iterator[tuple[Row, str]]:
    for row in reading.rows:
        who = text_of(evaluate(definition.raw["reporter"], row.values)) if "reporter" in definition.raw else row.source.partition("#")[0]
        if who is not None and not row.withdraws:
            yield row, who
