"""The fold: state of one indicator over one partition of its event topic, a pure function of the log up to an offset (R1).

Whatever the batch boundaries, duplicates and repetitions: the same log gives the same state, byte for byte in its dump.

- A row counts when its sequence is above all earlier ones of its source (the ledger); everything else was seen before.
- Events that can be corrected are kept per subject (`bus.indicators.entity`); a new state takes the old contribution out and puts the new
  one in. Immutable ones are grouped and added.
- A cell counts the events that changed it, by their kind (`bus.indicators.changes`).
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import repeat
from typing import Any

from bus.errors import FatalError, OffsetGap
from bus.indicators import changes
from bus.indicators.batch import OFFSET, Batch, Fresh
from bus.indicators.blocks import Pending
from bus.indicators.changes import CORRECTED, LATE, NEW, WITHDRAWN
from bus.indicators.entity import Contribution
from bus.indicators.fold_state import FoldState
from bus.indicators.indicator import Indicator
from bus.indicators.partial import Cell, CellKey, Partial, RowFault
from bus.indicators.rows import contributions, grouped, reporters

__all__ = ["OFFSET", "Batch", "FoldUnit"]


class FoldUnit:
    """State of one indicator over one source partition."""

    def __init__(self, indicator: Indicator, topic: str, partition: int, partitions: int) -> None:
        self.indicator = indicator
        self.topic = topic
        self.partition = partition
        self.partitions = partitions
        #: Everything up to here is in the state; -1 before the first record.
        self.offset = -1
        self._accumulator = indicator.accumulator()
        self._entity = indicator.entity()
        self._state = FoldState(indicator)

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
        first, state = self.offset + 1, self._state
        fresh = batch.fresh(self.offset, state.ledger, state.watermarks)
        touched, faults = self._fold(fresh)
        heard = self._hear(fresh)
        moved = fresh.watermarks is not state.watermarks and fresh.watermarks != state.watermarks
        state.ledger, state.watermarks = fresh.ledger, fresh.watermarks
        self.offset = batch.last
        if not (touched or moved or heard or faults):
            return None
        return self._partial(first, touched, heard, faults=tuple(faults))

    @property
    def watermarks(self) -> Mapping[str, int]:
        """Newest time of each source, UTC microseconds."""
        return self._state.watermarks

    def cells(self, keys: Iterable[CellKey] | None = None) -> dict[CellKey, Cell]:
        """Those of the given cells that there are; all when none are given. Raises `FatalError` when all are not in memory."""
        if keys is None:
            self._refuse_cold()
        held, summary = self._state.cells.entries, self._accumulator.summary
        chosen = held.items() if keys is None else [(key, held[key]) for key in keys if key in held]
        return {key: (summary(acc), counted) for key, (acc, counted) in chosen}

    def full_partial(self) -> Partial:
        """All cells as they are: for a merge that lost its state, or that has not heard of this partition."""
        self._refuse_cold()
        return self._partial(0, self._state.cells.entries, self._state.heard.entries, full=True)

    def mark(self) -> Partial:
        """That nothing has changed up to the unit's offset."""
        return self._partial(0, (), {})

    def heading(self) -> Partial:
        """Nothing but what is declared beside the definition: the composites that it is a part of, and how many reporters are expected."""
        return replace(self._partial(self.offset + 1, (), {}), feeds=self.indicator.feeds)

    # snapshots (ADR 0015)

    def frozen(self, *, whole: bool) -> Pending:
        """The state, as blocks to be made bytes of later: those touched since `saved`, or all of them. Raises `FatalError` when all are not
        in memory."""
        return self._state.frozen(self.unit_id, self.offset, whole=whole)

    def saved(self) -> None:
        """What `frozen` gave is durable, and nothing was applied since."""
        self._state.saved()

    def dump(self) -> dict[str, bytes]:
        """The state in canonical form: equal states give equal bytes."""
        return {name: content for name, content in self.frozen(whole=True).encode().items() if content is not None}

    @classmethod
    def load(
        cls,
        indicator: Indicator,
        topic: str,
        partition: int,
        partitions: int,
        offset: int,
        blocks: Mapping[str, bytes],
        elsewhere: Collection[str] = (),
    ) -> FoldUnit:
        """The unit of which these are the blocks; those `elsewhere` come by `warm`. Raises `FatalError` when they are of another unit, offset or
        form."""
        unit = cls(indicator, topic, partition, partitions)
        unit._state.load(unit.unit_id, offset, blocks, elsewhere)
        unit.offset = offset
        return unit

    def needs(self, batch: Batch) -> set[str]:
        """The blocks that have to come back before the batch is applied: those of every window that its events may change."""
        state = self._state
        if batch.last <= self.offset or state.all_here:
            return set()
        fresh = batch.fresh(self.offset, state.ledger, state.watermarks)
        if fresh.frame.is_empty():
            return set()
        window, held = self.indicator.window, state.subjects.entries
        starts = set(fresh.once(("starts", window), lambda: fresh.window(window).unique().to_list()))
        if self.indicator.correctable:
            for subject in fresh.once("subjects", lambda: fresh.frame["subject"].unique().to_list()):
                if subject in held:
                    starts.update(self._entity.windows(held[subject]))
        return state.cold(starts)

    def cold(self) -> set[str]:
        """The blocks that are not in memory."""
        return self._state.cold()

    def warm(self, blocks: Mapping[str, bytes]) -> None:
        """Take back what was not in memory, from the newest snapshot."""
        self._state.warm(blocks)

    def evict(self) -> None:
        """Let go of what is closed, as far as the newest snapshot has it."""
        self._state.evict()

    def _refuse_cold(self) -> None:
        if not self._state.all_here:
            raise FatalError(f"{self.unit_id}: {len(self.cold())} blocks have left memory and were not brought back")

    def _partial(
        self,
        first: int,
        keys: Iterable[CellKey],
        heard: Mapping[int, Collection[str]],
        *,
        full: bool = False,
        faults: tuple[RowFault, ...] = (),
    ) -> Partial:
        return Partial(
            definition=self.indicator.definition,
            topic=self.topic,
            partition=self.partition,
            partitions=self.partitions,
            first=first,
            offset=self.offset,
            cells=self.cells(keys),
            watermarks=self._state.watermarks,
            heard={start: sorted(names) for start, names in heard.items()},
            feeds=self.indicator.feeds if full else (),
            full=full,
            faults=faults,
        )

    def _hear(self, fresh: Fresh) -> dict[int, set[str]]:
        """The reporters that were not yet heard of in a window."""
        found: dict[int, set[str]] = {}
        if fresh.frame.is_empty():
            return found
        heard = self._state.heard
        for start, reporter in reporters(self.indicator, fresh):
            known = heard.entries.get(start)
            if known is None:
                heard.add(start, {reporter})
            elif reporter in known:
                continue
            else:
                known.add(reporter)
            found.setdefault(start, set()).add(reporter)
        heard.touched |= found.keys()
        return found

    def _fold(self, fresh: Fresh) -> tuple[Collection[CellKey], list[RowFault]]:
        if fresh.frame.is_empty():
            return set(), []
        return self._correct(fresh) if self.indicator.correctable else self._add(fresh)

    def _add(self, fresh: Fresh) -> tuple[Collection[CellKey], list[RowFault]]:
        keys, columns, late, faults = grouped(self.indicator, fresh)
        cells, absorb = self._state.cells.entries, self._accumulator.absorb
        for key, tardy, *group in zip(keys, late or repeat(0, len(keys)), *columns, strict=True):
            entered = group[0]
            if not entered:
                continue
            cell = cells.get(key)
            if cell is not None:
                absorb(cell[0], group)
            else:
                cell = [self._accumulator.begin(group), changes.NONE]
                self._state.cells.add(key, cell)
            cell[1] = changes.entered(cell[1], entered, tardy)
        touched = keys if all(columns[0]) else [key for key, n in zip(keys, columns[0], strict=True) if n]
        self._state.cells.touched.update(touched)
        return touched, faults

    def _correct(self, fresh: Fresh) -> tuple[set[CellKey], list[RowFault]]:
        touched: set[CellKey] = set()
        faults: list[RowFault] = []
        held, admit = self._state.subjects, self._entity.admit
        subjects, revised = held.entries, held.touched
        for row in contributions(self.indicator, fresh, self._state.shared):
            subject = row.subject
            known = subjects.get(subject)
            admitted = admit(known, row)
            if admitted is None:
                continue
            state, gone, new, revises, wrong = admitted
            if row.fault is not None:
                faults.append(row.fault)
                if not self._entity.keeps_faulty:
                    continue
            if wrong is not None:
                rule, message = wrong
                faults.append(RowFault(row.offset, "clock", rule, f"{self.indicator.id}: {message}"))
            if known is None:
                held.add(subject, state)
            else:
                subjects[subject] = state
                revised.add(subject)
            if gone or new:
                kind = WITHDRAWN if row.withdrawn else CORRECTED if revises else LATE if row.late else NEW
                touched.update(self._replace(gone, new, kind))
        self._state.cells.touched |= touched
        return touched, faults

    def _replace(self, gone: Sequence[Contribution], new: Sequence[Contribution], kind: int) -> Collection[CellKey]:
        """Take out what the subject no longer contributes, put in what it contributes now; one event counts once for a cell."""
        changed: dict[CellKey, list[Any]] = {}
        for key, values in new:
            cell = changed[key] = self._cell(key)
            self._accumulator.add(cell[0], values)
        for key, values in gone:
            cell = changed[key] = self._cell(key)
            self._accumulator.remove(cell[0], values)
        for cell in changed.values():
            cell[1] = changes.counted(cell[1], kind)
        return changed

    def _cell(self, key: CellKey) -> list[Any]:
        cell = self._state.cells.entries.get(key)
        if cell is None:
            cell = [self._accumulator.empty(), changes.NONE]
            self._state.cells.add(key, cell)
        return cell
