"""Fold: the state of one indicator over one partition of its event topic, a pure function of the log up to an offset (R1).

Whatever the batch boundaries, duplicates and repetitions: the same log gives the same state, byte for byte in its dump.

- A row counts when its sequence is above all earlier ones of its source (the ledger); everything else was seen before.
- Events that can be corrected are kept per subject, ordered by their version whenever they arrive; a new state takes the old
  contribution out and puts the new one in. Immutable ones are grouped and added.
- A cell's revision is the number of events that changed it.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

from bus.errors import FatalError, OffsetGap
from bus.indicators.accumulators import ACCUMULATOR_VERSION, Summary, accumulator
from bus.indicators.batch import OFFSET, Batch, Fresh
from bus.indicators.indicator import Indicator
from bus.indicators.partial import CellKey, Partial, RowFault, canonical, sort_key
from bus.indicators.rows import contributions, grouped

__all__ = ["CHUNK_BYTES", "OFFSET", "Batch", "FoldUnit", "in_chunks"]

#: Size of a snapshot's chunks.
CHUNK_BYTES = 512 * 1024

Contribution = tuple[int, tuple[str | None, ...], tuple[int, ...]]


class FoldUnit:
    """State of one indicator over one source partition."""

    def __init__(self, indicator: Indicator, topic: str, partition: int, partitions: int) -> None:
        self.indicator = indicator
        self.topic = topic
        self.partition = partition
        self.partitions = partitions
        #: Everything up to here is in the state; -1 before the first record.
        self.offset = -1
        self._accumulator = accumulator(indicator.kind, correctable=indicator.correctable)
        self._ledger: Mapping[str, int] = {}
        self._watermarks: Mapping[str, int] = {}
        self._cells: dict[CellKey, list[Any]] = {}
        self._subjects: dict[str, tuple[int, Contribution | None]] = {}

    @classmethod
    def new(cls, indicator: Indicator, topic: str, partition: int, partitions: int) -> FoldUnit:
        """A unit that has read nothing."""
        return cls(indicator, topic, partition, partitions)

    @property
    def unit_id(self) -> str:
        """Name of its snapshots: another definition never continues them."""
        definition = self.indicator.definition
        return f"fold/{definition['id']}/{definition['version']}/{definition['fingerprint'][:16]}/{self.topic}/{self.partition}"

    def apply(self, batch: Batch) -> Partial | None:
        """Fold a batch in; what changed, or None when nothing did.

        Rows up to the unit's offset are skipped. Raises `OffsetGap` when the batch does not continue the log. Rows that this indicator
        cannot use are left out and named in the partial's `faults`.
        """
        if batch.last <= self.offset:
            return None
        if batch.first > self.offset + 1:
            raise OffsetGap(f"{self.unit_id}: state ends at offset {self.offset}, the batch begins at {batch.first}")
        first = self.offset + 1
        fresh = batch.fresh(self.offset, self._ledger, self._watermarks)
        touched, faults = self._fold(fresh)
        moved = fresh.watermarks is not self._watermarks and fresh.watermarks != self._watermarks
        self._ledger, self._watermarks = fresh.ledger, fresh.watermarks
        self.offset = batch.last
        if not (touched or moved or faults):
            return None
        return self._partial(first, touched, faults=tuple(faults))

    @property
    def watermarks(self) -> Mapping[str, int]:
        """Newest `occurred_at` of each source, UTC microseconds."""
        return self._watermarks

    def cells(self, keys: Iterable[CellKey] | None = None) -> dict[CellKey, tuple[Summary, int]]:
        """(summary, revision) of those of the given cells that there are; of all when none are given."""
        chosen = self._cells if keys is None else [key for key in keys if key in self._cells]
        return {key: (self._accumulator.summary(self._cells[key][0]), self._cells[key][1]) for key in chosen}

    def full_partial(self) -> Partial:
        """All cells as they are: for a merge that lost its state, or that has not heard of this partition."""
        return self._partial(0, self._cells, full=True)

    def dump(self) -> list[bytes]:
        """The state in canonical form, in chunks: equal states give equal bytes."""
        return in_chunks(self._lines())

    @classmethod
    def load(cls, indicator: Indicator, topic: str, partition: int, partitions: int, offset: int, chunks: Sequence[bytes]) -> FoldUnit:
        """The unit that `dump` wrote. Raises `FatalError` when the snapshot is of another unit, offset or form."""
        unit = cls(indicator, topic, partition, partitions)
        lines = b"".join(chunks).split(b"\n")
        head = json.loads(lines[0])
        expected = {"accumulator": ACCUMULATOR_VERSION, "offset": offset, "unit": unit.unit_id}
        found = {name: head.get(name) for name in expected}
        if found != expected:
            raise FatalError(f"snapshot of {unit.unit_id} at offset {offset} says it is {found}")
        unit.offset, unit._ledger, unit._watermarks = offset, head["ledger"], head["watermarks"]
        cells = head["cells"]
        for line in lines[1 : 1 + cells]:
            start, dims, acc, revision = json.loads(line)
            unit._cells[start, tuple(dims)] = [unit._accumulator.load(acc), revision]
        for line in lines[1 + cells :]:
            subject, version, held = json.loads(line)
            unit._subjects[subject] = (version, held and (held[0], tuple(held[1]), tuple(held[2])))
        return unit

    def _lines(self) -> Iterable[str]:
        yield canonical(
            {
                "accumulator": ACCUMULATOR_VERSION,
                "cells": len(self._cells),
                "ledger": self._ledger,
                "offset": self.offset,
                "unit": self.unit_id,
                "watermarks": self._watermarks,
            }
        )
        for key in sorted(self._cells, key=sort_key):
            acc, revision = self._cells[key]
            yield canonical([key[0], key[1], self._accumulator.dump(acc), revision])
        for subject in sorted(self._subjects):
            yield canonical([subject, *self._subjects[subject]])

    def _partial(self, first: int, keys: Iterable[CellKey], *, full: bool = False, faults: tuple[RowFault, ...] = ()) -> Partial:
        return Partial(
            definition=self.indicator.definition,
            topic=self.topic,
            partition=self.partition,
            partitions=self.partitions,
            first=first,
            offset=self.offset,
            cells=self.cells(keys),
            watermarks=self._watermarks,
            full=full,
            faults=faults,
        )

    def _fold(self, fresh: Fresh) -> tuple[Collection[CellKey], list[RowFault]]:
        if fresh.frame.is_empty():
            return set(), []
        return self._correct(fresh) if self.indicator.correctable else self._add(fresh)

    def _add(self, fresh: Fresh) -> tuple[Collection[CellKey], list[RowFault]]:
        keys, columns, faults = grouped(self.indicator, fresh)
        cells, absorb = self._cells, self._accumulator.absorb
        for key, *group in zip(keys, *columns, strict=True):
            cell = cells.get(key)
            if cell is not None:
                absorb(cell[0], group)
                cell[1] += group[0]
            elif group[0]:
                cells[key] = [group, group[0]]
        entered = columns[0]
        return (keys if all(entered) else [key for key, n in zip(keys, entered, strict=True) if n]), faults

    def _correct(self, fresh: Fresh) -> tuple[set[CellKey], list[RowFault]]:
        touched: set[CellKey] = set()
        faults: list[RowFault] = []
        subjects = self._subjects
        for subject, version, new, fault in contributions(self.indicator, fresh):
            known = subjects.get(subject)
            if known is not None and version <= known[0]:
                continue
            if fault is not None:
                faults.append(fault)
                continue
            subjects[subject] = (version, new)
            old = known[1] if known is not None else None
            if old != new:
                self._replace(old, new, touched)
        return touched, faults

    def _replace(self, old: Contribution | None, new: Contribution | None, touched: set[CellKey]) -> None:
        left = None
        if old is not None:
            left = old[:2]
            cell = self._cells[left]
            self._accumulator.remove(cell[0], old[2])
            cell[1] += 1
            touched.add(left)
        if new is not None:
            entered = new[:2]
            cell = self._cell(entered)
            self._accumulator.add(cell[0], new[2])
            if entered != left:
                cell[1] += 1
                touched.add(entered)

    def _cell(self, key: CellKey) -> list[Any]:
        cell = self._cells.get(key)
        if cell is None:
            cell = self._cells[key] = [self._accumulator.empty(), 0]
        return cell


def in_chunks(lines: Iterable[str]) -> list[bytes]:
    """The lines as one text in UTF-8, cut into chunks of `CHUNK_BYTES`."""
    whole = "\n".join(lines).encode()
    return [whole[begin : begin + CHUNK_BYTES] for begin in range(0, len(whole), CHUNK_BYTES)]
