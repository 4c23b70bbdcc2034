"""One version of one leaf indicator inside merge: per source partition the newest cumulative cells, and rows made of them."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from bus.indicators.accumulators import Summary
from bus.indicators.changes import loaded, revision
from bus.indicators.edition_blocks import EditionBlocks
from bus.indicators.outputs import Evidence, Output, closes, finished, make_output, newest_of, withdrawn_output
from bus.indicators.partial import Cell, CellKey, Definition, Partial, is_closing, sort_key
from bus.indicators.rollup import Rows
from bus.indicators.windows import window_end

#: So many rows of a window at most are published again only because a reporter was heard of; of larger windows those that changed.
SMALL_WINDOW = 32

#: What identifies the parts that belong together: (first, offset, full, parts, split).
_Parcel = tuple[int, int, bool, int, int]


@dataclass(slots=True)
class _News:
    """What one or more parts of a partial say."""

    cells: dict[CellKey, Cell] = field(default_factory=dict)
    watermarks: dict[str, int] = field(default_factory=dict)
    heard: dict[int, Sequence[str]] = field(default_factory=dict)

    def take(self, other: Partial | _News) -> None:
        self.cells.update(other.cells)
        self.watermarks.update(other.watermarks)
        self.heard.update(other.heard)


@dataclass(slots=True)
class _Source:
    """A source partition: `offset` is -2 until something introduced it."""

    number: int
    offset: int = -2
    watermarks: dict[str, int] = field(default_factory=dict)
    heard: dict[int, set[str]] = field(default_factory=dict)
    parts: dict[_Parcel, dict[int, _News]] = field(default_factory=dict)


class Standing(NamedTuple):
    """All that a row's contents follow from, as it was at a moment: kept, because to make a row costs more than to compare what it is made of.
    `cells` are those of its parts, not added up yet: nearly always their revision says already that the row is another."""

    cells: Sequence[Cell]
    heard: int
    finished: int | None
    watermarks: Mapping[str, int]

    @property
    def revision(self) -> int:
        """All events that changed the row."""
        return sum(revision(cell[1]) for cell in self.cells)


class Edition:
    """State of (indicator, version, fingerprint). Change it with `news`, then `settle`."""

    def __init__(self, definition: Definition, partitions: int) -> None:
        self.definition = definition.copy()
        self.partitions = partitions
        self._sources: dict[int, _Source] = {}
        #: How it lies in snapshots.
        self.blocks = EditionBlocks(self.definition, self._source)
        self._rows = Rows(definition, self._leaves)
        self._topic = ""
        self._pending: tuple[_Source, int, _News] | None = None
        self._windows: dict[int, set[CellKey]] = {}
        self._closing: list[tuple[int, int]] = []
        #: How many reporters were heard of in a window, where that was asked since the last one.
        self._hearing: dict[int, int] = {}
        self._changes = 0
        self.evidence: Evidence = ()
        self.watermarks: Mapping[str, int] = {}
        #: The time that every partition has reached, UTC microseconds; None before all have.
        self.finished: int | None = None

    @property
    def mark(self) -> tuple[int, str]:
        return self.definition["version"], self.definition["fingerprint"]

    @property
    def complete(self) -> bool:
        """Whether every partition of the topic has reported."""
        return sum(source.offset > -2 for source in self._sources.values()) >= self.partitions

    @property
    def id(self) -> str:
        return self.definition["id"]

    @property
    def closes(self) -> bool:
        """Whether a change of a cell reaches the rows of later windows."""
        return is_closing(self.definition)

    @property
    def editions(self) -> tuple[Edition, ...]:
        """The leaf indicators that its rows depend on: itself."""
        return (self,)

    def row_names(self) -> Iterable[CellKey]:
        """All rows."""
        for keys in self._windows.values():
            yield from keys

    def has(self, key: CellKey) -> bool:
        """Whether there is such a row."""
        held = self._windows.get(key[0])
        return held is not None and key in held

    def window_end(self, key: CellKey) -> int:
        return window_end(key[0], self.definition["window"])

    def news(self, partial: Partial) -> set[CellKey]:
        """Take a partial in; the rows that it will change. None when it is old, or parts are missing."""
        self._topic = partial.topic
        self.definition["expected"] = partial.definition["expected"]
        source = self._source(partial.partition)
        introduces = partial.full or partial.first == 0
        if partial.offset <= source.offset or (source.offset == -2 and not introduces):
            return set()
        parcel = (partial.first, partial.offset, partial.full, partial.parts, partial.split)
        parts = source.parts.setdefault(parcel, {})
        part = parts[partial.part] = _News()
        part.take(partial)
        if len(parts) < partial.parts:
            return set()
        news = _News()
        for part in parts.values():
            news.take(part)
        self._pending = (source, partial.offset, news)
        changed = self._rows.names(news.cells)
        for start in news.heard:
            held = self._windows.get(start, ())
            if len(held) <= SMALL_WINDOW:
                changed.update(held)
        return changed

    def settle(self) -> None:
        """Make what `news` found the state."""
        if self._pending is None:
            return
        source, offset, news = self._pending
        source.offset, source.watermarks, self._pending = offset, news.watermarks, None
        new, changes = self.blocks.take(source.number, news.cells)
        self._changes += changes
        self.blocks.hear(source.number, news.heard)
        for start, reporters in news.heard.items():
            source.heard[start].update(reporters)
            self._hearing.pop(start, None)
        source.parts = {parcel: parts for parcel, parts in source.parts.items() if parcel[1] > source.offset}
        self._touch(news.cells, new)
        self._summarise()

    def reclassified(self, earlier: int | None) -> set[CellKey]:
        """Rows whose status is another than when `earlier` was the time that every partition had reached."""
        return self.closing_between(earlier, self.finished, self.definition["late_seconds"])

    def closing_between(self, one: int | None, other: int | None, late_seconds: int) -> set[CellKey]:
        """Rows of the windows that, so much time allowed for being late, are final at one of two moments and not at the other."""
        if one == other:
            return set()
        shift = (self.definition["late_seconds"] - late_seconds) * 1_000_000
        low, high = sorted(-(1 << 80) if moment is None else moment + shift for moment in (one, other))
        between = self._closing[bisect_right(self._closing, (low, 1 << 80)) : bisect_right(self._closing, (high, 1 << 80))]
        return {key for _, start in between for key in self._windows[start]}

    def output(self, key: CellKey) -> Output | None:
        """The row as it is now; None when there is none."""
        standing = self.standing(key)
        return None if standing is None else self.shown(key, standing)

    def standing(self, key: CellKey) -> Standing | None:
        """What the row is made of now; None when there is none."""
        cells = self._rows.cells(key)
        return Standing(cells, self._heard(key[0]), self.finished, self.watermarks) if cells else None

    def shown(self, key: CellKey, standing: Standing) -> Output:
        """The row that is made of that, with the evidence of now."""
        cells, heard, finished_us, watermarks = standing
        cell = self._rows.whole(cells)
        assert cell is not None
        return make_output(
            self.definition, key, cell, finished_us=finished_us, evidence=self.evidence, watermarks=watermarks, heard=heard
        )  # fmt: skip

    def stands(self, key: CellKey) -> Output | None:
        """What stands at the end of the window, said as if it were a row of it: of closings the newest row so far; of others the row."""
        cell = self._rows.standing(key)
        return None if cell is None else self.shown(key, Standing((cell,), self._heard(key[0]), self.finished, self.watermarks))

    @property
    def hidden(self) -> bool:
        """Whether its rows are for composites only: those of a register are about single subjects."""
        return bool(self.definition["measure"]["kind"] == "register")

    @property
    def changes(self) -> int:
        """How many changes its cells have seen, all together."""
        return self._changes

    def summary(self, key: CellKey) -> Summary | None:
        """What a cell holds."""
        cell = self._rows.row(key)
        return None if cell is None else cell[0]

    def withdrawn(self, key: CellKey, end: int, names: Sequence[str]) -> Output:
        """The row that takes back a cell which only an earlier version had."""
        return withdrawn_output(self.definition, key, end, names, evidence=self.evidence, watermarks=self.watermarks)

    def emptied(self, key: CellKey, order: tuple[int, int, int]) -> Output | None:
        """Never: what a fold has once known of a cell it knows for ever."""
        return None

    def _source(self, partition: int) -> _Source:
        source = self._sources.get(partition)
        if source is None:
            source = self._sources[partition] = _Source(partition)
        return source

    def _leaves(self, key: CellKey) -> list[Cell]:
        return [cell for cell in self.blocks.cells.entries.get(key, ()) if cell is not None]

    def _heard(self, start: int) -> int:
        heard = self._hearing.get(start)
        if heard is None:
            known = [source.heard[start] for source in self._sources.values() if start in source.heard]
            heard = self._hearing[start] = len(known[0]) if len(known) == 1 else len(set().union(*known))
        return heard

    def head(self) -> dict[str, object]:
        return {"definition": self.definition, "partitions": self.partitions, "topic": self._topic}

    def entries(self) -> Iterable[list[object]]:
        """The state besides what lies in `blocks`, as lists for JSON, in a fixed order."""
        for partition in sorted(self._sources):
            source = self._sources[partition]
            yield ["source", partition, source.offset, source.watermarks]
            for parcel in sorted(source.parts):
                for part, news in sorted(source.parts[parcel].items()):
                    yield ["part", partition, parcel, part, list(_listed(news.cells)), news.watermarks, sorted(news.heard.items())]

    @classmethod
    def restore(cls, head: Any) -> Edition:
        edition = cls(head["definition"], head["partitions"])
        edition._topic = head["topic"]
        return edition

    def restore_entry(self, raw: Any) -> None:
        kind, partition, *rest = raw
        source = self._source(partition)
        if kind == "source":
            source.offset, source.watermarks = rest
        else:
            parcel, part, listed, watermarks, heard = rest
            source.parts.setdefault(tuple(parcel), {})[part] = _News(_cells(listed), watermarks, dict(heard))

    def restored(self) -> None:
        """All entries are there: make of them what is only kept in memory."""
        held = self.blocks.cells.entries
        self._touch(held, held)
        self._changes = sum(revision(cell[1]) for cells in held.values() for cell in cells if cell is not None)
        self._summarise()

    def _touch(self, keys: Collection[CellKey], new: Collection[CellKey]) -> None:
        for key in self._rows.touch(keys, new):
            held = self._windows.get(key[0])
            if held is None:
                held = self._windows[key[0]] = set()
                insort(self._closing, (closes(self.definition, key[0]), key[0]))
            held.add(key)

    def _summarise(self) -> None:
        known = [(p, self._sources[p]) for p in sorted(self._sources) if self._sources[p].offset > -2]
        self.evidence = tuple((self._topic, partition, source.offset) for partition, source in known)
        self.watermarks = newest_of(source.watermarks for _, source in known)
        self.finished = finished([source.watermarks for _, source in known], self.partitions)


def _listed(cells: Mapping[CellKey, Cell]) -> Iterable[list[object]]:
    for key in sorted(cells, key=sort_key):
        yield [*key, *cells[key]]


def _cells(listed: Iterable[Any]) -> dict[CellKey, Cell]:
    return {(start, tuple(dims)): (acc, loaded(counted)) for start, dims, acc, counted in listed}
