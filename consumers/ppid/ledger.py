"""What a stretch of one log changes in the store: a pure function of the records and of the rows that stood before them.

Each row stands from one moment to another by the time of the log. That time is the highest release told so far, so it never goes back:
what a table said at a moment is the same whenever it is asked, and however the log was cut into batches.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from consumers.ppid.observations import Entry, Observation


@dataclass(slots=True)
class Row:
    """An observation with the stretch of time in which it stood: from `from_us` (included) to `until_us` (excluded; None: it still does).

    `high` is the highest revision of its version that was ever seen of the cell.
    """

    offset: int
    from_us: int
    released_us: int | None
    said: Observation
    high: int
    until_us: int | None = None
    until_offset: int | None = None

    def end(self, moment_us: int, offset: int) -> None:
        self.until_us, self.until_offset = moment_us, offset


@dataclass(frozen=True, slots=True)
class Retirement:
    """From that moment on no row of a version below `version` stands."""

    version: int
    moment_us: int
    offset: int


@dataclass(slots=True)
class Changes:
    """What to write: new rows (some of them ended already), ends of rows that stood before, versions that retired; and where the log is."""

    moment_us: int
    version: int
    rows: list[Row] = field(default_factory=list)
    ended: list[Row] = field(default_factory=list)
    retired: list[Retirement] = field(default_factory=list)
    ignored: int = 0


def changes_of(entries: Iterable[Entry], standing: Mapping[str, Row], *, moment_us: int, version: int) -> Changes:
    """The changes of these records, in the order of the log.

    `standing` are the rows that stand before them, of at least the cells that they name; `moment_us` and `version` are the highest release
    and definition version so far. A record of a lower version, or of a revision below one that was seen of its cell, is an old one
    sent again: readers ignore it (ADR 0014 R5). One that says what stands already changes nothing.
    """
    changes = Changes(moment_us, version)
    known = dict(standing)
    mine: set[int] = set()
    for entry in entries:
        changes.moment_us = max(changes.moment_us, entry.released_us or 0)
        before = known.get(entry.cell)
        said = entry.said or (_taken_away(before.said) if before is not None else None)
        if said is None:
            continue
        if said.version > changes.version:
            changes.version = said.version
            _retire(changes, known, entry.offset, mine)
            before = None
        if said.version < changes.version or (before is not None and _is_older(said, before)):
            changes.ignored += 1
            continue
        if before is not None and before.said.content() == said.content():
            continue
        if before is not None:
            before.end(changes.moment_us, entry.offset)
            if before.offset not in mine:
                changes.ended.append(before)
        high = max(said.revision or 0, before.high if before is not None else 0)
        row = known[entry.cell] = Row(entry.offset, changes.moment_us, entry.released_us, said, high)
        changes.rows.append(row)
        mine.add(row.offset)
    return changes


def _is_older(said: Observation, before: Row) -> bool:
    return said.revision is not None and said.revision < before.high


def _retire(changes: Changes, known: dict[str, Row], offset: int, mine: set[int]) -> None:
    changes.retired.append(Retirement(changes.version, changes.moment_us, offset))
    for row in known.values():
        if row.offset in mine and row.until_offset is None:
            row.end(changes.moment_us, offset)
    known.clear()


def _taken_away(said: Observation) -> Observation:
    """The cell without a row: a tombstone says no more."""
    return replace(
        said, suppressed=False, value=None, numerator=None, denominator=None, n=None, revision=None, label=None, error=None, heard=0,
        expected=0, evidence=(), gone=True,
    )  # fmt: skip
