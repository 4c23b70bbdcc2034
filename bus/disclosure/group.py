"""Releases of tables about persons: what leaves at each, and what stands as it was. A pure function of rows and moments.

Of a window the whole chain leaves at once: first when it has ended, again when it has become final, after that whenever it has changed (the
current state: at every release at which it has). Each time both what is counted and what has changed since the last time are protected by
the same cells: a cell that hides has no numbers or, where it was out before, stands as it was. What hides once hides for good.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from bus.disclosure.amounts import Mark, Past, amounts_of, restless
from bus.disclosure.released import Released, shown, suppressed
from bus.disclosure.tables import REGION, Places, Table, depth_of, nested
from bus.disclosure.tree import Inconsistent, Node, protect
from bus.indicators.outputs import Output
from bus.indicators.partial import canonical, sort_key
from bus.indicators.windows import NOW, window_start


@dataclass(slots=True)
class _Unit:
    """The rows below one topmost row of the chain, and what has left of them."""

    rows: dict[str, dict[bytes, Output]] = field(default_factory=dict)
    end_us: int = 0
    past: Past | None = None
    settled: bool = False


class Group:
    """The tables of one group, and all that was released of them.

    `since` is the end of what another definition of the group has released: windows that began before it stay as they are.
    """

    def __init__(self, tables: Sequence[Table], since: int = 0) -> None:
        self.tables = {table.id: table for table in tables}
        self.places = Places(tables)
        self.threshold = max(table.threshold for table in tables)
        self.late_us = max(table.late_us for table in tables)
        self.since = since
        self.released: dict[tuple[str, bytes], Released] = {}
        self._units: dict[Node, _Unit] = {}
        self._touched: set[Node] = set()
        self._others: dict[str, dict[bytes, Output]] = {name: {} for name, table in self.tables.items() if not self.places.in_chain(table)}

    def apply(self, output: Output) -> None:
        """Take in a row; ignored are older ones than the one that is known, and those of another version of the definition."""
        table = self.tables[output.indicator]
        if output.version != table.version:
            return
        rows = self._others.get(table.id)
        if rows is None:
            node = self.places.node(table, output)
            if node is None:
                return
            top = self.places.top(node)
            unit = self._units.setdefault(top, _Unit())
            unit.end_us, unit.settled = output.window_end_us, False
            rows = unit.rows.setdefault(table.id, {})
            self._touched.add(top)
        known = rows.get(output.key())
        if known is None or output.order > known.order:
            rows[output.key()] = output

    def release(self, at_us: int) -> list[Released]:
        """What leaves with the release whose window ended at that moment, in the order of indicators and cells."""
        found: list[Released] = []
        for top in sorted(self._touched, key=repr):
            unit = self._units[top]
            found += self._leave(unit, at_us, since=top.start)
            if unit.settled:
                self._touched.discard(top)
        self.released |= {(each.indicator, each.key()): each for each in found}
        sums = [each for name in self._others for each in self._sums(self.tables[name], at_us)]
        self.released |= {(each.indicator, each.key()): each for each in sums}
        return sorted(found + sums, key=lambda each: (each.indicator, sort_key((each.window_start_us, tuple(each.dimensions.values())))))

    def _leave(self, unit: _Unit, at_us: int, *, since: int) -> list[Released]:
        """All of a unit that may be seen, if its time has come; or nothing."""
        now = self.places.window == NOW
        final = not now and at_us >= unit.end_us + self.late_us
        ended = since >= self.since and (now or unit.end_us <= at_us)
        if not ended or (unit.past is not None and not (now or final)):
            return []
        rows = {name: list(each.values()) for name, each in sorted(unit.rows.items())}
        past = unit.past or Past()
        try:
            amounts = amounts_of(self.tables, self.places, rows, unit.past)
            if restless(amounts, self.threshold):
                return []
            hidden = protect(amounts, self.threshold, past.hidden)
        except Inconsistent:
            # Half of what belongs together has been read; the next release has all of it.
            return []
        placed = [
            (output, node)
            for name, outputs in rows.items()
            for output in outputs
            if (node := self.places.node(self.tables[name], output)) is not None
        ]
        marks = {(output.indicator, node): self._mark(output) for output, node in placed}
        seen = frozenset(past.seen) | {node for _, node in placed if node not in hidden}
        unit.past, unit.settled = Past(hidden, seen, marks), final or now
        said = [self._row(output, at_us, hides=node in hidden, final=final) for output, node in placed]
        return [each for each in said if each is not None]

    def _mark(self, output: Output) -> Mark:
        return Mark(self.tables[output.indicator].persons(output), output.revision)

    def _row(self, output: Output, at_us: int, *, hides: bool, final: bool) -> Released | None:
        """What is said of a row now; None where that is what was said before, or where nothing was and nothing is to be."""
        before = self.released.get((output.indicator, output.key()))
        if not output.is_row and before is None:
            return None
        if hides and before is not None and not before.suppressed and self.places.window != NOW:
            return None
        new = suppressed(output, at_us, final=final) if hides else shown(output, at_us)
        return None if new.says_what(before) else new

    def _sums(self, table: Table, at_us: int) -> list[Released]:
        """The rows of a table outside the chain that are sums of what is out."""
        totals = [self._totals(table, source) for source in self.tables.values() if self._adds_up(source, table)]
        found = []
        for key, output in self._others[table.id].items():
            ended = output.window_end_us <= at_us and output.window_start_us >= self.since
            if ended and output.is_row and any(each.get(key) == (output.n, output.revision) for each in totals):
                new = shown(output, at_us)
                if not new.says_what(self.released.get((table.id, key))):
                    found.append(new)
        return found

    def _adds_up(self, source: Table, table: Table) -> bool:
        """Whether rows of a table of the chain may add up to those of another table: finer ones that count the same persons."""
        return (
            self.places.in_chain(source) and source.counted == table.counted and set(table.dims) <= set(source.dims)
            and nested(source.window, table.window) and (source.region or not table.region)
        )  # fmt: skip

    def _totals(self, table: Table, source: Table) -> dict[bytes, tuple[int, int]]:
        totals: dict[bytes, tuple[int, int]] = {}
        for (name, _), each in self.released.items():
            if name != source.id or each.suppressed:
                continue
            if source.region and not table.region and depth_of(each.dimensions[REGION]) > 1:
                continue
            names = [name for name in self._order(table) if name in each.dimensions]
            key = canonical([window_start(each.window_start_us, table.window), [each.dimensions[name] for name in names]]).encode()
            n, revision = totals.get(key, (0, 0))
            totals[key] = n + (each.n or 0), revision + (each.revision or 0)
        return totals

    def _order(self, table: Table) -> Sequence[str]:
        """The names of a table's dimensions as its rows have them."""
        return next((list(output.dimensions) for output in self._others[table.id].values()), [])
