"""Merge: the state of all indicators whose partials meet in one partition of bus.partials, a pure function of it up to an offset (R5).

Robust against everything that stopped or restarted folds may write late: a source partition's older or equal partial says nothing new,
parts count only when all are there, and only a *full* partial (or one that covers the log from its beginning) introduces a
partition. A version is published once all partitions of its topic have reported under one fingerprint; the highest such wins, and cells
that only lower versions had are withdrawn. Composites follow the published versions of their parts.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from bus.indicators.blocks import Pending
from bus.indicators.family import Family
from bus.indicators.journal import Journal
from bus.indicators.line import LeafLine
from bus.indicators.merge_state import frozen, restore, saved
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey, Partial, decode
from bus.indicators.reconcile import Entry, Reconcile


class MergeUnit:
    """State over one partition of bus.partials."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        #: Everything up to here is in the state; -1 before the first record.
        self.offset = -1
        self._lines: dict[str, LeafLine] = {}
        self._family = Family(self._lines)

    @classmethod
    def new(cls, partition: int) -> MergeUnit:
        """A unit that has read nothing."""
        return cls(partition)

    @property
    def unit_id(self) -> str:
        """Name of its snapshots."""
        return f"merge/{self.partition}"

    def apply(self, records: Sequence[tuple[int, bytes]]) -> list[Output]:
        """Merge (offset, partial) records in; the rows of which a reader can see a change, in a fixed order.

        Records up to the unit's offset are skipped. Raises `FatalError` for a record that is no partial.
        """
        journal = Journal(self._family, self._lines)
        for offset, value in records:
            if offset > self.offset:
                self._take(decode(value), journal)
                self.offset = offset
        return journal.outputs()

    def take(self, partial: Partial) -> None:
        """Merge one partial in without asking what it changes; for recomputing."""
        self._take(partial, None)

    def output(self, indicator: str, key: CellKey) -> Output | None:
        """A row as it is now; None when there is none."""
        line = self._family.line(indicator)
        return None if line is None or line.published is None else line.published.output(key)

    def outputs(self, indicator: str) -> list[Output]:
        """All rows of an indicator as they are now, sorted, withdrawn ones included."""
        line = self._family.line(indicator)
        return [] if line is None else list(line.all())

    def full_outputs(self) -> list[Output]:
        """Every row as it is now, withdrawn ones included."""
        return [output for line in self._family.lines() for output in line.all()]

    def without(self, shown: Output) -> Output | None:
        """What to say now of a row that readers have: see `Line.without`."""
        line = self._family.line(shown.indicator)
        key = shown.window_start_us, tuple(shown.dimensions.values())
        return None if line is None else line.without(key, shown.window_end_us, tuple(shown.dimensions), shown.order)

    def lists(self) -> list[Reconcile]:
        """The comparisons of registers that are published now."""
        return self._family.lists()

    def listed(self, *, all_of_it: bool = False) -> list[Entry]:
        """The lines of reconciliation lists that changed since the last call, or all."""
        return self._family.listed(all_of_it=all_of_it)

    def known(self) -> dict[str, tuple[int, str]]:
        """Published (version, fingerprint) of each indicator."""
        return {line.published.id: line.published.mark for line in self._family.lines() if line.published is not None}

    # snapshots (ADR 0015)

    def frozen(self, *, whole: bool) -> Pending:
        """The state, as blocks to be made bytes of later: those touched since `saved`, or all of them."""
        return Pending(frozen(self.unit_id, self.offset, self._lines, self._family, whole=whole))

    def saved(self) -> None:
        """What `frozen` gave is durable, and nothing was applied since."""
        saved(self._lines, self._family)

    def dump(self) -> dict[str, bytes]:
        """The state in canonical form: equal states give equal bytes."""
        return {name: content for name, content in self.frozen(whole=True).encode().items() if content is not None}

    @classmethod
    def load(cls, partition: int, offset: int, blocks: Mapping[str, bytes]) -> MergeUnit:
        """The unit of which these are the blocks. Raises `FatalError` when they are of another unit, offset or form."""
        unit = cls(partition)
        restore(unit.unit_id, offset, blocks, unit._lines, unit._family)
        unit.offset = offset
        return unit

    def cold(self) -> Collection[str]:
        """Everything is in memory: rows, rankings and closings are made of all cells."""
        return ()

    def warm(self, blocks: Mapping[str, bytes]) -> None:
        """Everything is in memory."""

    def evict(self) -> None:
        """Everything stays in memory."""

    def _take(self, partial: Partial, journal: Journal | None) -> None:
        name = partial.definition["id"]
        line = self._lines.setdefault(name, LeafLine())
        if journal is not None:
            journal.look(name)
        self._family.learn(partial.feeds)
        edition = line.edition(partial)
        if edition is not None:
            changed = edition.news(partial)
            shown = edition is line.published
            if journal is not None and shown:
                journal.touch(edition, changed)
            edition.settle()
            if shown:
                self._family.settled(name, changed)
            line.promote(edition)
        self._family.follow()
