"""One version of one indicator inside merge: per source partition the newest cumulative cells, and rows made of them."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from bus.indicators.accumulators import Summary
from bus.indicators.outputs import FINAL, Output, closes, finished, make_output, newest_of
from bus.indicators.partial import CellKey, Definition, Partial, sort_key
from bus.indicators.windows import window_end

#: What identifies the parts that belong together: (first, offset, full, parts, split).
_Parcel = tuple[int, int, bool, int, int]


@dataclass(slots=True)
class _Source:
    """A source partition: `offset` is -2 until something introduced it."""

    offset: int = -2
    cells: dict[CellKey, tuple[Summary, int]] = field(default_factory=dict)
    watermarks: dict[str, int] = field(default_factory=dict)
    parts: dict[_Parcel, dict[int, tuple[dict[CellKey, tuple[Summary, int]], dict[str, int]]]] = field(default_factory=dict)


class Edition:
    """State of (indicator, version, fingerprint). Change it with `news`, then `settle`."""

    def __init__(self, definition: Definition, partitions: int) -> None:
        self.definition = definition
        self.partitions = partitions
        self._sources: dict[int, _Source] = {}
        self._topic = ""
        self._pending: tuple[_Source, int, dict[CellKey, tuple[Summary, int]], dict[str, int]] | None = None
        self._windows: dict[int, set[CellKey]] = {}
        self._closing: list[tuple[int, int]] = []
        self._evidence: tuple[tuple[str, int, int], ...] = ()
        self._watermarks: dict[str, int] = {}
        #: The time that every source has reached, UTC microseconds; None before any was heard of.
        self.finished: int | None = None

    @property
    def mark(self) -> tuple[int, str]:
        return self.definition["version"], self.definition["fingerprint"]

    @property
    def complete(self) -> bool:
        """Whether every partition of the topic has reported."""
        return sum(source.offset > -2 for source in self._sources.values()) >= self.partitions

    def cells(self) -> Iterable[CellKey]:
        """All cells that any partition has."""
        for keys in self._windows.values():
            yield from keys

    def window_end(self, key: CellKey) -> int:
        return window_end(key[0], self.definition["window"])

    def news(self, partial: Partial) -> Iterable[CellKey]:
        """Take a partial in; the cells it speaks of, before they are changed. Nothing when it is old, or parts are missing."""
        self._topic = partial.topic
        source = self._sources.setdefault(partial.partition, _Source())
        introduces = partial.full or partial.first == 0
        if partial.offset <= source.offset or (source.offset == -2 and not introduces):
            return ()
        parcel = (partial.first, partial.offset, partial.full, partial.parts, partial.split)
        parts = source.parts.setdefault(parcel, {})
        parts[partial.part] = (dict(partial.cells), dict(partial.watermarks))
        if len(parts) < partial.parts:
            return ()
        cells: dict[CellKey, tuple[Summary, int]] = {}
        watermarks: dict[str, int] = {}
        for part in parts.values():
            cells.update(part[0])
            watermarks.update(part[1])
        self._pending = (source, partial.offset, cells, watermarks)
        return cells

    def settle(self) -> None:
        """Make what `news` found the state."""
        if self._pending is None:
            return
        source, offset, cells, watermarks = self._pending
        source.offset, source.watermarks, self._pending = offset, watermarks, None
        source.cells.update(cells)
        source.parts = {parcel: parts for parcel, parts in source.parts.items() if parcel[1] > source.offset}
        self._index(cells)
        self._summarise()

    def reclassified(self, earlier: int | None) -> set[CellKey]:
        """Cells whose status is another than when `earlier` was the time that every source had reached."""
        if earlier == self.finished:
            return set()
        low, high = sorted(-(1 << 80) if moment is None else moment for moment in (earlier, self.finished))
        between = self._closing[bisect_right(self._closing, (low, 1 << 80)) : bisect_right(self._closing, (high, 1 << 80))]
        return {key for _, start in between for key in self._windows[start]}

    def output(self, key: CellKey) -> Output | None:
        """The cell's row, None when no partition has the cell."""
        summaries = [source.cells[key] for source in self._sources.values() if key in source.cells]
        if not summaries:
            return None
        return make_output(self.definition, key, summaries, finished_us=self.finished, evidence=self._evidence, watermarks=self._watermarks)

    def withdrawn(self, key: CellKey, end: int, names: Sequence[str]) -> Output:
        """The row that takes back a cell which only an earlier version had."""
        version, fingerprint = self.mark
        return Output(
            indicator=self.definition["id"], version=version, fingerprint=fingerprint, window_start_us=key[0], window_end_us=end,
            dimensions=dict(zip(names, key[1], strict=True)), value=None, numerator="0", denominator="1", n=0, revision=0,
            status=FINAL, evidence=self._evidence, watermarks=self._watermarks,
        )  # fmt: skip

    def head(self) -> dict[str, object]:
        return {"definition": self.definition, "partitions": self.partitions, "topic": self._topic}

    def entries(self) -> Iterable[list[object]]:
        """The state, as lists for JSON, in a fixed order."""
        for partition in sorted(self._sources):
            source = self._sources[partition]
            yield ["source", partition, source.offset, source.watermarks]
            for key in sorted(source.cells, key=sort_key):
                yield ["cell", partition, *key, *source.cells[key]]
            for parcel in sorted(source.parts):
                for part, (cells, watermarks) in sorted(source.parts[parcel].items()):
                    listed = [[*key, *cells[key]] for key in sorted(cells, key=sort_key)]
                    yield ["part", partition, parcel, part, listed, watermarks]

    @classmethod
    def restore(cls, head: Any) -> Edition:
        edition = cls(head["definition"], head["partitions"])
        edition._topic = head["topic"]
        return edition

    def restore_entry(self, raw: Any) -> None:
        kind, partition, *rest = raw
        source = self._sources.setdefault(partition, _Source())
        if kind == "source":
            source.offset, source.watermarks = rest
            self._summarise()
        elif kind == "cell":
            start, dims, acc, revision = rest
            source.cells[start, tuple(dims)] = (acc, revision)
            self._index([(start, tuple(dims))])
        else:
            parcel, part, listed, watermarks = rest
            cells = {(start, tuple(dims)): (acc, revision) for start, dims, acc, revision in listed}
            source.parts.setdefault(tuple(parcel), {})[part] = (cells, watermarks)

    def _index(self, keys: Iterable[CellKey]) -> None:
        for key in keys:
            held = self._windows.get(key[0])
            if held is None:
                held = self._windows[key[0]] = set()
                insort(self._closing, (closes(self.definition, key[0]), key[0]))
            held.add(key)

    def _summarise(self) -> None:
        known = [(p, self._sources[p]) for p in sorted(self._sources) if self._sources[p].offset > -2]
        self._evidence = tuple((self._topic, partition, source.offset) for partition, source in known)
        self._watermarks = newest_of(source.watermarks for _, source in known)
        self.finished = finished(self._watermarks)
