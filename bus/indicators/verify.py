"""Recomputing published numbers from their own evidence, with the worker's functions: the proof behind the promise in the README.

Pure: the caller reads the log and feeds it in. Cells of one version that were published at different evidence are checked in one pass over
each partition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bus.errors import OffsetGap
from bus.indicators.accumulators import Summary
from bus.indicators.fold import Batch, FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.outputs import Output, finished, make_output, newest_of
from bus.indicators.partial import CellKey, in_order

#: (topic, partition, offset) of each partition.
Evidence = tuple[tuple[str, int, int], ...]


@dataclass(frozen=True, slots=True)
class Difference:
    """A published cell that its evidence does not give: `recomputed` is None when the evidence has no such cell."""

    published: Output
    recomputed: Output | None
    fields: tuple[str, ...]


class Recomputation:
    """Cells to be recomputed, each at its own evidence. Feed every partition that `wanted` names from its beginning, then ask `rows`."""

    def __init__(self, indicator: Indicator, requests: Iterable[tuple[CellKey, Evidence]]) -> None:
        self.indicator = indicator
        self._requests = list(requests)
        self._stops: dict[tuple[str, int], dict[int, set[CellKey]]] = {}
        partitions = max((len(evidence) for _, evidence in self._requests), default=0)
        for key, evidence in self._requests:
            for topic, partition, offset in evidence:
                self._stops.setdefault((topic, partition), {}).setdefault(offset, set()).add(key)
        self._units = {place: FoldUnit.new(indicator, *place, partitions) for place in self._stops}
        self._found: dict[tuple[str, int, int], dict[CellKey, tuple[Summary, int]]] = {}
        self._marks: dict[tuple[str, int, int], Mapping[str, int]] = {}
        for place in self._stops:
            self._stop(place)

    def wanted(self) -> Mapping[tuple[str, int], int]:
        """(topic, partition) -> the last offset to be fed; -1: nothing."""
        return {place: max(stops) for place, stops in sorted(self._stops.items())}

    def feed(self, topic: str, partition: int, batch: Batch) -> None:
        """The next records of a partition, in order and without a gap (`OffsetGap` otherwise). What lies beyond the evidence is ignored."""
        place = (topic, partition)
        unit = self._units[place]
        for stop in sorted(stop for stop in self._stops[place] if batch.first <= stop <= batch.last):
            unit.apply(batch.upto(stop))
            self._stop(place)
        if batch.last <= max(self._stops[place]):
            unit.apply(batch)
            self._stop(place)

    def rows(self) -> list[Output | None]:
        """The recomputed cell of each request, in their order; None where the evidence has no such cell. Raises `OffsetGap` when the log
        that was fed ended before the evidence."""
        return [self._row(key, evidence) for key, evidence in self._requests]

    def everything(self) -> list[Output]:
        """Every cell as of the furthest offset that was asked for in each partition, sorted: to see whether any was not published."""
        units = [self._units[place] for place in sorted(self._units)]
        cells = [unit.cells() for unit in units]
        evidence = tuple((unit.topic, unit.partition, unit.offset) for unit in units)
        marks = newest_of(unit.watermarks for unit in units)
        return [
            make_output(
                self.indicator.definition, key, [each[key] for each in cells if key in each],
                finished_us=finished(marks), evidence=evidence, watermarks=marks,
            )
            for key in in_order({key for each in cells for key in each})
        ]  # fmt: skip

    def _stop(self, place: tuple[str, int]) -> None:
        unit = self._units[place]
        keys = self._stops[place].get(unit.offset)
        if keys is not None:
            self._found[(*place, unit.offset)] = unit.cells(keys)
            self._marks[(*place, unit.offset)] = unit.watermarks

    def _row(self, key: CellKey, evidence: Evidence) -> Output | None:
        missing = [position for position in evidence if position not in self._found]
        if missing:
            topic, partition, offset = missing[0]
            raise OffsetGap(f"{topic}/{partition}: the log ended before offset {offset}, which the evidence names")
        summaries = [self._found[position][key] for position in evidence if key in self._found[position]]
        if not summaries:
            return None
        marks = newest_of(self._marks[position] for position in evidence)
        return make_output(self.indicator.definition, key, summaries, finished_us=finished(marks), evidence=evidence, watermarks=marks)


def recompute(indicator: Indicator, batches: Mapping[tuple[str, int], Sequence[Batch]], evidence: Evidence) -> list[Output]:
    """Every cell of the indicator as of the evidence, sorted by window and dimensions."""
    units = []
    for topic, partition, offset in evidence:
        unit = FoldUnit.new(indicator, topic, partition, len(evidence))
        for batch in batches.get((topic, partition), ()):
            if batch.first <= offset:
                unit.apply(batch.upto(offset))
        if unit.offset != offset:
            raise OffsetGap(f"{topic}/{partition}: the log ended at {unit.offset}, before offset {offset}, which the evidence names")
        units.append(unit)
    cells = [unit.cells() for unit in units]
    marks = newest_of(unit.watermarks for unit in units)
    return [
        make_output(
            indicator.definition, key, [each[key] for each in cells if key in each],
            finished_us=finished(marks), evidence=evidence, watermarks=marks,
        )
        for key in in_order({key for each in cells for key in each})
    ]  # fmt: skip


def differences(published: Sequence[Output], recomputed: Sequence[Output | None]) -> list[Difference]:
    """The published cells that differ from what their evidence gives, and in which fields. A withdrawn cell (n = 0) needs no counterpart."""
    found = []
    for one, other in zip(published, recomputed, strict=True):
        if other is None:
            if one.n:
                found.append(Difference(one, None, ()))
            continue
        names = (
            "version",
            "fingerprint",
            "value",
            "numerator",
            "denominator",
            "n",
            "revision",
            "status",
            "window_end_us",
            "dimensions",
            "watermarks",
        )
        fields = tuple(name for name in names if getattr(one, name) != getattr(other, name))
        if fields:
            found.append(Difference(one, other, fields))
    return found
