"""States with a given number of live cells and batches for them, without Kafka: what the cost of state is measured on.

Every batch is `EVENTS` events. A *near* one falls into the 200 cells of the newest window, as a live stream does; a *scattered* one into 1,000
cells drawn from all there are. So that a batch does the same work whatever the size of the state, and what it costs more is the state's, the
states for scattered ones have 1,000 windows at every size: a larger one has more cells in each, not a batch more windows.
What filled a state is in a snapshot, as in a worker that has run for a while: touched is only what the measured batches touch.
Of correctable events each is the next correction of one of as many subjects as there are cells: the fold's longest way.
"""

from __future__ import annotations

import random
import time
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import polars as pl

from bus.indicators.batch import OFFSET, Batch
from bus.indicators.fold import FoldUnit
from bus.indicators.indicator import Indicator
from bus.indicators.merge import MergeUnit
from bus.indicators.partial import Cell, CellKey, Definition, Feed, Partial, encode
from bus.indicators.windows import to_micros
from tests.unit.indicators.worlds import ENVELOPE, PAYLOAD, indicator

EVENTS = 5_000
NEAR, SCATTERED = 200, 1_000
TOPIC = "events.test.thing.counted.v1"
#: Source partitions that a merge hears of: each has all cells.
SOURCES = 2
#: The RT of a regency, in 267 desa with about five RW each.
REGIONS = 6_632
_KINDS = 10
_HOUR_US = 3_600_000_000
_START_US = to_micros(datetime(2026, 1, 1, tzinfo=UTC))
_FILL = 50_000


class Job(Protocol):
    """A state that takes batches."""

    def run(self, kind: str, batches: int) -> float:
        """CPU seconds per batch, over so many batches of a kind."""
        ...

    def dump(self) -> dict[str, bytes]:
        """Its snapshot."""
        ...

    def load(self, blocks: Mapping[str, bytes]) -> object:
        """The state of a snapshot."""
        ...


def per_window(kind: str, cells: int) -> int:
    """Cells in each window of a state for batches of that kind."""
    return NEAR if kind == "near" else max(1, cells // SCATTERED)


def cell_key(number: int, of_window: int = NEAR) -> CellKey:
    """The cell of that number, so many to a window. All 1,000 dimensions occur, however few cells a window has."""
    hour, rest = divmod(number, of_window)
    rest = (rest + 37 * hour) % SCATTERED
    return _START_US + hour * _HOUR_US, (f"33.09.{rest // _KINDS:02d}", f"kind-{rest % _KINDS}")


def drawn(kind: str, cells: int, chance: random.Random) -> list[int]:
    """The cells that a batch of that kind touches."""
    return list(range(cells - NEAR, cells)) if kind == "near" else chance.sample(range(cells), min(SCATTERED, cells))


class FoldJob:
    """One fold unit of `cells` cells, and of correctable events as many subjects, or `subjects` in a few cells only."""

    def __init__(self, cells: int, kind: str = "near", *, correctable: bool, subjects: int = 0) -> None:
        self._chance = random.Random(cells)
        self._of_window = per_window(kind, cells)
        self._cells, self._subjects = cells, subjects or cells
        self._indicator = indicator(correctable=correctable, by=["place", "kind"], window="1h", late="99w")
        self._unit = FoldUnit.new(self._indicator, TOPIC, 0, 1)
        for begin in range(0, self._subjects, _FILL):
            self._unit.apply(self._batch(range(begin, min(begin + _FILL, self._subjects)), self._unit.offset + 1))
        self._unit.saved()

    def run(self, kind: str, batches: int) -> float:
        spent = 0.0
        for _ in range(batches):
            touched = drawn(kind, self._cells, self._chance)
            numbers = touched * (EVENTS // len(touched))
            self._chance.shuffle(numbers)
            batch = self._batch(numbers, self._unit.offset + 1)
            begun = time.process_time()
            partial = self._unit.apply(batch)
            assert partial is not None
            encode(partial)
            spent += time.process_time() - begun
        return spent / batches

    def dump(self) -> dict[str, bytes]:
        return self._unit.dump()

    def load(self, blocks: Mapping[str, bytes]) -> FoldUnit:
        return FoldUnit.load(self._indicator, TOPIC, 0, 1, self._unit.offset, blocks)

    def _batch(self, numbers: Sequence[int], first: int) -> Batch:
        keys = [cell_key(number % self._cells, self._of_window) for number in numbers]
        offsets = range(first, first + len(numbers))
        columns = {
            "source": ["bench/load"] * len(numbers),
            "sequence": offsets,
            "version": offsets,
            "subject": [f"s{number}" for number in numbers],
            "occurred_at": [start + self._chance.randrange(_HOUR_US) for start, _ in keys],
            "op": ["CREATE"] * len(numbers),
            "batch": ["bench/load/1"] * len(numbers),
            **{name: [None] * len(numbers) for name in PAYLOAD},
            "place": [dims[0] for _, dims in keys],
            "kind": [dims[1] for _, dims in keys],
            "amount": [self._chance.randrange(1_000_000) for _ in numbers],
            OFFSET: offsets,
        }
        schema = {**ENVELOPE, **PAYLOAD, OFFSET: pl.Int64()}
        frame = pl.DataFrame([pl.Series(name, list(columns[name]), schema[name]) for name in schema])
        return Batch(frame, first, first + len(numbers) - 1)


class MergeJob:
    """One merge unit over `SOURCES` partitions, each with `cells` cells; a batch is one partial of one of them."""

    def __init__(self, cells: int, kind: str = "near", indicated: Indicator | None = None) -> None:
        self._chance = random.Random(cells)
        self._of_window = per_window(kind, cells)
        self._cells = cells
        self._definition = self._defined(indicated or indicator(by=["place", "kind"], window="1h", late="99w"))
        self._unit = MergeUnit.new(0)
        self._turn = 0
        for partition in range(SOURCES):
            for record in encode(self._partial(partition, range(cells), full=True)):
                self._unit.apply([(self._unit.offset + 1, record)])
        self._unit.saved()

    def run(self, kind: str, batches: int) -> float:
        spent = 0.0
        for _ in range(batches):
            self._turn += 1
            (record,) = encode(self._partial(self._turn % SOURCES, drawn(kind, self._cells, self._chance)))
            begun = time.process_time()
            outputs = self._unit.apply([(self._unit.offset + 1, record)])
            spent += time.process_time() - begun
            assert outputs
        return spent / batches

    def dump(self) -> dict[str, bytes]:
        return self._unit.dump()

    def load(self, blocks: Mapping[str, bytes]) -> MergeUnit:
        return MergeUnit.load(0, self._unit.offset, blocks)

    def _defined(self, indicated: Indicator) -> Definition:
        return indicated.definition

    def _key(self, number: int) -> CellKey:
        return cell_key(number, self._of_window)

    def _partial(self, partition: int, numbers: Sequence[int], *, full: bool = False) -> Partial:
        entered = EVENTS * (self._turn + 1)
        cells: dict[CellKey, Cell] = {self._key(number): ([entered, self._chance.randrange(10**9)], entered) for number in numbers}
        newest = self._key(self._cells - 1)[0]
        return Partial(
            definition=self._definition, topic=TOPIC, partition=partition, partitions=SOURCES, first=self._turn, offset=self._turn,
            cells=cells, watermarks={"bench/load": newest}, heard={start: ["bench/load"] for start, _ in cells} if full else {}, full=full,
            feeds=self._feeds() if full else (),
        )  # fmt: skip

    def _feeds(self) -> Sequence[Feed]:
        return ()


class TreeJob(MergeJob):
    """The same over the RT of a regency in one window: with `region` rolled up to its RW, desa, kecamatan and itself, with `top` ranked."""

    def __init__(self, *, region: bool = False, top: int = 0) -> None:
        self._region, self._top = region, top
        super().__init__(REGIONS, indicated=indicator(by=["place"], window="1d", late="99w"))

    def _defined(self, indicated: Indicator) -> Definition:
        definition = indicated.definition.copy()
        definition["region"] = self._region
        return definition

    def _feeds(self) -> Sequence[Feed]:
        leaf = self._definition
        definition = Definition(**{**leaf, "id": "bench.top", "dims": ["rank"], "measure": {"kind": "top"}})
        of = [[leaf["id"], leaf["version"], leaf["fingerprint"]]]
        return [{"definition": definition, "kind": "top", "of": of, "item": "place", "k": self._top}] if self._top else []

    def _key(self, number: int) -> CellKey:
        desa, rest = number % 267, number // 267
        return _START_US, (f"33.09.{desa % 22 + 1:02d}.{2001 + desa // 22}.{rest // 5 + 1:03d}.{rest % 5 + 1:03d}",)
