"""Merge: the state of all indicators whose partials meet in one partition of bus.partials, a pure function of it up to an offset (R5).

Robust against everything that stopped or restarted folds may write late: a source partition's older or equal partial says nothing new,
parts count only when all are there, and only a *full* partial (or one that covers the log from its beginning) introduces a
partition. A version is published once all partitions of its topic have reported under one fingerprint; the highest such wins, and cells
that only lower versions had are withdrawn.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from bus.errors import FatalError
from bus.indicators.edition import Edition
from bus.indicators.fold import in_chunks
from bus.indicators.outputs import Output
from bus.indicators.partial import CellKey, Partial, canonical, decode, sort_key

_FORM = 1


class _Line:
    """All editions (version, fingerprint) of one indicator that are still of interest, and which one readers see."""

    def __init__(self) -> None:
        self.editions: dict[tuple[int, str], Edition] = {}
        self.published: Edition | None = None
        #: Cells that readers saw of earlier versions and that the published one does not have: key -> (window end, dimension names).
        self.retired: dict[CellKey, tuple[int, tuple[str, ...]]] = {}

    def edition(self, partial: Partial) -> Edition | None:
        """The edition that a partial belongs to; None when readers have moved on from it."""
        mark = (partial.definition["version"], partial.definition["fingerprint"])
        held = self.published
        if held is not None and mark != held.mark and mark[0] <= held.mark[0]:
            return None
        return self.editions.setdefault(mark, Edition(partial.definition, partial.partitions))

    def promote(self, edition: Edition) -> None:
        """Publish that edition if it is complete and not yet published. Of two with one version the first to be complete stays."""
        if edition is self.published or not edition.complete:
            return
        former, self.published = self.published, edition
        if former is not None:
            names = tuple(former.definition["dims"])
            self.retired |= {key: (former.window_end(key), names) for key in former.cells()}
        self.editions = {mark: each for mark, each in self.editions.items() if each is edition or mark[0] > edition.mark[0]}


class MergeUnit:
    """State over one partition of bus.partials."""

    def __init__(self, partition: int) -> None:
        self.partition = partition
        #: Everything up to here is in the state; -1 before the first record.
        self.offset = -1
        self._lines: dict[str, _Line] = {}

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
        before: dict[str, tuple[Edition | None, int | None]] = {}
        touched: dict[str, dict[CellKey, Output | None]] = {}
        for offset, value in records:
            if offset <= self.offset:
                continue
            partial = decode(value)
            name = partial.definition["id"]
            line = self._lines.setdefault(name, _Line())
            before.setdefault(name, (line.published, line.published.finished if line.published else None))
            self._take(line, partial, touched.setdefault(name, {}))
            self.offset = offset
        outputs: list[Output] = []
        for name in sorted(touched):
            outputs.extend(self._changed(self._lines[name], *before[name], touched[name]))
        return outputs

    def full_outputs(self) -> list[Output]:
        """Every row as it is now, withdrawn ones included."""
        return [output for name in sorted(self._lines) for output in self._all(self._lines[name])]

    def known(self) -> dict[str, tuple[int, str]]:
        """Published (version, fingerprint) of each indicator."""
        return {name: line.published.mark for name, line in sorted(self._lines.items()) if line.published is not None}

    def dump(self) -> list[bytes]:
        """The state in canonical form, in chunks: equal states give equal bytes."""
        return in_chunks(self._text())

    @classmethod
    def load(cls, partition: int, offset: int, chunks: Sequence[bytes]) -> MergeUnit:
        """The unit that `dump` wrote. Raises `FatalError` when the snapshot is of another unit, offset or form."""
        unit = cls(partition)
        lines = iter(b"".join(chunks).split(b"\n"))
        head = json.loads(next(lines))
        expected = {"form": _FORM, "offset": offset, "unit": unit.unit_id}
        if head != expected:
            raise FatalError(f"snapshot of {unit.unit_id} at offset {offset} says it is {head}")
        unit.offset = offset
        unit._restore(map(json.loads, lines))
        return unit

    def _restore(self, entries: Iterable[Any]) -> None:
        line, edition = _Line(), None
        for raw in entries:
            if raw[0] == "edition":
                edition = Edition.restore(raw[1])
                line = self._lines.setdefault(edition.definition["id"], _Line())
                line.editions[edition.mark] = edition
                line.published = edition if raw[2] else line.published
            elif raw[0] == "retired":
                line.retired[raw[1], tuple(raw[2])] = (raw[3], tuple(raw[4]))
            elif edition is not None:
                edition.restore_entry(raw)

    def _take(self, line: _Line, partial: Partial, touched: dict[CellKey, Output | None]) -> None:
        edition = line.edition(partial)
        if edition is None:
            return
        seen = edition is line.published
        for key in edition.news(partial):
            if seen and key not in touched:
                touched[key] = edition.output(key)
        edition.settle()
        line.promote(edition)

    def _changed(
        self, line: _Line, former: Edition | None, finished: int | None, touched: dict[CellKey, Output | None]
    ) -> Iterable[Output]:
        edition = line.published
        if edition is None:
            return
        if edition is not former:
            yield from self._all(line)
            return
        reclassified = edition.reclassified(finished)
        for key in sorted(reclassified | set(touched), key=sort_key):
            output, earlier = edition.output(key), touched.get(key)
            if output is not None and (key in reclassified or earlier is None or _numbers(output) != _numbers(earlier)):
                yield output

    def _all(self, line: _Line) -> Iterable[Output]:
        edition = line.published
        if edition is None:
            return
        for key in sorted(set(edition.cells()) | set(line.retired), key=sort_key):
            output = edition.output(key)
            yield edition.withdrawn(key, *line.retired[key]) if output is None else output

    def _text(self) -> Iterable[str]:
        yield canonical({"form": _FORM, "offset": self.offset, "unit": self.unit_id})
        for name in sorted(self._lines):
            line = self._lines[name]
            for mark in sorted(line.editions):
                edition = line.editions[mark]
                yield canonical(["edition", edition.head(), edition is line.published])
                yield from map(canonical, edition.entries())
            for key in sorted(line.retired, key=sort_key):
                yield canonical(["retired", *key, *line.retired[key]])


def _numbers(output: Output) -> tuple[object, ...]:
    return output.numerator, output.denominator, output.n, output.revision
