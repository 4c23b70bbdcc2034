"""How often a cell has changed, and why: counters that travel in partials and add up, whatever the batches and crashes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

#: How many events have changed a cell: their number as long as all were new, as nearly all are; otherwise (all, of these late, of these
#: corrections, of these withdrawals). Never changed in place, so that states and partials can share it.
Changes = int | tuple[int, int, int, int]

NEW, LATE, CORRECTED, WITHDRAWN = 0, 1, 2, 3

#: Of a cell that nothing has touched.
NONE: Changes = 0

#: Sources of the events that take a wrongly sent batch back begin so.
WITHDRAWALS = "bus/withdraw/"


def revision(changes: Changes) -> int:
    """All events that changed the cell."""
    return changes if isinstance(changes, int) else changes[0]


def parted(changes: Changes) -> tuple[int, int, int, int]:
    """(all, late, corrections, withdrawals)."""
    return (changes, 0, 0, 0) if isinstance(changes, int) else changes


def counted(changes: Changes, kind: int) -> Changes:
    """One more event, of that kind, changed the cell."""
    if not kind and isinstance(changes, int):
        return changes + 1
    numbers = list(parted(changes))
    numbers[NEW] += 1
    if kind:
        numbers[kind] += 1
    return _whole(numbers)


def entered(changes: Changes, events: int, late: int) -> Changes:
    """So many more events came in, so many of them late."""
    if not late and isinstance(changes, int):
        return changes + events
    every, tardy, corrected, withdrawn = parted(changes)
    return _whole((every + events, tardy + late, corrected, withdrawn))


def total(many: Sequence[Changes]) -> Changes:
    """Those of a cell from those of its parts."""
    try:
        return sum(cast("Sequence[int]", many))
    except TypeError:  # not all are numbers
        return _whole([sum(column) for column in zip(*map(parted, many), strict=True)])


def loaded(raw: int | Sequence[int]) -> Changes:
    """What went through JSON."""
    return raw if isinstance(raw, int) else _whole(raw)


def _whole(numbers: Sequence[int]) -> Changes:
    every, late, corrected, withdrawn = numbers
    return (every, late, corrected, withdrawn) if late or corrected or withdrawn else every
