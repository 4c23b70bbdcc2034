"""From the states of the leaf indicators to the rows that readers see: roll-ups, completeness, status.

Choices:

- V1  A row of a region is made of everything at or below its code; it is there when a leaf below it was ever changed.
- V2  Its revision, late, corrected and withdrawn are the sums of those of the leaves, as they travel in the partials: a subject that
      moves from one desa to another changes their kecamatan's row twice.
- V3  A row is final when every partition of the topic has reached window end + `late`, by a row that counted or a heartbeat, and it has
      at least `minimum_n`. `now`: never.
- V4  `as_of_us` is the newest time of any partition; only `age` has one.
- V5  Reporters of a window: those of all events that count and lie in the window (of `now`: all events), whatever `where`, op and version
      say, also of those that could not be used. Without `reporter` it is the source, a replay (`source#position`) counting as its
      original. Not the withdrawals' sources, nor null.
- V6  All rows of a window have the same `heard` and `expected`.
- V7  A closing that nobody is left in is a row: of 0, if it counts or adds up, else without a value. Elsewhere there is then no row to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from tests.model.measures import Result, measured
from tests.model.regions import ancestors
from tests.model.states import Cell, Dims, State, reporters

FINAL, PROVISIONAL = "final", "provisional"


@dataclass(frozen=True)
class Published:
    """One row. What the engine publishes as value may be off by `within`."""

    value: Fraction | None
    numerator: Fraction
    denominator: Fraction
    n: int
    revision: int
    late: int
    corrected: int
    withdrawn: int
    heard: int
    expected: int
    status: str
    label: str | None = None
    as_of_us: int | None = None
    within: Fraction = Fraction(0)
    unrounded: Fraction | None = None


Rows = Mapping[Cell, Published]


def leaf_rows(state: State, partitions: int, expected: int) -> Rows:
    """All rows of an indicator that has an event, ancestors of its regions included."""
    heard = reporters(state.definition, state.reading)
    return {
        cell: _row(state, cell, partitions=partitions, heard=len(heard.get(cell[0], ())), expected=expected)
        for leaf in state.changes
        for cell in _with_ancestors(state, leaf)
    }


def _with_ancestors(state: State, leaf: Cell) -> list[Cell]:
    start, dims = leaf
    if "region" not in state.definition.raw:
        return [leaf]
    assert dims[-1] is not None
    return [(start, (*dims[:-1], code)) for code in ancestors(dims[-1])]


def _holds(state: State, dims: Dims) -> Callable[[Dims], bool]:
    if "region" not in state.definition.raw:
        return lambda leaf: leaf == dims
    return lambda leaf: leaf[:-1] == dims[:-1] and str(dims[-1]) in ancestors(str(leaf[-1]))


def _row(state: State, cell: Cell, *, partitions: int, heard: int, expected: int) -> Published:
    definition, holds = state.definition, _holds(state, cell[1])
    as_of = state.reading.newest if definition.measure["kind"] == "age" else None
    result = result_of(state, cell, as_of)
    changes = state.counted(cell[0], holds)
    enough = result.n >= definition.raw.get("minimum_n", 0)
    final = enough and definition.window != "now" and state.reading.all_passed(definition.closes(cell[0]), partitions)
    return Published(
        value=result.value,
        numerator=result.numerator,
        denominator=result.denominator,
        n=result.n,
        revision=changes.total(),
        late=changes["late"],
        corrected=changes["corrected"],
        withdrawn=changes["withdrawn"],
        heard=heard,
        expected=expected,
        status=FINAL if final else PROVISIONAL,
        label=result.label,
        as_of_us=as_of,
        within=result.within,
        unrounded=result.unrounded,
    )


def result_of(state: State, cell: Cell, as_of: int | None) -> Result:
    """The numbers of a cell."""
    definition = state.definition
    values = state.values(cell[0], _holds(state, cell[1]))
    if definition.closing and not values and definition.measure["kind"] in ("count", "sum"):
        return Result(0, Fraction(0), Fraction(0), Fraction(1))
    return measured(definition.measure, values, decimals=definition.raw.get("decimals", 2), as_of=as_of)
