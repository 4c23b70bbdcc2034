"""Decoded records of one partition, with the work that all units of a lane share: what is fresh, watermarks, windows.

Units of one lane have read the same log, so they hold equal ledgers; what follows from batch and ledger is computed once and kept in
the batch's memo.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

import polars as pl

from bus.indicators.windows import window_starts

T = TypeVar("T")

#: Column of each row's offset, beside the event's own columns.
OFFSET = "_offset"


@dataclass(frozen=True, slots=True)
class Fresh:
    """The rows of a batch that a lane has not seen, and what the lane knows after them. Never changed, so that units can share it."""

    frame: pl.DataFrame
    ledger: Mapping[str, int]
    watermarks: Mapping[str, int]
    memo: dict[object, object] = field(default_factory=dict)

    def window(self, window: str) -> pl.Series:
        """Start of each row's window, UTC microseconds."""
        return self.once(("window", window), lambda: window_starts(self.frame["occurred_at"], window))

    def once(self, key: object, make: Callable[[], T]) -> T:
        """What `make` returned the first time it was asked for under that key."""
        if key not in self.memo:
            self.memo[key] = make()
        return self.memo[key]  # type: ignore[return-value]


@dataclass(slots=True)
class Batch:
    """Decoded records of one partition: event columns and `_offset`, ascending; `first` … `last` is the range of offsets it covers.

    Offsets inside the range may be missing (control records, quarantined ones).
    """

    frame: pl.DataFrame
    first: int
    last: int
    memo: dict[object, object] = field(default_factory=dict)

    def upto(self, last: int) -> Batch:
        """The same records, those after `last` left out."""
        if last >= self.last:
            return self
        return Batch(self.frame.filter(pl.col(OFFSET) <= last), self.first, last)

    def fresh(self, offset: int, ledger: Mapping[str, int], watermarks: Mapping[str, int]) -> Fresh:
        """The rows after `offset` whose sequence is above all that the ledger, or an earlier row, has of their source."""
        cut = max(offset, self.first - 1)
        known: list[tuple[Mapping[str, int], Mapping[str, int], Fresh]] = self.memo.setdefault(cut, [])  # type: ignore[assignment]
        for held, marks, fresh in known:
            if (held is ledger or held == ledger) and (marks is watermarks or marks == watermarks):
                return fresh
        fresh = _fresh(self.frame if cut < self.first else self.frame.filter(pl.col(OFFSET) > cut), ledger, watermarks)
        known.append((ledger, watermarks, fresh))
        return fresh


def base_source(source: str) -> str:
    """The source that a record belongs to: a replay from quarantine (`<source>#<position>`) counts for its original source."""
    return source.partition("#")[0]


def _fresh(frame: pl.DataFrame, ledger: Mapping[str, int], watermarks: Mapping[str, int]) -> Fresh:
    if frame.is_empty():
        return Fresh(frame, ledger, watermarks)
    held = {source: ledger[source] for source in frame["source"].unique().to_list() if source in ledger}
    earlier = pl.col("sequence").cum_max().shift(1).over("source")
    above = (earlier.is_null()) | (pl.col("sequence") > earlier)
    if held:
        floor = pl.col("source").replace_strict(held, default=None, return_dtype=pl.Int64)
        above = above & (floor.is_null() | (pl.col("sequence") > floor))
    kept = frame.filter(above)
    if kept.is_empty():
        return Fresh(kept, ledger, watermarks)
    newest = kept.group_by("source").agg(pl.col("sequence").max(), pl.col("occurred_at").max().to_physical())
    new_ledger, new_marks = dict(ledger), dict(watermarks)
    for source, sequence, occurred in newest.iter_rows():
        new_ledger[source] = sequence
        base = base_source(source)
        if base not in new_marks or occurred > new_marks[base]:
            new_marks[base] = occurred
    return Fresh(kept, new_ledger, watermarks if new_marks == watermarks else new_marks)
