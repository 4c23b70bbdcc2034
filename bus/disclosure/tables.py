"""What disclosure control has to know of an indicator: whom it counts, and where each of its rows stands among all rows that tell of the
same events.

Indicators over one event are a *group*: their rows are sums of the same people, so that whoever sees all of them can subtract one from
another. Of a group one *chain* of tables in one window is published under protection (total, then by tenant, then by tenant and service;
or a table by region with all its levels): a tree, of which `bus.disclosure.tree` knows exactly what it gives away. A row of any other table
of the group is let out only where it is the sum of rows of the chain that are out already, and so tells of nobody.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction

from bus.disclosure.tree import Node
from bus.events.schema import EventSchema
from bus.indicators.compose import AnyIndicator
from bus.indicators.indicator import Indicator
from bus.indicators.outputs import Output
from bus.indicators.partial import canonical
from bus.indicators.windows import NOW, WINDOWS

#: In which window a group is published first and foremost; the first of these that it has.
_PREFERRED = ("1mo", "1d", "1w", "1q", "6mo", "1y", "1h", "15m", NOW)
#: The measures of which it is proven what their rows give away. Those left out count few persons by many events (distinct), or show one
#: person's value (min, max).
_PROVEN = frozenset({"count", "sum", "mean", "weighted_mean", "ratio", "within", "index", "quantile", "age"})
#: Levels of the region tree: kabupaten, kecamatan, desa, RW, RT.
DEPTHS = 5
#: The dimension of regions, by which rows add up.
REGION = "region"


@dataclass(frozen=True, slots=True)
class Table:
    """An indicator whose rows are about persons. `counted` is equal for tables that count the same persons; `per` is what one person adds to
    the numerator of a share (0: it is no share); `threshold` is k."""

    id: str
    version: int
    window: str
    dims: tuple[str, ...]
    region: bool
    counted: str
    people: str
    per: int
    threshold: int
    late_us: int
    stock: bool

    def persons(self, output: Output) -> int:
        """How many persons the row counts."""
        if not output.n or self.people == "events":
            return output.n
        text = output.numerator if self.people == "value" else output.denominator
        return abs(int(Fraction(text)))

    def shares(self, output: Output) -> tuple[int, ...]:
        """How many of them have the property of a share, and how many have not; nothing where it is no share."""
        if not self.per:
            return ()
        have = max(0, int(Fraction(output.numerator) / self.per)) if output.n else 0
        return have, max(0, self.persons(output) - have)


@dataclass(frozen=True, slots=True)
class Level:
    """One level of a chain: dimensions, and how deep in the region tree (0: without regions)."""

    dims: tuple[str, ...]
    depth: int


def table_of(indicator: Indicator) -> Table:
    """What is counted by a leaf indicator that counts persons."""
    spec = indicator.spec
    assert spec.measure is not None
    measure, kind = spec.measure, spec.measure.kind
    share = kind == "within" or (kind == "ratio" and measure.denominator == "1")
    per = 0 if not share else 100 if kind == "ratio" and re.search(r"\b100\b", measure.numerator or "") else 1
    people = spec.publish.people
    counted = [indicator.event_type, people, spec.where or "", _measured(indicator), spec.clock and spec.clock.model_dump(mode="json")]
    return Table(
        id=indicator.id,
        version=indicator.version,
        window=indicator.window,
        dims=tuple(sorted(spec.dimensions)),
        region=bool(indicator.definition["region"]),
        counted=canonical(counted),
        people=people,
        per=per,
        threshold=spec.publish.threshold,
        late_us=indicator.late_us,
        stock=spec.is_stock,
    )


def _measured(indicator: Indicator) -> list[str | None]:
    """What of the measure decides whom it counts: nothing, where its fields are always there and each event counts once."""
    measure, event = indicator.spec.measure, indicator.event
    assert measure is not None
    of = [measure.of] if isinstance(measure.of, str) else measure.of or []
    fields = event.fields if isinstance(event, EventSchema) else {}
    always = all(name in fields and not fields[name].node.nullable for name in of)
    if indicator.spec.publish.people == "events" and (always or measure.kind == "distinct") and measure.denominator in (None, "1"):
        return []
    return [*of, measure.numerator, measure.denominator]


def guarded(indicator: AnyIndicator) -> bool:
    """Whether the public may see of it only what tells of nobody."""
    return indicator.spec.publish.class_ != "dikecualikan" and indicator.spec.publish.threshold > 0


def public(indicator: AnyIndicator) -> bool:
    """Whether there is a topic of it for the public: it is not dikecualikan."""
    return indicator.spec.publish.class_ != "dikecualikan" and indicator.kind != "register"


def groups(indicators: Iterable[AnyIndicator]) -> dict[str, tuple[Table, ...]]:
    """The guarded tables by what they are about: an event; what happened in windows and what is the case now apart. Events of one agency
    whose tables have the same shape are one group: they may well tell of the same persons at different steps.

    A composite of such, a stock's closings, and measures that are not in `_PROVEN` are in none: it is not proven what they give away, so they
    are not published.
    """
    events: dict[str, list[Table]] = {}
    for each in indicators:
        if guarded(each) and isinstance(each, Indicator) and (each.window == NOW or not each.spec.is_stock) and each.kind in _PROVEN:
            events.setdefault(f"{each.event_type}/{'now' if each.window == NOW else 'flow'}", []).append(table_of(each))
    found: dict[str, list[Table]] = {}
    shapes: dict[object, str] = {}
    for name, tables in sorted(events.items()):
        shape = name.partition(".")[0], base_window(tables), chain(tables)
        found.setdefault(shapes.setdefault(shape, name), []).extend(tables)
    return {name: tuple(sorted(tables, key=lambda table: table.id)) for name, tables in found.items()}


def nested(finer: str, coarser: str) -> bool:
    """Whether each window of one length lies within one of the other."""
    if NOW in (finer, coarser) or finer == coarser:
        return finer == coarser
    return WINDOWS.index(finer) < WINDOWS.index(coarser) and finer != "1w"


def base_window(tables: Sequence[Table]) -> str:
    """The window in which a group is published."""
    return next(window for window in _PREFERRED if any(table.window == window for table in tables))


def chain(tables: Sequence[Table]) -> tuple[Level, ...]:
    """The levels of a group from the coarsest to the finest, each refining the one before."""
    shapes = {(table.dims, table.region) for table in tables if table.window == base_window(tables)}
    levels: list[Level] = []
    for dims in sorted((dims for dims, region in shapes if not region), key=lambda dims: (len(dims), dims)):
        if not levels or set(levels[-1].dims) < set(dims):
            levels.append(Level(dims, 0))
    regional = sorted((dims for dims, region in shapes if region), key=lambda dims: (-len(dims), dims))
    for dims in regional:
        if not levels or set(levels[-1].dims) <= set(dims):
            return (*levels, *(Level(dims, depth) for depth in range(1, DEPTHS + 1)))
    return tuple(levels)


class Places:
    """Where rows stand in the chain of a group."""

    def __init__(self, tables: Sequence[Table]) -> None:
        self.window = base_window(tables)
        self.levels = chain(tables)
        self._number = {level: number for number, level in enumerate(self.levels)}

    def in_chain(self, table: Table) -> bool:
        """Whether the table's rows stand in the chain; those of others are only ever sums of such."""
        return table.window == self.window and Level(table.dims, 1 if table.region else 0) in self._number

    def levels_of(self, table: Table) -> frozenset[int]:
        return frozenset(number for level, number in self._number.items() if level.dims == table.dims and bool(level.depth) == table.region)

    def node(self, table: Table, output: Output) -> Node | None:
        """The place of a row; None where the chain does not reach (a region below RT)."""
        code = output.dimensions[REGION] if table.region else None
        number = self._number.get(Level(table.dims, depth_of(code) if table.region else 0))
        if number is None:
            return None
        values = tuple(output.dimensions[name] for name in table.dims)
        return Node(number, output.window_start_us, (*values, code) if table.region else values)

    def up(self, node: Node) -> Node | None:
        """The place that contains this one, one level up."""
        if not node.level:
            return None
        level, upper = self.levels[node.level], self.levels[node.level - 1]
        values: Mapping[str, str | None] = dict(zip(level.dims, node.dims, strict=False))
        dims = tuple(values[name] for name in upper.dims)
        if upper.depth:
            code = node.dims[-1]
            return None if code is None else Node(node.level - 1, node.start, (*dims, code.rpartition(".")[0]))
        return Node(node.level - 1, node.start, dims)

    def top(self, node: Node) -> Node:
        """The topmost place that contains this one."""
        up = self.up(node)
        while up is not None:
            node, up = up, self.up(up)
        return node

    def above(self, node: Node, levels: frozenset[int]) -> Node | None:
        """The next place up that is on one of these levels."""
        up = self.up(node)
        while up is not None and up.level not in levels:
            up = self.up(up)
        return up


def depth_of(code: str | None) -> int:
    """The level of a region: 1 for a kabupaten and for none, 2 for a kecamatan, 3 for a desa, and so on."""
    return 1 if code is None else max(1, code.count("."))
