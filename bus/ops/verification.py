"""`bus verify`: recompute published numbers from the log, from the very positions that each names as its evidence, and compare exactly.

Nothing of what the workers keep is used: no snapshot, no partial. The events are read from their first one on and folded by the same pure
functions (R1), each event decoded once for all indicators; wherever some number's evidence ends, its cell is compared there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field

from bus.errors import BusError, ConfigurationError, Problem
from bus.indicators.accumulators import Summary
from bus.indicators.fold import Batch, FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.outputs import Output, make_output
from bus.indicators.partial import CellKey, sort_key
from bus.kafka.ports import LogReader, TopicPartition
from bus.ops.installation import Installation
from bus.ops.values import cell_name, read_values
from bus.streams.folding import FoldWork

#: What is compared of a cell.
COMPARED = ("value", "numerator", "denominator", "n", "revision")
#: How often a cell that is not there yet is looked for again, one second apart: the merge may be writing just now.
_LOOKS = 5

Held = tuple[Summary, int]
Progressed = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Mismatch:
    """A field of a published cell that is not what the log says; the whole cell is missing when `published` is empty."""

    cell: str
    field: str
    published: str
    recomputed: str


@dataclass(frozen=True, slots=True)
class Report:
    """What became of one indicator."""

    indicator: str
    cells: int
    events: int
    mismatches: tuple[Mismatch, ...]

    @property
    def ok(self) -> bool:
        return not self.mismatches


async def verify(
    installation: Installation,
    reader: LogReader,
    names: Collection[str] | None = None,
    *,
    cells: Collection[str] = (),
    progress: Progressed | None = None,
) -> list[Report]:
    """Verify these indicators (default: all), or only some cells of one; `progress` is told the records read and those to read.

    Raises `ConfigurationError` for an indicator or cell that is not there, `OffsetGap` when the log no longer holds the evidence.
    """
    chosen = [installation.indicator(name) for name in (installation.indicators if names is None else names)]
    published = {each.id: await read_values(reader, installation.codec, each.id, version=each.version) for each in chosen}
    if cells:
        published = {name: _only(name, values, cells) for name, values in published.items()}
    chains = {each.id: Chains(each, published[each.id], complete=not cells) for each in chosen}
    await _read(installation, reader, list(chains.values()), progress or _unseen)
    reports = []
    for each in chosen:
        mismatches = list(chains[each.id].mismatches())
        if not cells:
            mismatches += await _missing(installation, reader, each, chains[each.id])
        reports.append(Report(each.id, len(published[each.id]), chains[each.id].events, tuple(mismatches)))
    return reports


def _unseen(_done: int, _total: int) -> None:
    """Nobody looks."""


def _only(name: str, values: Sequence[Output], cells: Collection[str]) -> list[Output]:
    known = {cell_name(value): value for value in values}
    unknown = [cell for cell in cells if cell not in known]
    if unknown:
        some = ", ".join(list(known)[:5]) or "none"
        raise ConfigurationError(
            [Problem(f"{name} {cell}", f"there is no such cell; there are {len(known)}, such as: {some}") for cell in unknown]
        )
    return [known[cell] for cell in cells]


async def _read(installation: Installation, reader: LogReader, chains: Sequence[Chains], progress: Progressed) -> None:
    """Fold the log, up to where the last evidence ends, into the chains."""
    kafka = installation.settings.kafka
    work = FoldWork(
        installation.catalogue,
        installation.indicators,
        event_partitions=kafka.event_partitions,
        partials_partitions=kafka.partials_partitions,
    )
    stops: dict[TopicPartition, int] = {}
    for chain in chains:
        for partition, stop in chain.stops().items():
            stops[partition] = max(stop, stops.get(partition, 0))
    total, done = sum(stops.values()), 0
    progress(done, total)
    for partition in sorted(stops, key=lambda each: (each.topic, each.partition)):
        async for records in reader.read(partition, 0, stops[partition]):
            batch = work.prepare(partition, records).batch
            for chain in chains:
                chain.apply(partition, kafka.event_partitions, batch)
            done += len(records)
            progress(done, total)
            await asyncio.sleep(0)


async def _missing(installation: Installation, reader: LogReader, indicator: Indicator, chains: Chains) -> list[Mismatch]:
    """Cells that the log says there are and that nobody published."""
    expected = chains.expected()
    known = {(value.window_start_us, tuple(value.dimensions.values())) for value in chains.published}
    for look in range(_LOOKS):
        missing = sorted(expected.keys() - known, key=sort_key)
        if not missing:
            return []
        if look:
            await asyncio.sleep(1)
        values = await read_values(reader, installation.codec, indicator.id, version=indicator.version)
        known = {(value.window_start_us, tuple(value.dimensions.values())) for value in values}
    return [
        Mismatch(cell_name(expected[key]), "cell", "", f"n = {expected[key].n}") for key in sorted(expected.keys() - known, key=sort_key)
    ]


@dataclass(slots=True)
class _Fold:
    """One partition's fold on its way: the cells as of its offset, and what was held of the wanted cells at each wanted offset."""

    unit: FoldUnit
    stops: list[int]
    wanted: Mapping[int, Collection[CellKey]]
    stop: int
    cells: dict[CellKey, Held] = field(default_factory=dict)
    held: dict[tuple[int, CellKey], Held] = field(default_factory=dict)
    last: dict[CellKey, Held] = field(default_factory=dict)
    events: int = 0

    def apply(self, batch: Batch) -> None:
        while self.stops and self.stops[0] <= batch.last:
            offset = self.stops.pop(0)
            self._advance(batch.upto(offset))
            for key in self.wanted[offset]:
                if key in self.cells:
                    self.held[offset, key] = self.cells[key]
            if offset == self.stop:
                self.last = dict(self.cells)
        if self.stops:
            self._advance(batch)

    def _advance(self, batch: Batch) -> None:
        if batch.last <= self.unit.offset:
            return
        before = self.unit.offset
        partial = self.unit.apply(batch)
        self.events += batch.last - before
        if partial is not None:
            self.cells.update(partial.cells)


class Chains:
    """The folds of one indicator over all partitions, compared with what was published wherever the evidence of a value ends."""

    def __init__(self, indicator: Indicator, published: Sequence[Output], *, complete: bool) -> None:
        """With `complete` the cells at the furthest evidence are kept, to see whether any is missing."""
        self.indicator = indicator
        self.published = published
        self._complete = complete
        self._wanted: dict[tuple[str, int], dict[int, set[CellKey]]] = {}
        for value in published:
            for topic, partition, offset in value.evidence:
                if offset >= 0:
                    self._wanted.setdefault((topic, partition), {}).setdefault(offset, set()).add(_key(value))
        self._furthest = max((value.evidence for value in published), key=lambda each: sum(offset for *_, offset in each), default=())
        self._folds: dict[tuple[str, int], _Fold] = {}

    @property
    def events(self) -> int:
        """How many records were folded."""
        return sum(fold.events for fold in self._folds.values())

    def stops(self) -> Mapping[TopicPartition, int]:
        """Up to where each partition has to be read (excluded)."""
        return {TopicPartition(*place): max(offsets) + 1 for place, offsets in self._wanted.items()}

    def apply(self, partition: TopicPartition, partitions: int, batch: Batch) -> None:
        """Fold on, as far as some evidence asks for it."""
        place = (partition.topic, partition.partition)
        wanted = self._wanted.get(place)
        if wanted is None:
            return
        fold = self._folds.get(place)
        if fold is None:
            unit = FoldUnit.new(self.indicator, partition.topic, partition.partition, partitions)
            stop = next((offset for topic, number, offset in self._furthest if (topic, number) == place), -1)
            fold = self._folds[place] = _Fold(unit, sorted(wanted), wanted, stop)
        fold.apply(batch)

    def mismatches(self) -> list[Mismatch]:
        """What is not as published."""
        found = []
        for value in self.published:
            cell = cell_name(value)
            if value.fingerprint != self.indicator.fingerprint:
                found.append(Mismatch(cell, "definition", value.fingerprint[:16], self.indicator.fingerprint[:16]))
                continue
            again = self._recompute(_key(value), value.evidence)
            for name in COMPARED:
                theirs, ours = getattr(value, name), getattr(again, name) if again is not None else _EMPTY[name]
                if theirs != ours:
                    found.append(Mismatch(cell, name, str(theirs), str(ours)))
        return found

    def expected(self) -> Mapping[CellKey, Output]:
        """The cells with a value at the furthest evidence."""
        if not self._complete:
            return {}
        keys = {key for fold in self._folds.values() for key in fold.last}
        outputs = {}
        for key in keys:
            held = [fold.last[key] for fold in self._folds.values() if key in fold.last]
            output = make_output(self.indicator.definition, key, held, finished_us=None, evidence=self._furthest, watermarks={})
            if output.n > 0:
                outputs[key] = output
        return outputs

    def _recompute(self, key: CellKey, evidence: tuple[tuple[str, int, int], ...]) -> Output | None:
        held = []
        for topic, partition, offset in evidence:
            fold = self._folds.get((topic, partition))
            if fold is not None and (offset, key) in fold.held:
                held.append(fold.held[offset, key])
        if not held:
            return None
        return make_output(self.indicator.definition, key, held, finished_us=None, evidence=evidence, watermarks={})


#: What a cell that no event ever entered has to say: one that a newer version has withdrawn.
_EMPTY: Mapping[str, object] = {"value": None, "numerator": "0", "denominator": "1", "n": 0, "revision": 0}


def _key(value: Output) -> CellKey:
    return value.window_start_us, tuple(value.dimensions.values())


def require_ok(reports: Sequence[Report]) -> None:
    """Raises `BusError` when any number differs."""
    wrong = [report.indicator for report in reports if not report.ok]
    if wrong:
        raise BusError(f"published numbers differ from what the log says: {', '.join(wrong)}")
