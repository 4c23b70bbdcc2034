"""What the indicators' topics say up to an offset: the newest state of each cell, in the order in which it changed.

A pure function of the logs read so far: no Kafka, no clock. Because each topic has one partition, "changed since" is a walk from the
newest change backwards, for a slow client (by change number) and for one that comes back (by offset) alike.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from bus.errors import BusError
from bus.kafka.ports import Record
from bus.kafka.topics import INDICATORS_PREFIX
from consumers.dashboard.cells import Cell, Order, removal

PREFIX = INDICATORS_PREFIX

#: Makes a cell of a record that has a value. Raises a `BusError` when it cannot.
Decode = Callable[[Record], Cell]
#: Whether the readers of a state may know that there is this cell.
Sees = Callable[[Cell], bool]

#: Sums of marks are taken modulo this.
_CONTENTS = 1 << 128


@dataclass(slots=True)
class Entry:
    """One key's newest state: the cell, or that there is none any more. `offset` and `change` say when that became so.

    `gone`: the dimensions of a cell that is there no more, where they are known.
    """

    key: str
    indicator: str
    version: int
    cell: Cell | None
    order: Order | None
    offset: int
    change: int
    gone: Mapping[str, str | None] | None = None

    @property
    def dimensions(self) -> Mapping[str, str | None] | None:
        """What the cell is, or was, about."""
        return self.gone if self.cell is None else self.cell.dimensions

    def json(self, *, brief: bool) -> bytes:
        if self.cell is not None:
            return self.cell.json(brief=brief)
        return removal(self.key, self.indicator, self.version)


@dataclass(slots=True)
class Indicator:
    """All that one topic says. `entries` are in the order of their last change.

    `withheld`: the order of cells that readers must not know of, lest an older record shows them again. `content`: a sum over all that is
    shown, kept by a state that withholds cells: equal sums mean equal cells.
    """

    id: str
    position: int = 0
    born_ms: int = 0
    version: int = 0
    shown: int = 0
    change: int = 0
    updated_ms: int = 0
    entries: OrderedDict[str, Entry] = field(default_factory=OrderedDict)
    unreadable: dict[int, str] = field(default_factory=dict)
    withheld: dict[str, Order] = field(default_factory=dict)
    content: int = 0

    def cells(self) -> list[Cell]:
        """The cells that are shown, by window and dimensions."""
        return sorted((entry.cell for entry in self.entries.values() if entry.cell is not None), key=lambda cell: cell.sort_key)

    def newer(self, *, than_change: int) -> Iterator[Entry]:
        """Entries that changed after that change, the newest first."""
        if self.change > than_change:
            for entry in reversed(self.entries.values()):
                if entry.change <= than_change:
                    return
                yield entry

    def since(self, position: int) -> Iterator[Entry]:
        """Entries that changed at or after that offset, the newest first."""
        for entry in reversed(self.entries.values()):
            if entry.offset < position:
                return
            yield entry


class State:
    """The state of all indicators. Changes are numbered by `change`, which only grows while the process lives.

    With `sees`, of every other cell nothing may be found here: not that it exists, when it changed, or how many there are. A cell that is
    seen no longer is taken away as one that has lost its events; what happens to it then leaves no trace (ADR 0029).
    """

    def __init__(self, decode: Decode, *, prefix: str = PREFIX, sees: Sees | None = None) -> None:
        self._decode = decode
        self._prefix = prefix
        self._sees = sees
        self.indicators: dict[str, Indicator] = {}
        self.hidden: frozenset[str] = frozenset()
        self.change = 0
        self.generation = 0

    def add(self, topic: str) -> Indicator:
        """Take up a topic; a known one stays as it is."""
        id_ = topic.removeprefix(self._prefix)
        known = self.indicators.get(id_)
        if known is None:
            known = self.indicators[id_] = Indicator(id_)
        return known

    def hide(self, ids: Collection[str]) -> bool:
        """From now on nobody is shown these indicators; whether that changes anything for clients."""
        before, self.hidden = self.hidden, frozenset(ids)
        if not (before ^ self.hidden) & self.indicators.keys():
            return False
        self.change += 1
        self.generation += 1
        return True

    @property
    def withholds(self) -> bool:
        """Whether there are cells that readers must not know of; then offsets of the log must not leave this process either."""
        return self._sees is not None

    @property
    def visible(self) -> Mapping[str, Indicator]:
        """The indicators that may be shown, by id."""
        return {id_: indicator for id_, indicator in self.indicators.items() if id_ not in self.hidden}

    def reset(self) -> None:
        """Forget everything: the log is another one. What clients know is no longer a beginning of it."""
        self.indicators = {id_: Indicator(id_) for id_ in self.indicators}
        self.change += 1
        self.generation += 1

    def apply(self, topic: str, records: Sequence[Record], *, upto: int) -> bool:
        """Apply the records of a topic, which reach up to (not including) offset `upto`; whether anything that is shown changed."""
        indicator = self.add(topic)
        number = self.change + 1
        changed = False
        for record in records:
            if record.offset < indicator.position:
                continue
            if record.offset == 0:
                indicator.born_ms = record.timestamp_ms
            news = self._apply(indicator, record, number)
            changed |= news
            if news or self._sees is None:
                indicator.updated_ms = max(indicator.updated_ms, record.timestamp_ms)
            indicator.position = record.offset + 1
        indicator.position = max(indicator.position, upto)
        if changed:
            self.change = indicator.change = number
        return changed

    def _apply(self, indicator: Indicator, record: Record, number: int) -> bool:
        if record.key is None:
            indicator.unreadable[record.offset] = "a record without key"
            return False
        key = record.key.decode("utf-8", "replace")
        if record.value is None:
            return self._take_away(indicator, key, None, record.offset, number)
        try:
            cell = self._decode(record)
        except BusError as error:
            indicator.unreadable[record.offset] = str(error)
            return False
        if cell.version < indicator.version:
            return False
        if self._sees is not None:
            if cell.order < indicator.withheld.get(key, cell.order):
                return False
            if not (cell.shown and self._sees(cell)):
                return self._take_away(indicator, key, cell.order, record.offset, number)
            indicator.withheld.pop(key, None)
        changed = False
        if cell.version > indicator.version:
            indicator.version = cell.version
            changed = self._retire(indicator, record.offset, number)
        known = indicator.entries.get(key)
        if known is not None and known.order is not None and cell.order < known.order:
            return changed
        shown = cell if cell.shown else None
        gone = None if cell.shown else cell.dimensions
        return self._put(indicator, Entry(key, indicator.id, cell.version, shown, cell.order, record.offset, number, gone)) or changed

    def _take_away(self, indicator: Indicator, key: str, order: Order | None, offset: int, number: int) -> bool:
        """There is no such cell any more, or readers must not know of it. One that they never saw leaves no trace where cells are withheld."""
        known = indicator.entries.get(key)
        if order is not None:
            if known is not None and known.order is not None and order < known.order:
                return False
            indicator.withheld[key] = order
        if self._sees is not None and (known is None or known.cell is None):
            return False
        gone = None if known is None else known.dimensions
        return self._put(indicator, Entry(key, indicator.id, indicator.version, None, order, offset, number, gone))

    def _retire(self, indicator: Indicator, offset: int, number: int) -> bool:
        """Take away what an older version of the definition said; the new one says again what still holds."""
        old = [entry for entry in indicator.entries.values() if entry.cell is not None and entry.version < indicator.version]
        for entry in old:
            self._put(indicator, Entry(entry.key, indicator.id, indicator.version, None, None, offset, number, entry.dimensions))
        return bool(old)

    def _put(self, indicator: Indicator, entry: Entry) -> bool:
        known = indicator.entries.get(entry.key)
        if known is not None and known.cell == entry.cell and known.version == entry.version:
            known.order = entry.order
            return False
        former = None if known is None else known.cell
        indicator.shown += (entry.cell is not None) - (former is not None)
        if self._sees is not None:
            indicator.content = (indicator.content + _mark(entry.cell) - _mark(former)) % _CONTENTS
        indicator.entries[entry.key] = entry
        indicator.entries.move_to_end(entry.key)
        return True

    # what streams ask

    def chosen(self, wanted: Collection[str] | None) -> list[Indicator]:
        """The indicators of a filter (`None`: all), by id."""
        return [indicator for id_, indicator in sorted(self.visible.items()) if wanted is None or id_ in wanted]

    def shown_entries(self, wanted: Collection[str] | None) -> list[Entry]:
        """All that is shown."""
        return [entry for indicator in self.chosen(wanted) for entry in indicator.entries.values() if entry.cell is not None]

    def changed(self, wanted: Collection[str] | None, *, after: int) -> list[Entry]:
        """What changed after a change number, oldest first within an indicator: each cell once, as it is now."""
        return [entry for indicator in self.chosen(wanted) for entry in reversed(list(indicator.newer(than_change=after)))]

    def since(self, positions: Mapping[str, int]) -> list[Entry]:
        """What changed at or after the positions, by indicator id."""
        return [entry for id_, position in sorted(positions.items()) for entry in reversed(list(self.indicators[id_].since(position)))]


def _mark(cell: Cell | None) -> int:
    """All that a cell says, as a number."""
    return 0 if cell is None else int.from_bytes(hashlib.blake2b(repr(cell).encode(), digest_size=16).digest(), "big")
